//! The reply scanner: any cut of a stream has the same ends as the whole stream.

use codis_proxy::resp::reply::{Scan, Scanner};

/// The first byte is the length of the pieces, the rest the stream.
pub fn run(data: &[u8]) {
    let Some((&step, stream)) = data.split_first() else {
        return;
    };
    let whole = ends(stream, stream.len().max(1));
    let cut = ends(stream, usize::from(step) + 1);
    assert_eq!(whole, cut, "a cut changes where replies end");
}

/// Where replies end, and whether the stream was refused after that.
fn ends(stream: &[u8], step: usize) -> (Vec<usize>, bool) {
    let mut scanner = Scanner::default();
    let mut ends = Vec::new();
    let mut position = 0;
    while position < stream.len() {
        let end = (position + step).min(stream.len());
        while position < end {
            match scanner.scan(&stream[position..end]) {
                Ok(Scan::End(len) | Scan::EndOfPush(len)) => {
                    assert!(len > 0 && position + len <= end);
                    position += len;
                    ends.push(position);
                    assert!(scanner.is_between_replies());
                }
                Ok(Scan::More) => {
                    assert!(!scanner.is_between_replies());
                    position = end;
                }
                Err(_) => return (ends, true),
            }
        }
    }
    (ends, false)
}

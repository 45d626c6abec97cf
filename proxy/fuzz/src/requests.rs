//! The request parser: any cut of a stream reads as the whole stream does.

use codis_proxy::command;
use codis_proxy::resp::request::{Limits, Parsed, Progress, ProtocolError, parse};
use codis_proxy::resp::{Request, inline};

/// What a stream says, request by request.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Request(Vec<Vec<u8>>),
    Invalid(ProtocolError),
}

const LIMITS: Limits = Limits {
    bulk_bytes_max: 1 << 20,
    args_max: 1024,
    request_bytes_max: 1 << 21,
    unauthenticated: false,
};

/// The first byte is the length of the pieces, the rest the stream.
pub fn run(data: &[u8]) {
    let Some((&step, stream)) = data.split_first() else {
        return;
    };
    let whole = read(stream, stream.len().max(1));
    let cut = read(stream, usize::from(step) + 1);
    assert_eq!(whole, cut, "a cut changes what is read");
}

/// Reads the stream in pieces of `step` bytes.
fn read(stream: &[u8], step: usize) -> Vec<Said> {
    let mut said = Vec::new();
    let mut progress = Progress::default();
    let (mut start, mut end) = (0, 0);
    loop {
        let bytes = &stream[start..end];
        match parse(bytes, &mut progress, &LIMITS) {
            Parsed::Complete(len) => {
                let request = Request { bytes: &bytes[..len], args: &progress.args };
                look_up(&request);
                said.push(Said::Request(
                    (0..request.len()).map(|i| request.arg(i).to_vec()).collect(),
                ));
                start += len;
            }
            Parsed::Empty(len) => start += len,
            Parsed::Inline(len) => {
                match inline::split(&bytes[..len]) {
                    Ok(words) => said.push(Said::Request(words)),
                    Err(error) => {
                        said.push(Said::Invalid(error));
                        return said;
                    }
                }
                start += len;
            }
            Parsed::Invalid(error) => {
                said.push(Said::Invalid(error));
                return said;
            }
            Parsed::Incomplete if end == stream.len() => return said,
            Parsed::Incomplete => {
                assert!(progress.bytes_expected(bytes, &LIMITS) <= LIMITS.request_bytes_max + 64);
                end = (end + step).min(stream.len());
                continue;
            }
        }
        progress.clear();
    }
}

/// What the engine does next with a request must be safe for any.
fn look_up(request: &Request<'_>) {
    match command::resolve(request) {
        Ok(id) => {
            let _ = command::refusal(id, request);
            let mut keys = Vec::new();
            if command::keys(id, request, &mut keys).is_ok() {
                assert!(keys.iter().all(|key| (*key as usize) < request.len()));
            }
        }
        Err(error) => assert!(!error.text(request).contains(&b'\n')),
    }
}

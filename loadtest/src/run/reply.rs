//! Where replies end, in RESP2 and RESP3.
//!
//! The load generator needs no contents: only where the next reply ends, and whether it is an error or nothing. This is
//! not the proxy's parser on purpose: what is measured and checked should not be measured and checked by itself.

/// The longest header of a counted element: type, sign, digits and the line's end.
const HEADER_BYTES_MAX: usize = 32;
/// So much of an error's text is kept.
const ERROR_BYTES_MAX: usize = 160;

/// What a reply is, as far as a load generator cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something.
    Value,
    /// A null of any form.
    Nil,
    /// An error; [`Scanner::error`] has its text.
    Error,
    /// No reply to a request: what a RESP3 server says of its own accord.
    Push,
}

/// What [`Scanner::scan`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// A reply ends after so many of the bytes given.
    End(usize, Kind),
    /// All bytes given are part of a reply that goes on.
    More,
}

/// Bytes that are no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server sent bytes that are no RESP: {0:#04x} where a type was due")]
pub struct BadReply(pub u8);

/// Finds the end of one reply after the other, whatever pieces they come in.
#[derive(Debug, Default)]
pub struct Scanner {
    /// Elements that have yet to come; 0 between replies.
    elements: u64,
    /// Bytes of the present bulk string that have yet to come, its line's end included.
    skip: u64,
    in_line: bool,
    header: [u8; HEADER_BYTES_MAX],
    header_len: usize,
    kind: Option<Kind>,
    error: Vec<u8>,
    /// Whether the present bytes are an error's text.
    in_error: bool,
}

impl Scanner {
    /// Reads on in the present reply, or begins the next one.
    ///
    /// # Errors
    /// [`BadReply`], after which the connection cannot be used any more.
    #[inline]
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Scan, BadReply> {
        if self.elements == 0 {
            if let Some((end, kind)) = common(bytes) {
                return Ok(Scan::End(end, kind));
            }
            self.elements = 1;
            self.kind = None;
        }
        self.scan_slowly(bytes)
    }

    /// The text of the error that ended last.
    #[must_use]
    pub fn error(&self) -> String {
        String::from_utf8_lossy(&self.error).trim_end().to_owned()
    }

    #[inline(never)]
    fn scan_slowly(&mut self, bytes: &[u8]) -> Result<Scan, BadReply> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            at += if self.skip > 0 {
                self.skip_bulk(rest)
            } else if self.in_line {
                self.skip_line(rest)
            } else {
                self.header(rest)?
            };
            if self.elements == 0 {
                return Ok(Scan::End(at, self.kind.unwrap_or(Kind::Value)));
            }
        }
        Ok(Scan::More)
    }

    fn skip_bulk(&mut self, rest: &[u8]) -> usize {
        let take = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rest.len());
        self.keep_error(&rest[..take]);
        self.skip -= take as u64;
        if self.skip == 0 {
            self.end_element();
        }
        take
    }

    fn skip_line(&mut self, rest: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', rest);
        let take = end.map_or(rest.len(), |end| end + 1);
        self.keep_error(&rest[..take]);
        if end.is_some() {
            self.in_line = false;
            self.end_element();
        }
        take
    }

    fn keep_error(&mut self, text: &[u8]) {
        if self.in_error {
            let room = ERROR_BYTES_MAX.saturating_sub(self.error.len());
            self.error.extend_from_slice(&text[..text.len().min(room)]);
        }
    }

    fn end_element(&mut self) {
        self.elements -= 1;
        self.in_error = false;
    }

    /// The first element of a reply says what it is.
    fn is_a(&mut self, kind: Kind) {
        if self.kind.is_none() {
            self.kind = Some(kind);
            if kind == Kind::Error {
                self.in_error = true;
                self.error.clear();
            }
        }
    }

    fn header(&mut self, rest: &[u8]) -> Result<usize, BadReply> {
        let kind = if self.header_len > 0 { self.header[0] } else { rest[0] };
        match kind {
            b'+' | b':' | b'#' | b',' | b'(' => self.is_a(Kind::Value),
            b'_' => self.is_a(Kind::Nil),
            b'-' => self.is_a(Kind::Error),
            b'$' | b'*' | b'%' | b'~' | b'=' | b'!' | b'>' | b'|' => {
                return self.counted(rest, kind);
            }
            other => return Err(BadReply(other)),
        }
        self.in_line = true;
        Ok(1)
    }

    fn counted(&mut self, rest: &[u8], kind: u8) -> Result<usize, BadReply> {
        let held = self.header_len;
        let window = &rest[..rest.len().min(HEADER_BYTES_MAX - held)];
        let Some(end) = memchr::memchr(b'\n', window) else {
            if held + window.len() == HEADER_BYTES_MAX {
                return Err(BadReply(kind));
            }
            self.header[held..held + window.len()].copy_from_slice(window);
            self.header_len += window.len();
            return Ok(window.len());
        };
        self.header[held..=held + end].copy_from_slice(&window[..=end]);
        let digits = self.header[1..held + end].strip_suffix(b"\r");
        let count = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<i64>().ok());
        self.header_len = 0;
        self.begin(kind, count.filter(|count| *count >= -1).ok_or(BadReply(kind))?)?;
        Ok(end + 1)
    }

    fn begin(&mut self, kind: u8, count: i64) -> Result<(), BadReply> {
        // What an attribute is about follows it, so it is not the reply itself.
        if kind == b'|' {
            return self.expect(count.unsigned_abs().checked_mul(2), kind);
        }
        self.is_a(match kind {
            b'!' => Kind::Error,
            b'>' => Kind::Push,
            _ if count < 0 => Kind::Nil,
            _ => Kind::Value,
        });
        match (kind, u64::try_from(count)) {
            (_, Err(_)) => self.end_element(),
            (b'$' | b'=' | b'!', Ok(bytes)) => self.skip = bytes + 2,
            (b'%', Ok(pairs)) => {
                self.elements -= 1;
                return self.expect(pairs.checked_mul(2), kind);
            }
            (_, Ok(items)) => {
                self.elements -= 1;
                return self.expect(Some(items), kind);
            }
        }
        Ok(())
    }

    fn expect(&mut self, more: Option<u64>, kind: u8) -> Result<(), BadReply> {
        let elements = more.and_then(|more| self.elements.checked_add(more));
        self.elements = elements.ok_or(BadReply(kind))?;
        Ok(())
    }
}

/// The replies that nearly all are, when they are here as a whole.
#[inline]
fn common(bytes: &[u8]) -> Option<(usize, Kind)> {
    match bytes {
        [b'+', b'O', b'K', b'\r', b'\n', ..] => Some((5, Kind::Value)),
        [b'$', b'-', b'1', b'\r', b'\n', ..] => Some((5, Kind::Nil)),
        [b'$', rest @ ..] => {
            let (mut len, mut digits) = (0_usize, 0);
            for &byte in rest.iter().take(8) {
                match byte {
                    b'0'..=b'9' => len = len * 10 + usize::from(byte - b'0'),
                    _ => break,
                }
                digits += 1;
            }
            let end = 1 + digits + 2 + len + 2;
            let whole = digits > 0 && rest.get(digits) == Some(&b'\r') && end <= bytes.len();
            whole.then_some((end, Kind::Value))
        }
        [b':' | b'+', rest @ ..] => {
            let window = &rest[..rest.len().min(24)];
            let end = window.iter().position(|&byte| byte == b'\n')?;
            Some((end + 2, Kind::Value))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{BadReply, Kind, Scan, Scanner};

    /// Every reply of both protocols, with what it is.
    const REPLIES: &[(&[u8], Kind)] = &[
        (b"+OK\r\n", Kind::Value),
        (b"+a longer line than most are, to leave the short way\r\n", Kind::Value),
        (b"-ERR no\r\n", Kind::Error),
        (b":-12\r\n", Kind::Value),
        (b"$0\r\n\r\n", Kind::Value),
        (b"$3\r\n\r\n-\r\n", Kind::Value),
        (b"$-1\r\n", Kind::Nil),
        (b"*-1\r\n", Kind::Nil),
        (b"*0\r\n", Kind::Value),
        (b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n-ERR within\r\n", Kind::Value),
        (b"_\r\n", Kind::Nil),
        (b"#t\r\n", Kind::Value),
        (b",1.5\r\n", Kind::Value),
        (b"(12345678901234567890\r\n", Kind::Value),
        (b"!5\r\nERR x\r\n", Kind::Error),
        (b"=6\r\ntxt:ab\r\n", Kind::Value),
        (b"%1\r\n+a\r\n~2\r\n:1\r\n_\r\n", Kind::Value),
        (b">2\r\n+message\r\n$1\r\nx\r\n", Kind::Push),
        (b"|1\r\n+ttl\r\n:3\r\n$1\r\na\r\n", Kind::Value),
    ];

    fn scan_in_pieces(bytes: &[u8], piece: usize) -> Vec<(usize, Kind)> {
        let (mut scanner, mut found, mut begin) = (Scanner::default(), Vec::new(), 0);
        for (number, chunk) in bytes.chunks(piece).enumerate() {
            let mut at = 0;
            while at < chunk.len() {
                match scanner.scan(&chunk[at..]).expect("the bytes are RESP") {
                    Scan::End(len, kind) => {
                        at += len;
                        found.push((number * piece + at - begin, kind));
                        begin = number * piece + at;
                    }
                    Scan::More => at = chunk.len(),
                }
            }
        }
        found
    }

    #[test]
    fn every_reply_of_both_protocols_is_found_in_pieces_of_any_size() {
        let stream: Vec<u8> = REPLIES.iter().flat_map(|(bytes, _)| bytes.to_vec()).collect();
        let expected: Vec<_> = REPLIES.iter().map(|(bytes, kind)| (bytes.len(), *kind)).collect();
        for piece in 1..=stream.len() {
            assert_eq!(scan_in_pieces(&stream, piece), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn the_text_of_an_error_is_kept() {
        for piece in [&b"-ERR no such thing\r\n"[..], b"!17\r\nERR no such thing\r\n"] {
            let mut scanner = Scanner::default();
            assert_eq!(scanner.scan(piece), Ok(Scan::End(piece.len(), Kind::Error)));
            assert_eq!(scanner.error(), "ERR no such thing");
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for bytes in [&b"HTTP/1.1 200 OK\r\n"[..], b"$x\r\n", b"*-2\r\n", b"*1\r\n\r\n"] {
            assert!(matches!(Scanner::default().scan(bytes), Err(BadReply(_))), "{bytes:?}");
        }
    }
}

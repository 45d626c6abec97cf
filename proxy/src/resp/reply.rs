//! Where a server's reply ends, in RESP2 and RESP3.
//!
//! [`Scanner`] is fed whatever bytes have come and keeps only a count between calls, so a reply of
//! any size streams through without being gathered. Every type of RESP3 is known but for those whose
//! length is not said before (`$?`, `*?`), which no server sends.

use super::request::strict_integer;

/// The longest header of a bulk string or an array: type, sign, 19 digits and the line's end.
const HEADER_BYTES_MAX: usize = 24;

/// What a [`Scanner`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// The reply ends after this many of the bytes given.
    End(usize),
    /// A push message ends after this many of the bytes given: it is no reply.
    EndOfPush(usize),
    /// All bytes given are part of the reply, and more must follow.
    More,
}

/// Bytes that are no RESP reply; the connection cannot be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a RESP reply: byte {0:#04x} where a type was due")]
pub struct BadReply(pub u8);

/// Finds the end of one reply after the other.
#[derive(Debug, Clone, Default)]
pub struct Scanner {
    /// Elements of the reply that have yet to be read; 0 between replies. An array of n puts n in
    /// the place of itself, so nesting needs no stack.
    elements: u64,
    /// Bytes of the present bulk string that have yet to come, its line end included.
    skip: u64,
    /// Whether the rest of a simple line is still to come.
    in_line: bool,
    /// Whether what is being read is a push message.
    in_push: bool,
    /// The beginning of a header that was cut.
    header: [u8; HEADER_BYTES_MAX],
    header_len: u8,
}

impl Scanner {
    /// Where the reply ends that begins here, if it is short and whole, as nearly all are. `None` says nothing: it is
    /// for [`Scanner::scan`] then.
    #[inline(always)]
    pub fn scan_short(&self, bytes: &[u8]) -> Option<usize> {
        if self.elements == 0 { short_element(bytes) } else { None }
    }

    /// Reads on in the present reply, or begins the next one.
    ///
    /// # Errors
    /// [`BadReply`], after which the scanner must not be used again.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Scan, BadReply> {
        if self.elements == 0 {
            self.elements = 1;
            self.in_push = bytes.first() == Some(&b'>');
        }
        let mut position = 0;
        while position < bytes.len() {
            let rest = &bytes[position..];
            position += if self.skip > 0 {
                self.skip_bulk(rest)
            } else if self.in_line {
                self.skip_line(rest)
            } else {
                match self.skip_short(rest) {
                    0 => self.header(rest)?,
                    skipped => skipped,
                }
            };
            if self.elements == 0 {
                return Ok(match self.in_push {
                    true => Scan::EndOfPush(position),
                    false => Scan::End(position),
                });
            }
        }
        Ok(Scan::More)
    }

    /// Passes over all elements at the start of `rest` that are short and whole.
    #[inline(always)]
    fn skip_short(&mut self, rest: &[u8]) -> usize {
        let (mut position, mut elements) = (0, self.elements);
        if self.header_len == 0 {
            while elements > 0
                && let Some(end) = short_element(&rest[position..])
            {
                position += end;
                elements -= 1;
            }
        }
        self.elements = elements;
        position
    }

    fn skip_bulk(&mut self, rest: &[u8]) -> usize {
        let take = self.skip.min(rest.len() as u64);
        self.skip -= take;
        if self.skip == 0 {
            self.elements -= 1;
        }
        take as usize
    }

    fn skip_line(&mut self, rest: &[u8]) -> usize {
        match memchr::memchr(b'\n', rest) {
            Some(end) => {
                self.in_line = false;
                self.elements -= 1;
                end + 1
            }
            None => rest.len(),
        }
    }

    /// Reads an element's header, or what there is of it.
    fn header(&mut self, rest: &[u8]) -> Result<usize, BadReply> {
        let kind = if self.header_len > 0 { self.header[0] } else { rest[0] };
        match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {
                self.in_line = true;
                Ok(1)
            }
            b'$' | b'*' | b'!' | b'=' | b'%' | b'~' | b'>' | b'|' => {
                self.counted_header(rest, kind)
            }
            other => Err(BadReply(other)),
        }
    }

    fn counted_header(&mut self, rest: &[u8], kind: u8) -> Result<usize, BadReply> {
        let held = usize::from(self.header_len);
        let room = HEADER_BYTES_MAX - held;
        let window = &rest[..rest.len().min(room)];
        let Some(end) = memchr::memchr(b'\n', window) else {
            if window.len() == room {
                return Err(BadReply(kind));
            }
            self.header[held..held + window.len()].copy_from_slice(window);
            self.header_len += window.len() as u8;
            return Ok(window.len());
        };
        self.header[held..=held + end].copy_from_slice(&window[..=end]);
        let line = &self.header[1..held + end];
        let number = line.strip_suffix(b"\r").and_then(strict_integer);
        self.header_len = 0;
        self.counted(kind, number.ok_or(BadReply(kind))?)?;
        Ok(end + 1)
    }

    /// Takes what a header says.
    fn counted(&mut self, kind: u8, number: i64) -> Result<(), BadReply> {
        let count = match (kind, u64::try_from(number)) {
            (b'$' | b'*', Err(_)) if number == -1 => 0,
            (_, Ok(count)) => count,
            (_, Err(_)) => return Err(BadReply(kind)),
        };
        if matches!(kind, b'$' | b'!' | b'=') && number >= 0 {
            self.skip = count.checked_add(2).ok_or(BadReply(kind))?;
            return Ok(());
        }
        // Attributes do not stand in the place of an element: they precede one.
        let (each, own) = match kind {
            b'|' => (2, 0),
            b'%' => (2, 1),
            _ => (1, 1),
        };
        let inside = count.checked_mul(each).ok_or(BadReply(kind))?;
        self.elements = (self.elements - own).checked_add(inside).ok_or(BadReply(kind))?;
        Ok(())
    }

    /// Whether a push message has begun and not ended.
    #[must_use]
    pub fn is_in_push(&self) -> bool {
        self.elements > 0 && self.in_push
    }

    /// Whether the scanner stands between two replies.
    #[must_use]
    pub fn is_between_replies(&self) -> bool {
        self.elements == 0
    }
}

/// The bytes of the bulk string that `rest` begins with, which is taken off it. `None`: it begins with none that is whole.
pub(crate) fn take_bulk<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let line_end = memchr::memchr(b'\r', rest)?;
    let len = strict_integer(rest.get(..line_end)?.strip_prefix(b"$")?)?;
    let start = line_end + 2;
    let bulk = rest.get(start..start + usize::try_from(len).ok()?)?;
    *rest = rest.get(start + bulk.len() + 2..)?;
    Some(bulk)
}

/// Where the element at the start of `bytes` ends, if it is one of the kinds that nearly all are: a
/// short line, or a bulk string that is here as a whole. `None` says nothing.
#[inline(always)]
pub(crate) fn short_element(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'+', b'O', b'K', b'\r', b'\n', ..] | [b'$', b'-', b'1', b'\r', b'\n', ..] => Some(5),
        [b'$', rest @ ..] => {
            let (len, header) = short_number(rest)?;
            let end = 1 + header + len + 2;
            (end <= bytes.len()).then_some(end)
        }
        [b'+' | b':' | b'_' | b'#' | b',', rest @ ..] => short_line(rest).map(|end| end + 1),
        _ => None,
    }
}

/// The length of a line that ends within a few bytes, its end included.
#[inline]
fn short_line(rest: &[u8]) -> Option<usize> {
    let window = &rest[..rest.len().min(32)];
    window.iter().position(|&byte| byte == b'\n').map(|end| end + 1)
}

/// A length of one to six digits at the start of `rest`, with the bytes of its line.
#[inline(always)]
fn short_number(rest: &[u8]) -> Option<(usize, usize)> {
    // Nearly every length has one or two digits; the shortest reply that has one is longer than this.
    let &[first, second, third, fourth] = rest.first_chunk::<4>()?;
    let first = first.wrapping_sub(b'0');
    if first <= 9 && second == b'\r' && third == b'\n' {
        return Some((usize::from(first), 3));
    }
    let second = second.wrapping_sub(b'0');
    if (1..=9).contains(&first) && second <= 9 && third == b'\r' && fourth == b'\n' {
        return Some((usize::from(first * 10 + second), 4));
    }
    longer_number(rest)
}

#[inline(never)]
fn longer_number(rest: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (i, &byte) in rest.iter().take(7).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            if i == 1 && value == 0 {
                // A leading zero: the slow way refuses it.
                return None;
            }
            value = value * 10 + usize::from(digit);
        } else {
            return (byte == b'\r' && i > 0 && rest.get(i + 1) == Some(&b'\n'))
                .then_some((value, i + 2));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn end(bytes: &[u8]) -> Result<Scan, BadReply> {
        Scanner::default().scan(bytes)
    }

    #[test]
    fn each_type_ends_where_it_ends() {
        for reply in [
            &b"+OK\r\n"[..],
            b"-ERR no\r\n",
            b":-12\r\n",
            b"$0\r\n\r\n",
            b"$3\r\na\r\n\r\n",
            b"$-1\r\n",
            b"*-1\r\n",
            b"*0\r\n",
            b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n*0\r\n",
            b"_\r\n",
            b"#t\r\n",
            b",-1.5e10\r\n",
            b"(3492890328409238509324850943850943825024385\r\n",
            b"!22\r\nSYNTAX invalid\r\nsyntax\r\n",
            b"=7\r\ntxt:a\r\n\r\n",
            b"%0\r\n",
            b"%2\r\n+a\r\n%1\r\n:1\r\n_\r\n+b\r\n~1\r\n#f\r\n",
            b"|1\r\n+ttl\r\n:3600\r\n$1\r\na\r\n",
            b"*2\r\n|1\r\n+a\r\n*1\r\n:1\r\n:2\r\n:3\r\n",
        ] {
            let more = [reply, b"+next\r\n"].concat();
            assert_eq!(end(&more), Ok(Scan::End(reply.len())), "{}", reply.escape_ascii());
            assert_eq!(end(&reply[..reply.len() - 1]), Ok(Scan::More), "{}", reply.escape_ascii());
        }
    }

    #[test]
    fn a_push_message_is_told_from_a_reply() {
        let push = &b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n"[..];
        let more = [push, b"+OK\r\n"].concat();
        assert_eq!(end(&more), Ok(Scan::EndOfPush(push.len())));
        let mut scanner = Scanner::default();
        for cut in 1..push.len() {
            assert_eq!(scanner.scan(&push[..cut]), Ok(Scan::More));
            assert!(scanner.is_in_push());
            assert_eq!(scanner.scan(&more[cut..]), Ok(Scan::EndOfPush(push.len() - cut)));
            assert!(!scanner.is_in_push());
            assert_eq!(scanner.scan(b"*1\r\n>0\r\n"), Ok(Scan::End(8)));
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\n"[..],
            b"$x\r\n",
            b"$-2\r\n",
            b"*1\r\n?",
            b"$01\r\na\r\n",
            b"$1\n",
            b"%-1\r\n",
            b"~-1\r\n",
            b"=-1\r\n",
            b"*?\r\n",
            b"$?\r\n",
            b"%9223372036854775807\r\n+a\r\n%9223372036854775807\r\n",
        ] {
            assert!(end(bytes).is_err(), "{}", bytes.escape_ascii());
        }
        assert!(end(&[b"$".to_vec(), b"1".repeat(40)].concat()).is_err());
    }

    /// A value that has no others inside, of a type that is a line.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            "[+-][a-zA-Z ]{0,40}",
            any::<i64>().prop_map(|n| format!(":{n}")),
            any::<f64>().prop_map(|n| format!(",{n}")),
            "\\([1-9][0-9]{0,60}",
            Just("_".to_owned()),
            Just("#t".to_owned()),
            Just("$-1".to_owned()),
            Just("*-1".to_owned()),
        ]
        .prop_map(|line| format!("{line}\r\n").into_bytes())
    }

    /// Any value of RESP2 or RESP3, as bytes.
    fn value() -> impl Strategy<Value = Vec<u8>> {
        let bytes = proptest::collection::vec(any::<u8>(), 0..200);
        let counted = (0..3_usize, bytes).prop_map(|(kind, bytes)| {
            let header = format!("{}{}\r\n", ["$", "!", "="][kind], bytes.len());
            [header.into_bytes(), bytes, b"\r\n".to_vec()].concat()
        });
        prop_oneof![line(), counted].prop_recursive(4, 64, 8, |inner| {
            let items = proptest::collection::vec(inner, 0..8);
            (0..5_usize, items).prop_map(|(kind, mut items)| {
                let (kind, each) = [("*", 1), ("~", 1), ("%", 2), ("|", 2), ("*", 1)][kind];
                items.truncate(items.len() / each * each);
                let header = format!("{kind}{}\r\n", items.len() / each);
                let follows: &[u8] = if kind == "|" { b"+what it is about\r\n" } else { b"" };
                [header.as_bytes(), &items.concat(), follows].concat()
            })
        })
    }

    proptest! {
        #[test]
        fn any_cut_of_the_stream_finds_the_same_ends(
            values in proptest::collection::vec(value(), 1..6),
            cuts in proptest::collection::vec(1_usize..40, 1..60),
        ) {
            let stream = values.concat();
            let mut scanner = Scanner::default();
            let mut found = Vec::new();
            let (mut position, mut base, mut cut) = (0, 0, 0);
            while position < stream.len() {
                let step = cuts[cut % cuts.len()];
                cut += 1;
                let chunk_end = (position + step).min(stream.len());
                while position < chunk_end {
                    match scanner.scan(&stream[position..chunk_end]).expect("valid") {
                        Scan::End(n) | Scan::EndOfPush(n) => {
                            position += n;
                            found.push(position - base);
                            base = position;
                        }
                        Scan::More => position = chunk_end,
                    }
                }
            }
            prop_assert!(scanner.is_between_replies());
            prop_assert_eq!(found, values.iter().map(Vec::len).collect::<Vec<_>>());
        }
    }
}

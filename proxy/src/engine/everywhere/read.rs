//! Reading servers' replies that are merged or looked into, of either protocol.

use crate::resp::reply::{Scan, Scanner};
use crate::resp::request::strict_integer;

/// The number in `:n\r\n`.
pub(super) fn integer(reply: &[u8]) -> Option<i64> {
    strict_integer(reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?)
}

/// The text of a bulk string or a verbatim string; `None` for a null and everything else.
pub(super) fn text(reply: &[u8]) -> Option<&[u8]> {
    let (kind, rest) = reply.split_first()?;
    let start = memchr::memchr(b'\n', rest)? + 1;
    let length = usize::try_from(strict_integer(rest[..start].strip_suffix(b"\r\n")?)?).ok()?;
    let text = rest[start..].get(..length)?;
    match kind {
        b'$' => Some(text),
        // Three letters say what kind of text it is.
        b'=' => text.get(4..),
        _ => None,
    }
}

/// The words of an error.
pub(super) fn error(reply: &[u8]) -> Option<&[u8]> {
    reply.strip_prefix(b"-").map(<[u8]>::trim_ascii_end)
}

/// The elements of an array or a set, each as a reply of its own.
pub(super) fn elements(reply: &[u8]) -> Option<Elements<'_>> {
    let (kind, rest) = reply.split_first()?;
    let start = memchr::memchr(b'\n', rest)? + 1;
    let count = strict_integer(rest[..start].strip_suffix(b"\r\n")?)?;
    let left = usize::try_from(count).ok()?;
    matches!(kind, b'*' | b'~').then_some(Elements { left, rest: &rest[start..] })
}

/// See [`elements`].
#[derive(Debug, Clone)]
pub(super) struct Elements<'a> {
    left: usize,
    rest: &'a [u8],
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        match Scanner::default().scan(self.rest) {
            Ok(Scan::End(end)) => {
                let (element, rest) = self.rest.split_at(end);
                self.rest = rest;
                Some(element)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bulk_strings_and_verbatim_ones() {
        assert_eq!(text(b"$3\r\na\r\n\r\n"), Some(&b"a\r\n"[..]));
        assert_eq!(text(b"=6\r\ntxt:ab\r\n"), Some(&b"ab"[..]));
        for none in [&b"$-1\r\n"[..], b"_\r\n", b":1\r\n", b"", b"$9\r\na\r\n", b"=2\r\nab\r\n"] {
            assert_eq!(text(none), None, "{}", none.escape_ascii());
        }
    }

    #[test]
    fn elements_are_those_of_arrays_and_sets() {
        let nested = elements(b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n").expect("an array");
        assert_eq!(nested.collect::<Vec<_>>(), [&b"$1\r\na\r\n"[..], b"*1\r\n:1\r\n"]);
        assert_eq!(elements(b"~1\r\n:1\r\n").expect("a set").count(), 1);
        assert!(elements(b"*-1\r\n").is_none());
        assert!(elements(b"+OK\r\n").is_none());
    }

    #[test]
    fn numbers_and_errors_are_read_whole() {
        assert_eq!(integer(b":-7\r\n"), Some(-7));
        assert_eq!(integer(b"$1\r\n7\r\n"), None);
        assert_eq!(error(b"-ERR no\r\n"), Some(&b"ERR no"[..]));
        assert_eq!(error(b"+OK\r\n"), None);
    }
}

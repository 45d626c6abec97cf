//! Redis's protocol, version 2, as a client of servers needs it.

use super::net::{Request, Value};

/// The most that a reply may be nested, and the most items and bytes that one may announce.
const DEPTH_MAX: usize = 16;
const ITEMS_MAX: u64 = 1 << 27;
const BYTES_MAX: u64 = 1 << 32;

/// Appends a request.
pub(super) fn encode(request: &Request, out: &mut Vec<u8>) {
    head(request.len(), out);
    request.iter().for_each(|part| bulk(part, out));
}

/// Appends a request but for its last argument, of `length` bytes.
pub(super) fn encode_head(request: &Request, length: u64, out: &mut Vec<u8>) {
    head(request.len() + 1, out);
    request.iter().for_each(|part| bulk(part, out));
    out.extend_from_slice(format!("${length}\r\n").as_bytes());
}

fn head(count: usize, out: &mut Vec<u8>) {
    out.push(b'*');
    out.extend_from_slice(count.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn bulk(part: &[u8], out: &mut Vec<u8>) {
    out.push(b'$');
    out.extend_from_slice(part.len().to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(part);
    out.extend_from_slice(b"\r\n");
}

/// The server speaks something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what it sent is no reply of a Redis server")]
pub(super) struct Garbled;

/// Reads replies out of bytes that come in pieces.
///
/// Arrays whose items are not all there are kept open, so that no byte is looked at twice.
#[derive(Debug, Default)]
pub(super) struct Reader {
    open: Vec<(usize, Vec<Value>)>,
}

impl Reader {
    /// The next whole reply that begins at `*at`, which is set behind what was read. `None` until all of it is there.
    pub(super) fn next(&mut self, bytes: &[u8], at: &mut usize) -> Result<Option<Value>, Garbled> {
        while let Some(item) = self.item(bytes, at)? {
            if let Some(whole) = self.close(item) {
                return Ok(Some(whole));
            }
        }
        Ok(None)
    }

    /// Puts an item where it belongs; answers the outermost value when it is whole.
    fn close(&mut self, item: Item) -> Option<Value> {
        let mut value = match item {
            Item::Opened => return None,
            Item::Value(value) => value,
        };
        while let Some((count, mut items)) = self.open.pop() {
            items.push(value);
            if items.len() < count {
                self.open.push((count, items));
                return None;
            }
            value = Value::Array(items);
        }
        Some(value)
    }

    fn item(&mut self, bytes: &[u8], at: &mut usize) -> Result<Option<Item>, Garbled> {
        let Some(rest) = bytes.get(*at..) else { return Ok(None) };
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let line = rest[..end].strip_suffix(b"\r").ok_or(Garbled)?;
        let (kind, line) = line.split_first().ok_or(Garbled)?;
        let after = *at + end + 1;
        let value = match kind {
            b'+' => Value::Bytes(line.to_vec()),
            b'-' => Value::Error(String::from_utf8_lossy(line).into_owned()),
            b':' => Value::Integer(number(line)?),
            b'$' => match length(line, BYTES_MAX)? {
                None => Value::Nil,
                Some(length) => {
                    let Some(body) = bytes.get(after..after + length + 2) else { return Ok(None) };
                    let body = body.strip_suffix(b"\r\n").ok_or(Garbled)?.to_vec();
                    *at = after + length + 2;
                    return Ok(Some(Item::Value(Value::Bytes(body))));
                }
            },
            b'*' => match length(line, ITEMS_MAX)? {
                None => Value::Nil,
                Some(0) => Value::Array(Vec::new()),
                Some(_) if self.open.len() >= DEPTH_MAX => return Err(Garbled),
                Some(count) => {
                    *at = after;
                    self.open.push((count, Vec::new()));
                    return Ok(Some(Item::Opened));
                }
            },
            _ => return Err(Garbled),
        };
        *at = after;
        Ok(Some(Item::Value(value)))
    }
}

enum Item {
    Opened,
    Value(Value),
}

fn number(line: &[u8]) -> Result<i64, Garbled> {
    std::str::from_utf8(line).ok().and_then(|text| text.parse().ok()).ok_or(Garbled)
}

/// A length; `None` for -1, which stands for no value.
fn length(line: &[u8], max: u64) -> Result<Option<usize>, Garbled> {
    let number = number(line)?;
    if number == -1 {
        return Ok(None);
    }
    let length = u64::try_from(number).ok().filter(|length| *length <= max).ok_or(Garbled)?;
    usize::try_from(length).map(Some).map_err(|_| Garbled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::moves::net::request;

    fn bytes(text: &str) -> Value {
        Value::Bytes(text.into())
    }

    #[test]
    fn a_reply_is_read_in_whatever_pieces_it_comes() {
        let wire = b"*4\r\n$2\r\na\n\r\n*2\r\n:-7\r\n*0\r\n$-1\r\n*-1\r\n-OOM no\r\n+OK\r\n";
        let first = Value::Array(vec![
            bytes("a\n"),
            Value::Array(vec![Value::Integer(-7), Value::Array(Vec::new())]),
            Value::Nil,
            Value::Nil,
        ]);
        let wanted = [first, Value::Error("OOM no".into()), bytes("OK")];
        for step in 1..=wire.len() {
            let (mut reader, mut at, mut read) = (Reader::default(), 0, Vec::new());
            for end in (0..wire.len()).step_by(step).chain([wire.len()]) {
                while let Some(value) = reader.next(&wire[..end], &mut at).expect("it is good") {
                    read.push(value);
                }
            }
            assert_eq!(read, wanted, "in pieces of {step}");
            assert_eq!(at, wire.len());
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        let deep = b"*1\r\n".repeat(DEPTH_MAX + 1);
        for wire in [&b"HTTP/1.1 400\r\n"[..], b":x\r\n", b"$-2\r\n", b"\n", b"$1\r\nabc", &deep] {
            assert_eq!(Reader::default().next(wire, &mut 0), Err(Garbled), "{wire:?}");
        }
    }

    #[test]
    fn a_request_is_written_with_the_lengths_of_its_parts() {
        let mut out = Vec::new();
        encode(&request(&["SET", "k", ""]), &mut out);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
        out.clear();
        encode_head(&request(&["SET", "k"]), 500, &mut out);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500\r\n");
    }
}

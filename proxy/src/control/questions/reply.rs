//! Writing replies.

use crate::resp::{Protocol, write};

/// `+OK`
pub(super) fn ok() -> Vec<u8> {
    b"+OK\r\n".to_vec()
}

/// `-line`. Ends of line within it become blanks, as they would end the reply.
pub(super) fn error(line: &str) -> Vec<u8> {
    let line = line.replace(['\r', '\n'], " ");
    format!("-{line}\r\n").into_bytes()
}

/// `:number`
pub(super) fn integer(number: u64) -> Vec<u8> {
    let mut reply = Vec::new();
    push_integer(&mut reply, number);
    reply
}

/// Text.
pub(super) fn verbatim(text: &str, protocol: Protocol) -> Vec<u8> {
    let mut reply = Vec::with_capacity(text.len() + 20);
    write::verbatim(&mut reply, protocol, text.as_bytes());
    reply
}

/// Appends the head of an array of `len` replies.
pub(super) fn push_array(reply: &mut Vec<u8>, len: usize) {
    push_line(reply, b'*', len as u64);
}

/// Appends an integer.
pub(super) fn push_integer(reply: &mut Vec<u8>, number: u64) {
    push_line(reply, b':', number);
}

/// Appends a bulk string.
pub(super) fn push_bulk(reply: &mut Vec<u8>, bytes: &[u8]) {
    push_line(reply, b'$', bytes.len() as u64);
    reply.extend_from_slice(bytes);
    reply.extend_from_slice(b"\r\n");
}

fn push_line(reply: &mut Vec<u8>, kind: u8, number: u64) {
    reply.push(kind);
    reply.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    reply.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_stays_one_line_whatever_it_quotes() {
        assert_eq!(error("ERR no 'a\r\n+OK'"), b"-ERR no 'a  +OK'\r\n");
    }

    #[test]
    fn each_kind_is_written_as_in_redis() {
        assert_eq!(ok(), b"+OK\r\n");
        assert_eq!(integer(12), b":12\r\n");
        assert_eq!(verbatim("", Protocol::Resp2), b"$0\r\n\r\n");
        assert_eq!(verbatim("", Protocol::Resp3), b"=4\r\ntxt:\r\n");
        let mut reply = Vec::new();
        push_array(&mut reply, 1);
        push_bulk(&mut reply, b"a\r\n");
        assert_eq!(reply, b"*1\r\n$3\r\na\r\n\r\n");
    }
}

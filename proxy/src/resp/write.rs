//! Making replies and requests.

use super::Protocol;

/// Appends `<kind><number>\r\n`.
pub fn number(out: &mut Vec<u8>, kind: u8, value: i64) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends `:<value>`.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    number(out, b':', value);
}

/// Appends the header of an array of `len` elements.
pub fn array(out: &mut Vec<u8>, len: usize) {
    number(out, b'*', len as i64);
}

/// Appends a bulk string.
pub fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, b'$', bytes.len() as i64);
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Appends an error. Line ends in `text` become spaces, so that it stays one line.
pub fn error(out: &mut Vec<u8>, text: &str) {
    line(out, b'-', text);
}

/// Appends a simple string, likewise.
pub fn simple(out: &mut Vec<u8>, text: &str) {
    line(out, b'+', text);
}

fn line(out: &mut Vec<u8>, kind: u8, text: &str) {
    out.push(kind);
    out.extend(text.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    out.extend_from_slice(b"\r\n");
}

/// Appends what stands for no value.
pub fn null(out: &mut Vec<u8>, protocol: Protocol) {
    out.extend_from_slice(match protocol {
        Protocol::Resp2 => b"$-1\r\n",
        Protocol::Resp3 => b"_\r\n",
    });
}

/// Appends what stands for no array, as EXEC and the blocking commands answer it.
pub fn null_array(out: &mut Vec<u8>, protocol: Protocol) {
    out.extend_from_slice(match protocol {
        Protocol::Resp2 => b"*-1\r\n",
        Protocol::Resp3 => b"_\r\n",
    });
}

/// Appends the header of a map of `len` keys and values.
pub fn map(out: &mut Vec<u8>, protocol: Protocol, len: usize) {
    match protocol {
        Protocol::Resp2 => array(out, 2 * len),
        Protocol::Resp3 => number(out, b'%', len as i64),
    }
}

/// Appends the header of a set of `len` elements.
pub fn set(out: &mut Vec<u8>, protocol: Protocol, len: usize) {
    match protocol {
        Protocol::Resp2 => array(out, len),
        Protocol::Resp3 => number(out, b'~', len as i64),
    }
}

/// Appends the header of a push message of `len` elements; RESP2 has arrays alone.
pub fn push(out: &mut Vec<u8>, protocol: Protocol, len: usize) {
    match protocol {
        Protocol::Resp2 => array(out, len),
        Protocol::Resp3 => number(out, b'>', len as i64),
    }
}

/// Appends text; RESP3 says that it is text.
pub fn verbatim(out: &mut Vec<u8>, protocol: Protocol, text: &[u8]) {
    match protocol {
        Protocol::Resp2 => bulk(out, text),
        Protocol::Resp3 => {
            number(out, b'=', text.len() as i64 + 4);
            out.extend_from_slice(b"txt:");
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Appends a request of these arguments.
pub fn request(out: &mut Vec<u8>, args: &[&[u8]]) {
    array(out, args.len());
    for arg in args {
        bulk(out, arg);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_stays_one_line() {
        let mut out = Vec::new();
        error(&mut out, "ERR a\r\n+OK");
        assert_eq!(out, b"-ERR a  +OK\r\n");
    }

    #[test]
    fn what_only_resp3_has_is_an_array_or_a_bulk_string_in_resp2() {
        let all = |protocol| {
            let mut out = Vec::new();
            null(&mut out, protocol);
            null_array(&mut out, protocol);
            map(&mut out, protocol, 2);
            set(&mut out, protocol, 2);
            push(&mut out, protocol, 2);
            verbatim(&mut out, protocol, b"ab");
            String::from_utf8(out).expect("text")
        };
        assert_eq!(all(Protocol::Resp2), "$-1\r\n*-1\r\n*4\r\n*2\r\n*2\r\n$2\r\nab\r\n");
        assert_eq!(all(Protocol::Resp3), "_\r\n_\r\n%2\r\n~2\r\n>2\r\n=6\r\ntxt:ab\r\n");
    }

    #[test]
    fn a_request_is_an_array_of_bulk_strings() {
        let mut out = Vec::new();
        request(&mut out, &[b"GET", b"k"]);
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    }
}

//! One RESP2 reply.

use std::fmt;
use std::io::{self, BufRead, ErrorKind};

/// One RESP2 reply. Two replies are equal exactly when their bytes are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// `+OK`
    Simple(Vec<u8>),
    /// `-ERR ...`, without the `-`.
    Error(Vec<u8>),
    /// `:1`
    Integer(i64),
    /// `$3`
    Bulk(Vec<u8>),
    /// `$-1`
    NullBulk,
    /// `*2`
    Array(Vec<Value>),
    /// `*-1`
    NullArray,
}

impl Value {
    /// A bulk string.
    pub fn bulk(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bulk(bytes.as_ref().to_vec())
    }

    /// The reply `+OK`.
    #[must_use]
    pub fn ok() -> Self {
        Self::Simple(b"OK".to_vec())
    }

    /// The error's text; `None` when this is no error.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Error(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        }
    }

    /// The text of a simple or bulk string.
    ///
    /// # Panics
    /// When this is something else.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Simple(text) | Self::Bulk(text) => String::from_utf8_lossy(text).into_owned(),
            other => panic!("expected a string, got {other:?}"),
        }
    }

    /// The number.
    ///
    /// # Panics
    /// When this is something else.
    #[must_use]
    pub fn integer(&self) -> i64 {
        match self {
            Self::Integer(number) => *number,
            other => panic!("expected an integer, got {other:?}"),
        }
    }

    /// The elements of an array.
    ///
    /// # Panics
    /// When this is something else.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match self {
            Self::Array(items) => items,
            other => panic!("expected an array, got {other:?}"),
        }
    }

    /// The same reply with the elements of an array in order: for sets, whose order is the server's.
    #[must_use]
    pub fn sorted(self) -> Self {
        match self {
            Self::Array(mut items) => {
                items.sort();
                Self::Array(items)
            }
            other => other,
        }
    }

    /// Reads exactly one reply.
    ///
    /// # Errors
    /// Those of the reader; `InvalidData` when the bytes are not RESP2.
    pub fn read(reader: &mut impl BufRead) -> io::Result<Self> {
        let line = read_line(reader)?;
        let (kind, rest) = line.split_first().ok_or_else(|| invalid("an empty line", &line))?;
        Ok(match kind {
            b'+' => Self::Simple(rest.to_vec()),
            b'-' => Self::Error(rest.to_vec()),
            b':' => Self::Integer(number(rest)?),
            b'$' => match number(rest)? {
                -1 => Self::NullBulk,
                len => Self::Bulk(read_bulk(reader, len)?),
            },
            b'*' => match number(rest)? {
                -1 => Self::NullArray,
                len => Self::Array((0..len).map(|_| Self::read(reader)).collect::<Result<_, _>>()?),
            },
            _ => return Err(invalid("an unknown kind of reply", &line)),
        })
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "the connection was closed"));
    }
    match line.strip_suffix(b"\r\n") {
        Some(text) => Ok(text.to_vec()),
        None => Err(invalid("a line without its end", &line)),
    }
}

fn read_bulk(reader: &mut impl BufRead, len: i64) -> io::Result<Vec<u8>> {
    let len = usize::try_from(len).map_err(|_| invalid("a negative length", b""))?;
    let mut bytes = vec![0; len + 2];
    reader.read_exact(&mut bytes)?;
    if !bytes.ends_with(b"\r\n") {
        return Err(invalid(
            "a bulk string without its end",
            &bytes[bytes.len().saturating_sub(32)..],
        ));
    }
    bytes.truncate(len);
    Ok(bytes)
}

/// A number as Redis writes it: anything else ("+1", "01", "-0") would compare equal to other bytes.
fn number(digits: &[u8]) -> io::Result<i64> {
    let text = std::str::from_utf8(digits).map_err(|_| invalid("a number", digits))?;
    let value: i64 = text.parse().map_err(|_| invalid("a number", digits))?;
    if value.to_string() == text { Ok(value) } else { Err(invalid("a number", digits)) }
}

fn invalid(what: &str, bytes: &[u8]) -> io::Error {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    io::Error::new(ErrorKind::InvalidData, format!("not RESP2: {what}: {shown:?}"))
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |bytes: &[u8]| {
            let head = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
            if bytes.len() > 300 {
                format!("{head:?}... ({} bytes)", bytes.len())
            } else {
                format!("{head:?}")
            }
        };
        match self {
            Self::Simple(text) => write!(f, "+{}", shown(text)),
            Self::Error(text) => write!(f, "-{}", shown(text)),
            Self::Integer(number) => write!(f, ":{number}"),
            Self::Bulk(bytes) => write!(f, "${}", shown(bytes)),
            Self::NullBulk => write!(f, "$-1"),
            Self::NullArray => write!(f, "*-1"),
            Self::Array(items) if items.len() > 40 => {
                write!(f, "[{} elements, first {:?}]", items.len(), items[0])
            }
            Self::Array(items) => f.debug_list().entries(items).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Value;
    use std::io::ErrorKind;

    fn read(mut bytes: &[u8]) -> Result<Value, ErrorKind> {
        Value::read(&mut bytes).map_err(|error| error.kind())
    }

    #[test]
    fn every_kind_of_reply_is_read() {
        let bytes = b"*7\r\n+OK\r\n-ERR no\r\n:-5\r\n$2\r\n\r\n\r\n$-1\r\n*-1\r\n*0\r\n";
        let expected = Value::Array(vec![
            Value::ok(),
            Value::Error(b"ERR no".to_vec()),
            Value::Integer(-5),
            Value::bulk("\r\n"),
            Value::NullBulk,
            Value::NullArray,
            Value::Array(vec![]),
        ]);
        assert_eq!(read(bytes), Ok(expected));
    }

    #[test]
    fn what_redis_would_not_write_is_refused() {
        for bytes in [&b":01\r\n"[..], b":+1\r\n", b"+OK\n", b"?\r\n", b"$1\r\nab\r\n", b"$-2\r\n"]
        {
            assert_eq!(read(bytes), Err(ErrorKind::InvalidData), "{bytes:?}");
        }
    }

    #[test]
    fn a_closed_connection_is_told_from_garbage() {
        assert_eq!(read(b""), Err(ErrorKind::UnexpectedEof));
    }
}

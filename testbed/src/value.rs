//! One reply, or push message, of RESP2 or RESP3.

use std::fmt;
use std::io::{self, BufRead, ErrorKind};

/// One reply of RESP2 or RESP3. Two replies are equal exactly when their bytes are.
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
    /// `_`
    Null,
    /// `#t`
    Boolean(bool),
    /// `,1.5`, as it is written.
    Double(Vec<u8>),
    /// `(12345678901234567890`, as it is written.
    BigNumber(Vec<u8>),
    /// `!21`
    BulkError(Vec<u8>),
    /// `=15`, with the format that the text begins with.
    Verbatim(Vec<u8>),
    /// `%2`: keys and values in turn.
    Map(Vec<Value>),
    /// `~2`
    Set(Vec<Value>),
    /// `>2`: no reply.
    Push(Vec<Value>),
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

    /// Whether this is any protocol's word for "nothing".
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null | Self::NullBulk | Self::NullArray)
    }

    /// The elements of an array, a set or a push message; the keys and values of a map in turn.
    ///
    /// # Panics
    /// When this is something else.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match self {
            Self::Array(items) | Self::Set(items) | Self::Map(items) | Self::Push(items) => items,
            other => panic!("expected an array, got {other:?}"),
        }
    }

    /// The same reply with the elements of an array, a set or a map in order: for those whose order is the server's.
    #[must_use]
    pub fn sorted(self) -> Self {
        match self {
            Self::Array(mut items) => {
                items.sort();
                Self::Array(items)
            }
            Self::Set(mut items) => {
                items.sort();
                Self::Set(items)
            }
            Self::Map(items) => {
                let mut pairs: Vec<&[Self]> = items.chunks(2).collect();
                pairs.sort();
                Self::Map(pairs.concat())
            }
            other => other,
        }
    }

    /// Reads exactly one reply.
    ///
    /// # Errors
    /// Those of the reader; `InvalidData` when the bytes are not RESP.
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
                len => Self::Array(Self::read_all(reader, len)?),
            },
            b'_' if rest.is_empty() => Self::Null,
            b'#' if rest == b"t" || rest == b"f" => Self::Boolean(rest == b"t"),
            b',' => Self::Double(rest.to_vec()),
            b'(' => Self::BigNumber(rest.to_vec()),
            b'!' => Self::BulkError(read_bulk(reader, number(rest)?)?),
            b'=' => Self::Verbatim(read_bulk(reader, number(rest)?)?),
            b'%' => Self::Map(Self::read_all(reader, 2 * number(rest)?)?),
            b'~' => Self::Set(Self::read_all(reader, number(rest)?)?),
            b'>' => Self::Push(Self::read_all(reader, number(rest)?)?),
            _ => return Err(invalid("an unknown kind of reply", &line)),
        })
    }

    fn read_all(reader: &mut impl BufRead, count: i64) -> io::Result<Vec<Self>> {
        if count < 0 {
            return Err(invalid("a negative count", b""));
        }
        (0..count).map(|_| Self::read(reader)).collect()
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
    io::Error::new(ErrorKind::InvalidData, format!("not RESP: {what}: {shown:?}"))
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
            Self::Null => write!(f, "_"),
            Self::Boolean(value) => write!(f, "#{value}"),
            Self::Double(text) => write!(f, ",{}", shown(text)),
            Self::BigNumber(text) => write!(f, "({}", shown(text)),
            Self::BulkError(text) => write!(f, "!{}", shown(text)),
            Self::Verbatim(text) => write!(f, "={}", shown(text)),
            Self::Array(items) => list(f, "", items),
            Self::Map(items) => list(f, "%", items),
            Self::Set(items) => list(f, "~", items),
            Self::Push(items) => list(f, ">", items),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, kind: &str, items: &[Value]) -> fmt::Result {
    f.write_str(kind)?;
    if items.len() > 40 {
        return write!(f, "[{} elements, first {:?}]", items.len(), items[0]);
    }
    f.debug_list().entries(items).finish()
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
        let bytes = b"*8\r\n_\r\n#t\r\n,1.5\r\n(12\r\n!2\r\nno\r\n=5\r\ntxt:a\r\n%1\r\n:1\r\n:2\r\n~1\r\n>0\r\n";
        let expected = Value::Array(vec![
            Value::Null,
            Value::Boolean(true),
            Value::Double(b"1.5".to_vec()),
            Value::BigNumber(b"12".to_vec()),
            Value::BulkError(b"no".to_vec()),
            Value::Verbatim(b"txt:a".to_vec()),
            Value::Map(vec![Value::Integer(1), Value::Integer(2)]),
            Value::Set(vec![Value::Push(vec![])]),
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

//! A small client of both protocols: what the generator asks a server with.

use std::io::{self, BufRead, BufReader, Read, Write};

/// One value of RESP2 or of RESP3, in so far as servers describe commands with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// `+text`
    Simple(String),
    /// `-text`
    Error(Vec<u8>),
    /// `:number`
    Integer(i64),
    /// `$length` and the bytes
    Bulk(Vec<u8>),
    /// `$-1`
    NullBulk,
    /// `*count` and the values
    Array(Vec<Value>),
    /// `*-1`
    NullArray,
    /// `_`
    Null,
    /// `%count`, keys and values in turn
    Map(Vec<Value>),
    /// `~count` and the values
    Set(Vec<Value>),
}

impl Value {
    /// A bulk string.
    pub(crate) fn bulk(text: &str) -> Self {
        Self::Bulk(text.as_bytes().to_vec())
    }

    /// The values of an array or a set, or the keys and values of a map in turn; none for anything else.
    pub(crate) fn items(&self) -> &[Value] {
        match self {
            Self::Array(items) | Self::Map(items) | Self::Set(items) => items,
            _ => &[],
        }
    }

    /// The text of a simple or bulk string; empty for anything else.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Simple(text) => text,
            Self::Bulk(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            _ => "",
        }
    }

    /// The number; 0 for anything else.
    pub(crate) fn number(&self) -> i64 {
        match self {
            Self::Integer(number) => *number,
            _ => 0,
        }
    }

    /// The value of `key` in a map, or in one written as a flat array.
    pub(crate) fn field(&self, key: &str) -> Option<&Value> {
        let pair = self.items().chunks_exact(2).find(|pair| pair[0].text() == key)?;
        Some(&pair[1])
    }

    /// Appends the value as it stands on the wire.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Simple(text) => out.extend_from_slice(format!("+{text}\r\n").as_bytes()),
            Self::Error(text) => {
                out.push(b'-');
                out.extend_from_slice(text);
                out.extend_from_slice(b"\r\n");
            }
            Self::Integer(number) => out.extend_from_slice(format!(":{number}\r\n").as_bytes()),
            Self::Bulk(bytes) => {
                out.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Self::NullBulk => out.extend_from_slice(b"$-1\r\n"),
            Self::Array(items) => encode_all('*', items.len(), items, out),
            Self::Map(items) => encode_all('%', items.len() / 2, items, out),
            Self::Set(items) => encode_all('~', items.len(), items, out),
            Self::Null => out.extend_from_slice(b"_\r\n"),
            Self::NullArray => out.extend_from_slice(b"*-1\r\n"),
        }
    }
}

fn encode_all(kind: char, count: usize, items: &[Value], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{kind}{count}\r\n").as_bytes());
    items.iter().for_each(|item| item.encode(out));
}

/// A connection to a server, over a socket of some kind.
pub(crate) struct Client<S> {
    stream: BufReader<S>,
}

impl<S: Read + Write> Client<S> {
    /// Uses a connected socket.
    pub(crate) fn new(socket: S) -> Self {
        Self { stream: BufReader::new(socket) }
    }

    /// Sends one request and reads its reply.
    pub(crate) fn ask<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Value> {
        let request = Value::Array(args.iter().map(|a| Value::Bulk(a.as_ref().to_vec())).collect());
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        self.stream.get_mut().write_all(&bytes)?;
        read(&mut self.stream)
    }
}

/// Reads one value.
pub(crate) fn read(stream: &mut impl BufRead) -> io::Result<Value> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    if !line.ends_with(b"\r\n") {
        return Err(io::Error::other("the server closed the connection"));
    }
    line.truncate(line.len() - 2);
    let (kind, rest) = (line[0], line[1..].to_vec());
    let text = String::from_utf8_lossy(&rest).into_owned();
    let number = || text.parse::<i64>().map_err(io::Error::other);
    Ok(match kind {
        b'+' => Value::Simple(text),
        b'-' => Value::Error(rest),
        b':' => Value::Integer(number()?),
        b'$' => match usize::try_from(number()?) {
            Err(_) => Value::NullBulk,
            Ok(length) => {
                let mut bytes = vec![0; length + 2];
                stream.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Value::Bulk(bytes)
            }
        },
        b'*' => match usize::try_from(number()?) {
            Err(_) => Value::NullArray,
            Ok(count) => Value::Array(read_all(stream, count)?),
        },
        b'%' => Value::Map(read_all(stream, 2 * number()? as usize)?),
        b'~' => Value::Set(read_all(stream, number()? as usize)?),
        b'_' => Value::Null,
        _ => return Err(io::Error::other(format!("not a type that is known here: {line:?}"))),
    })
}

fn read_all(stream: &mut impl BufRead, count: usize) -> io::Result<Vec<Value>> {
    (0..count).map(|_| read(stream)).collect()
}

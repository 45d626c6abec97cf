//! What servers answer and are asked, as values and as bytes.

/// A reply.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Nil,
    Int(i64),
    Status(String),
    Bulk(Vec<u8>),
    Error(String),
    Array(Vec<Reply>),
    /// Fields and values.
    Map(Vec<Reply>),
    /// What answers no request, in RESP3.
    Push(Vec<Reply>),
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        write!(out, "{}", bytes[..bytes.len().min(200)].escape_ascii())
    }
}

impl Reply {
    pub(crate) fn ok() -> Self {
        Self::Status("OK".into())
    }

    pub(crate) fn bulk(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bulk(bytes.as_ref().to_vec())
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nil => out.extend_from_slice(b"$-1\r\n"),
            Self::Int(number) => out.extend_from_slice(format!(":{number}\r\n").as_bytes()),
            Self::Status(text) => out.extend_from_slice(format!("+{text}\r\n").as_bytes()),
            Self::Error(text) => out.extend_from_slice(format!("-{text}\r\n").as_bytes()),
            Self::Bulk(bytes) => bulk(bytes, out),
            Self::Array(items) => {
                out.extend_from_slice(format!("*{}\r\n", items.len()).as_bytes());
                items.iter().for_each(|item| item.encode(out));
            }
            // In RESP2, fields and values in one list.
            Self::Map(items) => Self::Array(items.clone()).encode(out),
            Self::Push(items) => {
                out.extend_from_slice(format!(">{}\r\n", items.len()).as_bytes());
                items.iter().for_each(|item| item.encode3(out));
            }
        }
    }

    /// The same in RESP3, where there is one nothing for all.
    pub(crate) fn encode3(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nil => out.extend_from_slice(b"_\r\n"),
            Self::Array(items) => {
                out.extend_from_slice(format!("*{}\r\n", items.len()).as_bytes());
                items.iter().for_each(|item| item.encode3(out));
            }
            Self::Map(items) => {
                out.extend_from_slice(format!("%{}\r\n", items.len() / 2).as_bytes());
                items.iter().for_each(|item| item.encode3(out));
            }
            other => other.encode(out),
        }
    }

    /// The reply at the beginning of `bytes`, of either protocol, and its length, once it is whole.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let (line, mut at) = (std::str::from_utf8(&bytes[1..end]).unwrap_or(""), end + 2);
        let reply = match bytes[0] {
            b'+' => Self::Status(line.into()),
            b'-' => Self::Error(line.into()),
            b':' => Self::Int(line.parse().ok()?),
            b'$' | b'*' if line == "-1" => Self::Nil,
            b'_' => Self::Nil,
            b'$' => {
                let body = bytes.get(at..at + line.parse::<usize>().ok()?)?;
                at += body.len() + 2;
                if bytes.len() < at {
                    return None;
                }
                Self::Bulk(body.to_vec())
            }
            kind => {
                let mut items = Vec::new();
                let each = if kind == b'%' { 2 } else { 1 };
                for _ in 0..each * line.parse::<usize>().ok()? {
                    let (item, length) = Self::parse(&bytes[at..])?;
                    items.push(item);
                    at += length;
                }
                match kind {
                    b'>' => Self::Push(items),
                    b'%' => Self::Map(items),
                    _ => Self::Array(items),
                }
            }
        };
        Some((reply, at))
    }
}

fn bulk(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// A command with its arguments.
pub(crate) type Request = Vec<Vec<u8>>;

/// A request of text.
pub(crate) fn request<T: AsRef<[u8]>>(parts: &[T]) -> Request {
    parts.iter().map(|part| part.as_ref().to_vec()).collect()
}

/// A request as bytes.
pub(crate) fn encode<T: AsRef<[u8]>>(parts: &[T]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", parts.len()).into_bytes();
    parts.iter().for_each(|part| bulk(part.as_ref(), &mut out));
    out
}

/// For whoever reads of a failure.
pub(crate) fn shown(parts: &[Vec<u8>]) -> String {
    let words = parts.iter().map(|part| part[..part.len().min(40)].escape_ascii().to_string());
    words.collect::<Vec<_>>().join(" ")
}

/// The request at the beginning of `bytes`, and its length, once it is whole. `Err`: it is none.
pub(crate) fn parse_request(bytes: &[u8]) -> Result<Option<(Request, usize)>, String> {
    if bytes.first().is_some_and(|first| *first != b'*') {
        return Err(format!("a server was sent {}", bytes[..bytes.len().min(80)].escape_ascii()));
    }
    Ok(Reply::parse(bytes).and_then(|(reply, length)| {
        let Reply::Array(items) = reply else { return None };
        let part = |item| if let Reply::Bulk(bytes) = item { Some(bytes) } else { None };
        Some((items.into_iter().map(part).collect::<Option<_>>()?, length))
    }))
}

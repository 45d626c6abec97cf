//! RESP: reading requests and replies, writing replies. Pure: bytes in, positions out.
//!
//! Knows nothing of sessions, commands or sockets. [`request`] reads what clients send, [`reply`]
//! finds where a server's reply ends, [`write`] makes replies and requests.

pub mod inline;
pub mod reply;
pub mod request;
pub mod write;

pub use request::{Request, Span};

/// The protocol of a connection: which types its replies are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Protocol {
    /// What every connection begins with.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

impl Protocol {
    /// As HELLO names it.
    #[must_use]
    pub fn version(self) -> u8 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// The longest line that is not a bulk string: inline requests, and the counts of arrays and bulk
/// strings (Redis's `PROTO_INLINE_MAX_SIZE`).
pub const LINE_BYTES_MAX: usize = 64 * 1024;

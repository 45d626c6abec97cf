//! The servers and the clock as the migrator sees them.
//!
//! Traits, so that all of it can be simulated: the migrator waits for nothing that does not come from here
//! or from the [`Member`](crate::drive::Member), and spawns nothing.

use std::future::Future;
use std::time::Duration;

/// A command and its arguments.
pub type Request = Vec<Vec<u8>>;

/// Makes a request of anything that can be looked at as bytes.
#[must_use]
pub fn request<T: AsRef<[u8]>>(parts: &[T]) -> Request {
    parts.iter().map(|part| part.as_ref().to_vec()).collect()
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// No value.
    Nil,
    /// A number.
    Integer(i64),
    /// Bytes, of either kind of string.
    Bytes(Vec<u8>),
    /// Several replies.
    Array(Vec<Value>),
    /// The server's words.
    Error(String),
}

impl Value {
    /// Its bytes, if it has some.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Its bytes, taken.
    #[must_use]
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Its text, if it has one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// Its number; also one that is spelled out.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            _ => self.text()?.parse().ok(),
        }
    }

    /// Its parts.
    #[must_use]
    pub fn into_items(self) -> Option<Vec<Value>> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }
}

/// Nothing came back, or nonsense: the connection is of no use any more, and it is not known what ran.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NetError(pub String);

/// Reaches servers, and tells the time.
pub trait Net: Send + Sync {
    /// A connection to a server.
    type Connection: Connection;

    /// Connects to `host:port` or to the unix socket of a path; says nothing yet.
    fn connect(
        &self,
        address: &str,
    ) -> impl Future<Output = Result<Self::Connection, NetError>> + Send;

    /// Waits.
    fn sleep(&self, length: Duration) -> impl Future<Output = ()> + Send;

    /// The time since some moment. Never goes back.
    fn now(&self) -> Duration;
}

/// A connection to a server. After an error it is of no use.
pub trait Connection: Send {
    /// Sends the requests at once and waits for as many replies, for at most `patience`.
    fn ask(
        &mut self,
        requests: Vec<Request>,
        patience: Duration,
    ) -> impl Future<Output = Result<Vec<Value>, NetError>> + Send;

    /// Begins a request whose last argument has `length` bytes, which follow by [`Connection::push`].
    fn begin(
        &mut self,
        head: Request,
        length: u64,
    ) -> impl Future<Output = Result<(), NetError>> + Send;

    /// Sends a piece of the last argument. After the last one [`Connection::finish`] reads the reply.
    fn push(
        &mut self,
        bytes: Vec<u8>,
        patience: Duration,
    ) -> impl Future<Output = Result<(), NetError>> + Send;

    /// Reads the reply to the request that was begun.
    fn finish(
        &mut self,
        patience: Duration,
    ) -> impl Future<Output = Result<Value, NetError>> + Send;
}

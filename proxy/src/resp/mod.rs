//! RESP2: reading requests and replies, writing replies. Pure: bytes in, positions out.

pub mod request;

pub use request::{Request, Span};

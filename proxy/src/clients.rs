//! What is known of one client connection, as `CLIENT LIST` and `CLIENT INFO` show it.

use std::net::SocketAddr;

/// One client connection at one moment.
#[derive(Debug, Clone, Default)]
pub struct ClientInfo {
    /// Unique in the process, rising with each accepted connection.
    pub id: u64,
    /// The client's address; `None` over a unix socket.
    pub addr: Option<SocketAddr>,
    /// The proxy's own end of the connection; `None` over a unix socket.
    pub laddr: Option<SocketAddr>,
    /// The shard that owns the connection.
    pub shard: usize,
    /// Its descriptor.
    pub fd: i32,
    /// As set by CLIENT SETNAME.
    pub name: String,
    /// As set by CLIENT SETINFO LIB-NAME.
    pub lib_name: String,
    /// As set by CLIENT SETINFO LIB-VER.
    pub lib_ver: String,
    /// Seconds since it connected.
    pub age_s: u64,
    /// Seconds since its last bytes came.
    pub idle_s: u64,
    /// The selected database.
    pub db: u32,
    /// Bytes read but not yet run.
    pub query_bytes: usize,
    /// Bytes of replies not yet sent.
    pub output_bytes: usize,
    /// Requests without a reply yet.
    pub in_flight: usize,
    /// The last command, as Redis names it (`client|list`).
    pub command: &'static str,
    /// Whether CLIENT NO-EVICT is on.
    pub no_evict: bool,
}

/// One entry of the slow log.
#[derive(Debug, Clone)]
pub struct SlowEntry {
    /// Unique in its shard, rising.
    pub id: u64,
    /// When the request came, in seconds since 1970.
    pub unix_time_s: u64,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// The request, cut as Redis cuts it: at most 32 arguments of at most 128 bytes.
    pub args: Vec<Vec<u8>>,
    /// The client's address.
    pub addr: String,
    /// The client's name.
    pub name: String,
    /// The backend that answered; empty when the proxy did.
    pub backend: String,
}

//! What the control thread and the shards say to each other. Nothing here is on a request's path.

use crate::clients::{ClientInfo, SlowEntry};
use crate::config::ProxyConfig;
use crate::resp::Protocol;
use crate::stats::ShardStats;
use crate::topology::Topology;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A connection that one shard accepted for another.
#[derive(Debug)]
pub struct Accepted {
    /// The connected socket.
    pub socket: OwnedFd,
    /// The client's id, unique in the process.
    pub client: u64,
}

/// Which sessions `CLIENT KILL` means. All given conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct KillFilter {
    /// The client's id.
    pub id: Option<u64>,
    /// `ip:port` of the client.
    pub addr: Option<String>,
    /// `ip:port` of the proxy's end.
    pub laddr: Option<String>,
    /// Never this client (SKIPME yes: the one that asks).
    pub not: Option<u64>,
    /// At least this old, in seconds.
    pub max_age_s: Option<u64>,
    /// Its user's name.
    pub user: Option<String>,
    /// Whether it is subscribed to channels (TYPE pubsub) or not (TYPE normal).
    pub subscribed: Option<bool>,
    /// None at all (a TYPE that no session here can have).
    pub none: bool,
}

/// To a shard, from the control thread or from the shard that accepts.
#[derive(Debug)]
pub enum ShardMessage {
    /// A connection to own.
    Accepted(Accepted),
    /// A topology to install, if it is newer than the installed one.
    Topology(Arc<Topology>),
    /// Settings changed at run time.
    Settings(Arc<ProxyConfig>),
    /// What a backend's host name resolved to.
    Resolved {
        /// The backend connection, by its index in the shard.
        backend: u32,
        /// The address, or why there is none.
        result: Result<SocketAddr, String>,
    },
    /// The reply to an earlier [`ControlMessage::Ask`].
    Answer {
        /// The session's index in the shard.
        session: u32,
        /// The client's id, as an index may be used again.
        client: u64,
        /// The request's place in the session.
        sequence: u32,
        /// One complete RESP reply.
        reply: Vec<u8>,
    },
    /// Copy out the counters.
    Stats(oneshot::Sender<ShardStats>),
    /// Copy out the sessions.
    Clients(oneshot::Sender<Vec<ClientInfo>>),
    /// Close the sessions that match; answers how many did.
    Kill(KillFilter, oneshot::Sender<u64>),
    /// End the wait of the client of this id, with an error if so said; answers 1 if it waited.
    Unblock(u64, bool, oneshot::Sender<u64>),
    /// Pause clients for so long, their writes alone or all that they ask.
    Pause {
        /// In microseconds.
        duration_us: u64,
        /// Reads wait too.
        all: bool,
        /// Told when it is done.
        done: oneshot::Sender<()>,
    },
    /// End the pause of clients.
    Unpause(oneshot::Sender<()>),
    /// Copy out the slow log, newest first.
    Slowlog(oneshot::Sender<Vec<SlowEntry>>),
    /// These shards have clients that monitor; says so when the shard knows it.
    Monitoring {
        /// Their numbers.
        shards: Arc<BTreeSet<usize>>,
        /// Where to say so.
        done: oneshot::Sender<()>,
    },
    /// Lines for this shard's clients that monitor.
    MonitorLines(Arc<Vec<u8>>),
    /// Empty the slow log.
    SlowlogReset,
    /// Set the counters to zero.
    StatsReset,
    /// Stop accepting, answer what is in flight, close every session, then say `Drained`.
    Drain,
    /// End now.
    Stop,
}

/// To the control thread, from a shard.
#[derive(Debug)]
pub enum ControlMessage {
    /// A client asks what only the whole process can answer. It is answered by
    /// [`ShardMessage::Answer`], exactly once.
    Ask {
        /// The shard that asks.
        shard: usize,
        /// See [`ShardMessage::Answer`].
        session: u32,
        /// See [`ShardMessage::Answer`].
        client: u64,
        /// See [`ShardMessage::Answer`].
        sequence: u32,
        /// What is asked.
        question: Question,
        /// The request's arguments, the command's name first.
        args: Vec<Vec<u8>>,
        /// What the answer is to be written in.
        protocol: Protocol,
    },
    /// Resolve `address` (`host:port`); answered by [`ShardMessage::Resolved`].
    Resolve {
        /// The shard that asks.
        shard: usize,
        /// The backend connection, by its index in the shard.
        backend: u32,
        /// `host:port`.
        address: String,
    },
    /// A client waits for a big key to move.
    Wanted {
        /// The key's database.
        database: u16,
        /// Its name.
        key: Vec<u8>,
    },
    /// The shard works by the topology of this epoch, and everything that was in flight by older ones in slots
    /// that changed has been answered.
    Settled {
        /// The shard.
        shard: usize,
        /// The topology's epoch.
        epoch: u64,
    },
    /// Lines for the clients of other shards that monitor.
    Monitored {
        /// The shard.
        shard: usize,
        /// Whole lines, as the clients are sent them.
        lines: Vec<u8>,
    },
    /// A client that asked for MONITOR is gone, or monitors no more.
    MonitorEnded {
        /// The client's id.
        client: u64,
    },
    /// Every session of the shard is closed after [`ShardMessage::Drain`].
    Drained {
        /// The shard.
        shard: usize,
    },
    /// The shard cannot go on; the process must end with this sentence.
    Failed {
        /// The shard.
        shard: usize,
        /// What failed and what to do.
        reason: String,
    },
}

/// The commands whose answer needs every shard. Their arity is checked by the asker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// `INFO [section ...]`
    Info,
    /// `CLIENT LIST [...]`
    ClientList,
    /// `CLIENT KILL ...`
    ClientKill,
    /// `CLIENT UNBLOCK id [TIMEOUT|ERROR]`
    ClientUnblock,
    /// `CLIENT PAUSE timeout [WRITE|ALL]`
    ClientPause,
    /// `CLIENT UNPAUSE`
    ClientUnpause,
    /// `CONFIG GET pattern ...`
    ConfigGet,
    /// `CONFIG SET key value ...`
    ConfigSet,
    /// `CONFIG RESETSTAT`
    ConfigResetStat,
    /// `SLOWLOG GET [count]`
    SlowlogGet,
    /// `SLOWLOG LEN`
    SlowlogLen,
    /// `SLOWLOG RESET`
    SlowlogReset,
    /// `MONITOR`; answered in the order in which clients ask and end.
    Monitor,
}

//! What the engine asks of its driver.

use crate::messages::Question;
use crate::resp::Protocol;
use crate::topology::Address;

/// One thing to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Connect this backend; answer with `on_backend_open` or `on_backend_closed`.
    Connect {
        /// The backend.
        backend: u32,
        /// Where it listens.
        address: Address,
    },
    /// Close this backend's connection; answer with `on_backend_closed`.
    CloseBackend {
        /// The backend.
        backend: u32,
    },
    /// Close this session's connection; answer with `on_client_closed`.
    CloseClient {
        /// The session.
        session: u32,
    },
    /// Stop reading from this session.
    Pause {
        /// The session.
        session: u32,
    },
    /// Read from it again.
    Resume {
        /// The session.
        session: u32,
    },
    /// Ask the control thread; answer with `on_answer`.
    Ask {
        /// The session.
        session: u32,
        /// The client's id.
        client: u64,
        /// The request's place in the session.
        sequence: u32,
        /// What is asked.
        question: Question,
        /// The arguments, the command's name first.
        args: Vec<Vec<u8>>,
        /// What the answer is to be written in.
        protocol: Protocol,
    },
    /// Hand these lines to the clients of other shards that monitor.
    Monitored {
        /// Whole lines.
        lines: Vec<u8>,
    },
    /// A client that asked for MONITOR is gone, or monitors no more.
    MonitorEnded {
        /// The client's id.
        client: u64,
    },
    /// A client's request waits for a big key to move: the migrator may take it next.
    Wanted {
        /// The key's database.
        database: u16,
        /// Its name.
        key: Vec<u8>,
    },
    /// Every request that was sent by an older topology than that of this epoch, for a slot that has gone
    /// elsewhere since, has been answered. Epochs rise from one to the next.
    Settled {
        /// The epoch.
        epoch: u64,
    },
}

//! One member of the Raft group: it agrees with its peers on a sequence of commands and applies
//! them, in that order and once each, to a [`StateMachine`].
//!
//! What lives here, in the order to read it:
//!
//! - [`machine`]: the seam to what is replicated. Commands and snapshots are bytes here; nothing in
//!   this folder knows what a slot or a proxy is.
//! - [`member`]: the member itself. It is free of I/O and of clocks: it takes ticks, messages of
//!   peers, proposals and reads, and hands out messages to send, answers and notices. Everything it
//!   does to the outside goes through one [`LogStore`].
//! - [`message`]: what members say to each other, and its encoding. Sockets are the caller's.
//! - [`store`]: what a member asks of its disk, as a trait.
//! - [`disk`]: that trait on a real directory: `raft-engine` for the log, one file a snapshot, a
//!   lock and an identity file. The only place here that does I/O.
//! - [`log`]: the part of the log that is not compacted, in memory, as `raft` reads it. It holds
//!   exactly what the store has made durable.
//!
//! The rule that everything here serves: **nothing is acknowledged, to a peer or to a caller, before
//! the store has made durable what the acknowledgement rests on.** A member whose store refuses a
//! write forgets what it could not write, exactly as a crash would have, and stays silent until the
//! store takes writes again.

pub mod disk;
pub mod log;
pub mod machine;
pub mod member;
pub mod message;
pub mod store;

#[cfg(test)]
mod sim;

pub use disk::{DiskStore, Founding, Identity, OpenError};
pub use machine::{RestoreError, StateMachine};
pub use member::{
    Answer, AnswerKind, Change, Config, Fault, Member, Notice, Output, Progress, ReceiveError,
    Refusal, Role, StartError, Status, Ticket,
};
pub use message::{Body, DecodeError, Envelope};
pub use store::{Image, Loaded, LogStore, StoreError, Write};

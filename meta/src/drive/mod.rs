//! What the leader does at Redis servers: promotions, syncs, fences, and asking all of them how they are.
//!
//! Everything that is done follows from the replicated state alone. A step is in the log before the next one begins,
//! and each can be repeated, so the next leader goes on where the last one stopped. This is what holds:
//!
//! - **Looked up before it is done.** Before each command that changes whom a server follows, the state is read anew
//!   (linearizable), and must still be in the phase that calls for it.
//! - **A leader of the past is refused by the servers.** Between that look and the command a leader may freeze, and
//!   another lead. So a server holds an *order* under a reserved key, an epoch, and whoever touches it does so
//!   in a transaction that the server itself gives up if its order is newer.
//! - **What is destroyed was named by an operator.** A server that has data of its own is made a replica by a sync
//!   only, never in passing.
//!
//! [`promotion`], [`sync`], [`fence`] and [`moves`] are the things that are driven, [`poll`] is the asking, [`check`]
//! looks at a server before it is added. [`server`] and [`member`] are the two sides that they
//! stand between, as traits; [`wire`] is the servers over sockets, [`info`] reads what they tell.

mod barriers;
mod check;
mod fence;
mod follow;
mod info;
mod member;
pub mod moves;
mod poll;
mod promotion;
mod server;
mod sync;
#[cfg(test)]
mod tests;
mod troubles;
mod wire;
mod work;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use codis_proto::admin::v1::{self as api, ServerFacts};
use tokio::task::JoinHandle;

use crate::node::Node;
use moves::{Board, Exclusion, Net, Sockets, Wanted};
use troubles::Troubles;
use wire::RedisServers;

pub use member::{Lost, Member};
pub use server::{Guard, Marks, Seen, ServerError, Servers};

/// What all parts of the driver share.
struct Context<M, S> {
    member: M,
    servers: S,
    facts: Mutex<Arc<BTreeMap<String, ServerFacts>>>,
    troubles: Troubles,
    sockets: Sockets,
    /// Keeps promotions and moves of a group apart.
    exclusion: Exclusion,
    board: Board,
    wanted: Wanted,
}

impl<M: Member, S: Servers> Context<M, S> {
    fn new(member: M, servers: S) -> Self {
        Self {
            member,
            servers,
            facts: Mutex::default(),
            troubles: Troubles::default(),
            sockets: Sockets::default(),
            exclusion: Exclusion::default(),
            board: Board::default(),
            wanted: Wanted::default(),
        }
    }

    fn facts(&self) -> Arc<BTreeMap<String, ServerFacts>> {
        Arc::clone(&self.facts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn publish(&self, facts: BTreeMap<String, ServerFacts>) {
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(facts);
    }
}

/// What a slot weighs on its master.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SlotWeight {
    /// Its keys, in all databases.
    pub keys: u64,
    /// Their bytes, as MEMORY USAGE has them.
    pub bytes: u64,
}

/// The handle of a running driver, which ends when the last clone is dropped.
#[derive(Clone)]
pub struct DriveHandle {
    running: Arc<Running>,
}

struct Running {
    context: Arc<Context<Node, RedisServers>>,
    product_auth: String,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts the driver of a member. It rests while the member does not lead.
///
/// `product_auth` is the password of the Redis servers, empty where they ask for none. To be called within a
/// tokio runtime.
#[must_use]
pub fn start(node: Node, product_auth: String) -> DriveHandle {
    let context = Arc::new(Context::new(node, RedisServers::new(product_auth.clone())));
    let task = tokio::spawn(work::run(Arc::clone(&context), product_auth.clone()));
    DriveHandle { running: Arc::new(Running { context, product_auth, task }) }
}

impl DriveHandle {
    /// Checks a server that is to be added to a group, whatever its place there will be. The result is what the
    /// operator may want to know or do.
    ///
    /// # Errors
    /// It cannot be added: a sentence that says why and what to do.
    pub async fn check_new_server(&self, gid: u32, addr: &str) -> Result<Vec<String>, String> {
        check::new_server(&self.running.context, gid, addr).await
    }

    /// Marks a server that became the first of its group: a proxy or a leader of the past shall find it shut.
    ///
    /// # Errors
    /// It could not be marked. The driver tries again by itself.
    pub async fn prepare_master(&self, addr: &str) -> Result<(), String> {
        check::prepare_master(&self.running.context, addr).await
    }

    /// What every server said when it was last asked, by address; empty while the member does not lead. One that
    /// did not answer keeps what it said before, with the `error`.
    #[must_use]
    pub fn facts(&self) -> Arc<BTreeMap<String, ServerFacts>> {
        self.running.context.facts()
    }

    /// How the moves of slots are doing, by the figures of this leader; the queue itself is in the state, and
    /// `moves` is empty here.
    #[must_use]
    pub fn moves(&self) -> api::Moves {
        let context = &self.running.context;
        context.board.show(context.sockets.now())
    }

    /// Has a big key moved next that a client waits for, where it is to move and this member leads.
    pub fn want(&self, database: u32, key: Vec<u8>) {
        self.running.context.wanted.add(database, key);
    }

    /// How many keys and bytes each slot has on a master, by a walk over all of its keys.
    ///
    /// # Errors
    /// The server could not be walked: a sentence that says why.
    pub async fn weigh(&self, addr: &str) -> Result<Vec<SlotWeight>, String> {
        let Running { context, product_auth, .. } = &*self.running;
        moves::weigh(&context.sockets, addr, product_auth).await
    }

    /// What the driver cannot do, or finds other than it should be: a sentence each.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        self.running.context.troubles.all()
    }
}

//! The replicated state of a product, and every rule of what may change when.
//!
//! Pure: no network, no disk, no clock, no randomness. What a change needs of those the leader writes into
//! the command. So each member that applies the same log holds the same state, to the byte, and all
//! of it can be tested by the million of commands.
//!
//! Read on in `apply.rs` (one command, from bytes to outcome), then the changes: `groups.rs`,
//! `promotion.rs`, `sync.rs`, `slots.rs`, `actions.rs`, `proxies.rs`, `barrier.rs`, `sentinels.rs`,
//! `settings.rs`, `members.rs`, `restore.rs`. What holds between the changes is in [`invariants`]; what proxies see of the state in
//! [`topology`]; what is remembered for retries in `retries.rs`.
//! Nothing here knows of Raft, of connections or of threads.

mod actions;
mod address;
mod apply;
pub mod barrier;
pub mod delta;
mod groups;
pub mod invariants;
pub mod limits;
mod members;
pub mod promotion;
mod proxies;
mod refusal;
pub mod restore;
mod retries;
mod sentinels;
pub mod settings;
mod slots;
mod snapshot;
mod sync;
mod text;
pub mod topology;

pub use address::{member_address, server_address};
pub use refusal::{RULES, Refusal, Rule, rules_table};
pub use snapshot::SnapshotError;

pub(crate) use text::{check_name, reason};

use codis_proto::meta::v1 as pb;
use retries::Retries;

/// The one spelling of a host:port, as the state keeps it.
///
/// # Errors
/// The text is no address.
pub(crate) fn canonical_address(text: &str) -> Result<String, Refusal> {
    address::canonical(text, address::Kind::Tcp)
}

/// The version of the rules, and of the bytes of commands and snapshots, that this code keeps.
pub const VERSION: u32 = 1;

/// The state of one product. See the module's head.
#[derive(Debug, Clone)]
pub struct State {
    /// All that a snapshot holds, but the remembered requests.
    data: pb::State,
    /// What proxies see of `data`, kept so that a change is noticed by comparing.
    topology: pb::Topology,
    /// Requests whose retries are answered and not run.
    retries: Retries,
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// The state before any command: no product yet, every slot offline.
    #[must_use]
    pub fn new() -> Self {
        let slots = vec![pb::Slot::default(); limits::SLOT_COUNT];
        let data = pb::State { version: VERSION, slots, ..pb::State::default() };
        let topology = topology::of(&data);
        Self { data, topology, retries: Retries::default() }
    }

    /// The epoch: how often something has changed that proxies must see.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.data.epoch
    }

    /// Everything but the remembered requests, to read.
    #[must_use]
    pub fn data(&self) -> &pb::State {
        &self.data
    }

    /// What a proxy is to follow now.
    #[must_use]
    pub fn topology(&self) -> &pb::Topology {
        &self.topology
    }
}

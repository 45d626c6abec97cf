//! The topology: which group serves which slot, at one epoch.
//!
//! A topology is immutable and numbered. Whoever makes a new one (the metadata group, or a `--fillslots`
//! file) hands the same [`Topology`] to every shard by message; a shard never sees half of a change.

mod fillslots;
mod from_group;

pub use fillslots::{FillslotsError, parse as parse_fillslots, to_json as slots_to_json};
pub use from_group::{NotATopology, from_group};

use crate::slots::SLOT_COUNT;
use std::sync::Arc;

/// Where a server listens: `host:port`, an IPv6 `[addr]:port`, or the path of a unix socket
/// (starting with `/`).
pub type Address = Arc<str>;

/// One master and its replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The operator's number for the group, 1..=9999; 0 where a slots file names none.
    pub id: u32,
    /// The server that takes writes.
    pub master: Address,
    /// Replicas that may serve reads, in sets of falling preference (same data center first).
    pub replicas: Vec<Vec<Address>>,
    /// Whether it has servers beside its master, even if none of them may serve reads.
    pub has_replicas: bool,
}

/// An index into [`Topology::groups`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupIndex(pub u16);

/// What a slot is doing. See DESIGN section 5 for the one rule that holds between states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// No group serves the slot: its keys answer an error.
    Offline,
    /// One group serves the slot.
    Stable(GroupIndex),
    /// The slot is about to move: requests wait, nothing is sent to either group.
    Preparing {
        /// The group that has the slot's keys.
        from: GroupIndex,
        /// The group that will have them.
        to: GroupIndex,
    },
    /// The slot's keys are moving.
    Migrating {
        /// The group that still has some of the slot's keys.
        from: GroupIndex,
        /// The group that serves the slot.
        to: GroupIndex,
        /// The epoch at which it began, which names this move and no other.
        since: u64,
    },
}

/// When a moved key counts as safe at its new group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A replica has it, where the group has replicas.
    Replica,
    /// The master has it in its append-only file.
    Aof,
    /// The master has it.
    None,
}

/// How the keys of a slot that migrates are moved. See docs/migration.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoveRules {
    /// How long the source may wait for the target within one step, in milliseconds.
    pub timeout_ms: u64,
    /// When the old copy may go.
    pub durability: Durability,
    /// A key of more bytes is big: it is left to the migrator.
    pub big_bytes: u64,
    /// The same for one of more elements.
    pub big_elements: u64,
    /// How long a request waits for keys that cannot be moved yet, in milliseconds.
    pub patience_ms: u64,
    /// How long one waits for a big key.
    pub big_patience_ms: u64,
}

/// One slot of a topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// What the slot is doing.
    pub state: SlotState,
    /// Requests for the slot wait until a topology comes that unlocks it.
    pub locked: bool,
}

/// Which group serves which slot, at one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Rises by one with every change; 0 is the empty topology that a proxy starts with.
    pub epoch: u64,
    /// Every group that a slot names.
    pub groups: Vec<Group>,
    /// One entry for each slot, `SLOT_COUNT` of them.
    pub slots: Vec<Slot>,
    /// How keys are moved; `None` where nobody has said, and slots that migrate cannot be served.
    pub moves: Option<MoveRules>,
}

impl Topology {
    /// The topology in which every slot is offline.
    #[must_use]
    pub fn offline() -> Self {
        let slot = Slot { state: SlotState::Offline, locked: false };
        Self { epoch: 0, groups: Vec::new(), slots: vec![slot; SLOT_COUNT], moves: None }
    }

    /// The group at `index`.
    #[must_use]
    pub fn group(&self, index: GroupIndex) -> &Group {
        &self.groups[usize::from(index.0)]
    }
}

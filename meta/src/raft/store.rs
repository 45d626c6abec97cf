//! What a member asks of its disk.
//!
//! The log is small (a snapshot is taken every few thousand entries), so a member keeps all of it
//! in memory and reads the store once, at start. From then on it only writes.

use std::sync::Arc;

use raft::eraftpb::{ConfState, Entry, HardState};

/// The state at one index of the log, with what is needed to go on from there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Image {
    /// The last log index whose effect is in the image; 0 is "no image".
    pub index: u64,
    /// The term of the entry at `index`.
    pub term: u64,
    /// The members that voted, and those that only learnt, at `index`.
    pub conf_state: ConfState,
    /// The members' addresses and the state machine's snapshot (see `member::image`).
    pub data: Arc<[u8]>,
    /// CRC-32 (IEEE) of `data`.
    pub crc32: u32,
}

impl Image {
    /// An image of `data`, with its checksum computed.
    pub fn new(index: u64, term: u64, conf_state: ConfState, data: Vec<u8>) -> Image {
        let crc32 = crc32fast::hash(&data);
        Image { index, term, conf_state, data: data.into(), crc32 }
    }

    /// Whether `data` still has the checksum it was made with.
    pub fn is_intact(&self) -> bool {
        crc32fast::hash(&self.data) == self.crc32
    }
}

/// One write to the store: all of it becomes durable, or none.
#[derive(Debug, Clone, Default)]
pub struct Write {
    /// Term, vote and commit index, where they changed.
    pub hard_state: Option<HardState>,
    /// Entries to append. They replace what the log has at their indexes and everything after.
    pub entries: Vec<Entry>,
    /// A new image.
    pub image: Option<Image>,
    /// The last index (and its term) that the log may drop, where that changed. With an image that
    /// came from the leader it is the image's own index, and the whole log goes.
    pub compacted: Option<Compacted>,
    /// Whether the caller relies on this write to survive a power cut. A write that only moves the
    /// commit index forward need not: the leader tells it again.
    pub sync: bool,
}

/// The end of what the log has dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// The last index that is no longer in the log.
    pub index: u64,
    /// That entry's term.
    pub term: u64,
    /// Drop every entry, also those after `index`: an image has replaced them.
    pub whole_log: bool,
}

/// What a store held when it was opened.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Term, vote and commit index.
    pub hard_state: HardState,
    /// The newest image; its index is 0 where there is none, in a member that has yet to join.
    pub image: Image,
    /// Where the log begins.
    pub compacted: Compacted,
    /// The entries from `compacted.index + 1`, without a gap.
    pub entries: Vec<Entry>,
}

/// A write was not made durable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no room. Nothing of the write took effect; it may be tried again.
    #[error("no space for the log: {0}")]
    Full(String),
    /// It is not known what of the write took effect, and the store takes no more of them until it
    /// is opened again.
    #[error("the log cannot be written: {0}")]
    Failed(String),
}

/// Where a member makes its log durable.
pub trait LogStore {
    /// Carries out one write, in full or not at all. On return with `sync` it survives a power cut.
    ///
    /// # Errors
    ///
    /// [`StoreError::Full`] where the write had no effect at all, [`StoreError::Failed`] where that
    /// cannot be said.
    fn write(&mut self, write: &Write) -> Result<(), StoreError>;

    /// Finds out whether writes would succeed again after [`StoreError::Full`].
    ///
    /// # Errors
    ///
    /// As [`LogStore::write`].
    fn probe(&mut self) -> Result<(), StoreError>;
}

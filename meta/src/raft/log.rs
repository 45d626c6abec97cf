//! The log since the last compaction, in memory.
//!
//! It mirrors the store: an entry is here when, and only when, it is durable there. What `raft` has
//! but the store does not lies in `raft`'s own unstable part.

use std::cell::Cell;
use std::collections::VecDeque;

use protobuf::Message as _;
use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

use super::store::{Compacted, Image, Loaded, Write};

/// What the store holds, as `raft` wants to read it.
#[derive(Debug, Default)]
pub struct MemLog {
    hard_state: HardState,
    /// The members as of the last applied entry, which may be later than the image.
    conf_state: ConfState,
    image: Image,
    compacted: Compacted,
    entries: VecDeque<Entry>,
    /// Bytes of the entries' data, to bound the log by size as well as by count.
    bytes: usize,
    /// A peer needs a newer image than the one here.
    image_wanted: Cell<bool>,
}

impl MemLog {
    /// The log that a store loaded. `loaded.entries` begin right after `loaded.compacted`.
    pub fn new(loaded: Loaded) -> MemLog {
        let Loaded { mut hard_state, image, compacted, entries } = loaded;
        // What is in an image was committed, whether or not the commit index was written since.
        hard_state.commit = hard_state.commit.max(image.index);
        let bytes = entries.iter().map(|entry| entry.data.len()).sum();
        let conf_state = image.conf_state.clone();
        MemLog {
            hard_state,
            conf_state,
            image,
            compacted,
            entries: entries.into(),
            bytes,
            image_wanted: Cell::new(false),
        }
    }

    /// Takes over a write that the store has made durable.
    pub fn absorb(&mut self, write: Write) {
        if let Some(hard_state) = write.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(image) = write.image {
            self.image = image;
        }
        if let Some(compacted) = write.compacted {
            self.drop_to(compacted);
        }
        if let Some(first) = write.entries.first() {
            let keep = first.index.saturating_sub(self.compacted.index + 1) as usize;
            debug_assert!(keep <= self.entries.len(), "appended entries leave no gap");
            for dropped in self.entries.drain(keep..) {
                self.bytes -= dropped.data.len();
            }
            self.bytes += write.entries.iter().map(|entry| entry.data.len()).sum::<usize>();
            self.entries.extend(write.entries);
        }
    }

    fn drop_to(&mut self, compacted: Compacted) {
        let count = match compacted.whole_log {
            true => self.entries.len(),
            false => compacted.index.saturating_sub(self.compacted.index) as usize,
        };
        for dropped in self.entries.drain(..count.min(self.entries.len())) {
            self.bytes -= dropped.data.len();
        }
        self.compacted = Compacted { whole_log: false, ..compacted };
    }

    /// Term, vote and commit index as last written.
    pub fn hard_state(&self) -> &HardState {
        &self.hard_state
    }

    /// Notes a commit index without writing it: it is told again after a crash.
    pub fn note_commit(&mut self, index: u64) {
        self.hard_state.commit = self.hard_state.commit.max(index);
    }

    /// Notes the members as of the last applied entry.
    pub fn set_conf_state(&mut self, conf_state: ConfState) {
        self.conf_state = conf_state;
    }

    /// The members as of the last applied entry.
    pub fn conf_state(&self) -> &ConfState {
        &self.conf_state
    }

    /// The newest image.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The last index that is no longer in the log.
    pub fn compacted_index(&self) -> u64 {
        self.compacted.index
    }

    /// The last index in the log.
    pub fn end(&self) -> u64 {
        self.compacted.index + self.entries.len() as u64
    }

    /// Bytes of the entries' data.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a peer has asked for a newer image since this was last called.
    pub fn take_image_wanted(&self) -> bool {
        self.image_wanted.take()
    }

    /// The term of the entry at `index`, where the log still knows it.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.compacted.index {
            return Some(self.compacted.term);
        }
        if index == self.image.index {
            return Some(self.image.term);
        }
        let position = index.checked_sub(self.compacted.index + 1)?;
        self.entries.get(position as usize).map(|entry| entry.term)
    }
}

impl Storage for MemLog {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState { hard_state: self.hard_state.clone(), conf_state: self.conf_state.clone() })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.compacted.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.end() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let from = (low - self.compacted.index - 1) as usize;
        let to = (high - self.compacted.index - 1) as usize;
        let mut left = max_size.into().unwrap_or(u64::MAX);
        let mut found = Vec::new();
        for entry in self.entries.range(from..to) {
            let size = u64::from(entry.compute_size());
            if size > left && !found.is_empty() {
                break;
            }
            left = left.saturating_sub(size);
            found.push(entry.clone());
        }
        Ok(found)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        match self.term_at(index) {
            Some(term) => Ok(term),
            None if index <= self.compacted.index => Err(Error::Store(StorageError::Compacted)),
            None => Err(Error::Store(StorageError::Unavailable)),
        }
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.compacted.index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.end())
    }

    /// The image as `raft` sends it: metadata, with length and checksum for data. The bytes travel
    /// beside it (see `member::transfer`).
    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        let members = &self.image.conf_state;
        // A member refuses an image of a time at which it was no member yet.
        let knows_peer = members.voters.contains(&to)
            || members.learners.contains(&to)
            || members.voters_outgoing.contains(&to);
        if self.image.index == 0 || self.image.index < request_index || !knows_peer {
            self.image_wanted.set(true);
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        let mut snapshot = Snapshot::default();
        let metadata = snapshot.mut_metadata();
        metadata.index = self.image.index;
        metadata.term = self.image.term;
        metadata.set_conf_state(self.image.conf_state.clone());
        let mut data = (self.image.data.len() as u64).to_le_bytes().to_vec();
        data.extend_from_slice(&self.image.crc32.to_le_bytes());
        snapshot.data = data.into();
        Ok(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, term: u64) -> Entry {
        Entry { index, term, data: vec![7; 10].into(), ..Entry::default() }
    }

    fn log_of(range: std::ops::RangeInclusive<u64>) -> MemLog {
        let compacted = Compacted { index: range.start() - 1, term: 1, whole_log: false };
        MemLog::new(Loaded {
            compacted,
            entries: range.map(|index| entry(index, 1)).collect(),
            ..Loaded::default()
        })
    }

    #[test]
    fn appended_entries_replace_what_they_overlap_and_all_after_it() {
        let mut log = log_of(1..=10);
        log.absorb(Write { entries: vec![entry(4, 2), entry(5, 2)], ..Write::default() });
        assert_eq!(log.end(), 5);
        assert_eq!(log.term_at(3), Some(1));
        assert_eq!(log.term_at(5), Some(2));
        assert_eq!(log.bytes(), 50);
    }

    #[test]
    fn compaction_keeps_the_term_of_the_last_dropped_entry() {
        let mut log = log_of(1..=10);
        let compacted = Some(Compacted { index: 6, term: 1, whole_log: false });
        log.absorb(Write { compacted, ..Write::default() });
        assert_eq!((log.first_index(), log.last_index()), (Ok(7), Ok(10)));
        assert_eq!(log.term(6), Ok(1));
        assert_eq!(log.term(5), Err(Error::Store(StorageError::Compacted)));
        assert_eq!(log.bytes(), 40);
    }

    #[test]
    fn an_image_from_the_leader_drops_every_entry_also_those_after_it() {
        let mut log = log_of(1..=10);
        let compacted = Some(Compacted { index: 8, term: 3, whole_log: true });
        log.absorb(Write { compacted, ..Write::default() });
        assert_eq!((log.first_index(), log.last_index(), log.term(8)), (Ok(9), Ok(8), Ok(3)));
    }

    #[test]
    fn entries_are_cut_at_the_size_asked_for_but_never_to_none() {
        let log = log_of(1..=10);
        let get = |max: u64| {
            log.entries(2, 6, max, GetEntriesContext::empty(false)).map(|found| found.len())
        };
        assert_eq!(get(u64::MAX), Ok(4));
        assert_eq!(get(0), Ok(1));
    }

    #[test]
    fn a_peer_that_the_image_does_not_know_makes_the_member_take_a_new_one() {
        let mut log = log_of(1..=10);
        let conf_state = ConfState { voters: vec![1], ..ConfState::default() };
        log.absorb(Write {
            image: Some(Image::new(9, 1, conf_state, vec![1])),
            ..Write::default()
        });
        assert!(log.snapshot(0, 1).is_ok());
        assert!(!log.take_image_wanted());
        assert!(log.snapshot(0, 2).is_err());
        assert!(log.take_image_wanted());
    }
}

//! A disk that forgets at a crash what was not synced, dies in the middle of a write, and fills up.

use std::cell::RefCell;
use std::rc::Rc;

use super::super::store::{Compacted, Loaded, LogStore, StoreError, Write};

/// What becomes of a coming write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doom {
    /// The process dies before the write.
    Before,
    /// The process dies after the write, before it can tell anybody.
    After,
}

#[derive(Debug, Default)]
pub(super) struct Disk {
    durable: Loaded,
    unsynced: Vec<Write>,
    pub(super) full: bool,
    /// Dies at the write after so many more.
    pub(super) doom: Option<(u32, Doom)>,
    /// The process has died in a write.
    pub(super) died: bool,
    pub(super) writes: u64,
}

impl Disk {
    pub(super) fn new(loaded: Loaded) -> Rc<RefCell<Disk>> {
        Rc::new(RefCell::new(Disk { durable: loaded, ..Disk::default() }))
    }

    /// The process is gone; of what was not synced, the first `survivors` writes are there.
    pub(super) fn crash(&mut self, survivors: usize) {
        let survivors = survivors.min(self.unsynced.len());
        for write in std::mem::take(&mut self.unsynced).into_iter().take(survivors) {
            self.harden(write);
        }
        (self.doom, self.died) = (None, false);
    }

    pub(super) fn load(&self) -> Loaded {
        self.durable.clone()
    }

    /// Loses the newest entries, as a damaged end of a log does.
    pub(super) fn lose_entries(&mut self, count: usize) {
        let keep = self.durable.entries.len().saturating_sub(count);
        self.durable.entries.truncate(keep);
        let end = self.durable.compacted.index + keep as u64;
        self.durable.hard_state.commit = self.durable.hard_state.commit.min(end);
    }

    fn harden(&mut self, write: Write) {
        let durable = &mut self.durable;
        if let Some(hard_state) = write.hard_state {
            durable.hard_state = hard_state;
        }
        if let Some(image) = write.image {
            durable.image = image;
        }
        if let Some(compacted) = write.compacted {
            durable.entries.retain(|entry| !compacted.whole_log && entry.index > compacted.index);
            durable.compacted = Compacted { whole_log: false, ..compacted };
        }
        if let Some(first) = write.entries.first() {
            durable.entries.retain(|entry| entry.index < first.index);
            durable.entries.extend(write.entries);
        }
    }
}

/// A member's end of a disk.
pub(super) struct SimStore(pub(super) Rc<RefCell<Disk>>);

impl LogStore for SimStore {
    fn write(&mut self, write: &Write) -> Result<(), StoreError> {
        let mut disk = self.0.borrow_mut();
        if disk.full {
            return Err(StoreError::Full("simulated".to_owned()));
        }
        disk.writes += 1;
        let doom = match &mut disk.doom {
            Some((0, doom)) => Some(*doom),
            Some((more, _)) => {
                *more -= 1;
                None
            }
            None => None,
        };
        if doom != Some(Doom::Before) {
            disk.unsynced.push(write.clone());
            if write.sync {
                for write in std::mem::take(&mut disk.unsynced) {
                    disk.harden(write);
                }
            }
        }
        if doom.is_some() {
            disk.died = true;
            return Err(StoreError::Failed("the process died".to_owned()));
        }
        Ok(())
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        match self.0.borrow().full {
            true => Err(StoreError::Full("simulated".to_owned())),
            false => Ok(()),
        }
    }
}

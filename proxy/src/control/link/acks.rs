//! Which epoch the proxy may acknowledge.
//!
//! An acknowledgement of an epoch says that no request will ever be sent by an older topology again. So every shard
//! must work by it, with nothing of an older one in flight; and it must be on the disk, as a restart may
//! begin with that.

use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// How far each shard and the disk are, and the epoch that all of them have reached.
#[derive(Debug)]
pub(super) struct Acks {
    progress: Mutex<Progress>,
    epoch: watch::Sender<u64>,
}

#[derive(Debug)]
struct Progress {
    /// Of each shard, the epoch by which it has settled.
    settled: Vec<u64>,
    /// The epoch of the topology on the disk.
    saved: u64,
}

impl Progress {
    fn epoch(&self) -> u64 {
        self.settled.iter().copied().min().unwrap_or(0).min(self.saved)
    }
}

impl Acks {
    /// Of a proxy that begins with `epoch` on its disk: its shards will not begin with an older one.
    pub(super) fn new(shards: usize, epoch: u64) -> Self {
        let progress = Progress { settled: vec![epoch; shards], saved: epoch };
        Self { epoch: watch::Sender::new(epoch), progress: Mutex::new(progress) }
    }

    /// The newest epoch to acknowledge, now and later.
    pub(super) fn epoch(&self) -> watch::Receiver<u64> {
        self.epoch.subscribe()
    }

    /// `shard` has settled by `epoch`.
    pub(super) fn settled(&self, shard: usize, epoch: u64) {
        self.note(|progress| {
            if let Some(settled) = progress.settled.get_mut(shard) {
                *settled = epoch.max(*settled);
            }
        });
    }

    /// The topology of `epoch` is on the disk.
    pub(super) fn saved(&self, epoch: u64) {
        self.note(|progress| progress.saved = epoch.max(progress.saved));
    }

    fn note(&self, change: impl FnOnce(&mut Progress)) {
        // What is under the lock is whole at any time.
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut progress);
        let epoch = progress.epoch();
        self.epoch.send_if_modified(|known| std::mem::replace(known, epoch) != epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_epoch_is_acknowledged_once_every_shard_and_the_disk_have_reached_it() {
        let acks = Acks::new(2, 3);
        let mut epoch = acks.epoch();
        assert_eq!(*epoch.borrow_and_update(), 3);
        acks.settled(0, 5);
        acks.saved(5);
        assert!(!epoch.has_changed().expect("it is there"), "shard 1 has not settled");
        acks.settled(1, 4);
        assert_eq!(
            *epoch.borrow_and_update(),
            4,
            "a shard may pass over epochs, and so may the disk"
        );
        acks.settled(1, 5);
        assert_eq!(*epoch.borrow_and_update(), 5);
        acks.settled(0, 6);
        acks.settled(1, 6);
        assert!(!epoch.has_changed().expect("it is there"), "the disk has not got it");
        acks.saved(7);
        assert_eq!(*epoch.borrow_and_update(), 6);
    }

    #[test]
    fn what_comes_late_takes_nothing_back() {
        let acks = Acks::new(1, 0);
        acks.settled(0, 5);
        acks.saved(5);
        acks.settled(0, 4);
        acks.saved(3);
        acks.settled(9, 1);
        assert_eq!(*acks.epoch().borrow(), 5);
    }

    proptest! {
        #[test]
        fn an_acknowledged_epoch_never_falls_and_is_never_ahead_of_any(
            steps in prop::collection::vec((0..4_usize, 0..20_u64), 0..60),
        ) {
            let acks = Acks::new(3, 2);
            let (mut known, mut before) = ([2_u64; 4], 2);
            for (who, epoch) in steps {
                // The last one is the disk.
                if who == 3 { acks.saved(epoch) } else { acks.settled(who, epoch) }
                known[who] = known[who].max(epoch);
                let now = *acks.epoch().borrow();
                prop_assert!(now >= before && known.iter().all(|epoch| now <= *epoch));
                prop_assert!(known.contains(&now), "it is as far as the slowest");
                before = now;
            }
        }
    }
}

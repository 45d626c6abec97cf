//! The figures of the moves, for operators.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codis_proto::admin::v1 as api;

/// What counts as recent.
const RECENT: Duration = Duration::from_secs(1);

/// See the module's head. Empty while the member does not lead.
#[derive(Debug, Default)]
pub struct Board {
    figures: Mutex<Figures>,
}

#[derive(Debug, Default)]
struct Figures {
    sources: BTreeMap<u32, Source>,
    slots_done: u64,
    keys_moved: u64,
    bytes_moved: u64,
    slowest_barrier: Duration,
}

#[derive(Debug, Default)]
struct Source {
    shown: api::MoveSource,
    recent: VecDeque<(Duration, Step)>,
}

/// What one step did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Step {
    pub(super) keys: u64,
    pub(super) bytes: u64,
    pub(super) took: Duration,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, group: u32, change: impl FnOnce(&mut Source)) {
        change(self.lock().sources.entry(group).or_default());
    }

    /// Forgets all.
    pub(in crate::drive) fn clear(&self) {
        *self.lock() = Figures::default();
    }

    /// A group is left by slots from now on, whose master is at `address`.
    pub(super) fn enter(&self, group: u32, address: &str) {
        self.with(group, |source| {
            source.shown.gid = group;
            address.clone_into(&mut source.shown.addr);
        });
    }

    /// No slot leaves the group any more.
    pub(super) fn leave(&self, group: u32) {
        self.lock().sources.remove(&group);
    }

    pub(super) fn doing(&self, group: u32, doing: &str) {
        self.with(group, |source| doing.clone_into(&mut source.shown.doing));
    }

    /// Why it waits; empty for no reason.
    pub(super) fn trouble(&self, group: u32, trouble: &str) {
        self.with(group, |source| trouble.clone_into(&mut source.shown.trouble));
    }

    /// So much has been found that is to move.
    pub(super) fn found(&self, group: u32, keys: u64, bytes: u64) {
        self.with(group, |source| {
            source.shown.keys_total += keys;
            source.shown.bytes_total += bytes;
        });
    }

    /// A step has been taken, and the next one will be of `batch` keys.
    pub(super) fn step(&self, group: u32, now: Duration, step: Step, batch: usize) {
        let mut figures = self.lock();
        figures.keys_moved += step.keys;
        figures.bytes_moved += step.bytes;
        let source = figures.sources.entry(group).or_default();
        source.shown.keys_moved += step.keys;
        source.shown.bytes_moved += step.bytes;
        source.shown.batch_keys = batch as u64;
        source.recent.push_back((now, step));
        source.forget(now);
    }

    pub(super) fn done(&self, slots: usize) {
        self.lock().slots_done += slots as u64;
    }

    /// A barrier held clients up for so long.
    pub(super) fn barrier(&self, took: Duration) {
        let mut figures = self.lock();
        figures.slowest_barrier = figures.slowest_barrier.max(took);
    }

    /// All of it at `now`.
    #[must_use]
    pub fn show(&self, now: Duration) -> api::Moves {
        let mut figures = self.lock();
        api::Moves {
            sources: figures.sources.values_mut().map(|source| source.show(now)).collect(),
            slots_done: figures.slots_done,
            keys_moved: figures.keys_moved,
            bytes_moved: figures.bytes_moved,
            slowest_barrier_us: micros(figures.slowest_barrier),
            ..api::Moves::default()
        }
    }
}

impl Source {
    fn forget(&mut self, now: Duration) {
        let old = |(at, _): &(Duration, Step)| now.saturating_sub(*at) > RECENT;
        while self.recent.front().is_some_and(old) {
            self.recent.pop_front();
        }
    }

    fn show(&mut self, now: Duration) -> api::MoveSource {
        self.forget(now);
        let steps = || self.recent.iter().map(|(_, step)| step);
        api::MoveSource {
            keys_a_second: steps().map(|step| step.keys).sum(),
            bytes_a_second: steps().map(|step| step.bytes).sum(),
            longest_step_us: micros(steps().map(|step| step.took).max().unwrap_or_default()),
            ..self.shown.clone()
        }
    }
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_last_second_and_sums_of_the_whole_term() {
        let board = Board::default();
        let ms = Duration::from_millis;
        for (at, took) in [(0, 9), (1500, 3), (2000, 2)] {
            board.step(7, ms(at), Step { keys: 10, bytes: 100, took: ms(took) }, 64);
        }
        let shown = board.show(ms(2100));
        assert_eq!((shown.keys_moved, shown.bytes_moved), (30, 300));
        let source = &shown.sources[0];
        assert_eq!((source.keys_moved, source.keys_a_second, source.bytes_a_second), (30, 20, 200));
        assert_eq!((source.longest_step_us, source.batch_keys), (3000, 64));
        assert_eq!(board.show(ms(9000)).sources[0].keys_a_second, 0);
        board.leave(7);
        let left = board.show(ms(9000));
        assert!(left.sources.is_empty() && left.keys_moved == 30);
    }
}

//! What each slot has gone through since this shard has followed the topology.
//!
//! A SCAN takes many requests, and slots may change their servers between them. At its end it has to know which ones
//! did, to look again where their keys are now (docs/architecture.md has the argument).

use crate::slots::SLOT_COUNT;
use crate::topology::{Address, SlotState, Topology};

/// One slot's changes, as epochs.
#[derive(Debug, Clone, Copy, Default)]
struct Changes {
    /// When the newest change of its servers began.
    began: u64,
    /// From when on its servers are the ones that it has; `u64::MAX` while its keys are on their way.
    quiet: u64,
    /// What `quiet` was before the newest change.
    before: u64,
}

/// The changes of all slots.
#[derive(Debug)]
pub(in super::super) struct History {
    /// Nothing older is known.
    known_since: u64,
    /// Topologies were passed over that may have taken a slot away and brought it back.
    broken: bool,
    slots: Box<[Changes; SLOT_COUNT]>,
}

impl Default for History {
    fn default() -> Self {
        Self { known_since: 0, broken: true, slots: Box::new([Changes::default(); SLOT_COUNT]) }
    }
}

/// Who has a slot's keys.
#[derive(PartialEq, Eq)]
enum Holder<'a> {
    Nobody,
    One(&'a Address),
    /// They are on their way from the one to the other, or may be: other proxies may have a newer topology. Twice the
    /// same where the slot is locked, as its master may be about to change.
    Two(&'a Address, &'a Address),
}

impl<'a> Holder<'a> {
    fn of(topology: &'a Topology, slot: usize) -> Self {
        let master = |group| &topology.group(group).master;
        let slot = topology.slots[slot];
        match slot.state {
            SlotState::Offline => Self::Nobody,
            SlotState::Stable(group) if slot.locked => Self::Two(master(group), master(group)),
            SlotState::Stable(group) => Self::One(master(group)),
            SlotState::Preparing { from, to } | SlotState::Migrating { from, to, .. } => {
                Self::Two(master(from), master(to))
            }
        }
    }
}

impl Changes {
    /// A topology of this epoch has come.
    fn pass(&mut self, epoch: u64, old: &Holder<'_>, new: &Holder<'_>) {
        if old == new {
            return;
        }
        let ends = match (old, new) {
            (Holder::Two(from, to), Holder::One(master)) => from == master || to == master,
            _ => false,
        };
        // Topologies were passed over: the slot has come to the server that it leaves by a change of its own.
        let leapt =
            matches!((old, new), (Holder::One(master), Holder::Two(from, _)) if from != master);
        if !ends {
            self.before = if leapt { epoch } else { self.quiet.min(epoch) };
            self.began = epoch;
        }
        self.quiet = if matches!(new, Holder::Two(..)) { u64::MAX } else { epoch };
    }
}

impl History {
    /// Takes note of what a newer topology changes.
    pub(in super::super) fn pass(&mut self, old: &Topology, new: &Topology) {
        for (slot, changes) in self.slots.iter_mut().enumerate() {
            changes.pass(new.epoch, &Holder::of(old, slot), &Holder::of(new, slot));
        }
        if std::mem::take(&mut self.broken) {
            self.known_since = new.epoch;
        }
    }

    /// The proxy was shut out from a server until a newer topology comes: until then slots may have changed more than
    /// once.
    pub(in super::super) fn lose_sight(&mut self) {
        self.broken = true;
    }

    /// Whether all that happened after this epoch is known.
    pub(super) fn reaches(&self, epoch: u64) -> bool {
        epoch >= self.known_since && !self.broken
    }

    /// Whether a slot's keys changed their servers, or were on their way, after this epoch.
    pub(super) fn was_busy(&self, slot: usize, after: u64) -> bool {
        self.slots[slot].quiet > after
    }

    /// Whether a change of a slot's servers began after this epoch.
    pub(super) fn began(&self, slot: usize, after: u64) -> bool {
        self.slots[slot].began > after
    }

    /// Whether there was another change after this epoch, before the newest one.
    pub(super) fn changed_twice(&self, slot: usize, after: u64) -> bool {
        self.slots[slot].before > after
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Group, GroupIndex, Slot};
    use std::sync::Arc;

    /// All slots in this state, with masters of these names.
    fn topology(epoch: u64, state: SlotState, masters: [&str; 2]) -> Topology {
        let group = |(id, master): (u32, &str)| Group {
            id,
            master: Arc::from(master),
            replicas: Vec::new(),
            has_replicas: false,
        };
        Topology {
            epoch,
            groups: (1..).zip(masters).map(group).collect(),
            slots: vec![Slot { state, locked: false }; SLOT_COUNT],
            moves: None,
        }
    }

    /// As all slots are while a promotion is under way.
    fn locked(mut topology: Topology) -> Topology {
        topology.slots.iter_mut().for_each(|slot| slot.locked = true);
        topology
    }

    const A: SlotState = SlotState::Stable(GroupIndex(0));
    const B: SlotState = SlotState::Stable(GroupIndex(1));

    const PREPARING: SlotState = SlotState::Preparing { from: GroupIndex(0), to: GroupIndex(1) };

    fn moving(since: u64) -> SlotState {
        SlotState::Migrating { from: GroupIndex(0), to: GroupIndex(1), since }
    }

    fn follow(topologies: &[Topology]) -> History {
        let mut history = History::default();
        let offline = Topology::offline();
        let mut old = &offline;
        for new in topologies {
            history.pass(old, new);
            old = new;
        }
        history
    }

    /// The history of these states, whose epochs are 1, 2 and so on.
    fn history(states: &[(SlotState, [&str; 2])]) -> History {
        let states = (1..).zip(states);
        let all: Vec<Topology> =
            states.map(|(epoch, (state, masters))| topology(epoch, *state, *masters)).collect();
        follow(&all)
    }

    const MASTERS: [&str; 2] = ["a", "b"];

    #[test]
    fn a_slot_that_stays_is_quiet() {
        let history = history(&[(A, MASTERS), (A, MASTERS), (A, MASTERS)]);
        assert!(history.reaches(1) && !history.reaches(0));
        assert!(!history.was_busy(0, 1));
        assert!(!history.began(0, 1));
    }

    #[test]
    fn a_slot_is_busy_for_as_long_as_its_keys_are_on_their_way_and_its_change_began_once() {
        let history = history(&[(A, MASTERS), (moving(2), MASTERS), (moving(2), MASTERS)]);
        assert!(history.was_busy(0, 1) && history.was_busy(0, 3));
        assert!(history.began(0, 1) && !history.began(0, 2));
        let history =
            self::history(&[(A, MASTERS), (moving(2), MASTERS), (B, MASTERS), (B, MASTERS)]);
        assert!(history.was_busy(0, 2) && !history.was_busy(0, 3));
        assert!(history.began(0, 1) && !history.began(0, 2));
        assert!(!history.changed_twice(0, 1));
    }

    #[test]
    fn another_master_of_the_same_group_is_a_change() {
        let history = history(&[(A, MASTERS), (A, ["c", "b"])]);
        assert!(history.was_busy(0, 1) && history.began(0, 1) && !history.was_busy(0, 2));
    }

    #[test]
    fn a_second_change_is_told_from_the_first() {
        let states = [(A, MASTERS), (moving(2), MASTERS), (B, MASTERS), (B, ["a", "c"])];
        let history = history(&states);
        assert!(history.changed_twice(0, 2), "moved until 3, promoted at 4");
        assert!(!history.changed_twice(0, 3));
    }

    #[test]
    fn a_move_that_is_replaced_by_another_one_counts_as_two() {
        let back = SlotState::Migrating { from: GroupIndex(1), to: GroupIndex(0), since: 3 };
        let history = history(&[(A, MASTERS), (moving(2), MASTERS), (back, MASTERS)]);
        assert!(history.changed_twice(0, 2) && history.was_busy(0, 9));
    }

    #[test]
    fn a_slot_that_leaves_a_server_which_it_was_never_seen_to_come_to_has_changed_twice() {
        let back = SlotState::Preparing { from: GroupIndex(1), to: GroupIndex(0) };
        let history = history(&[(A, MASTERS), (back, MASTERS)]);
        assert!(history.changed_twice(0, 1) && history.began(0, 1));
    }

    #[test]
    fn a_slot_that_is_about_to_move_is_busy_as_other_proxies_may_be_ahead() {
        let history = history(&[(A, MASTERS), (PREPARING, MASTERS)]);
        assert!(history.was_busy(0, 2));
        let moved = [(A, MASTERS), (PREPARING, MASTERS), (moving(3), MASTERS), (B, MASTERS)];
        let history = self::history(&moved);
        assert!(history.began(0, 1) && !history.began(0, 2), "it is one change");
        let stayed = [(A, MASTERS), (PREPARING, MASTERS), (A, MASTERS)];
        let history = self::history(&stayed);
        assert!(history.was_busy(0, 2) && !history.was_busy(0, 3) && !history.began(0, 2));
    }

    #[test]
    fn a_locked_slot_is_busy_and_another_master_after_that_is_a_second_change() {
        let lock = locked(topology(2, A, MASTERS));
        let history = follow(&[topology(1, A, MASTERS), lock.clone()]);
        assert!(history.was_busy(0, 2) && history.began(0, 1));
        let history = follow(&[topology(1, A, MASTERS), lock.clone(), topology(3, A, MASTERS)]);
        assert!(!history.changed_twice(0, 1) && !history.was_busy(0, 3));
        let history = follow(&[topology(1, A, MASTERS), lock, topology(3, A, ["c", "b"])]);
        assert!(history.changed_twice(0, 1));
    }

    #[test]
    fn what_was_missed_is_not_known_until_the_next_topology() {
        let mut history = history(&[(A, MASTERS)]);
        assert!(history.reaches(1));
        history.lose_sight();
        assert!(!history.reaches(1));
        history.pass(&topology(1, A, MASTERS), &topology(9, A, MASTERS));
        assert!(history.reaches(9) && !history.reaches(8));
    }
}

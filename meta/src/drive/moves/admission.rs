//! Which pending slots may get ready now: by rising order over all sources, as many as the settings let move at a time.
//!
//! No group is the source and the target of moves at a time: two servers that each wait for the other in a MIGRATE would serve nobody
//! meanwhile. And what a proxy sent by a connection that was lost may come late, and is
//! told from what may still run by the clean mark of its source alone; so the mark of one direction is removed
//! before the other begins (docs/migration.md).

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::plan::{Phase, Plan, Queued, SlotMove};
use super::rest::Rests;

/// How long a slot rests that could not get ready.
const REST_MIN: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(30);

/// See the module's head.
#[derive(Debug)]
pub(super) struct Admission {
    inner: Mutex<Inner>,
}

/// Actions are told apart by their orders.
#[derive(Debug)]
struct Inner {
    getting_ready: BTreeSet<u64>,
    rests: Rests<u64>,
}

impl Inner {
    /// The orders of the first `room` slots that may go. One whose way is crossed holds back those behind it that would
    /// cross its own, so that its turn comes.
    fn choose(&self, plan: &Plan, room: usize, now: Duration) -> BTreeSet<u64> {
        let getting_ready = |queued: &&Queued| self.getting_ready.contains(&queued.order);
        let mut ways = plan.ways.clone();
        ways.extend(plan.queue.iter().filter(getting_ready).map(|queued| queued.way));
        let mut chosen = BTreeSet::new();
        for queued in &plan.queue {
            if chosen.len() >= room {
                break;
            }
            if getting_ready(&queued) || self.rests.is_resting(&queued.order, now) {
                continue;
            }
            if !ways.iter().any(|way| way.crosses(queued.way)) {
                chosen.insert(queued.order);
            }
            ways.insert(queued.way);
        }
        chosen
    }
}

impl Default for Admission {
    fn default() -> Self {
        let inner = Inner { getting_ready: BTreeSet::new(), rests: Rests::new(REST_MIN, REST_MAX) };
        Self { inner: Mutex::new(inner) }
    }
}

impl Admission {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits those of the plan whose turn it is, until the result is dropped.
    pub(super) fn admit(&self, plan: &Plan, now: Duration) -> Admitted<'_> {
        let mut inner = self.lock();
        let queued: BTreeSet<u64> = plan.queue.iter().map(|queued| queued.order).collect();
        inner.rests.retain(|order| queued.contains(order));
        let taken = plan.active + inner.getting_ready.len() as u64;
        let room = plan.rules.parallel_slots.saturating_sub(taken);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let chosen = inner.choose(plan, room, now);
        let is_chosen =
            |one: &&SlotMove| one.phase == Phase::Pending && chosen.contains(&one.order);
        let slots: Vec<SlotMove> = plan.moves.iter().filter(is_chosen).cloned().collect();
        inner.getting_ready.extend(slots.iter().map(|one| one.order));
        Admitted { admission: self, slots }
    }

    /// A slot could not get ready.
    pub(super) fn failed(&self, one: &SlotMove, now: Duration) {
        self.lock().rests.failed(one.order, now);
    }

    /// How long it is until a slot may be tried again.
    pub(super) fn next(&self, now: Duration) -> Option<Duration> {
        self.lock().rests.next(now)
    }
}

/// Slots that get ready.
pub(super) struct Admitted<'a> {
    admission: &'a Admission,
    pub(super) slots: Vec<SlotMove>,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        let mut inner = self.admission.lock();
        for one in &self.slots {
            inner.getting_ready.remove(&one.order);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::moves::plan::sources;
    use crate::state::State;
    use codis_proto::meta::v1 as pb;

    /// A state in which the slots of each pair move from the first group to the second, in this order.
    fn state(moves: &[(u32, u32)], parallel: u64) -> pb::State {
        let mut state = State::new().data().clone();
        for id in 1..=9 {
            let server = pb::Server { address: format!("10.0.0.{id}:1"), ..Default::default() };
            let group = pb::Group { id, servers: vec![server], ..Default::default() };
            state.groups.insert(id, group);
        }
        for (number, (from, to)) in moves.iter().enumerate() {
            let phase = Some(pb::slot_action::Phase::Pending(pb::slot_action::Pending {}));
            let order = number as u64 + 1;
            let action = pb::SlotAction { target: *to, order, phase, ..Default::default() };
            state.slots[number] =
                pb::Slot { group: *from, action: Some(action), ..Default::default() };
        }
        state.settings.insert("migration_parallel_slots".into(), parallel.to_string());
        state
    }

    fn numbers(admitted: &Admitted<'_>) -> Vec<u32> {
        admitted.slots.iter().map(|one| one.slot).collect()
    }

    #[test]
    fn slots_get_ready_by_rising_order_over_all_sources() {
        let state = state(&[(1, 3), (2, 3), (1, 4), (1, 3), (2, 4)], 3);
        assert_eq!(sources(&state), [1, 2]);
        let (one, two) = (Plan::of(&state, 1), Plan::of(&state, 2));
        let (one, two) = (one.expect("slots leave it"), two.expect("slots leave it"));
        let admission = Admission::default();
        let first = admission.admit(&one, Duration::ZERO);
        assert_eq!(numbers(&first), [0, 2]);
        assert_eq!(numbers(&admission.admit(&two, Duration::ZERO)), [1]);
        assert!(numbers(&admission.admit(&one, Duration::ZERO)).is_empty(), "both are at work");
        drop(first);
        assert_eq!(numbers(&admission.admit(&one, Duration::ZERO)), [0, 2]);
    }

    #[test]
    fn one_that_failed_rests_and_another_takes_its_place() {
        let state = state(&[(1, 3), (1, 3), (1, 3)], 1);
        let plan = Plan::of(&state, 1).expect("slots leave it");
        let admission = Admission::default();
        let second = Duration::from_secs(1);
        admission.failed(&plan.moves[0], Duration::ZERO);
        assert_eq!(numbers(&admission.admit(&plan, Duration::ZERO)), [1]);
        assert_eq!(admission.next(Duration::ZERO), Some(second));
        assert_eq!(numbers(&admission.admit(&plan, second)), [0]);
    }

    #[test]
    fn no_group_is_a_source_and_a_target_at_a_time_and_each_gets_its_turn() {
        let mut state = state(&[(1, 2), (2, 1), (1, 2), (3, 4), (4, 3), (2, 5)], 9);
        let admitted = |state: &pb::State| -> Vec<u32> {
            let plans: Vec<Plan> = (1..=4).filter_map(|source| Plan::of(state, source)).collect();
            let admission = Admission::default();
            let admitted: Vec<_> =
                plans.iter().map(|plan| admission.admit(plan, Duration::ZERO)).collect();
            admitted.iter().flat_map(numbers).collect()
        };
        // The third one goes the way of the first, but would cross the second, which waits before it.
        assert_eq!(admitted(&state), [0, 3]);
        let phase = pb::slot_action::Phase::Migrating(pb::slot_action::Migrating { epoch: 1 });
        state.slots[0].action.as_mut().expect("it moves").phase = Some(phase);
        assert_eq!(admitted(&state), [3]);
        state.slots[0].action = None;
        assert_eq!(admitted(&state), [1, 3]);
    }

    #[test]
    fn slots_of_a_group_whose_master_is_changed_wait() {
        let mut state = state(&[(1, 3), (1, 4), (5, 1)], 9);
        state.groups.get_mut(&3).expect("it is there").promotion = Some(pb::Promotion::default());
        let plan = Plan::of(&state, 1).expect("slots leave it");
        assert_eq!(numbers(&Admission::default().admit(&plan, Duration::ZERO)), [1]);
        state.groups.get_mut(&1).expect("it is there").promotion = Some(pb::Promotion::default());
        for source in [1, 5] {
            let plan = Plan::of(&state, source).expect("slots leave it");
            assert!(Admission::default().admit(&plan, Duration::ZERO).slots.is_empty());
        }
    }
}

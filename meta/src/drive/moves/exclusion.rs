//! Keeping moves and promotions of a group apart, within the leader.
//!
//! A promotion *shuts* the group and waits until nobody is inside; a move *enters* its groups for each of its
//! steps. A move goes by what it has seen of the state, so it also tells when that was: a group that has been shut since
//! does not let it in, as its master may be another now.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// See the module's head.
#[derive(Debug, Default)]
pub struct Exclusion {
    gates: Mutex<BTreeMap<u32, Gate>>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Gate {
    inside: usize,
    shut: usize,
    /// How often it has been shut so far.
    times: u64,
}

/// When the state was looked at, in terms of the gates.
#[derive(Debug, Clone, Default)]
pub(in crate::drive) struct Moment(BTreeMap<u32, u64>);

impl Exclusion {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Gate>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now. To be taken before the state is looked at.
    pub(in crate::drive) fn moment(&self) -> Moment {
        Moment(self.lock().iter().map(|(group, gate)| (*group, gate.times)).collect())
    }

    /// Enters both groups, unless one is shut or has been since `moment`.
    pub(in crate::drive) fn enter(&self, moment: &Moment, groups: [u32; 2]) -> Option<Inside<'_>> {
        let mut gates = self.lock();
        let open = groups.iter().all(|group| {
            let (shut, times) = gates.get(group).map_or((0, 0), |gate| (gate.shut, gate.times));
            shut == 0 && times == moment.0.get(group).copied().unwrap_or(0)
        });
        if !open {
            return None;
        }
        for group in groups {
            gates.entry(group).or_default().inside += 1;
        }
        Some(Inside { exclusion: self, groups })
    }

    /// Shuts a group until the result is dropped.
    pub(in crate::drive) fn shut(&self, group: u32) -> Shut<'_> {
        let mut gates = self.lock();
        let gate = gates.entry(group).or_default();
        gate.shut += 1;
        gate.times += 1;
        Shut { exclusion: self, group }
    }
}

/// A move's step is under way in two groups.
#[derive(Debug)]
pub(in crate::drive) struct Inside<'a> {
    exclusion: &'a Exclusion,
    groups: [u32; 2],
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut gates = self.exclusion.lock();
        for group in self.groups {
            gates.entry(group).or_default().inside -= 1;
        }
        drop(gates);
        self.exclusion.left.notify_waiters();
    }
}

/// A group that no move's step enters.
#[derive(Debug)]
pub(in crate::drive) struct Shut<'a> {
    exclusion: &'a Exclusion,
    group: u32,
}

impl Shut<'_> {
    /// Waits until nothing is under way there.
    pub(in crate::drive) async fn emptied(&self) {
        loop {
            let left = self.exclusion.left.notified();
            let inside = self.exclusion.lock().get(&self.group).map_or(0, |gate| gate.inside);
            if inside == 0 {
                return;
            }
            left.await;
        }
    }
}

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.exclusion.lock().entry(self.group).or_default().shut -= 1;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_group_is_shut_once_those_inside_have_left() {
        let exclusion = Exclusion::default();
        let moment = exclusion.moment();
        let inside = exclusion.enter(&moment, [1, 2]).expect("it is open");
        let shut = exclusion.shut(2);
        assert!(exclusion.enter(&moment, [2, 3]).is_none());
        assert!(exclusion.enter(&moment, [1, 3]).is_some(), "other groups are not concerned");
        assert!(shut.emptied().now_or_never().is_none());
        drop(inside);
        shut.emptied().await;
    }

    #[test]
    fn who_looked_before_a_group_was_shut_must_look_again() {
        let exclusion = Exclusion::default();
        let before = exclusion.moment();
        drop(exclusion.shut(1));
        assert!(exclusion.enter(&before, [1, 2]).is_none());
        assert!(exclusion.enter(&exclusion.moment(), [1, 2]).is_some());
    }
}

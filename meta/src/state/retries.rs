//! The memory of accepted requests, so that a retry after a lost answer does not run twice.
//!
//! Refusals are not remembered: they changed nothing, so that running the retry is as good as having run
//! it alone. The memory is bounded in number and in time; the time is what leaders stamped.

use super::limits::{REMEMBERED_MAX, REMEMBERED_MS_MAX};
use codis_proto::meta::v1 as pb;
use std::collections::{BTreeMap, VecDeque};

/// Client and request.
type Id = (u64, u64);

/// See the module's head.
#[derive(Debug, Clone, Default)]
pub(super) struct Retries {
    /// Oldest first.
    order: VecDeque<Id>,
    by_id: BTreeMap<Id, pb::Remembered>,
}

impl Retries {
    pub(super) fn get(&self, client: u64, request: u64) -> Option<&pb::Remembered> {
        self.by_id.get(&(client, request))
    }

    /// Remembers an accepted request that is not remembered yet, and forgets those that are too many or
    /// too old.
    pub(super) fn push(&mut self, entry: pb::Remembered) {
        let now = entry.time_unix_ms;
        let id = (entry.client, entry.request);
        self.order.push_back(id);
        let before = self.by_id.insert(id, entry);
        debug_assert!(before.is_none(), "a remembered request is answered, not pushed again");
        while self.order.len() > REMEMBERED_MAX || self.oldest_is_stale(now) {
            if let Some(id) = self.order.pop_front() {
                self.by_id.remove(&id);
            }
        }
    }

    fn oldest_is_stale(&self, now: u64) -> bool {
        let oldest = self.order.front().and_then(|id| self.by_id.get(id));
        oldest.is_some_and(|entry| now.saturating_sub(entry.time_unix_ms) > REMEMBERED_MS_MAX)
    }

    pub(super) fn to_list(&self) -> Vec<pb::Remembered> {
        self.order.iter().filter_map(|id| self.by_id.get(id).cloned()).collect()
    }

    /// The memory with `list` in it, which the invariants have been checked on.
    pub(super) fn from_list(list: Vec<pb::Remembered>) -> Self {
        let order = list.iter().map(|entry| (entry.client, entry.request)).collect();
        let by_id = list.into_iter().map(|entry| ((entry.client, entry.request), entry)).collect();
        Self { order, by_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(request: u64, time_unix_ms: u64) -> pb::Remembered {
        pb::Remembered { client: 1, request, time_unix_ms, ..Default::default() }
    }

    #[test]
    fn the_oldest_are_forgotten_when_there_are_too_many() {
        let mut retries = Retries::default();
        for request in 0..=REMEMBERED_MAX as u64 {
            retries.push(entry(request, 0));
        }
        assert!(retries.get(1, 0).is_none());
        assert!(retries.get(1, 1).is_some());
        assert_eq!(retries.to_list().len(), REMEMBERED_MAX);
    }

    #[test]
    fn the_oldest_are_forgotten_when_their_time_is_over() {
        let mut retries = Retries::default();
        retries.push(entry(1, 1000));
        retries.push(entry(2, 1000 + REMEMBERED_MS_MAX));
        assert!(retries.get(1, 1).is_some());
        retries.push(entry(3, 1001 + REMEMBERED_MS_MAX));
        assert!(retries.get(1, 1).is_none());
        assert!(retries.get(1, 2).is_some());
    }

    #[test]
    fn a_list_brings_back_the_same_memory() {
        let mut retries = Retries::default();
        retries.push(entry(7, 1));
        retries.push(entry(3, 2));
        let list = retries.to_list();
        assert_eq!(list.iter().map(|entry| entry.request).collect::<Vec<_>>(), [7, 3]);
        assert_eq!(Retries::from_list(list.clone()).to_list(), list);
    }
}

//! The topology as it is sent: encoded once, for all streams.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use codis_proto::link::v1::{MemberMessage, member_message::Body};
use codis_proto::meta::v1 as pb;
use prost::Message as _;
use tokio::sync::watch;

use crate::state::delta;

/// Changes that are kept for streams that are a little behind. One that is further behind is sent the whole topology,
/// which is then the shorter way as well.
const CHANGES_KEPT_MAX: usize = 64;

/// The newest topology and the changes that led to it.
pub(super) struct Feed {
    inner: Mutex<Inner>,
    /// The newest epoch, for streams to wait for.
    epoch: watch::Sender<Option<u64>>,
}

#[derive(Default)]
struct Inner {
    newest: Arc<pb::Topology>,
    /// All of the newest, once a stream has wanted it.
    whole: Option<Bytes>,
    changes: VecDeque<Encoded>,
}

struct Encoded {
    from_epoch: u64,
    epoch: u64,
    bytes: Bytes,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self { inner: Mutex::default(), epoch: watch::Sender::new(None) }
    }

    /// The newest epoch, and every later one.
    pub(super) fn epoch(&self) -> watch::Receiver<Option<u64>> {
        self.epoch.subscribe()
    }

    /// Makes `newest` what streams are to reach, and wakes them.
    pub(super) fn install(&self, newest: &Arc<pb::Topology>) {
        // Before the member has published its first one.
        if newest.slots.is_empty() {
            return;
        }
        let mut inner = self.lock();
        if inner.newest.slots.is_empty() || newest.epoch < inner.newest.epoch {
            inner.changes.clear();
        } else if newest.epoch == inner.newest.epoch {
            return;
        } else {
            let bytes = delta::diff(&inner.newest, newest).encode_to_vec().into();
            let from_epoch = inner.newest.epoch;
            inner.changes.push_back(Encoded { from_epoch, epoch: newest.epoch, bytes });
            let excess = inner.changes.len().saturating_sub(CHANGES_KEPT_MAX);
            inner.changes.drain(..excess);
        }
        inner.newest = Arc::clone(newest);
        inner.whole = None;
        drop(inner);
        self.epoch.send_replace(Some(newest.epoch));
    }

    /// What a stream that was sent the epoch `at` is to be sent next, and the epoch that it is then at.
    pub(super) fn after(&self, at: Option<u64>) -> Option<(u64, MemberMessage)> {
        let mut inner = self.lock();
        let newest = inner.newest.epoch;
        if inner.newest.slots.is_empty() || at == Some(newest) {
            return None;
        }
        let change = inner.changes.iter().find(|change| Some(change.from_epoch) == at);
        let (epoch, body) = match change {
            Some(change) => (change.epoch, Body::Change(change.bytes.clone())),
            None => (newest, Body::Topology(inner.whole())),
        };
        Some((epoch, MemberMessage { body: Some(body) }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked with it had not begun to change it: encoding comes first.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn whole(&mut self) -> Bytes {
        let newest = &self.newest;
        self.whole.get_or_insert_with(|| newest.encode_to_vec().into()).clone()
    }
}

#[cfg(test)]
mod tests {
    use codis_proto::link::v1::TopologyChange;

    use super::*;

    fn topology(epoch: u64) -> Arc<pb::Topology> {
        let mut slots = vec![pb::TopologySlot::default(); 1024];
        slots[epoch as usize % 1024].to = 7;
        Arc::new(pb::Topology { epoch, slots, ..pb::Topology::default() })
    }

    /// Sends a stream that has `held` everything that there is for it; the topology that it then has, and how many
    /// messages were whole topologies.
    fn catch_up(feed: &Feed, mut held: Option<pb::Topology>) -> (pb::Topology, usize) {
        let mut wholes = 0;
        while let Some((epoch, message)) = feed.after(held.as_ref().map(|held| held.epoch)) {
            match message.body.expect("a message says something") {
                Body::Topology(bytes) => {
                    wholes += 1;
                    held = Some(pb::Topology::decode(bytes).expect("a topology"));
                }
                Body::Change(bytes) => {
                    let change = TopologyChange::decode(bytes).expect("a change");
                    delta::apply(held.as_mut().expect("changes follow a topology"), &change)
                        .expect("the change fits what was sent before");
                }
                Body::Welcome(_) => panic!("a feed sends topologies"),
            }
            assert_eq!(held.as_ref().map(|held| held.epoch), Some(epoch));
        }
        (held.expect("something was sent"), wholes)
    }

    #[test]
    fn a_new_stream_is_sent_the_whole_and_then_changes() {
        let feed = Feed::new();
        assert!(feed.after(None).is_none(), "there is no topology yet");
        feed.install(&topology(1));
        let (held, wholes) = catch_up(&feed, None);
        assert_eq!((&held, wholes), (&*topology(1), 1));
        feed.install(&topology(2));
        // Epochs may be passed over.
        feed.install(&topology(5));
        assert_eq!(catch_up(&feed, Some(held)), ((*topology(5)).clone(), 0));
    }

    #[test]
    fn a_stream_that_is_far_behind_is_sent_the_whole_again() {
        let feed = Feed::new();
        for epoch in 1..=CHANGES_KEPT_MAX as u64 + 2 {
            feed.install(&topology(epoch));
        }
        let newest = (*topology(CHANGES_KEPT_MAX as u64 + 2)).clone();
        assert_eq!(catch_up(&feed, Some((*topology(1)).clone())), (newest.clone(), 1));
        assert_eq!(catch_up(&feed, Some((*topology(2)).clone())), (newest, 0));
    }

    #[test]
    fn a_topology_that_was_replaced_by_an_older_one_is_sent_whole() {
        let feed = Feed::new();
        feed.install(&topology(8));
        feed.install(&topology(9));
        feed.install(&topology(3));
        assert_eq!(catch_up(&feed, Some((*topology(8)).clone())), ((*topology(3)).clone(), 1));
    }
}

//! Acknowledgements on their way to the log: one proposal at a time, with the newest of each proxy.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codis_proto::meta::v1 as pb;
use pb::command::Change;
use pb::proxy_ack::Acked;
use tokio::sync::Notify;

use super::{Links, Stand};
use crate::node::ChangeError;

/// Acknowledgements in one proposal: far below the longest command.
const PROPOSAL_ACKS_MAX: usize = 4096;

/// How long to wait before a proposal that came to nothing is made again.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// The newest acknowledgement of each proxy that is not in the log yet.
#[derive(Default)]
pub(super) struct Acks {
    gathered: Mutex<BTreeMap<String, Acked>>,
    news: Notify,
}

impl Acks {
    /// Takes an acknowledgement in.
    pub(super) fn note(&self, token: &str, start_unix_ms: u64, epoch: u64) {
        note(&mut self.lock(), token.to_owned(), Acked { start_unix_ms, epoch });
        self.news.notify_one();
    }

    /// As many as fit into one proposal.
    fn take(&self) -> BTreeMap<String, Acked> {
        let mut gathered = self.lock();
        let rest = gathered.keys().nth(PROPOSAL_ACKS_MAX).cloned();
        let rest = rest.map(|first| gathered.split_off(&first)).unwrap_or_default();
        if !rest.is_empty() {
            self.news.notify_one();
        }
        std::mem::replace(&mut gathered, rest)
    }

    /// Puts back what did not get into the log.
    fn put_back(&self, acks: BTreeMap<String, Acked>) {
        let mut gathered = self.lock();
        for (token, acked) in acks {
            note(&mut gathered, token, acked);
        }
        self.news.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Acked>> {
        // Nothing that is done with it can panic half-way.
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the newest: the later process, and of one process the later epoch.
fn note(gathered: &mut BTreeMap<String, Acked>, token: String, acked: Acked) {
    let known = gathered.entry(token).or_default();
    if (acked.start_unix_ms, acked.epoch) > (known.start_unix_ms, known.epoch) {
        *known = acked;
    }
}

impl Links {
    /// Proposes what gathers. A member that does not lead drops it: a proxy says at the next leader what it works by.
    pub(super) async fn propose_acks(self: Arc<Self>) {
        loop {
            self.acks.news.notified().await;
            let proxies = self.acks.take();
            if proxies.is_empty() || !matches!(*self.stand.borrow(), Stand::Leads(_)) {
                continue;
            }
            let change = Change::ProxyAck(pb::ProxyAck { proxies: proxies.clone() });
            match self.node.step(change).await {
                Ok(_) => {}
                Err(ChangeError::Refused(refusal)) => {
                    tracing::error!("acknowledgements of proxies were refused: {refusal}");
                }
                Err(ChangeError::Gone(_)) => return,
                Err(ChangeError::NotTaken(_) | ChangeError::Unknown) => {
                    self.acks.put_back(proxies);
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_acknowledgement_of_each_proxy_is_kept() {
        let acks = Acks::default();
        acks.note("a", 1, 5);
        acks.note("a", 1, 4);
        acks.note("b", 1, 9);
        acks.note("b", 2, 1);
        let taken = acks.take();
        assert_eq!(taken["a"], Acked { start_unix_ms: 1, epoch: 5 });
        assert_eq!(taken["b"], Acked { start_unix_ms: 2, epoch: 1 });
        assert!(acks.take().is_empty());
        acks.note("a", 1, 6);
        acks.put_back(taken);
        let again = acks.take();
        assert_eq!(again["a"].epoch, 6, "what came meanwhile is newer than what was put back");
        assert_eq!(again["b"].epoch, 1);
    }

    #[test]
    fn a_proposal_holds_no_more_than_fits() {
        let acks = Acks::default();
        for number in 0..PROPOSAL_ACKS_MAX + 3 {
            acks.note(&format!("{number:05}"), 1, 1);
        }
        assert_eq!(acks.take().len(), PROPOSAL_ACKS_MAX);
        assert_eq!(acks.take().len(), 3);
    }
}

//! Who monitors: counted here, as the limit is the process's, and lines go from any shard to any other.

use super::shards::{Answers, Shards};
use crate::messages::ShardMessage;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The clients that monitor, with their shards.
#[derive(Debug, Default)]
pub(super) struct Monitors(Mutex<BTreeMap<u64, usize>>);

impl Monitors {
    /// Adds a client, if there are fewer than `max`. What is awaited ends when every shard shows what it runs. Call this in the
    /// order in which clients come and go: messages to the shards leave before it returns.
    pub(super) fn begin(
        &self,
        shards: &Shards,
        client: u64,
        shard: usize,
        max: usize,
    ) -> Result<impl Future<Output = Answers<()>> + use<>, String> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= max {
            return Err(format!(
                "no more than {max} clients may monitor this proxy at a time: see monitor_max_clients"
            ));
        }
        clients.insert(client, shard);
        Ok(announce(shards, &clients))
    }

    /// Takes a client out again; also one that was not let in.
    pub(super) fn end(&self, shards: &Shards, client: u64) {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.remove(&client).is_some() {
            drop(announce(shards, &clients));
        }
    }

    /// Passes a shard's lines on to the monitors of the others.
    pub(super) fn spread(&self, shards: &Shards, from: usize, lines: Vec<u8>) {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = Arc::new(lines);
        let others: BTreeSet<usize> = clients.values().copied().filter(|to| *to != from).collect();
        for shard in others {
            // A shard that has ended has no monitors any more.
            let _ = shards.tell(shard, ShardMessage::MonitorLines(Arc::clone(&lines)));
        }
    }
}

/// Tells every shard where monitors are.
fn announce(
    shards: &Shards,
    clients: &BTreeMap<u64, usize>,
) -> impl Future<Output = Answers<()>> + use<> {
    let at: Arc<BTreeSet<usize>> = Arc::new(clients.values().copied().collect());
    shards.ask_all(move |done| ShardMessage::Monitoring { shards: Arc::clone(&at), done })
}

//! What is counted for the page of metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use codis_proto::meta::v1::command::Change;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use crate::node::{Event, Node};

/// Changes of the state since this process started.
#[derive(Debug, Default)]
pub(in crate::server) struct Counters {
    /// All.
    pub(super) changes: AtomicU64,
    /// Of them those that gather proxies' acknowledgements.
    pub(super) acks: AtomicU64,
}

impl Counters {
    /// Counts until `tasks` is dropped.
    pub(in crate::server) fn start(node: &Node, tasks: &mut JoinSet<()>) -> Arc<Self> {
        let counters = Arc::new(Self::default());
        let (counting, mut events) = (Arc::clone(&counters), node.events());
        tasks.spawn(async move {
            loop {
                match events.recv().await {
                    Ok(event) => counting.count(&event),
                    Err(RecvError::Lagged(missed)) => {
                        counting.changes.fetch_add(missed, Ordering::Relaxed);
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        });
        counters
    }

    fn count(&self, event: &Event) {
        let Event::Accepted(accepted) = event else { return };
        self.changes.fetch_add(1, Ordering::Relaxed);
        if matches!(accepted.command.change, Some(Change::ProxyAck(_))) {
            self.acks.fetch_add(1, Ordering::Relaxed);
        }
    }
}

//! The task that puts the newest topology in force.

use super::Received;
use crate::control::state::State;
use std::sync::Arc;
use tokio::sync::watch;
use tracing::info;

/// Installs each newest topology on every shard.
pub(super) async fn install(state: Arc<State>, mut received: watch::Receiver<Option<Received>>) {
    // What came before there were shards.
    received.mark_changed();
    while received.changed().await.is_ok() {
        let newest = received.borrow_and_update().clone();
        let Some(Received { topology, .. }) = newest else { continue };
        if topology.epoch > state.topology().epoch {
            info!("works by the topology of epoch {}", topology.epoch);
            state.install_topology(topology);
        }
    }
}

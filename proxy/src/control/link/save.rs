//! The task that keeps the newest topology on the disk.

use super::{Received, Shared};
use crate::saved::{DataDir, SavedError, SavedTopology};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::spawn_blocking;
use tracing::{error, info};

/// How long to wait before a write that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Writes each newest topology, and says to the acknowledgements how far it came.
pub(super) async fn keep(dir: Arc<DataDir>, product: String, shared: Arc<Shared>) {
    let mut received = shared.received.subscribe();
    let mut failing = String::new();
    while received.changed().await.is_ok() {
        let Some(newest) = received.borrow_and_update().clone() else { continue };
        let epoch = newest.topology.epoch;
        match write(Arc::clone(&dir), product.clone(), newest).await {
            Ok(()) => {
                shared.acks.saved(epoch);
                if !std::mem::take(&mut failing).is_empty() {
                    info!("the topology is saved again, at epoch {epoch}");
                }
            }
            Err(error) => {
                if failing != error {
                    error!(
                        "the topology of epoch {epoch} cannot be saved: {error}; the proxy works by it, but \
                         moves of slots and changes of masters wait for this: free some space in {}, or \
                         make it writable",
                        dir.topology_path().display()
                    );
                    failing = error;
                }
                tokio::time::sleep(RETRY_PAUSE).await;
                received.mark_changed();
            }
        }
    }
}

async fn write(dir: Arc<DataDir>, product: String, newest: Received) -> Result<(), String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let saved = SavedTopology {
        cluster: newest.cluster,
        product,
        saved_unix_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        topology: Arc::unwrap_or_clone(newest.sent),
    };
    let written = spawn_blocking(move || dir.save(saved)).await;
    written.map_err(|ended| ended.to_string())?.map_err(|error: SavedError| error.to_string())
}

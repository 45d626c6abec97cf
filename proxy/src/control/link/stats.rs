//! The counters that the group is sent each second.

use super::Shared;
use crate::control::http::pages::Stats;
use crate::control::state::State;
use codis_proto::link::v1 as wire;
use std::sync::Arc;
use std::time::Duration;

/// How often counters are sent.
const PERIOD: Duration = Duration::from_secs(1);

/// Counts each second while the stream is open. Nothing is counted while it is not: nobody would see it.
pub(super) async fn report(state: Arc<State>, shared: Arc<Shared>) {
    let mut status = shared.status.subscribe();
    while status.wait_for(|status| status.connected).await.is_ok() {
        let stats = count(&state).await;
        shared.stats.send_replace(Some(stats));
        tokio::time::sleep(PERIOD).await;
    }
}

async fn count(state: &State) -> wire::Stats {
    let snapshot = state.sample().await;
    let stats = Stats::of(state, &snapshot, true);
    wire::Stats {
        ops_total: stats.ops.total,
        ops_fails: stats.ops.fails,
        redis_errors: stats.ops.redis.errors,
        ops_per_second: stats.ops.qps,
        sessions_total: stats.sessions.total,
        sessions_alive: stats.sessions.alive,
        resident_bytes: stats.rusage.mem,
        // What is serialised has text for keys and no number that JSON lacks.
        page: serde_json::to_vec(&stats).unwrap_or_default(),
    }
}

//! `/healthz`: whether this proxy should get traffic.

use super::super::state::{Snapshot, State};
use super::json;
use crate::stats::BackendState;
use crate::topology::SlotState;
use axum::extract;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;

/// The page. Slots without a group and servers that are down are shown, but another proxy would not
/// serve them better, so they do not make this one unhealthy.
#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    /// Why the proxy should get no traffic; empty when it should.
    reasons: Vec<String>,
    shards: usize,
    shards_answering: usize,
    topology_epoch: u64,
    slots_offline: usize,
    slots_locked: usize,
    backends: usize,
    /// Servers to which no connection works.
    backends_down: Vec<Down>,
}

/// A server that does not work.
#[derive(Debug, Serialize)]
struct Down {
    addr: String,
    group: u32,
    role: &'static str,
    error: String,
}

/// `GET /healthz`: 200, or 503 with the reasons.
pub(super) async fn healthz(extract::State(state): extract::State<Arc<State>>) -> Response {
    let health = health(&state, &state.snapshot().await);
    let healthy = health.reasons.is_empty();
    json(if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &health)
}

fn health(state: &State, snapshot: &Snapshot) -> Health {
    let mut reasons: Vec<String> = snapshot.missing.iter().map(ToString::to_string).collect();
    if state.is_draining() {
        reasons.push("the proxy was told to end and takes no new sessions".into());
    }
    let slots = &snapshot.topology.slots;
    let works = |state| matches!(state, BackendState::Ready | BackendState::Idle);
    let down = snapshot.totals.servers.iter().filter(|(_, server)| {
        let working = super::super::totals::STATES.iter().filter(|(state, _)| works(*state));
        server.in_state(BackendState::Down) > 0
            && working.map(|(state, _)| server.in_state(*state)).sum::<u64>() == 0
    });
    Health {
        status: if reasons.is_empty() { "ok" } else { "failing" },
        reasons,
        shards: state.shards.len(),
        shards_answering: snapshot.shards.len(),
        topology_epoch: snapshot.topology.epoch,
        slots_offline: slots.iter().filter(|slot| slot.state == SlotState::Offline).count(),
        slots_locked: slots.iter().filter(|slot| slot.locked).count(),
        backends: snapshot.totals.servers.len(),
        backends_down: down
            .map(|(key, server)| Down {
                addr: key.address.clone(),
                group: key.group,
                role: key.role(),
                error: server.last_error.clone(),
            })
            .collect(),
    }
}

//! `/metrics`: all counters for Prometheus.
//!
//! How many series there are is bounded: by the shards, the commands that the proxy knows, the servers of
//! the topology, and the reasons in the code. No label holds anything that a client sends.

use super::super::facts::{CODIS_VERSION, REDIS_COMPATIBLE_VERSION};
use super::super::state::{Snapshot, State};
use super::super::totals::{STATES, ServerTotals, shard_ops};
use super::exposition::{Exposition, Kind};
use crate::stats::{CommandStats, ShardStats};
use crate::topology::SlotState;
use axum::extract;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// A family with one sample for each `T`.
struct Row<T> {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    value: fn(&T) -> f64,
}

const fn counter<T>(name: &'static str, help: &'static str, value: fn(&T) -> f64) -> Row<T> {
    Row { name, kind: Kind::Counter, help, value }
}

const fn gauge<T>(name: &'static str, help: &'static str, value: fn(&T) -> f64) -> Row<T> {
    Row { name, kind: Kind::Gauge, help, value }
}

static BY_SHARD: &[Row<ShardStats>] = &[
    gauge("codis_shard_core", "The core that the shard is pinned to.", |s| s.core as f64),
    gauge("codis_shard_epoch", "The epoch of the shard's topology.", |s| s.epoch as f64),
    gauge("codis_sessions_alive", "Client connections open now.", |s| s.sessions_alive as f64),
    gauge(
        "codis_sessions_blocked",
        "Clients that block until a server has something for them.",
        |s| s.sessions_blocked as f64,
    ),
    gauge(
        "codis_dedicated_connections",
        "Server connections that are one session's own for a while.",
        |s| s.dedicated_connections as f64,
    ),
    counter("codis_sessions_opened_total", "Client connections accepted.", |s| {
        s.sessions_total as f64
    }),
    counter("codis_shard_commands_total", "Requests answered.", |s| shard_ops(s) as f64),
    counter("codis_client_received_bytes_total", "Bytes read from clients.", |s| {
        s.client_bytes_in as f64
    }),
    counter("codis_client_sent_bytes_total", "Bytes sent to clients.", |s| {
        s.client_bytes_out as f64
    }),
    gauge("codis_client_output_bytes", "Bytes waiting to be sent to clients.", |s| {
        s.client_output_bytes as f64
    }),
    counter("codis_protocol_errors_total", "Protocol errors made by clients.", |s| {
        s.protocol_errors as f64
    }),
    counter("codis_moves_requests_waited_total", "Requests that waited for their keys.", |s| {
        s.moves.requests_waited as f64
    }),
    counter("codis_moves_keys_asked_total", "Keys that a source was asked to move.", |s| {
        s.moves.keys_asked as f64
    }),
    counter("codis_moves_keys_moved_total", "Keys moved because requests named them.", |s| {
        s.moves.keys_moved as f64
    }),
    counter("codis_moves_failures_total", "Keys that could not be moved.", |s| {
        s.moves.failures as f64
    }),
    gauge("codis_pubsub_channels", "Channels that clients are subscribed to.", |s| {
        s.pubsub.channels as f64
    }),
    gauge("codis_pubsub_patterns", "Patterns that clients are subscribed to.", |s| {
        s.pubsub.patterns as f64
    }),
    gauge("codis_pubsub_shard_channels", "Shard channels that clients are subscribed to.", |s| {
        s.pubsub.shard_channels as f64
    }),
    counter("codis_pubsub_received_total", "Messages that came from servers.", |s| {
        s.pubsub.received as f64
    }),
    counter("codis_pubsub_delivered_total", "Messages that clients were sent.", |s| {
        s.pubsub.delivered as f64
    }),
    counter(
        "codis_pubsub_reconnects_total",
        "Connections for messages made again; what was published in between was missed.",
        |s| s.pubsub.reconnects as f64,
    ),
    counter("codis_shard_turns_total", "Turns of the shard's ring.", |s| s.turns as f64),
    counter("codis_shard_cpu_user_seconds_total", "CPU time of the shard in user space.", |s| {
        s.cpu_user_us as f64 / 1e6
    }),
    counter("codis_shard_cpu_system_seconds_total", "CPU time of the shard in the kernel.", |s| {
        s.cpu_system_us as f64 / 1e6
    }),
];

static BY_COMMAND: &[Row<CommandStats>] = &[
    counter("codis_command_calls_total", "Requests answered.", |c| c.calls as f64),
    counter("codis_command_rejected_total", "Requests refused before they ran.", |c| {
        c.rejected as f64
    }),
    counter("codis_command_errors_total", "Error replies that a server gave.", |c| c.errors as f64),
    counter("codis_command_fails_total", "Requests that failed in the proxy.", |c| c.fails as f64),
];

static BY_SERVER: &[Row<ServerTotals>] = &[
    counter("codis_backend_requests_total", "Requests sent to the server.", |b| b.requests as f64),
    gauge("codis_backend_in_flight", "Requests that wait for the server's reply.", |b| {
        b.in_flight as f64
    }),
    gauge("codis_backend_output_bytes", "Bytes waiting to be sent to the server.", |b| {
        b.output_bytes as f64
    }),
    counter("codis_backend_received_bytes_total", "Bytes read from the server.", |b| {
        b.bytes_in as f64
    }),
    counter("codis_backend_sent_bytes_total", "Bytes sent to the server.", |b| b.bytes_out as f64),
    counter("codis_backend_errors_total", "Error replies of any kind.", |b| b.errors as f64),
    counter("codis_backend_loading_total", "LOADING replies.", |b| b.loading as f64),
    counter("codis_backend_masterdown_total", "MASTERDOWN replies.", |b| b.masterdown as f64),
    counter("codis_backend_readonly_total", "READONLY replies.", |b| b.readonly as f64),
    counter("codis_backend_connects_total", "Connections made.", |b| b.connects as f64),
    counter(
        "codis_backend_failures_total",
        "Failed attempts to connect, and lost connections.",
        |b| b.failures as f64,
    ),
    counter(
        "codis_backend_timeouts_total",
        "Connections lost as a reply did not come in time.",
        |b| b.timeouts as f64,
    ),
    gauge("codis_backend_ping_seconds", "The slowest of the newest PINGs.", |b| {
        f64::from(b.ping_us) / 1e6
    }),
];

/// `GET /metrics`
pub(super) async fn metrics(extract::State(state): extract::State<Arc<State>>) -> Response {
    let page = page(&state, &state.snapshot().await);
    ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
}

fn page(state: &State, snapshot: &Snapshot) -> String {
    let mut page = Exposition::new();
    process(&mut page, state, snapshot);
    slots(&mut page, snapshot);
    link(&mut page, snapshot);
    shards(&mut page, snapshot);
    commands(&mut page, snapshot);
    servers(&mut page, snapshot);
    page.finish()
}

fn process(page: &mut Exposition, state: &State, snapshot: &Snapshot) {
    let (facts, process) = (&state.facts, &snapshot.process);
    page.family("codis_info", Kind::Gauge, "Always 1; the labels say what runs.");
    let labels = [
        ("version", CODIS_VERSION),
        ("redis_version", REDIS_COMPATIBLE_VERSION),
        ("product", &snapshot.config.product_name),
        ("token", &facts.token),
    ];
    page.sample("codis_info", &labels, 1);
    let started = facts.started.unix_timestamp();
    let name = "codis_start_time_seconds";
    page.single(name, Kind::Gauge, "When the process started, since 1970.", started);
    let name = "codis_draining";
    let draining = u8::from(state.is_draining());
    page.single(name, Kind::Gauge, "1 once the proxy was told to end.", draining);
    let name = "codis_process_cpu_user_seconds_total";
    let seconds = process.cpu_user.as_secs_f64();
    page.single(name, Kind::Counter, "CPU time of the process in user space.", seconds);
    let name = "codis_process_cpu_system_seconds_total";
    let seconds = process.cpu_system.as_secs_f64();
    page.single(name, Kind::Counter, "CPU time of the process in the kernel.", seconds);
    let name = "codis_process_resident_memory_bytes";
    page.single(name, Kind::Gauge, "Memory held by the process.", process.resident_bytes);
    let name = "codis_log_lines_lost_total";
    let lost = state.log.lost_lines();
    page.single(name, Kind::Counter, "Lines of the log that could not be written.", lost);
    let name = "codis_sessions_max";
    let most = snapshot.config.proxy_max_clients;
    page.single(name, Kind::Gauge, "The most client connections at a time.", most);
}

fn slots(page: &mut Exposition, snapshot: &Snapshot) {
    let topology = &snapshot.topology;
    page.single("codis_topology_epoch", Kind::Gauge, "The epoch in force.", topology.epoch);
    let name_of = |state: &SlotState| match state {
        SlotState::Offline => "offline",
        SlotState::Stable(_) => "stable",
        SlotState::Preparing { .. } => "preparing",
        SlotState::Migrating { .. } => "migrating",
    };
    page.family("codis_slots", Kind::Gauge, "Slots in each state.");
    for name in ["offline", "stable", "preparing", "migrating"] {
        let count = topology.slots.iter().filter(|slot| name_of(&slot.state) == name).count();
        page.sample("codis_slots", &[("state", name)], count);
    }
    let locked = topology.slots.iter().filter(|slot| slot.locked).count();
    page.single("codis_slots_locked", Kind::Gauge, "Slots whose requests wait.", locked);
}

/// Only where a metadata group is followed: without one there is nothing to alert on.
fn link(page: &mut Exposition, snapshot: &Snapshot) {
    let Some(link) = &snapshot.link else { return };
    let connected = u8::from(link.connected);
    let help = "Whether the stream to the metadata group is open.";
    page.single("codis_meta_connected", Kind::Gauge, help, connected);
    let help = "The newest epoch that the metadata group sent.";
    page.single("codis_meta_epoch", Kind::Gauge, help, link.epoch);
    let help = "The newest epoch that was acknowledged to the metadata group.";
    page.single("codis_meta_acked_epoch", Kind::Gauge, help, link.acked_epoch);
}

fn shards(page: &mut Exposition, snapshot: &Snapshot) {
    page.family("codis_shard_up", Kind::Gauge, "Whether the shard answered in time.");
    let up = snapshot.shards.iter().map(|shard| (shard.shard, 1));
    for (shard, up) in up.chain(snapshot.missing.iter().map(|missing| (missing.shard(), 0))) {
        page.sample("codis_shard_up", &[("shard", &shard.to_string())], up);
    }
    for row in BY_SHARD {
        page.family(row.name, row.kind, row.help);
        for shard in &snapshot.shards {
            let label = shard.shard.to_string();
            page.sample(row.name, &[("shard", &label)], (row.value)(shard));
        }
    }
    let name = "codis_sessions_cut_total";
    page.family(name, Kind::Counter, "Sessions closed by a limit or a timeout.");
    for shard in &snapshot.shards {
        let label = shard.shard.to_string();
        for (reason, count) in &shard.sessions_cut {
            page.sample(name, &[("shard", &label), ("reason", reason)], count);
        }
    }
}

fn commands(page: &mut Exposition, snapshot: &Snapshot) {
    let commands = &snapshot.totals.commands;
    for row in BY_COMMAND {
        page.family(row.name, row.kind, row.help);
        for (name, stats) in commands {
            page.sample(row.name, &[("command", name)], (row.value)(stats));
        }
    }
    let name = "codis_command_duration_seconds";
    let help = "From the last byte of the request read to the last byte of the reply read.";
    page.family(name, Kind::Histogram, help);
    for (command, stats) in commands {
        page.histogram(name, ("command", command), &stats.latency);
    }
}

fn servers(page: &mut Exposition, snapshot: &Snapshot) {
    let servers: Vec<_> = snapshot.totals.servers.iter().collect();
    let groups: Vec<String> = servers.iter().map(|(key, _)| key.group.to_string()).collect();
    let labels: Vec<[(&str, &str); 3]> = servers
        .iter()
        .zip(&groups)
        .map(|((key, _), group)| {
            [("backend", key.address.as_str()), ("group", group), ("role", key.role())]
        })
        .collect();
    for row in BY_SERVER {
        page.family(row.name, row.kind, row.help);
        for ((_, server), labels) in servers.iter().zip(&labels) {
            page.sample(row.name, labels, (row.value)(server));
        }
    }
    let name = "codis_backend_connections";
    page.family(name, Kind::Gauge, "Connections to the server in each state.");
    for ((_, server), [backend, group, role]) in servers.iter().zip(&labels) {
        for (state, _name) in STATES {
            let labels = [*backend, *group, *role, ("state", _name)];
            page.sample(name, &labels, server.in_state(state));
        }
    }
}

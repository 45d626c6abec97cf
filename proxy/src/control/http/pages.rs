//! Codis's JSON pages and calls, with its keys, meanings and statuses.

use super::super::facts::{CODIS_VERSION, Model, hex, time_text};
use super::super::fillslots;
use super::super::link;
use super::super::state::{Snapshot, State};
use super::super::totals::{STATES, shard_ops};
use super::{BODY_BYTES_MAX, BODY_TIMEOUT, json};
use crate::topology::slots_to_json;
use axum::body::{Body, to_bytes};
use axum::extract::{self, Path};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;

/// The state as handlers get it.
type Shared = extract::State<Arc<State>>;

/// A bit of Codis's flags for stats: with counters by command.
const FLAG_COMMANDS: u32 = 1;

/// Every flag.
const FLAGS_ALL: u32 = u32::MAX;

/// Codis's status for an error, which its clients look for.
const STATUS_ERROR: u16 = 800;

/// `/proxy`
#[derive(Serialize)]
struct Overview<'a> {
    version: &'static str,
    compile: String,
    config: Value,
    model: Model<'a>,
    stats: Stats,
    slots: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<&'a link::Status>,
}

/// Codis's stats of a proxy; `shards`, `missing` and `servers` are our own.
#[derive(Serialize)]
pub(in super::super) struct Stats {
    pub(in super::super) online: bool,
    closed: bool,
    pub(in super::super) ops: Ops,
    pub(in super::super) sessions: Sessions,
    pub(in super::super) rusage: Rusage,
    backend: Backend,
    shards: Vec<Shard>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<String>,
}

#[derive(Serialize)]
pub(in super::super) struct Ops {
    pub(in super::super) total: u64,
    pub(in super::super) fails: u64,
    pub(in super::super) redis: RedisErrors,
    pub(in super::super) qps: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cmd: Vec<Command>,
}

#[derive(Serialize)]
pub(in super::super) struct RedisErrors {
    pub(in super::super) errors: u64,
}

#[derive(Serialize)]
struct Command {
    opstr: String,
    calls: u64,
    usecs: u64,
    usecs_percall: u64,
    fails: u64,
    redis_errtype: u64,
}

#[derive(Serialize)]
pub(in super::super) struct Sessions {
    pub(in super::super) total: u64,
    pub(in super::super) alive: u64,
}

#[derive(Serialize)]
pub(in super::super) struct Rusage {
    now: String,
    pub(in super::super) cpu: f64,
    pub(in super::super) mem: u64,
    raw: RawUsage,
}

/// Times in nanoseconds, sizes in bytes.
#[derive(Serialize)]
struct RawUsage {
    utime: u128,
    stime: u128,
    cutime: u128,
    cstime: u128,
    num_threads: u64,
    vm_size: u64,
    vm_rss: u64,
}

#[derive(Serialize)]
struct Backend {
    primary_only: bool,
    servers: Vec<Server>,
}

#[derive(Serialize)]
struct Server {
    addr: String,
    group_id: u32,
    role: &'static str,
    connections: serde_json::Map<String, Value>,
    requests: u64,
    in_flight: u64,
    errors: u64,
    failures: u64,
    timeouts: u64,
    ping_usecs: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    last_error: String,
}

#[derive(Serialize)]
struct Shard {
    id: usize,
    core: usize,
    epoch: u64,
    ops_total: u64,
    sessions_total: u64,
    sessions_alive: u64,
    cpu_user_usecs: u64,
    cpu_system_usecs: u64,
}

impl Stats {
    /// What `snapshot` says, with counters by command if `with_commands`.
    pub(in super::super) fn of(state: &State, snapshot: &Snapshot, with_commands: bool) -> Self {
        let totals = &snapshot.totals;
        let draining = state.is_draining();
        Self {
            online: !draining,
            closed: draining,
            ops: Ops {
                total: totals.ops(),
                fails: totals.sum(|stats| stats.fails),
                redis: RedisErrors { errors: totals.sum(|stats| stats.errors) },
                qps: snapshot.rates.ops.round() as u64,
                cmd: if with_commands { commands(snapshot) } else { Vec::new() },
            },
            sessions: Sessions { total: totals.sessions_total, alive: totals.sessions_alive },
            rusage: rusage(snapshot),
            backend: Backend {
                primary_only: snapshot.config.backend_primary_only,
                servers: servers(snapshot),
            },
            shards: shards(snapshot),
            missing: snapshot.missing.iter().map(ToString::to_string).collect(),
        }
    }
}

fn commands(snapshot: &Snapshot) -> Vec<Command> {
    let commands = snapshot.totals.commands.iter().map(|(name, stats)| Command {
        opstr: name.to_ascii_uppercase(),
        calls: stats.calls,
        usecs: stats.latency.sum_us,
        usecs_percall: stats.latency.sum_us / stats.calls.max(1),
        fails: stats.fails,
        redis_errtype: stats.errors,
    });
    commands.collect()
}

fn rusage(snapshot: &Snapshot) -> Rusage {
    let process = &snapshot.process;
    Rusage {
        now: time_text(OffsetDateTime::now_utc()),
        cpu: snapshot.rates.cpu,
        mem: process.resident_bytes,
        raw: RawUsage {
            utime: process.cpu_user.as_nanos(),
            stime: process.cpu_system.as_nanos(),
            cutime: process.children_user.as_nanos(),
            cstime: process.children_system.as_nanos(),
            num_threads: process.threads,
            vm_size: process.virtual_bytes,
            vm_rss: process.resident_bytes,
        },
    }
}

fn servers(snapshot: &Snapshot) -> Vec<Server> {
    let servers = snapshot.totals.servers.iter().map(|(key, server)| Server {
        addr: key.address.clone(),
        group_id: key.group,
        role: key.role(),
        connections: STATES
            .iter()
            .zip(server.states)
            .map(|((_, name), count)| ((*name).to_owned(), Value::from(count)))
            .collect(),
        requests: server.requests,
        in_flight: server.in_flight,
        errors: server.errors,
        failures: server.failures,
        timeouts: server.timeouts,
        ping_usecs: server.ping_us,
        last_error: server.last_error.clone(),
    });
    servers.collect()
}

fn shards(snapshot: &Snapshot) -> Vec<Shard> {
    let shards = snapshot.shards.iter().map(|shard| Shard {
        id: shard.shard,
        core: shard.core,
        epoch: shard.epoch,
        ops_total: shard_ops(shard),
        sessions_total: shard.sessions_total,
        sessions_alive: shard.sessions_alive,
        cpu_user_usecs: shard.cpu_user_us,
        cpu_system_usecs: shard.cpu_system_us,
    });
    shards.collect()
}

/// The whole `/proxy` page, which is also what `metrics_report_server` gets.
pub(in super::super) fn overview_json(
    state: &State,
    snapshot: &Snapshot,
) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&overview_of(state, snapshot))
}

fn overview_of<'a>(state: &'a State, snapshot: &'a Snapshot) -> Overview<'a> {
    Overview {
        version: CODIS_VERSION,
        compile: format!("rust, {}-{}", std::env::consts::OS, std::env::consts::ARCH),
        config: snapshot.config.to_json(),
        model: state.facts.model(&snapshot.config),
        stats: Stats::of(state, snapshot, true),
        slots: slots_to_json(&snapshot.topology),
        meta: snapshot.link.as_ref(),
    }
}

/// `GET /proxy`
pub(super) async fn overview(extract::State(state): Shared) -> Response {
    let snapshot = state.snapshot().await;
    json(StatusCode::OK, &overview_of(&state, &snapshot))
}

/// `GET /proxy/model`
pub(super) async fn model(extract::State(state): Shared) -> Response {
    json(StatusCode::OK, &state.facts.model(&state.config()))
}

/// `GET /proxy/stats`
pub(super) async fn stats(extract::State(state): Shared) -> Response {
    stats_page(&state, FLAGS_ALL).await
}

async fn stats_page(state: &Arc<State>, flags: u32) -> Response {
    let snapshot = state.snapshot().await;
    json(StatusCode::OK, &Stats::of(state, &snapshot, flags & FLAG_COMMANDS != 0))
}

/// `GET /proxy/slots`
pub(super) async fn slots(extract::State(state): Shared) -> Response {
    json(StatusCode::OK, &slots_to_json(&state.topology()))
}

/// `GET /api/proxy/xping/{xauth}`
pub(super) async fn xping(state: Shared, Path(xauth): Path<String>) -> Response {
    match verify(&state, &xauth) {
        Ok(()) => done(),
        Err(refused) => refused,
    }
}

/// `GET /api/proxy/stats/{xauth}`: without counters by command, as Codis.
pub(super) async fn stats_with_xauth(state: Shared, Path(xauth): Path<String>) -> Response {
    match verify(&state, &xauth) {
        Ok(()) => stats_page(&state, 0).await,
        Err(refused) => refused,
    }
}

/// `GET /api/proxy/stats/{xauth}/{flags}`
pub(super) async fn stats_with_flags(
    state: Shared,
    Path((xauth, flags)): Path<(String, String)>,
) -> Response {
    if let Err(refused) = verify(&state, &xauth) {
        return refused;
    }
    match flags.parse() {
        Ok(flags) => stats_page(&state, flags).await,
        Err(_) => {
            failure(&format!("\"{flags}\" is not a number of flags; 1 adds counters by command"))
        }
    }
}

/// `GET /api/proxy/slots/{xauth}`
pub(super) async fn slots_with_xauth(state: Shared, Path(xauth): Path<String>) -> Response {
    match verify(&state, &xauth) {
        Ok(()) => slots(state).await,
        Err(refused) => refused,
    }
}

/// `PUT /api/proxy/start/{xauth}`: a proxy is online from its start, so there is nothing left to do.
pub(super) async fn start(state: Shared, xauth: Path<String>) -> Response {
    xping(state, xauth).await
}

/// `PUT /api/proxy/stats/reset/{xauth}`
pub(super) async fn reset_stats(state: Shared, Path(xauth): Path<String>) -> Response {
    if let Err(refused) = verify(&state, &xauth) {
        return refused;
    }
    tracing::warn!("the counters were set to zero through the admin pages");
    state.reset_stats();
    done()
}

/// `PUT /api/proxy/shutdown/{xauth}`: ends the proxy as SIGTERM does.
pub(super) async fn shutdown(state: Shared, Path(xauth): Path<String>) -> Response {
    if let Err(refused) = verify(&state, &xauth) {
        return refused;
    }
    tracing::warn!("the proxy was told to end through the admin pages");
    state.end();
    done()
}

/// `PUT /api/proxy/loglevel/{xauth}/{level}`
pub(super) async fn log_level(
    state: Shared,
    Path((xauth, level)): Path<(String, String)>,
) -> Response {
    if let Err(refused) = verify(&state, &xauth) {
        return refused;
    }
    match level.parse() {
        Ok(level) => {
            state.log.set_level(level);
            tracing::warn!("the log's level was set to {level} through the admin pages");
            done()
        }
        Err(error) => failure(&format!("level \"{level}\": {error}")),
    }
}

/// `PUT /api/proxy/fillslots/{xauth}`: the body is a list of slots to change.
pub(super) async fn fill_slots(state: Shared, Path(xauth): Path<String>, body: Body) -> Response {
    if let Err(refused) = verify(&state, &xauth) {
        return refused;
    }
    if state.link().is_some() {
        return failure(
            "this proxy follows a metadata group, which says what slots are where: change them there, by codis-admin",
        );
    }
    let slots = match read_body(body).await {
        Ok(slots) => slots,
        Err(error) => return failure(&error),
    };
    match fillslots::merge(&state.topology(), &slots) {
        Ok(topology) => {
            tracing::warn!("slots were filled through the admin pages: epoch {}", topology.epoch);
            state.install_topology(topology);
            done()
        }
        Err(error) => failure(&error),
    }
}

/// Reads a body of UTF-8, within the limits.
async fn read_body(body: Body) -> Result<String, String> {
    let read = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES_MAX)).await;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            return Err(format!("cannot read the body (at most {BODY_BYTES_MAX} bytes): {error}"));
        }
        Err(_elapsed) => return Err(format!("the body did not come within {BODY_TIMEOUT:?}")),
    };
    String::from_utf8(bytes.into()).map_err(|error| format!("the body is not UTF-8: {error}"))
}

/// Codis's answer to a call that worked.
fn done() -> Response {
    json(StatusCode::OK, &"OK")
}

/// Codis's answer to a call that failed.
fn failure(cause: &str) -> Response {
    let status = StatusCode::from_u16(STATUS_ERROR).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json(status, &serde_json::json!({ "Cause": cause, "Stack": null }))
}

/// Whether `given` is the xauth of this proxy; the answer to send where it is not.
#[expect(clippy::result_large_err, reason = "the error is the answer, made once for a request")]
fn verify(state: &State, given: &str) -> Result<(), Response> {
    let config = state.config();
    let product_auth = config.product_auth.expose();
    let right = xauth(&[&config.product_name, product_auth, &state.facts.token]);
    if right.as_bytes().ct_eq(given.as_bytes()).into() {
        return Ok(());
    }
    Err(failure("invalid xauth, please check product name & auth"))
}

/// Codis's proof that a caller knows the product's name and password, and the proxy's token.
pub(in super::super) fn xauth(segments: &[&str]) -> String {
    let mut hash = Sha256::new();
    hash.update("Codis-XAuth");
    for segment in segments {
        hash.update(format!("-[{segment}]"));
    }
    hex(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_xauth_is_the_first_half_of_a_hash_over_the_segments_in_brackets() {
        // printf 'Codis-XAuth-[codis-demo]-[secret]-[token]' | sha256sum | cut -c1-32
        assert_eq!(xauth(&["codis-demo", "secret", "token"]), "50debcc96c30473b86fc626959d13cb8");
    }
}

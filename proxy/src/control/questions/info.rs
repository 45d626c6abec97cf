//! `INFO`: the fields of Redis where their meaning is the same, and sections of our own.

use super::super::facts::CODIS_VERSION;
use super::super::process::Process;
use super::super::state::{Snapshot, State};
use super::super::totals::{STATES, percentile_us};
use super::{Refusal, is, reply};
use crate::clients::CUT_MAX_CLIENTS;
use crate::slots::SLOT_COUNT;
use crate::stats::CommandStats;
use crate::topology::SlotState;
use std::fmt::{Display, Write};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

/// When a section is shown.
#[derive(PartialEq, Eq)]
enum Shown {
    /// By `INFO` without arguments.
    Always,
    /// By `INFO all`, `INFO everything` or its name.
    OnDemand,
}

/// A section: its name, when it is shown, and what writes its fields.
type Section = (&'static str, Shown, fn(&mut Fields, &State, &Snapshot));

/// Every section, in the order in which they are shown.
static SECTIONS: &[Section] = &[
    ("Server", Shown::Always, server),
    ("Clients", Shown::Always, clients),
    ("Memory", Shown::Always, memory),
    ("Persistence", Shown::Always, persistence),
    ("Stats", Shown::Always, stats),
    ("Replication", Shown::Always, replication),
    ("CPU", Shown::Always, cpu),
    ("Commandstats", Shown::OnDemand, commandstats),
    ("Errorstats", Shown::Always, errorstats),
    ("Latencystats", Shown::OnDemand, latencystats),
    ("Cluster", Shown::Always, cluster),
    ("Proxy", Shown::Always, proxy),
    ("Meta", Shown::Always, meta),
    ("Backends", Shown::Always, backends),
    ("Keyspace", Shown::Always, keyspace),
];

/// `INFO [section ...]`
pub(super) async fn info(
    state: &Arc<State>,
    names: &[Vec<u8>],
    protocol: crate::resp::Protocol,
) -> Result<Vec<u8>, Refusal> {
    let snapshot = state.snapshot().await;
    if let Some(&missing) = snapshot.missing.first() {
        return Err(missing.into());
    }
    let mut fields = Fields(String::with_capacity(4096));
    for (name, shown, write) in SECTIONS {
        if !is_wanted(name, shown, names) {
            continue;
        }
        if !fields.0.is_empty() {
            fields.0.push_str("\r\n");
        }
        let _ = write!(fields.0, "# {name}\r\n");
        write(&mut fields, state, &snapshot);
    }
    Ok(reply::verbatim(&fields.0, protocol))
}

fn is_wanted(name: &str, shown: &Shown, names: &[Vec<u8>]) -> bool {
    let by_default = *shown == Shown::Always;
    let wants = |asked: &Vec<u8>| {
        is(asked, name)
            || is(asked, "all")
            || is(asked, "everything")
            || (by_default && is(asked, "default"))
    };
    if names.is_empty() { by_default } else { names.iter().any(wants) }
}

/// The text of a reply, one `name:value` a line.
struct Fields(String);

impl Fields {
    fn put(&mut self, name: impl Display, value: impl Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    /// A number of bytes, and the same for people.
    fn put_bytes(&mut self, name: &str, bytes: u64) {
        self.put(name, bytes);
        self.put(format_args!("{name}_human"), human(bytes));
    }
}

/// A number of bytes as Redis writes it for people: `1.02M`.
fn human(bytes: u64) -> String {
    let units = [(1_u64 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, letter)) => format!("{:.2}{letter}", bytes as f64 / *unit as f64),
        None => format!("{bytes}B"),
    }
}

fn server(fields: &mut Fields, state: &State, _: &Snapshot) {
    let facts = &state.facts;
    let uptime = facts.uptime_s();
    fields.put("redis_version", &state.config().session_redis_version);
    fields.put("codis_version", CODIS_VERSION);
    fields.put("redis_mode", "standalone");
    fields.put("os", &facts.os);
    fields.put("arch_bits", usize::BITS);
    fields.put("multiplexing_api", "io_uring");
    fields.put("process_id", facts.pid);
    fields.put("run_id", &facts.run_id);
    fields.put("tcp_port", facts.tcp_port());
    fields.put("server_time_usec", OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000);
    fields.put("uptime_in_seconds", uptime);
    fields.put("uptime_in_days", uptime / (24 * 3600));
    fields.put("executable", &facts.executable);
    fields.put("config_file", &facts.config_file);
}

fn clients(fields: &mut Fields, _: &State, snapshot: &Snapshot) {
    fields.put("connected_clients", snapshot.totals.sessions_alive);
    fields.put("maxclients", snapshot.config.proxy_max_clients);
    fields.put("blocked_clients", snapshot.totals.sessions_blocked);
    fields.put("dedicated_connections", snapshot.totals.dedicated_connections);
    fields.put("client_output_bytes", snapshot.totals.output_bytes);
}

fn memory(fields: &mut Fields, _: &State, snapshot: &Snapshot) {
    let Process { resident_bytes, resident_peak_bytes, .. } = snapshot.process;
    let system = rustix::system::sysinfo();
    fields.put_bytes("used_memory", resident_bytes);
    fields.put_bytes("used_memory_rss", resident_bytes);
    fields.put_bytes("used_memory_peak", resident_peak_bytes.max(resident_bytes));
    fields.put_bytes("total_system_memory", system.totalram as u64 * u64::from(system.mem_unit));
    fields.put_bytes("maxmemory", 0);
}

/// The proxy keeps no data; client libraries wait for `loading:0` before they send anything.
fn persistence(fields: &mut Fields, _: &State, _: &Snapshot) {
    fields.put("loading", 0);
    fields.put("async_loading", 0);
}

fn stats(fields: &mut Fields, _: &State, snapshot: &Snapshot) {
    let (totals, rates) = (&snapshot.totals, &snapshot.rates);
    let rejected: u64 = totals.sum(|stats| stats.rejected);
    let errors = rejected + totals.sum(|stats| stats.errors + stats.fails);
    let refused = totals.sessions_cut.get(CUT_MAX_CLIENTS).copied().unwrap_or(0);
    fields.put("total_connections_received", totals.sessions_total);
    fields.put("total_commands_processed", totals.ops());
    fields.put("instantaneous_ops_per_sec", rates.ops.round() as u64);
    fields.put("total_net_input_bytes", totals.bytes_in);
    fields.put("total_net_output_bytes", totals.bytes_out);
    fields.put("instantaneous_input_kbps", format_args!("{:.2}", rates.bytes_in / 1024.0));
    fields.put("instantaneous_output_kbps", format_args!("{:.2}", rates.bytes_out / 1024.0));
    fields.put("rejected_connections", refused);
    fields.put("total_error_replies", errors);
    fields.put("pubsub_channels", totals.pubsub.channels);
    fields.put("pubsub_patterns", totals.pubsub.patterns);
    fields.put("pubsubshard_channels", totals.pubsub.shard_channels);
}

/// To its clients the proxy is a master without replicas: it takes reads and writes.
fn replication(fields: &mut Fields, _: &State, _: &Snapshot) {
    fields.put("role", "master");
    fields.put("connected_slaves", 0);
}

fn cpu(fields: &mut Fields, _: &State, snapshot: &Snapshot) {
    let process = &snapshot.process;
    for (name, time) in [
        ("used_cpu_sys", process.cpu_system),
        ("used_cpu_user", process.cpu_user),
        ("used_cpu_sys_children", process.children_system),
        ("used_cpu_user_children", process.children_user),
    ] {
        fields.put(name, format_args!("{:.6}", time.as_secs_f64()));
    }
}

fn commandstats(fields: &mut Fields, _: &State, snapshot: &Snapshot) {
    for (name, stats) in &snapshot.totals.commands {
        let CommandStats { calls, rejected, errors, fails, latency } = stats;
        let usec = latency.sum_us;
        let each = usec as f64 / (*calls).max(1) as f64;
        fields.put(
            format_args!("cmdstat_{name}"),
            format_args!(
                "calls={calls},usec={usec},usec_per_call={each:.2},rejected_calls={rejected},\
                 failed_calls={}",
                errors + fails
            ),
        );
    }
}

/// Errors of servers that shards tell apart; others are in `total_error_replies` alone.
fn errorstats(fields: &mut Fields, _: &State, snapshot: &Snapshot) {
    let sum = |counter: fn(&super::super::totals::ServerTotals) -> u64| {
        snapshot.totals.servers.values().map(counter).sum::<u64>()
    };
    for (code, count) in [
        ("LOADING", sum(|server| server.loading)),
        ("MASTERDOWN", sum(|server| server.masterdown)),
        ("READONLY", sum(|server| server.readonly)),
    ] {
        if count > 0 {
            fields.put(format_args!("errorstat_{code}"), format_args!("count={count}"));
        }
    }
}

/// Percentiles out of a histogram by powers of two: right to within a factor of two at the worst.
fn latencystats(fields: &mut Fields, _: &State, snapshot: &Snapshot) {
    for (name, stats) in &snapshot.totals.commands {
        if stats.latency.count() == 0 {
            continue;
        }
        let [p50, p99, p999] = [50.0, 99.0, 99.9].map(|p| percentile_us(&stats.latency, p));
        fields.put(
            format_args!("latency_percentiles_usec_{name}"),
            format_args!("p50={p50:.3},p99={p99:.3},p99.9={p999:.3}"),
        );
    }
}

fn cluster(fields: &mut Fields, _: &State, _: &Snapshot) {
    fields.put("cluster_enabled", 0);
}

fn proxy(fields: &mut Fields, state: &State, snapshot: &Snapshot) {
    let (facts, topology, totals) = (&state.facts, &snapshot.topology, &snapshot.totals);
    let in_state = |wanted: fn(&SlotState) -> bool| {
        topology.slots.iter().filter(|slot| wanted(&slot.state)).count()
    };
    fields.put("product_name", &snapshot.config.product_name);
    fields.put("token", &facts.token);
    fields.put("admin_addr", &facts.admin_addr);
    fields.put("proxy_addr", &facts.proxy_addr);
    fields.put("topology_epoch", topology.epoch);
    fields.put("slots", SLOT_COUNT);
    fields.put("slots_stable", in_state(|state| matches!(state, SlotState::Stable(_))));
    fields.put("slots_offline", in_state(|state| matches!(state, SlotState::Offline)));
    fields.put("slots_preparing", in_state(|state| matches!(state, SlotState::Preparing { .. })));
    fields.put("slots_migrating", in_state(|state| matches!(state, SlotState::Migrating { .. })));
    fields.put("slots_locked", topology.slots.iter().filter(|slot| slot.locked).count());
    fields.put("commands_failed", totals.sum(|stats| stats.fails));
    fields.put("protocol_errors", totals.protocol_errors);
    fields.put("moves_requests_waited", totals.moves.requests_waited);
    fields.put("moves_keys_asked", totals.moves.keys_asked);
    fields.put("moves_keys_moved", totals.moves.keys_moved);
    fields.put("moves_failures", totals.moves.failures);
    fields.put("pubsub_messages_received", totals.pubsub.received);
    fields.put("pubsub_messages_delivered", totals.pubsub.delivered);
    fields.put("pubsub_reconnects", totals.pubsub.reconnects);
    for (reason, count) in &totals.sessions_cut {
        fields.put(format_args!("sessions_cut_{}", reason.replace([' ', '-'], "_")), count);
    }
    let cores: Vec<String> = facts.cores.iter().map(usize::to_string).collect();
    fields.put("cores", cores.join(","));
    fields.put("shards", snapshot.shards.len());
    for shard in &snapshot.shards {
        let (user, system) = (shard.cpu_user_us, shard.cpu_system_us);
        fields.put(
            format_args!("shard{}", shard.shard),
            format_args!(
                "core={},epoch={},sessions={},sessions_total={},commands={},turns={},\
                 cpu_user={:.6},cpu_sys={:.6}",
                shard.core,
                shard.epoch,
                shard.sessions_alive,
                shard.sessions_total,
                super::super::totals::shard_ops(shard),
                shard.turns,
                Duration::from_micros(user).as_secs_f64(),
                Duration::from_micros(system).as_secs_f64(),
            ),
        );
    }
}

/// The link to the metadata group.
fn meta(fields: &mut Fields, _: &State, snapshot: &Snapshot) {
    let Some(link) = &snapshot.link else {
        fields.put("meta", "none");
        return;
    };
    fields.put("meta", if link.connected { "connected" } else { "disconnected" });
    fields.put("meta_leader", &link.leader);
    fields.put("meta_epoch", link.epoch);
    fields.put("meta_acked_epoch", link.acked_epoch);
    // One field is one line, whatever a member says.
    fields.put("meta_last_refusal", link.last_refusal.replace(char::is_control, " "));
}

fn backends(fields: &mut Fields, _: &State, snapshot: &Snapshot) {
    fields.put("backends", snapshot.totals.servers.len());
    for (i, (key, server)) in snapshot.totals.servers.iter().enumerate() {
        let mut value = format!("addr={},group={},role={}", key.address, key.group, key.role());
        for ((_, name), count) in STATES.iter().zip(server.states) {
            let _ = write!(value, ",{name}={count}");
        }
        let _ = write!(
            value,
            ",requests={},in_flight={},errors={},failures={},timeouts={},ping_usec={}",
            server.requests,
            server.in_flight,
            server.errors,
            server.failures,
            server.timeouts,
            server.ping_us,
        );
        fields.put(format_args!("backend{i}"), value);
    }
}

/// The keys are in the backends.
fn keyspace(_: &mut Fields, _: &State, _: &Snapshot) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_for_people_as_redis_does() {
        assert_eq!(human(0), "0B");
        assert_eq!(human(1023), "1023B");
        assert_eq!(human(33_792), "33.00K");
        assert_eq!(human(1_065_576), "1.02M");
        assert_eq!(human(25_276_063_744), "23.54G");
    }

    #[test]
    fn a_section_is_shown_by_default_by_its_name_or_by_all() {
        let wanted = |names: &[&str]| {
            let names: Vec<Vec<u8>> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
            let shown = SECTIONS.iter().filter(|(name, shown, _)| is_wanted(name, shown, &names));
            shown.map(|(name, ..)| *name).collect::<Vec<_>>()
        };
        assert!(!wanted(&[]).contains(&"Commandstats"));
        assert_eq!(wanted(&[]), wanted(&["DEFAULT"]));
        assert_eq!(wanted(&["commandSTATS", "server"]), ["Server", "Commandstats"]);
        assert_eq!(wanted(&["all"]).len(), SECTIONS.len());
        assert_eq!(wanted(&["everything"]).len(), SECTIONS.len());
        assert!(wanted(&["nothing"]).is_empty());
    }
}

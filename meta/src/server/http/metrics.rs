//! `/metrics`: what this member knows, for Prometheus.
//!
//! Each member tells of itself and of the state as it has applied it; what only the leader knows (peers, proxies'
//! streams, servers) is there on the leader alone.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use codis_proto::admin::v1::ServerFacts;
use codis_proto::meta::v1 as pb;
use pb::slot_action::Phase;
use pb::{Presence, Slot};

use super::exposition::Kind::{Counter, Gauge};
use super::exposition::Page;
use super::move_metrics;
use super::process::Process;
use crate::node::Gone;
use crate::raft;
use crate::server::serving::{Services, Serving};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is counted of the state.
struct Counts {
    epoch: u64,
    fence_epoch: u64,
    groups: usize,
    leaving: usize,
    slots: BTreeMap<&'static str, u64>,
    proxies: BTreeMap<&'static str, u64>,
    /// How many epochs the last of the online proxies is behind.
    acked_lag: u64,
    /// Group, address and whether it is the master.
    servers: Vec<(u32, String, bool)>,
}

/// `GET /metrics`
pub(super) async fn page(State(services): State<Services>) -> Response {
    let mut page = Page::default();
    write_process(&mut page);
    // A member that has not begun has only its process to tell of.
    if let Ok(serving) = services.begun()
        && let Err(gone) = write_member(&mut page, &serving).await
    {
        return (StatusCode::SERVICE_UNAVAILABLE, gone.to_string()).into_response();
    }
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], page.finish()).into_response()
}

fn write_process(page: &mut Page) {
    let process = Process::read();
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    page.family(Gauge, "codis_meta_info", "This program.", [(version, 1)]);
    let cpu = "Time that this process spent on a core.";
    page.single(Counter, "codis_process_cpu_seconds_total", cpu, process.cpu_s);
    let memory = "Memory that this process holds.";
    page.single(Gauge, "codis_process_resident_memory_bytes", memory, process.resident_bytes);
    page.single(Gauge, "codis_process_threads", "Threads of this process.", process.threads);
}

async fn write_member(page: &mut Page, serving: &Serving) -> Result<(), Gone> {
    let status = serving.node.status().await?;
    let counts = serving.node.peek(|state| count(state.data())).await?;
    write_raft(page, &status);
    write_state(page, &counts);
    let streams = serving.links.count();
    page.single(Gauge, "codis_meta_link_streams", "Open streams of proxies.", streams);
    let changes = serving.counters.changes.load(Ordering::Relaxed);
    let help = "Changes of the state since this process started.";
    page.single(Counter, "codis_meta_changes_total", help, changes);
    let acks = serving.counters.acks.load(Ordering::Relaxed);
    let help = "Of the changes those that gather acknowledgements of proxies.";
    page.single(Counter, "codis_meta_ack_changes_total", help, acks);
    write_servers(page, &counts, &serving.servers.facts());
    if status.role == raft::Role::Leader {
        move_metrics::write(page, &serving.servers.moves());
    }
    Ok(())
}

fn write_raft(page: &mut Page, status: &raft::Status) {
    let flag = u8::from;
    for (name, help, value) in [
        ("id", "This member's id.", status.id),
        ("raft_term", "The term.", status.term),
        ("raft_leader", "The id of the member that leads, 0 where none is known.", status.leader),
        ("raft_committed_index", "The last index known to be committed.", status.committed),
        ("raft_applied_index", "The last index applied to the state.", status.applied),
        ("raft_log_first_index", "The first index in the log.", status.first_index),
        ("raft_log_last_index", "The last index in the log.", status.last_index),
        ("raft_snapshot_index", "The index of the newest image of the state.", status.image_index),
        ("raft_voters", "Members that vote.", status.voters.len() as u64),
        ("raft_learners", "Members that do not.", status.learners.len() as u64),
    ] {
        page.single(Gauge, &format!("codis_meta_{name}"), help, value);
    }
    let leads = status.role == raft::Role::Leader;
    for (name, help, value) in [
        ("raft_has_leader", "Whether a leader is known.", status.leader != 0),
        ("raft_is_leader", "Whether this member leads.", leads),
        ("raft_fault", "Whether this member takes no part, see /healthz.", status.fault.is_some()),
    ] {
        page.single(Gauge, &format!("codis_meta_{name}"), help, flag(value));
    }
    let peer = |id: &u64| vec![("member", id.to_string())];
    let matched = status.progress.iter().map(|(id, progress)| (peer(id), progress.matched));
    let help = "The last index that a member is known to hold; on the leader.";
    page.family(Gauge, "codis_meta_raft_matched_index", help, matched);
    let active = status.progress.iter().map(|(id, progress)| (peer(id), flag(progress.active)));
    let help = "Whether a member was heard from lately; on the leader.";
    page.family(Gauge, "codis_meta_raft_member_active", help, active);
}

fn count(data: &pb::State) -> Counts {
    let mut slots = BTreeMap::from(SLOT_STATES.map(|state| (state, 0)));
    for slot in &data.slots {
        *slots.entry(slot_state(slot)).or_default() += 1;
    }
    let mut proxies = BTreeMap::from(PRESENCES.map(|(_, name)| (name, 0)));
    let mut acked_lag = 0;
    for proxy in data.proxies.values() {
        let name = PRESENCES.iter().find(|(presence, _)| *presence == proxy.presence());
        *proxies.entry(name.map_or("lost", |(_, name)| name)).or_default() += 1;
        if proxy.presence() == Presence::Online {
            acked_lag = acked_lag.max(data.epoch.saturating_sub(proxy.acked_epoch));
        }
    }
    let servers = data.groups.values().flat_map(|group| {
        let numbered = group.servers.iter().enumerate();
        numbered.map(|(place, server)| (group.id, server.address.clone(), place == 0))
    });
    Counts {
        epoch: data.epoch,
        fence_epoch: data.fence_epoch,
        groups: data.groups.len(),
        leaving: data.leaving.len(),
        slots,
        proxies,
        acked_lag,
        servers: servers.collect(),
    }
}

const SLOT_STATES: [&str; 5] = ["offline", "stable", "pending", "preparing", "migrating"];

const PRESENCES: [(Presence, &str); 3] =
    [(Presence::Online, "online"), (Presence::Lost, "lost"), (Presence::Stopped, "stopped")];

/// What state a slot is in; one with an action is in the action's.
fn slot_state(slot: &Slot) -> &'static str {
    match slot.action.as_ref().and_then(|action| action.phase.as_ref()) {
        Some(Phase::Pending(_)) => "pending",
        Some(Phase::Preparing(_)) => "preparing",
        Some(Phase::Migrating(_)) => "migrating",
        None if slot.group == 0 => "offline",
        None => "stable",
    }
}

fn write_state(page: &mut Page, counts: &Counts) {
    for (name, help, value) in [
        ("topology_epoch", "The topology's epoch.", counts.epoch),
        ("fence_epoch", "The epoch of the fence that every master holds.", counts.fence_epoch),
        ("groups", "Groups.", counts.groups as u64),
        (
            "proxies_leaving",
            "Proxies removed by force that are not shut out of every server yet.",
            counts.leaving as u64,
        ),
        (
            "proxies_acked_lag_epochs",
            "How many epochs the last of the online proxies is behind.",
            counts.acked_lag,
        ),
    ] {
        page.single(Gauge, &format!("codis_meta_{name}"), help, value);
    }
    let by = |label: &'static str, counts: &BTreeMap<&'static str, u64>| {
        let sample = |(name, count): (&&str, &u64)| (vec![(label, (*name).to_owned())], *count);
        counts.iter().map(sample).collect::<Vec<_>>()
    };
    page.family(Gauge, "codis_meta_slots", "Slots by state.", by("state", &counts.slots));
    let proxies = by("presence", &counts.proxies);
    page.family(Gauge, "codis_meta_proxies", "Proxies by presence.", proxies);
}

fn write_servers(page: &mut Page, counts: &Counts, facts: &BTreeMap<String, ServerFacts>) {
    let asked = || {
        counts.servers.iter().filter_map(|(gid, address, is_master)| {
            let role = if *is_master { "master" } else { "replica" };
            let labels = vec![
                ("group", gid.to_string()),
                ("server", address.clone()),
                ("wanted", role.to_owned()),
            ];
            Some((labels, facts.get(address)?))
        })
    };
    let up = asked().map(|(labels, facts)| (labels, u8::from(facts.error.is_empty())));
    let help = "Whether a server answers, and what it should be; on the leader.";
    page.family(Gauge, "codis_meta_server_up", help, up);
    let master = asked().map(|(labels, facts)| (labels, u8::from(facts.role == "master")));
    let help = "Whether a server says that it is a master; on the leader.";
    page.family(Gauge, "codis_meta_server_is_master", help, master);
    let memory = asked().map(|(labels, facts)| (labels, facts.used_memory_bytes));
    let help = "Memory that a server uses; on the leader.";
    page.family(Gauge, "codis_meta_server_used_memory_bytes", help, memory);
}

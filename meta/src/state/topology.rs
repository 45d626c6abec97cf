//! What proxies see of the state.

use codis_proto::meta::v1 as pb;
use pb::slot_action::Phase;
use std::collections::BTreeSet;

use super::promotion;
use super::settings::{self, Setting};

/// How long a source waits for the target within a MIGRATE, and so for how long a frozen target can freeze it, once.
pub(crate) const MIGRATE_TIMEOUT_MS: u64 = 500;

/// The topology of `data`, at its epoch.
#[must_use]
pub fn of(data: &pb::State) -> pb::Topology {
    let promoting: BTreeSet<u32> = data
        .groups
        .values()
        .filter(|group| promotion::parks(group))
        .map(|group| group.id)
        .collect();
    pb::Topology {
        epoch: data.epoch,
        groups: data.groups.values().filter_map(group).collect(),
        slots: data.slots.iter().map(|one| slot(one, &promoting)).collect(),
        moves: Some(moves(data)),
        removals: data.removals,
    }
}

/// `None` for a group without a server: no slot can be on it.
fn group(group: &pb::Group) -> Option<pb::TopologyGroup> {
    let (master, others) = group.servers.split_first()?;
    // While the master changes, what the others hold is not known to be of the new or the old.
    let others = if group.promotion.is_some() { &[] } else { others };
    Some(pb::TopologyGroup {
        id: group.id,
        master: master.address.clone(),
        replicas: others.iter().filter(|server| may_serve_reads(server)).map(replica).collect(),
        promoting: promotion::parks(group),
        has_replicas: group.servers.len() > 1,
    })
}

/// A replica that is filled anew, or could not be, has old data or none.
fn may_serve_reads(server: &pb::Server) -> bool {
    let filling = server.sync.as_ref().is_some_and(|sync| sync.running);
    server.replica_reads && !filling && server.sync_failure.is_empty()
}

fn replica(server: &pb::Server) -> pb::TopologyReplica {
    pb::TopologyReplica { address: server.address.clone(), datacenter: server.datacenter.clone() }
}

fn slot(slot: &pb::Slot, promoting: &BTreeSet<u32>) -> pb::TopologySlot {
    let own = slot.group;
    let phase =
        slot.action.as_ref().and_then(|action| Some((action.target, action.phase.as_ref()?)));
    let (kind, from, to) = match phase {
        None | Some((_, Phase::Pending(_))) if own == 0 => (pb::SlotKind::Offline, 0, 0),
        None | Some((_, Phase::Pending(_))) => (pb::SlotKind::Stable, 0, own),
        Some((target, Phase::Preparing(_))) => (pb::SlotKind::Preparing, own, target),
        Some((target, Phase::Migrating(_))) => (pb::SlotKind::Migrating, own, target),
    };
    let locked = promoting.contains(&from) || promoting.contains(&to);
    let migrating_since = match phase {
        Some((_, Phase::Migrating(migrating))) => migrating.epoch,
        _ => 0,
    };
    pb::TopologySlot { kind: kind.into(), from, to, locked, migrating_since }
}

fn moves(data: &pb::State) -> pb::MoveRules {
    let durability = match settings::text(data, Setting::MigrationDurability) {
        "aof" => pb::Durability::Aof,
        "none" => pb::Durability::None,
        _ => pb::Durability::Replica,
    };
    pb::MoveRules {
        timeout_ms: MIGRATE_TIMEOUT_MS,
        durability: durability.into(),
        big_bytes: settings::number(data, Setting::MigrationBigBytes),
        big_elements: settings::number(data, Setting::MigrationBigElements),
        patience_ms: settings::number(data, Setting::BarrierDeadline) / 1000,
        big_patience_ms: settings::number(data, Setting::MigrationTimeout) / 1000,
    }
}

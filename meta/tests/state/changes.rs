//! Short ways to write changes down.

use codis_proto::meta::v1 as pb;
use pb::command::Change;
use pb::{PromoteStep, SlotStep};

pub(crate) const CLUSTER: u64 = 77;

pub(crate) fn product(name: &str) -> Change {
    let (name, cluster) = (name.into(), CLUSTER);
    Change::ProductCreate(pb::ProductCreate { name, cluster, ..Default::default() })
}

pub(crate) fn group(group: u32) -> Change {
    Change::GroupCreate(pb::GroupCreate { group })
}

pub(crate) fn group_remove(group: u32) -> Change {
    Change::GroupRemove(pb::GroupRemove { group })
}

pub(crate) fn server(group: u32, address: &str) -> Change {
    let address = address.into();
    Change::ServerAdd(pb::ServerAdd { group, address, ..Default::default() })
}

pub(crate) fn server_remove(group: u32, address: &str) -> Change {
    Change::ServerRemove(pb::ServerRemove { group, address: address.into() })
}

pub(crate) fn reads(group: u32, address: &str, enabled: bool) -> Change {
    let address = address.into();
    Change::ServerSetReplicaReads(pb::ServerSetReplicaReads { group, address, enabled })
}

fn range(first: u32, last: u32) -> Option<pb::SlotRange> {
    Some(pb::SlotRange { first, last })
}

pub(crate) fn assign(first: u32, last: u32, group: u32) -> Change {
    Change::SlotsAssign(pb::SlotsAssign { slots: range(first, last), group })
}

pub(crate) fn offline(first: u32, last: u32) -> Change {
    Change::SlotsOffline(pb::SlotsOffline { slots: range(first, last) })
}

pub(crate) fn action(first: u32, last: u32, target: u32) -> Change {
    let slots = range(first, last);
    Change::SlotActionCreate(pb::SlotActionCreate { slots, target, ..Default::default() })
}

/// Slots of any number that are on `from`, `count` of them if that is not 0.
pub(crate) fn action_from(from: u32, target: u32, count: u32) -> Change {
    let slots = range(0, 1023);
    let change = pb::SlotActionCreate { slots, target, from, count, ..Default::default() };
    Change::SlotActionCreate(change)
}

/// Moves by (slot, from, target).
pub(crate) fn planned(moves: &[(u32, u32, u32)]) -> Change {
    let one = |&(slot, from, target): &(u32, u32, u32)| pb::SlotMove { slot, from, target };
    let moves = moves.iter().map(one).collect();
    Change::SlotActionCreate(pb::SlotActionCreate { moves, ..Default::default() })
}

pub(crate) fn cancel(first: u32, last: u32) -> Change {
    Change::SlotActionCancel(pb::SlotActionCancel { slots: range(first, last) })
}

pub(crate) fn step(slots: &[u32], step: SlotStep, phase_epoch: u64, reason: &str) -> Change {
    Change::SlotActionAdvance(pb::SlotActionAdvance {
        slots: slots.to_vec(),
        step: step.into(),
        phase_epoch,
        reason: reason.into(),
        ..Default::default()
    })
}

pub(crate) fn promote(group: u32, target: &str) -> Change {
    Change::GroupPromoteBegin(pb::GroupPromoteBegin { group, target: target.into() })
}

pub(crate) fn promote_step(group: u32, epoch: u64, step: PromoteStep) -> Change {
    Change::GroupPromoteAdvance(pb::GroupPromoteAdvance { group, epoch, step: step.into() })
}

pub(crate) fn promote_abort(group: u32, epoch: u64, reason: &str) -> Change {
    Change::GroupPromoteAbort(pb::GroupPromoteAbort { group, epoch, reason: reason.into() })
}

pub(crate) fn promote_finish(group: u32, epoch: u64, not_following: &[(&str, &str)]) -> Change {
    let owned = |(address, why): &(&str, &str)| ((*address).into(), (*why).into());
    let not_following = not_following.iter().map(owned).collect();
    Change::GroupPromoteFinish(pb::GroupPromoteFinish { group, epoch, not_following })
}

pub(crate) fn sync(address: &str) -> Change {
    Change::GroupSyncBegin(pb::GroupSyncBegin { address: address.into() })
}

pub(crate) fn sync_run(address: &str, order: u64) -> Change {
    Change::GroupSyncAdvance(pb::GroupSyncAdvance { address: address.into(), order })
}

pub(crate) fn sync_end(address: &str, order: u64, failure: &str) -> Change {
    let (address, failure) = (address.into(), failure.into());
    Change::GroupSyncFinish(pb::GroupSyncFinish { address, order, failure })
}

/// A proxy `token` whose process began at `start`, at an admin address made from `place`.
pub(crate) fn registration(token: &str, place: u8, start: u64, epoch: u64) -> pb::ProxyRegister {
    pb::ProxyRegister {
        product: "demo".into(),
        protocol: 1,
        token: token.into(),
        admin_addr: format!("10.9.0.{place}:11080"),
        proxy_addr: format!("10.9.0.{place}:19000"),
        proto_type: "tcp4".into(),
        start_unix_ms: start,
        version: "0.1.0".into(),
        shards: 2,
        epoch,
        ..Default::default()
    }
}

pub(crate) fn register(token: &str, place: u8, start: u64, epoch: u64) -> Change {
    Change::ProxyRegister(registration(token, place, start, epoch))
}

pub(crate) fn online(token: &str, start_unix_ms: u64) -> Change {
    Change::ProxyOnline(pb::ProxyOnline { token: token.into(), start_unix_ms })
}

pub(crate) fn gone(token: &str, start_unix_ms: u64, stopped: bool) -> Change {
    Change::ProxyOffline(pb::ProxyOffline { token: token.into(), start_unix_ms, stopped })
}

pub(crate) fn proxy_remove(token: &str, force: bool) -> Change {
    Change::ProxyRemove(pb::ProxyRemove { token: token.into(), force })
}

/// Acknowledgements by (token, start, epoch).
pub(crate) fn ack(proxies: &[(&str, u64, u64)]) -> Change {
    let acked = |&(token, start_unix_ms, epoch): &(&str, u64, u64)| {
        (token.to_owned(), pb::proxy_ack::Acked { start_unix_ms, epoch })
    };
    Change::ProxyAck(pb::ProxyAck { proxies: proxies.iter().map(acked).collect() })
}

pub(crate) fn fence(epoch: u64, tokens: &[&str]) -> Change {
    let tokens = tokens.iter().map(|token| (*token).into()).collect();
    Change::FenceAdvance(pb::FenceAdvance { epoch, tokens })
}

pub(crate) fn member(id: u64) -> Change {
    let version = "0.1.0".into();
    Change::MemberStarted(pb::MemberStarted { id, version, start_unix_ms: 5 })
}

pub(crate) fn restore(backup: &pb::State) -> Change {
    Change::StateRestore(pb::StateRestore { backup: Some(backup.clone()) })
}

pub(crate) fn sentinel(address: &str) -> Change {
    Change::SentinelAdd(pb::SentinelAdd { address: address.into() })
}

pub(crate) fn sentinel_remove(address: &str) -> Change {
    Change::SentinelRemove(pb::SentinelRemove { address: address.into() })
}

pub(crate) fn set(values: &[(&str, &str)]) -> Change {
    let owned = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
    Change::SettingsSet(pb::SettingsSet { values: values.iter().map(owned).collect() })
}

//! Syncs: a server is being made a replica of its group's master.
//!
//! Waiting, then running, then gone; what went wrong stays on the server until a later sync succeeds. One
//! runs in a group at a time, as each costs its master a full copy.

use super::address::{self, Kind};
use super::refusal::Refusal;
use super::{groups, text};
use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;

/// The group and the place of the server `address`.
fn place(data: &pb::State, address: &str) -> Result<(u32, usize), Refusal> {
    let address = address::canonical(address, Kind::TcpOrPath)?;
    groups::find(data, &address).ok_or_else(|| {
        Refusal::new(
            Code::ServerUnknown,
            format!("no group has a server {address}: see the list of groups, or add it"),
        )
    })
}

fn server_mut(data: &mut pb::State, (group, position): (u32, usize)) -> &mut pb::Server {
    &mut groups::get_mut(data, group).servers[position]
}

/// The place of the server `address`, whose sync is `order` and running or not.
fn phase(
    data: &pb::State,
    address: &str,
    order: u64,
    running: bool,
) -> Result<(u32, usize), Refusal> {
    let at = place(data, address)?;
    let sync = data.groups[&at.0].servers[at.1].sync.as_ref();
    let good = sync.is_some_and(|sync| sync.order == order && sync.running == running);
    let words = if running { "running" } else { "waiting" };
    Refusal::unless(good, Code::SyncPhase, || {
        format!("{address} has no sync {order} that is {words}: look at its group's state")
    })?;
    Ok(at)
}

pub(super) fn begin(data: &mut pb::State, change: &pb::GroupSyncBegin) -> Result<(), Refusal> {
    let at = place(data, &change.address)?;
    let group = &data.groups[&at.0];
    groups::refuse_promoting(group)?;
    Refusal::unless(at.1 != 0, Code::ServerIsMaster, || {
        format!("{} is the master of group {}: only a replica can be synced", change.address, at.0)
    })?;
    Refusal::unless(group.servers[at.1].sync.is_none(), Code::SyncUnderWay, || {
        format!("{} is being synced already: wait for its end", change.address)
    })?;
    data.order_last += 1;
    let order = data.order_last;
    server_mut(data, at).sync = Some(pb::Sync { order, running: false });
    Ok(())
}

pub(super) fn advance(data: &mut pb::State, change: &pb::GroupSyncAdvance) -> Result<(), Refusal> {
    let at = phase(data, &change.address, change.order, false)?;
    let group = &data.groups[&at.0];
    groups::refuse_promoting(group)?;
    refuse_running(group)?;
    server_mut(data, at).sync = Some(pb::Sync { order: change.order, running: true });
    Ok(())
}

/// Refuses while a server of the group is being filled.
pub(super) fn refuse_running(group: &pb::Group) -> Result<(), Refusal> {
    let running = |server: &&pb::Server| server.sync.as_ref().is_some_and(|sync| sync.running);
    match group.servers.iter().find(running) {
        None => Ok(()),
        Some(server) => Err(Refusal::new(
            Code::SyncUnderWay,
            format!("{} of group {} is being synced: wait for its end", server.address, group.id),
        )),
    }
}

pub(super) fn finish(data: &mut pb::State, change: &pb::GroupSyncFinish) -> Result<(), Refusal> {
    // One that waits ends only by failing: it is so given up.
    let running = phase(data, &change.address, change.order, true);
    let at = match running {
        Err(_) if !change.failure.is_empty() => phase(data, &change.address, change.order, false)?,
        at => at?,
    };
    let server = server_mut(data, at);
    server.sync = None;
    server.sync_failure = match change.failure.as_str() {
        "" => String::new(),
        failure => text::reason(failure),
    };
    Ok(())
}

//! Groups and their servers.

use super::address::{self, Kind};
use super::limits::{GROUP_ID_MAX, GROUP_SERVERS_MAX, NAME_BYTES_MAX};
use super::refusal::Refusal;
use super::{slots, text};
use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;

/// The group `id`.
pub(super) fn get(data: &pb::State, id: u32) -> Result<&pb::Group, Refusal> {
    data.groups.get(&id).ok_or_else(|| {
        Refusal::new(
            Code::GroupUnknown,
            format!("there is no group {id}: see the list of groups, or create it"),
        )
    })
}

pub(super) fn get_mut(data: &mut pb::State, id: u32) -> &mut pb::Group {
    data.groups.get_mut(&id).expect("the group was found when the rules were checked")
}

/// The group `id`, if it has a master that slots can go to.
pub(super) fn get_with_master(data: &pb::State, id: u32) -> Result<&pb::Group, Refusal> {
    let group = get(data, id)?;
    Refusal::unless(!group.servers.is_empty(), Code::GroupEmpty, || {
        format!("group {id} has no server: add one before slots go to it")
    })?;
    Ok(group)
}

/// Where `address` stands in `group`; 0 is the master.
pub(super) fn position(group: &pb::Group, address: &str) -> Result<usize, Refusal> {
    group.servers.iter().position(|server| server.address == address).ok_or_else(|| {
        Refusal::new(
            Code::ServerUnknown,
            format!("group {} has no server {address}: see the list of groups", group.id),
        )
    })
}

/// The group that the server `address` is in, and its place there.
pub(super) fn find(data: &pb::State, address: &str) -> Option<(u32, usize)> {
    data.groups.values().find_map(|group| {
        let place = group.servers.iter().position(|server| server.address == address)?;
        Some((group.id, place))
    })
}

pub(super) fn refuse_promoting(group: &pb::Group) -> Result<(), Refusal> {
    Refusal::unless(group.promotion.is_none(), Code::PromotionUnderWay, || {
        format!("group {}'s master is being changed: wait for its end, or abort it", group.id)
    })
}

/// Whether a slot is on the group, or has an action that goes there.
fn slots_in_use(data: &pb::State, id: u32) -> usize {
    let uses = |slot: &&pb::Slot| {
        slot.group == id || slot.action.as_ref().is_some_and(|action| action.target == id)
    };
    data.slots.iter().filter(uses).count()
}

pub(super) fn create(data: &mut pb::State, change: &pb::GroupCreate) -> Result<(), Refusal> {
    let id = change.group;
    Refusal::unless((1..=GROUP_ID_MAX).contains(&id), Code::InvalidValue, || {
        format!("{id} is not a group's id: give a number between 1 and {GROUP_ID_MAX}")
    })?;
    Refusal::unless(!data.groups.contains_key(&id), Code::GroupExists, || {
        format!("group {id} exists already: take another id")
    })?;
    data.groups.insert(id, pb::Group { id, ..pb::Group::default() });
    Ok(())
}

pub(super) fn remove(data: &mut pb::State, change: &pb::GroupRemove) -> Result<(), Refusal> {
    let group = get(data, change.group)?;
    refuse_promoting(group)?;
    refuse_in_use(data, group.id)?;
    Refusal::unless(group.servers.is_empty(), Code::GroupNotEmpty, || {
        let servers = group.servers.iter().map(|server| server.address.as_str());
        format!(
            "group {} still has servers ({}): remove them first, the master last",
            group.id,
            text::some_of(servers)
        )
    })?;
    data.groups.remove(&change.group);
    Ok(())
}

fn refuse_in_use(data: &pb::State, id: u32) -> Result<(), Refusal> {
    let count = slots_in_use(data, id);
    Refusal::unless(count == 0, Code::GroupInUse, || {
        format!(
            "group {id} holds {count} slots or is the target of their actions: move them to other \
             groups or cancel the actions first"
        )
    })
}

pub(super) fn add_server(data: &mut pb::State, change: &pb::ServerAdd) -> Result<(), Refusal> {
    let address = address::canonical(&change.address, Kind::TcpOrPath)?;
    text::check_text("data center", &change.datacenter, NAME_BYTES_MAX)?;
    let group = get(data, change.group)?;
    refuse_promoting(group)?;
    refuse_taken(data, &address)?;
    Refusal::unless(group.servers.len() < GROUP_SERVERS_MAX, Code::LimitReached, || {
        format!("group {} has {GROUP_SERVERS_MAX} servers, the most it can: remove one", group.id)
    })?;
    get_mut(data, change.group).servers.push(pb::Server {
        address,
        datacenter: change.datacenter.clone(),
        replica_reads: change.replica_reads,
        ..pb::Server::default()
    });
    Ok(())
}

/// Refuses an address that a server or a sentinel has.
pub(super) fn refuse_taken(data: &pb::State, address: &str) -> Result<(), Refusal> {
    if let Some((group, _)) = find(data, address) {
        let message =
            format!("{address} is a server of group {group} already: remove it there first");
        return Err(Refusal::new(Code::AddressTaken, message));
    }
    Refusal::unless(!data.sentinels.contains_key(address), Code::AddressTaken, || {
        format!("{address} is a sentinel already: remove it from the sentinels first")
    })
}

pub(super) fn remove_server(
    data: &mut pb::State,
    change: &pb::ServerRemove,
) -> Result<(), Refusal> {
    let address = address::canonical(&change.address, Kind::TcpOrPath)?;
    let group = get(data, change.group)?;
    let position = position(group, &address)?;
    refuse_promoting(group)?;
    if position == 0 {
        Refusal::unless(group.servers.len() == 1, Code::ServerIsMaster, || {
            format!(
                "{address} is the master of group {} and has replicas: promote one of them first, or \
                 remove them",
                group.id
            )
        })?;
        refuse_in_use(data, group.id)?;
    }
    get_mut(data, change.group).servers.remove(position);
    if position == 0 {
        slots::forget_leftovers(data, change.group);
    }
    Ok(())
}

pub(super) fn set_replica_reads(
    data: &mut pb::State,
    change: &pb::ServerSetReplicaReads,
) -> Result<(), Refusal> {
    let address = address::canonical(&change.address, Kind::TcpOrPath)?;
    let position = position(get(data, change.group)?, &address)?;
    get_mut(data, change.group).servers[position].replica_reads = change.enabled;
    Ok(())
}

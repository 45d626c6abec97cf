//! The metadata group's topology as the proxy works by it.
//!
//! The group checks all that it accepts, so what is refused here comes from a program at fault or from bytes that
//! were changed on the way. A proxy that worked by it would send requests to the wrong servers.

use super::{Address, Durability, Group, GroupIndex, MoveRules, Slot, SlotState, Topology};
use crate::address::check_server;
use crate::slots::SLOT_COUNT;
use codis_proto::meta::v1 as pb;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// The greatest number that a group can have; the least is 1.
const GROUP_ID_MAX: u32 = codis_meta::state::limits::GROUP_ID_MAX;

/// What the group sent contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotATopology {
    /// There are not as many slots as there should be.
    #[error("it has {0} slots, not {SLOT_COUNT}")]
    SlotCount(usize),
    /// A group's number is impossible, or stands there twice.
    #[error("group {0} is listed twice, or is not between 1 and {GROUP_ID_MAX}")]
    GroupId(u32),
    /// A server's address cannot be one.
    #[error("group {group}: {what}")]
    Address {
        /// The group's number.
        group: u32,
        /// What is wrong with the address.
        what: String,
    },
    /// A server stands there twice.
    #[error("group {group}: the server {address} is listed twice")]
    Twice {
        /// The group's number.
        group: u32,
        /// The address.
        address: String,
    },
    /// A slot is on a group that is not there.
    #[error("slot {slot} is on group {group}, which it does not list")]
    GroupUnknown {
        /// The slot.
        slot: usize,
        /// The group's number.
        group: u32,
    },
    /// What a slot is doing cannot be.
    #[error("slot {slot} cannot be of kind {kind} from group {from} to group {to}")]
    Slot {
        /// The slot.
        slot: usize,
        /// The kind as it was sent.
        kind: i32,
        /// The group that has keys of the slot.
        from: u32,
        /// The group that serves it.
        to: u32,
    },
    /// A rule of moves that this program does not know.
    #[error("{0} is no durability of moves")]
    Durability(i32),
}

/// What the proxy of data center `datacenter` makes of the group's `topology`: the groups that slots name, each
/// one's replicas of that data center in a set of their own before the others.
///
/// # Errors
/// The topology contradicts itself.
pub fn from_group(topology: &pb::Topology, datacenter: &str) -> Result<Topology, NotATopology> {
    if topology.slots.len() != SLOT_COUNT {
        return Err(NotATopology::SlotCount(topology.slots.len()));
    }
    let known = check_groups(&topology.groups)?;
    let named: BTreeSet<u32> =
        topology.slots.iter().flat_map(|slot| [slot.from, slot.to]).filter(|id| *id != 0).collect();
    let named: Vec<&pb::TopologyGroup> =
        named.iter().filter_map(|id| known.get(id).copied()).collect();
    let slots = topology.slots.iter().enumerate();
    Ok(Topology {
        epoch: topology.epoch,
        slots: slots.map(|(id, slot)| read_slot(id, slot, &named)).collect::<Result<_, _>>()?,
        groups: named.iter().map(|group| read_group(group, datacenter)).collect(),
        moves: topology.moves.as_ref().map(read_rules).transpose()?,
    })
}

fn read_rules(rules: &pb::MoveRules) -> Result<MoveRules, NotATopology> {
    let durability = match pb::Durability::try_from(rules.durability) {
        Ok(pb::Durability::Replica) => Durability::Replica,
        Ok(pb::Durability::Aof) => Durability::Aof,
        Ok(pb::Durability::None) => Durability::None,
        Err(_) => return Err(NotATopology::Durability(rules.durability)),
    };
    Ok(MoveRules {
        timeout_ms: rules.timeout_ms,
        durability,
        big_bytes: rules.big_bytes,
        big_elements: rules.big_elements,
        patience_ms: rules.patience_ms,
        big_patience_ms: rules.big_patience_ms,
    })
}

/// The groups by number.
fn check_groups(
    groups: &[pb::TopologyGroup],
) -> Result<BTreeMap<u32, &pb::TopologyGroup>, NotATopology> {
    let mut known = BTreeMap::new();
    let mut servers = HashSet::new();
    for group in groups {
        let id = group.id;
        if !(1..=GROUP_ID_MAX).contains(&id) || known.insert(id, group).is_some() {
            return Err(NotATopology::GroupId(id));
        }
        let replicas = group.replicas.iter().map(|replica| &replica.address);
        for address in std::iter::once(&group.master).chain(replicas) {
            check_server(address).map_err(|what| NotATopology::Address { group: id, what })?;
            if !servers.insert(address) {
                return Err(NotATopology::Twice { group: id, address: address.clone() });
            }
        }
    }
    Ok(known)
}

fn read_group(group: &pb::TopologyGroup, datacenter: &str) -> Group {
    let near = |replica: &&pb::TopologyReplica| replica.datacenter == datacenter;
    let (near, far): (Vec<_>, Vec<_>) = group.replicas.iter().partition(near);
    // A proxy that is in no data center is as far from all of them.
    let sets =
        if datacenter.is_empty() { vec![group.replicas.iter().collect()] } else { vec![near, far] };
    let addresses = |set: Vec<&pb::TopologyReplica>| -> Vec<Address> {
        set.into_iter().map(|replica| Arc::from(replica.address.as_str())).collect()
    };
    let sets = sets.into_iter().filter(|set| !set.is_empty());
    Group {
        id: group.id,
        master: Arc::from(group.master.as_str()),
        replicas: sets.map(addresses).collect(),
        has_replicas: group.has_replicas,
    }
}

/// The slot `id`; `groups` are those that slots name, by rising number.
fn read_slot(
    id: usize,
    slot: &pb::TopologySlot,
    groups: &[&pb::TopologyGroup],
) -> Result<Slot, NotATopology> {
    let &pb::TopologySlot { kind, from, to, locked, migrating_since } = slot;
    let index = |number: u32| {
        let place = groups.binary_search_by_key(&number, |group| group.id);
        let place = place.ok().and_then(|place| u16::try_from(place).ok());
        place.map(GroupIndex).ok_or(NotATopology::GroupUnknown { slot: id, group: number })
    };
    let wrong = NotATopology::Slot { slot: id, kind, from, to };
    let moves = from != 0 && to != 0 && from != to;
    let state = match pb::SlotKind::try_from(kind) {
        Ok(pb::SlotKind::Offline) if from == 0 && to == 0 => SlotState::Offline,
        Ok(pb::SlotKind::Stable) if from == 0 && to != 0 => SlotState::Stable(index(to)?),
        Ok(pb::SlotKind::Preparing) if moves => {
            SlotState::Preparing { from: index(from)?, to: index(to)? }
        }
        Ok(pb::SlotKind::Migrating) if moves => {
            SlotState::Migrating { from: index(from)?, to: index(to)?, since: migrating_since }
        }
        _ => return Err(wrong),
    };
    Ok(Slot { state, locked })
}

#[cfg(test)]
mod tests;

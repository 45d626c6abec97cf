//! What makes one topology of another, so that a proxy that has the one need not be sent all of the other.

use codis_proto::link::v1::{SlotRun, TopologyChange};
use codis_proto::meta::v1 as pb;

/// A change does not fit the topology that it is to be applied to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// It belongs to another epoch.
    #[error("a change of epoch {change} cannot be applied to a topology of epoch {topology}")]
    Epoch {
        /// The topology's epoch.
        topology: u64,
        /// The epoch that the change applies to.
        change: u64,
    },
    /// It names slots that do not exist.
    #[error("a change names the slots {first} to {last}, which do not exist")]
    Slots {
        /// The first slot of the run.
        first: u32,
        /// The last one.
        last: u32,
    },
}

/// What makes `to` of `from`.
#[must_use]
pub fn diff(from: &pb::Topology, to: &pb::Topology) -> TopologyChange {
    let known = |group: &&pb::TopologyGroup| {
        let place = from.groups.binary_search_by_key(&group.id, |group| group.id);
        place.is_ok_and(|place| from.groups[place] == **group)
    };
    let is_gone = |group: &&pb::TopologyGroup| {
        to.groups.binary_search_by_key(&group.id, |group| group.id).is_err()
    };
    TopologyChange {
        from_epoch: from.epoch,
        epoch: to.epoch,
        slots: slot_runs(&from.slots, &to.slots),
        groups: to.groups.iter().filter(|group| !known(group)).cloned().collect(),
        groups_gone: from.groups.iter().filter(is_gone).map(|group| group.id).collect(),
        moves: if from.moves == to.moves { None } else { to.moves },
        removals: to.removals,
    }
}

fn slot_runs(from: &[pb::TopologySlot], to: &[pb::TopologySlot]) -> Vec<SlotRun> {
    let mut runs: Vec<SlotRun> = Vec::new();
    for (number, (old, new)) in (0..).zip(from.iter().zip(to)) {
        if old == new {
            continue;
        }
        match runs.last_mut() {
            Some(run) if run.last + 1 == number && run.slot.as_ref() == Some(new) => {
                run.last = number;
            }
            _ => runs.push(SlotRun { first: number, last: number, slot: Some(*new) }),
        }
    }
    runs
}

/// Makes the topology that follows `topology` by `change`.
///
/// # Errors
/// The change belongs to another topology; `topology` is as it was.
pub fn apply(topology: &mut pb::Topology, change: &TopologyChange) -> Result<(), DeltaError> {
    if topology.epoch != change.from_epoch {
        return Err(DeltaError::Epoch { topology: topology.epoch, change: change.from_epoch });
    }
    let count = topology.slots.len();
    let wrong = |run: &&SlotRun| run.first > run.last || run.last as usize >= count;
    if let Some(run) = change.slots.iter().find(wrong) {
        return Err(DeltaError::Slots { first: run.first, last: run.last });
    }
    for run in &change.slots {
        topology.slots[run.first as usize..=run.last as usize].fill(run.slot.unwrap_or_default());
    }
    topology.groups.retain(|group| !change.groups_gone.contains(&group.id));
    for group in &change.groups {
        match topology.groups.binary_search_by_key(&group.id, |group| group.id) {
            Ok(place) => topology.groups[place] = group.clone(),
            Err(place) => topology.groups.insert(place, group.clone()),
        }
    }
    if change.moves.is_some() {
        topology.moves = change.moves;
    }
    topology.removals = change.removals;
    topology.epoch = change.epoch;
    Ok(())
}

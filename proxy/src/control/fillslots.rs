//! Merging slots that an operator sends into the topology in force.

use crate::slots::SLOT_COUNT;
use crate::topology::{Group, GroupIndex, Slot, SlotState, Topology, parse_fillslots};
use serde::Deserialize;

/// The one part of a slot that the merge itself must know: which one it is.
#[derive(Deserialize)]
struct Named {
    id: usize,
}

/// The topology that `json` (a list of slots as `--fillslots` takes it) makes of `current`: the slots it
/// names are as it says, the others stay, and the epoch is one higher.
///
/// # Errors
/// A sentence that says what is wrong in `json`.
pub(super) fn merge(current: &Topology, json: &str) -> Result<Topology, String> {
    let given = parse_fillslots(json).map_err(|error| error.to_string())?;
    let named: Vec<Named> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let mut source = vec![current; SLOT_COUNT];
    for Named { id } in named {
        *source.get_mut(id).ok_or_else(|| format!("slot {id}: there are {SLOT_COUNT}"))? = &given;
    }
    let mut merged = Topology::offline();
    merged.epoch = current.epoch + 1;
    for (id, from) in source.into_iter().enumerate() {
        let Slot { state, locked } = from.slots[id];
        let is_given = std::ptr::eq(from, &given);
        let mut moved = |index| group_index(&mut merged.groups, from.group(index), is_given);
        let state = match state {
            SlotState::Offline => SlotState::Offline,
            SlotState::Stable(group) => SlotState::Stable(moved(group)),
            SlotState::Preparing { from, to } => {
                SlotState::Preparing { from: moved(from), to: moved(to) }
            }
            SlotState::Migrating { from, to, since } => {
                SlotState::Migrating { from: moved(from), to: moved(to), since }
            }
        };
        merged.slots[id] = Slot { state, locked };
    }
    Ok(merged)
}

/// The index of `group`, which is added if it is not there.
///
/// Slots that agree on a group's number and master share it, and what was `given` last of its replicas
/// counts for all of them (none is no statement, see [`parse_fillslots`]). A group with another master
/// stands beside the old one until the slots that still name the old one have been sent too.
fn group_index(groups: &mut Vec<Group>, group: &Group, given: bool) -> GroupIndex {
    let same = |known: &Group| known.id == group.id && known.master == group.master;
    let place = groups.iter().position(same).unwrap_or_else(|| {
        groups.push(group.clone());
        groups.len() - 1
    });
    let known = &mut groups[place];
    if !group.replicas.is_empty() && (given || known.replicas.is_empty()) {
        known.replicas.clone_from(&group.replicas);
        known.has_replicas = true;
    }
    GroupIndex(place.try_into().expect("two groups a slot at most fit an index of 16 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Address;

    fn state_of(topology: &Topology, slot: usize) -> (String, u32) {
        let SlotState::Stable(group) = topology.slots[slot].state else {
            panic!("slot {slot} is {:?}", topology.slots[slot].state);
        };
        let group = topology.group(group);
        (group.master.to_string(), group.id)
    }

    fn two_slots() -> Topology {
        let json = r#"[{"id":0,"backend_addr":"a:1","backend_addr_group_id":1},
                       {"id":1,"backend_addr":"a:1","backend_addr_group_id":1,
                        "replica_groups":[["r:1"]]}]"#;
        merge(&Topology::offline(), json).expect("a list of slots")
    }

    #[test]
    fn slots_that_are_not_listed_stay_and_the_epoch_rises_by_one() {
        let before = two_slots();
        assert_eq!(before.epoch, 1);
        let json = r#"[{"id":1,"backend_addr":"b:1","backend_addr_group_id":2,"locked":true}]"#;
        let after = merge(&before, json).expect("a list of slots");
        assert_eq!(after.epoch, 2);
        assert_eq!(state_of(&after, 0), ("a:1".into(), 1));
        assert_eq!(state_of(&after, 1), ("b:1".into(), 2));
        assert!(after.slots[1].locked && !after.slots[0].locked);
        assert_eq!(after.slots[2].state, SlotState::Offline);
    }

    #[test]
    fn a_slot_without_a_server_goes_offline_and_its_group_with_it() {
        let after = merge(&two_slots(), r#"[{"id":0},{"id":1}]"#).expect("a list of slots");
        assert_eq!(after.slots, Topology::offline().slots);
        assert!(after.groups.is_empty());
    }

    #[test]
    fn slots_of_one_group_share_it_and_keep_its_replicas() {
        let json = r#"[{"id":2,"backend_addr":"a:1","backend_addr_group_id":1}]"#;
        let after = merge(&two_slots(), json).expect("a list of slots");
        assert_eq!(after.groups.len(), 1);
        assert_eq!(after.groups[0].replicas, [[Address::from("r:1")]]);
        let json = r#"[{"id":2,"backend_addr":"a:1","backend_addr_group_id":1,
                        "replica_groups":[["new:1"]]}]"#;
        let after = merge(&after, json).expect("a list of slots");
        assert_eq!(after.groups.len(), 1);
        assert_eq!(after.groups[0].replicas, [[Address::from("new:1")]]);
    }

    #[test]
    fn a_new_master_for_one_slot_leaves_the_others_with_the_old_one() {
        let json = r#"[{"id":0,"backend_addr":"new:1","backend_addr_group_id":1}]"#;
        let after = merge(&two_slots(), json).expect("a list of slots");
        assert_eq!(state_of(&after, 0), ("new:1".into(), 1));
        assert_eq!(state_of(&after, 1), ("a:1".into(), 1));
    }

    #[test]
    fn what_is_wrong_in_a_list_is_said() {
        for json in ["", "{}", "[{}]", r#"[{"id":1024}]"#, r#"[{"id":0,"backend_addr":7}]"#] {
            assert!(merge(&Topology::offline(), json).is_err(), "{json}");
        }
    }
}

//! Every topology that the group can reach is taken, and nonsense is not.

use super::*;
use codis_meta::state::{State, VERSION};
use pb::command::Change;
use proptest::prelude::*;

fn server(address: &str, datacenter: &str) -> pb::TopologyReplica {
    pb::TopologyReplica { address: address.into(), datacenter: datacenter.into() }
}

fn stable(group: u32) -> pb::TopologySlot {
    pb::TopologySlot { kind: pb::SlotKind::Stable.into(), to: group, ..Default::default() }
}

/// Slot 0 on group 2 with three replicas, the others offline; no slot is on group 1.
fn small() -> pb::Topology {
    let replicas = vec![server("c:1", ""), server("d:1", "east"), server("e:1", "west")];
    let mut slots = vec![pb::TopologySlot::default(); SLOT_COUNT];
    slots[0] = stable(2);
    let group = |id, master: &str, replicas| pb::TopologyGroup {
        id,
        master: master.into(),
        replicas,
        promoting: false,
        has_replicas: id == 2,
    };
    pb::Topology {
        epoch: 7,
        groups: vec![group(1, "a:1", Vec::new()), group(2, "b:1", replicas)],
        slots,
        ..Default::default()
    }
}

fn replicas(datacenter: &str) -> Vec<Vec<Address>> {
    from_group(&small(), datacenter).expect("a good topology").groups.remove(0).replicas
}

fn refused(change: impl FnOnce(&mut pb::Topology)) -> String {
    let mut topology = small();
    change(&mut topology);
    from_group(&topology, "").expect_err("nonsense").to_string()
}

#[test]
fn only_groups_that_slots_name_are_connected_to() {
    let topology = from_group(&small(), "").expect("a good topology");
    assert_eq!(topology.epoch, 7);
    assert_eq!(topology.groups.iter().map(|group| group.id).collect::<Vec<_>>(), [2]);
    assert_eq!(topology.slots[0].state, SlotState::Stable(GroupIndex(0)));
    assert_eq!(topology.slots[1].state, SlotState::Offline);
}

#[test]
fn replicas_of_the_proxys_own_data_center_come_first() {
    let sets = |text: [&[&str]; 2]| -> Vec<Vec<Address>> {
        text.iter().map(|set| set.iter().map(|&address| address.into()).collect()).collect()
    };
    assert_eq!(replicas("east"), sets([&["d:1"], &["c:1", "e:1"]]));
    assert_eq!(replicas("south"), [["c:1", "d:1", "e:1"].map(Address::from).to_vec()]);
    assert_eq!(replicas(""), [["c:1", "d:1", "e:1"].map(Address::from).to_vec()]);
}

#[test]
fn the_rules_of_moves_are_taken_and_a_topology_without_them_has_none() {
    assert_eq!(from_group(&small(), "").expect("a good topology").moves, None);
    let mut topology = small();
    topology.moves = Some(pb::MoveRules {
        timeout_ms: 1,
        durability: pb::Durability::Aof.into(),
        big_bytes: 2,
        big_elements: 3,
        patience_ms: 4,
        big_patience_ms: 5,
    });
    let expected = MoveRules {
        timeout_ms: 1,
        durability: Durability::Aof,
        big_bytes: 2,
        big_elements: 3,
        patience_ms: 4,
        big_patience_ms: 5,
    };
    let taken = from_group(&topology, "").expect("a good topology");
    assert_eq!(taken.moves, Some(expected));
    assert!(taken.groups[0].has_replicas);
}

#[test]
fn nonsense_is_refused_with_what_is_wrong() {
    type Damage = fn(&mut pb::Topology);
    let cases: [(Damage, &str); 11] = [
        (|t| t.slots.truncate(1023), "it has 1023 slots, not 1024"),
        (|t| t.slots[9] = stable(3), "slot 9 is on group 3, which it does not list"),
        (|t| t.slots[9] = stable(0), "slot 9 cannot be of kind 1 from group 0 to group 0"),
        (|t| t.slots[9].to = 1, "slot 9 cannot be of kind 0 from group 0 to group 1"),
        (|t| t.slots[0].from = 1, "slot 0 cannot be of kind 1 from group 1 to group 2"),
        (|t| t.slots[0].kind = 4, "slot 0 cannot be of kind 4 from group 0 to group 2"),
        (|t| t.moves = Some(pb::MoveRules { durability: 9, ..Default::default() }), "9 is no"),
        (|t| t.groups[0].id = 2, "group 2 is listed twice, or is not between 1 and 9999"),
        (|t| t.groups[0].id = 10_000, "group 10000 is listed twice, or is not"),
        (|t| t.groups[0].master.clear(), "group 1: \"\" is not an address"),
        (|t| t.groups[0].master = "c:1".into(), "group 2: the server c:1 is listed twice"),
    ];
    for (change, reason) in cases {
        let text = refused(change);
        assert!(text.starts_with(reason), "{text}, and not: {reason}");
    }
    let onto_itself = refused(|topology| {
        topology.slots[0] = pb::TopologySlot {
            kind: pb::SlotKind::Migrating.into(),
            from: 2,
            to: 2,
            locked: false,
            migrating_since: 7,
        };
    });
    assert_eq!(onto_itself, "slot 0 cannot be of kind 3 from group 2 to group 2");
}

/// What the group had sent for `topology` to come of it, with what of it can be told back.
fn back(topology: &Topology) -> (Vec<pb::TopologySlot>, BTreeMap<u32, Vec<String>>) {
    let id = |index: GroupIndex| topology.group(index).id;
    let slot = |slot: &Slot| {
        let (kind, from, to, migrating_since) = match slot.state {
            SlotState::Offline => (pb::SlotKind::Offline, 0, 0, 0),
            SlotState::Stable(group) => (pb::SlotKind::Stable, 0, id(group), 0),
            SlotState::Preparing { from, to } => (pb::SlotKind::Preparing, id(from), id(to), 0),
            SlotState::Migrating { from, to, since } => {
                (pb::SlotKind::Migrating, id(from), id(to), since)
            }
        };
        pb::TopologySlot { kind: kind.into(), from, to, locked: slot.locked, migrating_since }
    };
    let servers = |group: &Group| {
        let mut replicas: Vec<String> =
            group.replicas.iter().flatten().map(ToString::to_string).collect();
        replicas.sort_unstable();
        replicas.insert(0, group.master.to_string());
        (group.id, replicas)
    };
    (topology.slots.iter().map(slot).collect(), topology.groups.iter().map(servers).collect())
}

fn servers(topology: &pb::Topology, named: &BTreeSet<u32>) -> BTreeMap<u32, Vec<String>> {
    let groups = topology.groups.iter().filter(|group| named.contains(&group.id));
    let servers = groups.map(|group| {
        let mut all: Vec<String> =
            group.replicas.iter().map(|replica| replica.address.clone()).collect();
        all.sort_unstable();
        all.insert(0, group.master.clone());
        (group.id, all)
    });
    servers.collect()
}

/// A change that the state may accept or refuse.
fn change() -> impl Strategy<Value = Change> {
    let group = 1..5_u32;
    let slots = (0..8_u32, 0..4_u32)
        .prop_map(|(first, more)| Some(pb::SlotRange { first, last: first + more }));
    let address = (0..12_u32).prop_map(|number| format!("10.0.0.{number}:6379"));
    let place = prop_oneof![Just(String::new()), Just("east".into()), Just("west".into())];
    let step = prop_oneof![
        Just(pb::SlotStep::Prepare),
        Just(pb::SlotStep::Migrate),
        Just(pb::SlotStep::Done)
    ];
    prop_oneof![
        group.clone().prop_map(|group| Change::GroupCreate(pb::GroupCreate { group })),
        (group.clone(), address.clone(), place, any::<bool>()).prop_map(
            |(group, address, datacenter, replica_reads)| {
                let server = pb::ServerAdd { group, address, datacenter, replica_reads };
                Change::ServerAdd(server)
            }
        ),
        (slots.clone(), group.clone())
            .prop_map(|(slots, group)| Change::SlotsAssign(pb::SlotsAssign { slots, group })),
        (slots, group.clone()).prop_map(|(slots, target)| {
            let create = pb::SlotActionCreate { slots, target, ..Default::default() };
            Change::SlotActionCreate(create)
        }),
        // The epoch of the phase is filled in before it is applied.
        (0..8_u32, step).prop_map(|(slot, step)| Change::SlotActionAdvance(
            pb::SlotActionAdvance {
                slots: vec![slot],
                step: step.into(),
                phase_epoch: 0,
                reason: String::new(),
                ..Default::default()
            }
        )),
        (group, address).prop_map(|(group, target)| {
            Change::GroupPromoteBegin(pb::GroupPromoteBegin { group, target })
        }),
    ]
}

/// The epoch of the phase that `slot` is in.
fn phase_epoch(data: &pb::State, slot: u32) -> u64 {
    use pb::slot_action::Phase;
    let action = data.slots.get(slot as usize).and_then(|slot| slot.action.as_ref());
    match action.and_then(|action| action.phase.as_ref()) {
        Some(Phase::Preparing(barrier)) => barrier.epoch,
        Some(Phase::Migrating(migrating)) => migrating.epoch,
        Some(Phase::Pending(_)) | None => 0,
    }
}

proptest! {
    #[test]
    fn every_topology_that_the_group_can_reach_is_taken_as_it_is(
        changes in prop::collection::vec(change(), 1..120),
        datacenter in prop_oneof![Just(""), Just("east"), Just("north")],
    ) {
        let mut state = State::new();
        let product = pb::ProductCreate { name: "demo".into(), cluster: 1, ..pb::ProductCreate::default() };
        let mut all = vec![Change::ProductCreate(product)];
        all.extend(changes);
        for (index, mut change) in (1..).zip(all) {
            if let Change::SlotActionAdvance(advance) = &mut change {
                advance.phase_epoch = phase_epoch(state.data(), advance.slots[0]);
            }
            let command = pb::Command {
                version: VERSION,
                time_unix_ms: index,
                change: Some(change),
                ..Default::default()
            };
            state.apply_command(index, &command);
            let sent = state.topology();
            let taken = from_group(sent, datacenter).expect("the group's topology");
            let (slots, groups) = back(&taken);
            prop_assert_eq!(taken.epoch, sent.epoch);
            prop_assert_eq!(&slots, &sent.slots);
            let named = slots.iter().flat_map(|slot| [slot.from, slot.to]).filter(|id| *id != 0);
            prop_assert_eq!(groups, servers(sent, &named.collect()));
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        id in 0..4_u32, kind in -1..5_i32, from in 0..4_u32, to in 0..4_u32, slot in 0..SLOT_COUNT,
    ) {
        let mut topology = small();
        topology.groups[0].id = id;
        topology.slots[slot] = pb::TopologySlot { kind, from, to, locked: true, migrating_since: 3 };
        let _ = from_group(&topology, "east");
    }
}

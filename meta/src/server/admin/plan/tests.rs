//! What holds for every plan.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Slots on groups 1 to `groups`, some of which move already.
fn product(groups: u32, weights: impl Strategy<Value = u64>) -> impl Strategy<Value = Vec<Slot>> {
    let slot = (1..=groups, weights, prop::bool::weighted(0.1));
    vec(slot, 0..120).prop_map(|slots| {
        let one = |(number, (group, weight, moves))| Slot { number, group, weight, moves };
        (0..).zip(slots).map(one).collect()
    })
}

/// One more group than slots are on, as one that was just added.
const GROUPS: u32 = 6;

fn groups() -> BTreeSet<u32> {
    (1..=GROUPS).collect()
}

/// The slots as they are after the moves, each of which must be of a slot that is where it says and may move.
fn after(slots: &[Slot], moves: &[Move]) -> Vec<Slot> {
    let mut slots = slots.to_vec();
    let mut moved = BTreeSet::new();
    for Move { slot, from, to } in moves {
        assert!(moved.insert(*slot), "slot {slot} moves twice");
        let slot = &mut slots[*slot as usize];
        assert!(
            slot.group == *from && from != to && !slot.moves,
            "{slot:?} goes from {from} to {to}"
        );
        slot.group = *to;
    }
    slots
}

fn loads(slots: &[Slot], load: impl Fn(&Slot) -> u64) -> BTreeMap<u32, u64> {
    let mut loads: BTreeMap<u32, u64> = groups().into_iter().map(|group| (group, 0)).collect();
    slots.iter().for_each(|slot| *loads.entry(slot.group).or_default() += load(slot));
    loads
}

fn none_moves(slots: Vec<Slot>) -> Vec<Slot> {
    slots.into_iter().map(|slot| Slot { moves: false, ..slot }).collect()
}

proptest! {
    #[test]
    fn slots_are_even_after_the_fewest_moves(slots in product(GROUPS - 1, Just(1))) {
        let slots = none_moves(slots);
        let moves = even_slots(&groups(), &slots);
        let (before, after) = (loads(&slots, |_| 1), loads(&after(&slots, &moves), |_| 1));
        let most = after.values().max().expect("there are groups");
        let least = after.values().min().expect("there are groups");
        let spread = most - least;
        prop_assert!(spread <= 1, "{after:?}");
        // Whatever the plan, every slot above the rounded up mean must go, and every one that lacks must come.
        let (count, parts) = (slots.len() as u64, u64::from(GROUPS));
        let too_many: u64 = before.values().map(|n| n.saturating_sub(count.div_ceil(parts))).sum();
        let too_few: u64 = before.values().map(|n| (count / parts).saturating_sub(*n)).sum();
        prop_assert_eq!(moves.len() as u64, too_many.max(too_few));
    }

    #[test]
    fn no_group_gives_slots_and_takes_some(slots in product(GROUPS - 1, 0_u64..50)) {
        for moves in [even_slots(&groups(), &slots), even_weights(&groups(), &slots)] {
            after(&slots, &moves);
            let givers: BTreeSet<u32> = moves.iter().map(|one| one.from).collect();
            prop_assert!(moves.iter().all(|one| !givers.contains(&one.to)), "{moves:?}");
        }
    }

    #[test]
    fn only_groups_above_the_mean_give_weight_and_only_those_below_take_it(
        slots in product(GROUPS - 1, 0_u64..1000)
    ) {
        let moves = even_weights(&groups(), &slots);
        let before = loads(&slots, |slot| slot.weight);
        let total: u64 = before.values().sum();
        for Move { from, to, .. } in moves {
            prop_assert!(before[&from] * u64::from(GROUPS) > total, "{from} gives: {before:?}");
            prop_assert!(before[&to] * u64::from(GROUPS) < total, "{to} takes: {before:?}");
        }
    }

    #[test]
    fn no_group_is_above_the_mean_by_more_than_the_heaviest_slot(
        slots in product(GROUPS - 1, prop_oneof![9 => 0_u64..1000, 1 => 0_u64..1_000_000])
    ) {
        let slots = none_moves(slots);
        let after = loads(&after(&slots, &even_weights(&groups(), &slots)), |slot| slot.weight);
        let heaviest = slots.iter().map(|slot| slot.weight).max().unwrap_or(0);
        let total: u64 = after.values().sum();
        for load in after.values() {
            prop_assert!(load * u64::from(GROUPS) <= total + heaviest * u64::from(GROUPS), "{after:?}");
        }
    }

    #[test]
    fn the_heaviest_group_never_gets_heavier(slots in product(GROUPS - 1, 0_u64..1000)) {
        let heaviest = |slots: &[Slot]| loads(slots, |slot| slot.weight).into_values().max();
        let moves = even_weights(&groups(), &slots);
        for count in 0..=moves.len() {
            prop_assert!(heaviest(&after(&slots, &moves[..count])) <= heaviest(&slots));
        }
    }

    #[test]
    fn groups_that_are_even_are_left_alone(slots in product(GROUPS, 0_u64..1000)) {
        let slots = none_moves(slots);
        let balanced = after(&slots, &even_slots(&groups(), &slots));
        prop_assert_eq!(even_slots(&groups(), &balanced), vec![]);
    }

    #[test]
    fn a_drained_group_keeps_only_what_moves_already(slots in product(GROUPS, 0_u64..1000)) {
        let moves = drain(&groups(), &slots, 2);
        let end = after(&slots, &moves);
        prop_assert!(end.iter().all(|slot| slot.group != 2 || slot.moves));
        prop_assert!(moves.iter().all(|one| one.from == 2));
        // Whoever took something is no heavier, but for its last slot, than whoever took nothing.
        let after = loads(&end, |slot| slot.weight);
        let heaviest = slots.iter().map(|slot| slot.weight).max().unwrap_or(0);
        let least = after.iter().filter(|(group, _)| **group != 2).map(|(_, load)| *load).min();
        for Move { to, .. } in moves {
            prop_assert!(after[&to] <= least.expect("other groups") + heaviest, "{after:?}");
        }
    }
}

#[test]
fn slots_that_move_already_count_where_they_go() {
    let slot = |number, group, moves| Slot { number, group, weight: 1, moves };
    // Two of group 2's four are on their way to it.
    let slots: Vec<Slot> = [(0, 1, false), (1, 1, false), (2, 2, true), (3, 2, true)]
        .map(|(number, group, moves)| slot(number, group, moves))
        .to_vec();
    assert_eq!(even_slots(&BTreeSet::from([1, 2]), &slots), []);
    let drained = drain(&BTreeSet::from([1, 2]), &slots, 1);
    assert_eq!(drained.len(), 2);
    assert_eq!(drain(&BTreeSet::from([1]), &slots, 1), [], "there is nowhere to go");
}

#[test]
fn a_new_group_gets_its_part_from_every_other() {
    let slot = |number| Slot { number, group: number / 512 + 1, weight: 1, moves: false };
    let slots: Vec<Slot> = (0..1024).map(slot).collect();
    let moves = even_slots(&BTreeSet::from([1, 2, 3]), &slots);
    assert_eq!(moves.len(), 341);
    assert_eq!(moves[..2], [Move { slot: 0, from: 1, to: 3 }, Move { slot: 512, from: 2, to: 3 }]);
}

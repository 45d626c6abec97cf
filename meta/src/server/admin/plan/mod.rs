//! Which slots to move so that groups are even, or one of them is empty. Pure, and the same input gives the same plan.

use std::collections::{BTreeMap, BTreeSet};

/// A slot that some group has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) number: u32,
    /// The group that it counts at: where it is, or where it moves already.
    pub(super) group: u32,
    /// What it weighs: 1, or its bytes, or its keys.
    pub(super) weight: u64,
    /// It moves already, and is left alone.
    pub(super) moves: bool,
}

/// A move to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) slot: u32,
    pub(super) from: u32,
    pub(super) to: u32,
}

/// The fewest moves after which the numbers of slots of any two groups differ by 1 at most, as far as slots that move
/// already allow.
pub(super) fn even_slots(groups: &BTreeSet<u32>, slots: &[Slot]) -> Vec<Move> {
    let mut counts: BTreeMap<u32, usize> = groups.iter().map(|group| (*group, 0)).collect();
    let mut movable: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for slot in slots {
        *counts.entry(slot.group).or_default() += 1;
        if !slot.moves {
            movable.entry(slot.group).or_default().insert(slot.number);
        }
    }
    let mut moves = Vec::new();
    loop {
        // From the fullest to the emptiest: no group gives and takes, as the two meet in the middle.
        let fullest = movable.iter().filter(|(_, slots)| !slots.is_empty());
        let fullest = fullest.map(|(group, _)| *group).max_by_key(|group| (counts[group], !*group));
        let emptiest = groups.iter().copied().min_by_key(|group| (counts[group], *group));
        let (Some(from), Some(to)) = (fullest, emptiest) else { break };
        if counts[&from] <= counts[&to] + 1 {
            break;
        }
        let Some(slot) = movable.get_mut(&from).and_then(BTreeSet::pop_first) else { break };
        *counts.entry(from).or_default() -= 1;
        *counts.entry(to).or_default() += 1;
        moves.push(Move { slot, from, to });
    }
    moves
}

/// Few moves after which no group is heavier than the mean by more than the heaviest slot, as far as slots that move
/// already allow.
///
/// The heaviest group gives the lightest one the largest slot that takes neither past the mean. Whoever is above it at
/// first stays so by giving, and whoever is below takes no more once it is not: so only those that are too heavy give,
/// only those that are too light take, and as long as one of the former is too heavy one of the latter is too light. It ends when
/// nobody is above the mean by more than a slot weighs on average; and below the heaviest slot, slots that are lighter than
/// a quarter of an average one stay: what they would gain is not worth the moves.
pub(super) fn even_weights(groups: &BTreeSet<u32>, slots: &[Slot]) -> Vec<Move> {
    // All in units of one part of a group's share, so that the mean is a whole number.
    let parts = groups.len() as i128;
    let total: i128 = slots.iter().map(|slot| i128::from(slot.weight)).sum();
    let mut above: BTreeMap<u32, i128> = groups.iter().map(|group| (*group, -total)).collect();
    let mut movable: BTreeMap<u32, BTreeSet<(i128, u32)>> = BTreeMap::new();
    for slot in slots {
        let weight = i128::from(slot.weight) * parts;
        *above.entry(slot.group).or_default() += weight;
        if !slot.moves && weight > 0 {
            movable.entry(slot.group).or_default().insert((weight, slot.number));
        }
    }
    movable.retain(|group, _| above[group] > 0);
    let average = total * parts / (slots.len() as i128).max(1);
    let heaviest = slots.iter().map(|slot| i128::from(slot.weight) * parts).max().unwrap_or(0);
    let mut moves = Vec::new();
    while let Some((to, missing)) = lightest(&above) {
        let mut givers: Vec<(i128, u32)> = above
            .iter()
            .filter(|(_, above)| **above > average)
            .map(|(group, above)| (-above, *group))
            .collect();
        givers.sort_unstable();
        let found = givers.into_iter().find_map(|(surplus, from)| {
            let surplus = -surplus;
            let (weight, slot) = fitting(movable.get(&from)?, surplus, missing)?;
            let is_worth_it = surplus > heaviest || weight * 4 >= average;
            is_worth_it.then_some((from, (weight, slot)))
        });
        let Some((from, (weight, slot))) = found else { break };
        movable.entry(from).or_default().remove(&(weight, slot));
        *above.entry(from).or_default() -= weight;
        *above.entry(to).or_default() += weight;
        moves.push(Move { slot, from, to });
    }
    moves
}

/// The lightest group, if it is below the mean, and by how much.
fn lightest(above: &BTreeMap<u32, i128>) -> Option<(u32, i128)> {
    let (group, above) = above.iter().min_by_key(|(group, above)| (**above, **group))?;
    (*above < 0).then_some((*group, -above))
}

/// The largest slot that takes neither group past the mean; else the smallest that does not take the giver there.
fn fitting(slots: &BTreeSet<(i128, u32)>, surplus: i128, missing: i128) -> Option<(i128, u32)> {
    let largest = slots.range(..=(surplus.min(missing), u32::MAX)).next_back();
    let smallest = || slots.first().filter(|(weight, _)| *weight <= surplus);
    largest.or_else(smallest).copied()
}

/// The moves that empty `leaving` onto the other groups as evenly as that goes; none where there is no other group.
pub(super) fn drain(groups: &BTreeSet<u32>, slots: &[Slot], leaving: u32) -> Vec<Move> {
    let others = groups.iter().filter(|group| **group != leaving);
    let mut loads: BTreeMap<u32, (u128, usize)> = others.map(|group| (*group, (0, 0))).collect();
    for slot in slots {
        if let Some((weight, count)) = loads.get_mut(&slot.group) {
            *weight += u128::from(slot.weight);
            *count += 1;
        }
    }
    let mut going: Vec<&Slot> =
        slots.iter().filter(|slot| slot.group == leaving && !slot.moves).collect();
    // The heavy ones first: the light ones then even out what those left uneven.
    going.sort_by_key(|slot| (std::cmp::Reverse(slot.weight), slot.number));
    let mut moves = Vec::new();
    for slot in going {
        let Some((to, load)) = loads.iter_mut().min_by_key(|(_, load)| **load) else { break };
        load.0 += u128::from(slot.weight);
        load.1 += 1;
        moves.push(Move { slot: slot.number, from: leaving, to: *to });
    }
    moves
}

#[cfg(test)]
mod tests;

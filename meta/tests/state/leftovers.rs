//! What each group has of each slot, and whether it counts.
//!
//! The migrator unlinks what it finds of a slot on a group that the state says gave it away. This states anew, from the
//! keys' side, which groups those may be.

use codis_proto::meta::v1 as pb;
use pb::SlotStep;
use pb::command::Change;
use std::collections::{BTreeMap, BTreeSet};

/// What a group has of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Has {
    /// Keys that clients wrote there.
    Data,
    /// What a move may have left behind.
    Leftovers,
}

#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    /// By slot and group; there is nothing else.
    keys: BTreeMap<(usize, u32), Has>,
}

impl Leftovers {
    /// Takes note of an accepted change that led from `before` to `after`.
    pub(crate) fn accepted(&mut self, change: &Change, before: &[pb::Slot], after: &pb::State) {
        match change {
            Change::SlotActionAdvance(advance) if advance.step() == SlotStep::Done => {
                for &slot in &advance.slots {
                    let slot = slot as usize;
                    self.keys.insert((slot, before[slot].group), Has::Leftovers);
                    self.keys.insert((slot, after.slots[slot].group), Has::Data);
                }
            }
            Change::SlotsAssign(assign) => {
                let range = assign.slots.as_ref().expect("it was accepted");
                for slot in range.first..=range.last {
                    self.keys.insert((slot as usize, assign.group), Has::Data);
                }
            }
            // Nobody knows what came after the backup.
            Change::StateRestore(_) => self.keys.clear(),
            _ => {}
        }
        let has_server = |id: &u32| after.groups.get(id).is_some_and(|one| !one.servers.is_empty());
        self.keys.retain(|(_, group), _| has_server(group));
    }

    /// Checks that exactly those groups count as having leftovers that have them.
    pub(crate) fn check(&self, slots: &[pb::Slot]) {
        for (number, slot) in slots.iter().enumerate() {
            let said: BTreeSet<u32> = slot.given_away_by.iter().copied().collect();
            let of_slot = self.keys.range((number, 0)..=(number, u32::MAX));
            let found = of_slot.filter(|(_, has)| **has == Has::Leftovers);
            let true_ones: BTreeSet<u32> = found.map(|((_, group), _)| *group).collect();
            assert_eq!(said, true_ones, "slot {number}");
        }
    }
}

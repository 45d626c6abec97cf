//! Topologies, and how they change.

use codis_proxy::slots::{SLOT_COUNT, slot};
use codis_proxy::topology::{Group, GroupIndex, Slot, SlotState, Topology};
use std::sync::Arc;

/// The operator's idea of the cluster, from which each topology is made.
pub(crate) struct Operator {
    epoch: u64,
    /// By home: the addresses, the master's first.
    homes: Vec<Vec<String>>,
    /// By slot: its home and its state.
    slots: Vec<(usize, Doing)>,
    /// The slots that clients use.
    used: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Stable,
    Locked,
    Preparing,
    Migrating,
    Offline,
}

impl Operator {
    pub(crate) fn new(homes: Vec<Vec<String>>, names: &[String]) -> Self {
        let count = homes.len();
        Self {
            epoch: 0,
            homes,
            slots: (0..SLOT_COUNT).map(|slot| (slot % count, Doing::Stable)).collect(),
            used: names.iter().map(|name| usize::from(slot(name.as_bytes()))).collect(),
        }
    }

    /// The topology as it is now, under a new epoch.
    pub(crate) fn publish(&mut self) -> Arc<Topology> {
        self.epoch += 1;
        let mut index = vec![None; self.homes.len()];
        let mut groups = Vec::new();
        for &(home, _) in &self.slots {
            if index[home].is_none() {
                index[home] = Some(GroupIndex(groups.len() as u16));
                let addresses: Vec<Arc<str>> =
                    self.homes[home].iter().map(|address| Arc::from(address.as_str())).collect();
                let replicas =
                    if addresses.len() > 1 { vec![addresses[1..].to_vec()] } else { Vec::new() };
                groups.push(Group {
                    id: home as u32 + 1,
                    master: Arc::clone(&addresses[0]),
                    has_replicas: !replicas.is_empty(),
                    replicas,
                });
            }
        }
        let slots = self.slots.iter().map(|&(home, doing)| {
            let group = index[home].expect("every home in use has a group");
            let state = match doing {
                Doing::Stable | Doing::Locked => SlotState::Stable(group),
                Doing::Preparing => SlotState::Preparing { from: group, to: group },
                Doing::Migrating => SlotState::Migrating { from: group, to: group, since: 1 },
                Doing::Offline => SlotState::Offline,
            };
            Slot { state, locked: doing == Doing::Locked }
        });
        Arc::new(Topology { epoch: self.epoch, slots: slots.collect(), groups, moves: None })
    }

    /// The topology that serves nothing.
    pub(crate) fn nothing(&mut self) -> Arc<Topology> {
        self.epoch += 1;
        Arc::new(Topology { epoch: self.epoch, ..Topology::offline() })
    }

    /// Every slot is served again.
    pub(crate) fn heal(&mut self) {
        self.slots.iter_mut().for_each(|(_, doing)| *doing = Doing::Stable);
    }

    /// Changes something.
    pub(crate) fn change(&mut self, rng: &mut fastrand::Rng) {
        let used = self.used[rng.usize(..self.used.len())];
        let home = rng.usize(..self.homes.len());
        match rng.u8(..9) {
            0 | 1 => self.slots[used].1 = Doing::Locked,
            2 => self.slots[used].1 = Doing::Preparing,
            3 => self.slots[used].1 = Doing::Offline,
            4 => self.slots[used].1 = Doing::Migrating,
            5 => self.slots[used] = (home, Doing::Stable),
            6 => {
                // A replica takes over.
                let addresses = &mut self.homes[home];
                let other = rng.usize(..addresses.len());
                addresses.swap(0, other);
            }
            7 => {
                // A home is emptied: its servers leave the topology.
                let to = rng.usize(..self.homes.len());
                self.slots.iter_mut().filter(|slot| slot.0 == home).for_each(|slot| slot.0 = to);
            }
            _ => self.heal(),
        }
    }
}

//! What the state says of the slots that leave a group.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use codis_proto::meta::v1 as pb;
use pb::slot_action;

use crate::state::settings::{self, Setting};
use crate::state::topology::MIGRATE_TIMEOUT_MS;

/// How far a slot's move is, with the epoch that names the phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Pending,
    Preparing(u64),
    Migrating(u64),
}

impl Phase {
    /// As a step of an action names it.
    pub(super) fn epoch(self) -> u64 {
        match self {
            Phase::Pending => 0,
            Phase::Preparing(epoch) | Phase::Migrating(epoch) => epoch,
        }
    }
}

/// A slot that moves or is to.
#[derive(Debug, Clone)]
pub(super) struct SlotMove {
    pub(super) slot: u32,
    pub(super) target: u32,
    pub(super) order: u64,
    pub(super) phase: Phase,
    /// The target's group has given the slot away before: what it has of it is left over.
    pub(super) leftovers: bool,
    /// What was last noted.
    pub(super) failure: String,
}

/// A group, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) group: u32,
    pub(super) address: String,
    pub(super) has_replicas: bool,
    /// Its master is being changed.
    pub(super) promoting: bool,
}

/// The settings that moves go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) paused: bool,
    pub(super) parallel_slots: u64,
    pub(super) batch_keys: u64,
    pub(super) batch_bytes: u64,
    pub(super) batch_time: Duration,
    pub(super) interval: Duration,
    pub(super) durability: pb::Durability,
    pub(super) big_bytes: u64,
    pub(super) big_elements: u64,
    pub(super) big_step_elements: u64,
    pub(super) migrate_timeout_ms: u64,
}

impl Rules {
    fn of(state: &pb::State) -> Rules {
        let number = |setting| settings::number(state, setting);
        let time = |setting| Duration::from_micros(settings::number(state, setting));
        Rules {
            paused: settings::flag(state, Setting::MigrationDisabled),
            parallel_slots: number(Setting::MigrationParallelSlots),
            batch_keys: number(Setting::MigrationAsyncNumkeys),
            batch_bytes: number(Setting::MigrationAsyncMaxbytes),
            batch_time: time(Setting::MigrationBatchTime),
            interval: time(Setting::MigrationInterval),
            durability: match settings::text(state, Setting::MigrationDurability) {
                "aof" => pb::Durability::Aof,
                "none" => pb::Durability::None,
                _ => pb::Durability::Replica,
            },
            big_bytes: number(Setting::MigrationBigBytes),
            big_elements: number(Setting::MigrationBigElements),
            big_step_elements: number(Setting::MigrationAsyncMaxbulks),
            migrate_timeout_ms: MIGRATE_TIMEOUT_MS,
        }
    }
}

/// From a group to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way {
    pub(super) from: u32,
    pub(super) to: u32,
}

impl Way {
    /// Whether one begins where the other ends. The source of a step waits for its target and serves no one
    /// meanwhile; were that waiting for another in turn, and so on round to the first, all would wait until
    /// their MIGRATEs time out.
    pub(super) fn crosses(self, other: Way) -> bool {
        self.from == other.to || self.to == other.from
    }
}

/// A slot that waits for its turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queued {
    pub(super) order: u64,
    pub(super) way: Way,
}

/// The moves away from one group.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) source: Place,
    /// By rising order.
    pub(super) moves: Vec<SlotMove>,
    /// The groups that they go to; none for a target without a server.
    pub(super) targets: BTreeMap<u32, Place>,
    pub(super) rules: Rules,
    /// How many slots are preparing or migrating, of all sources.
    pub(super) active: u64,
    /// The pending slots of all sources whose groups are at rest, by rising order.
    pub(super) queue: Vec<Queued>,
    /// From which group to which those are on their way that are preparing or migrating.
    pub(super) ways: BTreeSet<Way>,
    /// The fence that every master must hold.
    pub(super) fence: u64,
}

impl Plan {
    /// `None` where nothing moves away from the group.
    pub(super) fn of(state: &pb::State, source: u32) -> Option<Plan> {
        let all = all_moves(state);
        let moves: Vec<SlotMove> =
            all.iter().filter(|(from, _)| *from == source).map(|(_, one)| one.clone()).collect();
        if moves.is_empty() {
            return None;
        }
        let places: BTreeMap<u32, Place> =
            state.groups.values().filter_map(|group| Some((group.id, place(group)?))).collect();
        let rests = |id: &u32| places.get(id).is_some_and(|place| !place.promoting);
        let queue = all
            .iter()
            .filter(|(from, one)| one.phase == Phase::Pending && rests(from) && rests(&one.target));
        let way = |(from, one): &(u32, SlotMove)| Way { from: *from, to: one.target };
        let active = || all.iter().filter(|(_, one)| one.phase != Phase::Pending);
        Some(Plan {
            source: places.get(&source)?.clone(),
            targets: moves
                .iter()
                .filter_map(|one| Some((one.target, places.get(&one.target)?.clone())))
                .collect(),
            queue: queue.map(|pair| Queued { order: pair.1.order, way: way(pair) }).collect(),
            rules: Rules::of(state),
            active: active().count() as u64,
            ways: active().map(way).collect(),
            fence: state.fence_epoch,
            moves,
        })
    }

    /// Whether a pass by this plan may go on in `newest`.
    pub(super) fn holds_in(&self, newest: &Plan) -> bool {
        let places = self.targets.iter().all(|(id, place)| newest.targets.get(id) == Some(place));
        let is_there = |one: &SlotMove| {
            newest
                .moves
                .iter()
                .any(|now| (now.slot, now.order, now.phase) == (one.slot, one.order, one.phase))
        };
        places
            && self.source == newest.source
            && self.rules == newest.rules
            && self.migrating().all(is_there)
    }

    /// Those whose keys may move now.
    pub(super) fn migrating(&self) -> impl Iterator<Item = &SlotMove> {
        self.moves.iter().filter(|one| {
            let rests = self.targets.get(&one.target).is_some_and(|place| !place.promoting);
            matches!(one.phase, Phase::Migrating(_)) && rests && !self.source.promoting
        })
    }
}

/// Every slot with an action, with the group that it leaves, by rising order.
fn all_moves(state: &pb::State) -> Vec<(u32, SlotMove)> {
    let one = |(number, slot): (usize, &pb::Slot)| {
        let action = slot.action.as_ref()?;
        let phase = match action.phase.as_ref()? {
            slot_action::Phase::Pending(_) => Phase::Pending,
            slot_action::Phase::Preparing(barrier) => Phase::Preparing(barrier.epoch),
            slot_action::Phase::Migrating(migrating) => Phase::Migrating(migrating.epoch),
        };
        let one = SlotMove {
            slot: u32::try_from(number).ok()?,
            target: action.target,
            order: action.order,
            phase,
            leftovers: slot.given_away_by.contains(&action.target),
            failure: action.failure.clone(),
        };
        Some((slot.group, one))
    };
    let mut all: Vec<(u32, SlotMove)> = state.slots.iter().enumerate().filter_map(one).collect();
    all.sort_by_key(|(_, one)| one.order);
    all
}

fn place(group: &pb::Group) -> Option<Place> {
    let master = group.servers.first()?;
    Some(Place {
        group: group.id,
        address: master.address.clone(),
        has_replicas: group.servers.len() > 1,
        promoting: group.promotion.is_some(),
    })
}

/// The groups that slots leave or are to leave.
pub(super) fn sources(state: &pb::State) -> Vec<u32> {
    let mut sources: Vec<u32> =
        state.slots.iter().filter(|slot| slot.action.is_some()).map(|slot| slot.group).collect();
    sources.sort_unstable();
    sources.dedup();
    sources
}

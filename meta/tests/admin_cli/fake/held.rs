//! What the group holds, and how changes change it.

use std::collections::{BTreeMap, VecDeque};

use codis_proto::admin::v1 as pb;
use codis_proto::meta::v1 as meta;
use tonic::Status;

use super::Step;

/// The metadata that names the rule against a call.
const RULE_KEY: &str = "codis-refusal";

/// What the group holds and has seen.
#[derive(Debug)]
pub(crate) struct Held {
    /// What becomes of the calls to come; they succeed when this is empty.
    pub(crate) steps: VecDeque<Step>,
    /// Every call is answered with `Away`.
    pub(crate) without_leader: bool,
    /// The token that calls must have.
    pub(crate) token: Option<String>,
    /// How many calls have come, by their names.
    pub(crate) calls: BTreeMap<&'static str, usize>,
    /// How many changes have run.
    pub(crate) ran: usize,
    pub(crate) groups: BTreeMap<u32, Vec<pb::Server>>,
    pub(crate) members: BTreeMap<u64, String>,
    pub(crate) slots: Vec<meta::Slot>,
    /// Moves go no further.
    pub(crate) moves_wait: bool,
    /// Why group 1 waits.
    pub(crate) trouble: String,
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) restored: Vec<Vec<u8>>,
    pub(crate) proxies_waiting: Vec<String>,
    /// What the last change asked to wait.
    pub(crate) wait_ms: Option<u64>,
    pub(super) answered: BTreeMap<(u64, u64), pb::Changed>,
}

impl Default for Held {
    fn default() -> Self {
        let slot = meta::Slot { group: 1, ..meta::Slot::default() };
        Self {
            steps: VecDeque::new(),
            without_leader: false,
            token: None,
            calls: BTreeMap::new(),
            ran: 0,
            groups: BTreeMap::new(),
            members: BTreeMap::new(),
            slots: vec![slot; 1024],
            moves_wait: false,
            trouble: String::new(),
            settings: BTreeMap::new(),
            restored: Vec::new(),
            proxies_waiting: Vec::new(),
            wait_ms: None,
            answered: BTreeMap::new(),
        }
    }
}

pub(crate) fn refused(status: Status, rule: &'static str) -> Status {
    let mut status = status;
    status.metadata_mut().insert(RULE_KEY, rule.parse().expect("plain text"));
    status
}

impl Held {
    pub(super) fn group(&mut self, gid: u32) -> Result<&mut Vec<pb::Server>, Status> {
        let unknown =
            || refused(Status::not_found(format!("there is no group {gid}")), "GROUP_UNKNOWN");
        self.groups.get_mut(&gid).ok_or_else(unknown)
    }

    pub(super) fn list_groups(&self) -> pb::Groups {
        let groups = self.groups.iter().map(|(&gid, servers)| pb::Group {
            gid,
            servers: servers.clone(),
            ..pb::Group::default()
        });
        pb::Groups { groups: groups.collect() }
    }

    pub(super) fn list_slots(&self) -> pb::Slots {
        pb::Slots { epoch: self.ran as u64, slots: self.slots.clone() }
    }

    pub(super) fn migrate(&mut self, request: &pb::MigrateSlotsRequest) -> Result<(), Status> {
        let range = (request.beg..=request.end).map(|slot| (slot, request.gid));
        let moves: Vec<(u32, u32)> = match request.moves.is_empty() {
            true => range.collect(),
            false => request.moves.iter().map(|one| (one.slot, one.to)).collect(),
        };
        let from = request.from_gid;
        let count = if request.count == 0 { 1024 } else { request.count as usize };
        let wanted = |slot: &meta::Slot| from == 0 || slot.group == from;
        let moves = moves.into_iter().filter(|(slot, _)| wanted(&self.slots[*slot as usize]));
        for (slot, target) in moves.take(count).collect::<Vec<_>>() {
            self.group(target)?;
            let phase = Some(meta::slot_action::Phase::Pending(meta::slot_action::Pending {}));
            let order = u64::from(slot) + 1;
            let action = meta::SlotAction { target, order, phase, ..Default::default() };
            self.slots[slot as usize].action = Some(action);
        }
        Ok(())
    }

    pub(super) fn list_moves(&self) -> pb::Moves {
        let moves = (0..).zip(&self.slots).filter_map(|(slot, one)| {
            let action = Some(one.action.clone()?);
            Some(pb::Move { slot, from: one.group, action })
        });
        let moves: Vec<pb::Move> = moves.collect();
        let source = pb::MoveSource {
            gid: 1,
            addr: "10.0.0.1:6379".into(),
            doing: "moving".into(),
            trouble: self.trouble.clone(),
            ..pb::MoveSource::default()
        };
        let sources = if moves.is_empty() { Vec::new() } else { vec![source] };
        let paused = self.settings.get("migration_disabled").is_some_and(|value| value == "true");
        pb::Moves { moves, sources, paused, keys_moved: 7, ..pb::Moves::default() }
    }

    /// A look at the moves is what takes them further here.
    pub(super) fn one_slot_moves(&mut self) {
        if self.moves_wait {
            return;
        }
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.action.is_some()) {
            slot.group = slot.action.take().map_or(slot.group, |action| action.target);
        }
    }

    /// The lowest two slots of group 1, or of the group that is drained, go to the last group.
    pub(super) fn plan(&self, drained: u32) -> pb::RebalancePlan {
        let from = if drained == 0 { 1 } else { drained };
        let to = self.groups.keys().copied().max().unwrap_or_default();
        let on_it = (0..).zip(&self.slots).filter(|(_, slot)| slot.group == from && from != to);
        let moves = on_it.take(2).map(|(slot, _)| pb::PlannedMove { slot, from, to });
        let share = |&gid: &u32| pb::GroupShare { gid, ..pb::GroupShare::default() };
        pb::RebalancePlan {
            moves: moves.collect(),
            shares: self.groups.keys().map(share).collect(),
            ..pb::RebalancePlan::default()
        }
    }

    pub(super) fn list_members(&self) -> pb::Members {
        let members = self.members.iter().map(|(&id, addr)| pb::Member {
            id,
            addr: addr.clone(),
            active: true,
            ..pb::Member::default()
        });
        pb::Members { group: 1, leader: 1, members: members.collect(), ..pb::Members::default() }
    }
}

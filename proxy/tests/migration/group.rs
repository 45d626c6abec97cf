//! The metadata group: the real state, and a log that is nothing but the order of commands.

use crate::leader::desk::lock;
use crate::world::{Event, World};
use codis_meta::state::{State, VERSION};
use codis_proto::meta::v1 as pb;
use codis_proxy::slots;
use codis_proxy::topology::{Topology, from_group};
use pb::command::Change;
use pb::slot_action::Phase;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// How many of 256 steps run without their leader's ever knowing.
pub(crate) const REFUSED_LATE: u8 = 4;

/// Where time begins.
pub(crate) const UNIX_MS_AT_START: u64 = 1_700_000_000_000;

/// See the module's head.
pub(crate) struct Group {
    pub(crate) state: State,
    applied: u64,
    leader: usize,
    term: u64,
    /// What deposed leaders know, and how far they are.
    stale: BTreeMap<usize, (State, u64)>,
    pub(crate) now_us: u64,
    pub(crate) unix_ms: u64,
}

/// The group, as leaders and the world have it in common.
pub(crate) type SharedGroup = Arc<Mutex<Group>>;

impl Group {
    pub(crate) fn new() -> Self {
        Self {
            state: State::new(),
            applied: 0,
            leader: 0,
            term: 0,
            stale: BTreeMap::new(),
            now_us: 0,
            unix_ms: UNIX_MS_AT_START,
        }
    }

    pub(crate) fn term(&self) -> u64 {
        self.term
    }

    pub(crate) fn leads(&self, leader: usize) -> bool {
        leader == self.leader
    }

    pub(crate) fn leader(&self) -> usize {
        self.leader
    }

    /// The old leader is left with what it has.
    pub(crate) fn elect(&mut self, leader: usize) {
        if self.term > 0 {
            self.stale.insert(self.leader, (self.state.clone(), self.applied));
        }
        self.leader = leader;
        self.term += 1;
    }

    pub(crate) fn seen_by(&self, leader: usize) -> &State {
        self.stale.get(&leader).map_or(&self.state, |(state, _)| state)
    }

    pub(crate) fn applied_at(&self, leader: usize) -> u64 {
        self.stale.get(&leader).map_or(self.applied, |(_, applied)| *applied)
    }

    pub(crate) fn tick(&mut self, now_us: u64) {
        self.now_us = now_us;
        self.unix_ms = UNIX_MS_AT_START + now_us / 1000;
    }
}

impl World {
    /// Applies a command, and tells everyone of what came of it.
    pub(crate) fn apply(&mut self, change: Change, expect_epoch: u64) -> pb::Outcome {
        self.tell(|| format!("the group applies {change:?}"));
        let (outcome, before, after) = {
            let mut group = lock(&self.group);
            let before = group.state.epoch();
            group.applied += 1;
            let command = pb::Command {
                version: VERSION,
                time_unix_ms: group.unix_ms,
                expect_epoch,
                change: Some(change),
                ..pb::Command::default()
            };
            let index = group.applied;
            let outcome = group.state.apply_command(index, &command);
            (outcome, before, group.state.epoch())
        };
        self.tell(|| format!("  epoch {after}: {:?}", outcome.result));
        if after > before {
            self.publish();
        }
        self.tell_applied();
        outcome
    }

    /// As [`World::apply`], for what cannot be refused.
    pub(crate) fn must_apply(&mut self, change: Change) -> pb::Outcome {
        let outcome = self.apply(change, 0);
        if let Some(pb::outcome::Result::Refused(refused)) = &outcome.result {
            self.fail(format!("the state refuses what it must not: {}", refused.message));
        }
        outcome
    }

    /// The newest topology is on its way to every proxy.
    fn publish(&mut self) {
        let topology = lock(&self.group).state.topology().clone();
        let epoch = topology.epoch;
        match from_group(&topology, "") {
            Ok(topology) => drop(self.topologies.insert(epoch, Arc::new(topology))),
            Err(wrong) => return self.fail(format!("the topology of epoch {epoch}: {wrong}")),
        }
        for proxy in 0..self.proxies.len() {
            self.tell_topology(proxy);
        }
    }

    pub(crate) fn tell_topology(&mut self, proxy: usize) {
        let epoch = lock(&self.group).state.epoch();
        // A proxy that is cut off from the group lets its clients wait until it is not.
        let slow = self.servers_may_fail() && self.rng.u8(..12) == 0;
        let delay = if slow { 400_000 } else { 4_000 };
        let life = self.proxies[proxy].life;
        self.soon(delay, Event::Topology { proxy, life, epoch });
    }

    pub(crate) fn topology(&self, epoch: u64) -> Arc<Topology> {
        Arc::clone(&self.topologies[&epoch])
    }

    /// The group that has a slot, and the one that it moves from, by the newest state.
    pub(crate) fn owners(&self, key: &[u8]) -> (u32, Option<u32>) {
        let group = lock(&self.group);
        let slot = &group.state.data().slots[usize::from(slots::slot(key))];
        match slot.action.as_ref().and_then(|action| Some((action.target, action.phase.as_ref()?)))
        {
            Some((target, Phase::Migrating(_))) => (target, Some(slot.group)),
            _ => (slot.group, None),
        }
    }

    /// Whether a slot is about to come to a group.
    pub(crate) fn is_pending_target(&self, target: u32, key: &[u8]) -> bool {
        let group = lock(&self.group);
        let slot = &group.state.data().slots[usize::from(slots::slot(key))];
        slot.action.as_ref().is_some_and(|action| {
            action.target == target && matches!(action.phase, Some(Phase::Pending(_)))
        })
    }
}

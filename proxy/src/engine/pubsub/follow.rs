//! What a new topology changes: where channels live, and which masters patterns are subscribed on.
//!
//! A slot that is about to move has its channels subscribed at both masters, and the epoch settles - which the
//! barrier of the move waits for - only when the new one has confirmed. So whoever publishes after the
//! barrier is heard. When the slot has moved they are ended at the old master, after what was published there.

use super::topic::Topic;
use crate::engine::Engine;
use crate::engine::backend::Role;
use crate::slots::SLOT_COUNT;
use crate::topology::{Address, GroupIndex, SlotState, Topology};
use std::collections::BTreeMap;

/// How long an epoch waits for confirmations before it settles without them, in microseconds. Less than the
/// barrier's deadline: a server that hangs must not hold up what the group does about that.
const CONFIRM_US_MAX: u64 = 1_000_000;

/// The group whose master has a slot's channels.
fn owner(topology: &Topology, slot: usize) -> Option<GroupIndex> {
    match topology.slots[slot].state {
        SlotState::Offline => None,
        SlotState::Stable(group) => Some(group),
        SlotState::Preparing { from, .. } => Some(from),
        SlotState::Migrating { to, .. } => Some(to),
    }
}

impl Engine {
    /// By old master: the slots that `next` has given to another group. Not those whose group has another master:
    /// the old one may be its replica by now, and say everything twice.
    pub(in crate::engine) fn slots_that_leave(
        &self,
        next: &Topology,
    ) -> BTreeMap<Address, Vec<u16>> {
        let mut leaving: BTreeMap<Address, Vec<u16>> = BTreeMap::new();
        if self.hub.is_idle() {
            return leaving;
        }
        let present = &self.routes.topology;
        for slot in 0..SLOT_COUNT {
            let (Some(then), Some(now)) = (owner(present, slot), owner(next, slot)) else {
                continue;
            };
            let (then, now) = (present.group(then), next.group(now));
            if then.id != now.id && then.master != now.master {
                leaving.entry(Address::clone(&then.master)).or_default().push(slot as u16);
            }
        }
        leaving
    }

    /// Has every topic subscribed where the present topology has it, and nowhere else.
    pub(in crate::engine) fn keep_subscriptions_true(
        &mut self,
        before: u64,
        leaving: BTreeMap<Address, Vec<u16>>,
    ) {
        for backend in self.routes.take_subscribers_of_replicas() {
            self.retire(backend);
        }
        if self.hub.is_idle() {
            return self.hub.forget_held();
        }
        for topic in self.hub.all() {
            let Some(target) = self.hub.topics.get(topic as usize) else { continue };
            if target.is_wanted() {
                self.tell_servers(topic);
            }
            self.leave_others(topic);
            self.confirm_waiting(topic);
        }
        self.begin_holds(leaving);
        let feeds = self.backends.iter().filter(|(_, target)| target.role == Role::Subscriber);
        let feeds: Vec<u32> = feeds.map(|(index, _)| index as u32).collect();
        self.await_answers(feeds, before, self.now_us + CONFIRM_US_MAX);
    }

    /// Ends a topic's subscriptions on masters that have it no more.
    fn leave_others(&mut self, topic: u32) {
        let target: &Topic = &self.hub.topics[topic as usize];
        let servers = self.servers_of(target);
        let stays: Vec<u32> =
            servers.iter().filter_map(|server| self.routes.subscriber_of(*server)).collect();
        self.leave_servers(topic, |backend| !stays.contains(&backend));
    }
}

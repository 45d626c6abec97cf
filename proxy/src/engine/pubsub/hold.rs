//! Messages that wait for those of the master that had their slot before.
//!
//! When a slot moves, what was published to its channels at the old master may still be on its way here
//! while the new master's messages come already: other proxies may have passed the barrier first. So these are held as long
//! as the slot is about to move, and then until the old master has answered a PING on its subscriber connection:
//! everything that was published there before has come by then.

use super::message::{self, Message};
use super::topic::is_of_keyspace;
use crate::engine::Engine;
use crate::engine::backend::{Kind, State};
use crate::slots;
use crate::topology::{Address, SlotState};
use ahash::AHashMap;
use std::collections::BTreeMap;

/// So many bytes may be held; with more, all go out as they have come.
const HELD_BYTES_MAX: usize = 16 << 20;

/// Slots that have moved, and wait for one old master.
#[derive(Debug)]
struct Hold {
    /// The old master's connection.
    backend: u32,
    slots: Vec<u16>,
}

/// All that is held.
#[derive(Debug, Default)]
pub(super) struct Holds {
    /// By slot, in the order in which they came.
    messages: BTreeMap<u16, Vec<Vec<u8>>>,
    bytes: usize,
    /// Of slots that have moved.
    holds: BTreeMap<u32, Hold>,
    by_slot: AHashMap<u16, u32>,
    /// The number of the next one; they are used again after 2^32 holds.
    next: u32,
}

impl Engine {
    /// Whether a message was taken to wait.
    pub(super) fn hold_back(&mut self, backend: u32, message: &Message<'_>, bytes: &[u8]) -> bool {
        // Events of keys have no order between servers.
        if is_of_keyspace(message.channel) {
            return false;
        }
        let slot = slots::slot(message.channel);
        if !self.waits_for_another(backend, slot) {
            return false;
        }
        let holds = &mut self.hub.holds;
        holds.bytes += bytes.len();
        holds.messages.entry(slot).or_default().push(bytes.to_vec());
        if holds.bytes > HELD_BYTES_MAX {
            tracing::warn!(
                shard = self.shard,
                "too many messages wait for a slot to have moved: their order is given up"
            );
            let slots: Vec<u16> = holds.messages.keys().copied().collect();
            slots.into_iter().for_each(|slot| self.let_go(slot));
        }
        true
    }

    /// Whether what this connection says of a slot has to wait for another connection.
    fn waits_for_another(&self, backend: u32, slot: u16) -> bool {
        let holds = &self.hub.holds;
        if let Some(hold) = holds.by_slot.get(&slot).and_then(|number| holds.holds.get(number)) {
            return hold.backend != backend;
        }
        let about_to_move = matches!(
            self.routes.topology.slots[usize::from(slot)].state,
            SlotState::Preparing { .. }
        );
        let mut masters = self.routes.masters_of(slot);
        about_to_move
            && masters.next().and_then(|from| self.routes.subscriber_of(from)) != Some(backend)
            && masters.next().and_then(|to| self.routes.subscriber_of(to)) == Some(backend)
    }

    /// Lets the messages of a slot go.
    fn let_go(&mut self, slot: u16) {
        for bytes in self.hub.holds.messages.remove(&slot).unwrap_or_default() {
            self.hub.holds.bytes -= bytes.len();
            if let Some(message) = message::read(&bytes) {
                self.spread(message.form, message.name, &bytes);
            }
        }
    }

    /// A topology has come: slots have left the masters at these addresses.
    pub(super) fn begin_holds(&mut self, leaving: BTreeMap<Address, Vec<u16>>) {
        for (address, slots) in leaving {
            self.begin_hold(&address, slots);
        }
        // What has come too early for a move that was given up.
        let holds = &self.hub.holds;
        let state = |slot: u16| self.routes.topology.slots[usize::from(slot)].state;
        let waits = |slot: &u16| {
            holds.by_slot.contains_key(slot) || matches!(state(*slot), SlotState::Preparing { .. })
        };
        let over: Vec<u16> = holds.messages.keys().copied().filter(|slot| !waits(slot)).collect();
        over.into_iter().for_each(|slot| self.let_go(slot));
    }

    fn begin_hold(&mut self, address: &Address, slots: Vec<u16>) {
        let backend = self.routes.subscriber_at(address);
        let Some(backend) = backend.filter(|at| self.backends[*at as usize].state == State::Ready)
        else {
            return;
        };
        for slot in &slots {
            // It has moved twice within one round trip: what came in between goes out.
            if let Some(before) = self.hub.holds.by_slot.get(slot).copied() {
                self.end_hold(before);
            }
        }
        let number = self.hub.holds.next;
        self.hub.holds.next = number.wrapping_add(1);
        self.hub.holds.by_slot.extend(slots.iter().map(|slot| (*slot, number)));
        self.hub.holds.holds.insert(number, Hold { backend, slots });
        self.push_to_feed(backend, Kind::Flush, number, b"*1\r\n$4\r\nPING\r\n");
    }

    /// Lets the messages of a hold go, if it has not ended before.
    pub(super) fn end_hold(&mut self, number: u32) {
        let Some(hold) = self.hub.holds.holds.remove(&number) else { return };
        for slot in hold.slots {
            self.hub.holds.by_slot.remove(&slot);
            self.let_go(slot);
        }
    }

    /// An old master will say nothing more.
    pub(super) fn end_holds_of(&mut self, backend: u32) {
        let of = |(_, hold): &(&u32, &Hold)| hold.backend == backend;
        let ended: Vec<u32> = self.hub.holds.holds.iter().filter(of).map(|(n, _)| *n).collect();
        ended.into_iter().for_each(|number| self.end_hold(number));
    }
}

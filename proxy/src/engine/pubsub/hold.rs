//! Messages that wait for those of the server that had their slot before.
//!
//! When a slot has moved, what was published to its channels at the old master may still be on its way here
//! while the new master's messages come already. So these are held until the old master has answered a PING
//! on its subscriber connection: everything that was published there before has come by then.

use super::message::Message;
use super::topic::is_of_keyspace;
use super::{Form, message};
use crate::engine::Engine;
use crate::engine::backend::{Kind, State};
use crate::slots;
use crate::topology::Address;
use ahash::AHashMap;
use std::collections::BTreeMap;

/// One hold keeps at most so many bytes; with more, its messages go out as they have come.
const HELD_BYTES_MAX: usize = 16 << 20;

/// Slots whose new masters' messages wait for one old master.
#[derive(Debug)]
struct Hold {
    /// The old master's connection.
    backend: u32,
    slots: Vec<u16>,
    messages: Vec<Vec<u8>>,
    bytes: usize,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Holds {
    holds: BTreeMap<u32, Hold>,
    by_slot: AHashMap<u16, u32>,
    /// The number of the next one; they are used again after 2^32 holds.
    next: u32,
}

impl Engine {
    /// Holds the messages of slots that have left the master at this address.
    pub(super) fn begin_hold(&mut self, address: &Address, slots: Vec<u16>) {
        let Some(backend) = self.routes.subscriber_at(address) else { return };
        if self.backends[backend as usize].state != State::Ready {
            return;
        }
        let before: Vec<u32> =
            slots.iter().filter_map(|slot| self.hub.holds.by_slot.get(slot).copied()).collect();
        // The slot has moved twice within one round trip: what came in between goes out.
        before.into_iter().for_each(|number| self.end_hold(number));
        let number = self.hub.holds.next;
        self.hub.holds.next = number.wrapping_add(1);
        for slot in &slots {
            self.hub.holds.by_slot.insert(*slot, number);
        }
        let hold = Hold { backend, slots, messages: Vec::new(), bytes: 0 };
        self.hub.holds.holds.insert(number, hold);
        self.push_to_feed(backend, Kind::Flush, number, b"*1\r\n$4\r\nPING\r\n");
    }

    /// Whether a message was taken to wait.
    pub(super) fn hold_back(&mut self, backend: u32, message: &Message<'_>, bytes: &[u8]) -> bool {
        let Holds { holds, by_slot, .. } = &mut self.hub.holds;
        // Events of keys have no order between servers.
        if by_slot.is_empty() || is_of_keyspace(message.channel) {
            return false;
        }
        let Some(number) = by_slot.get(&slots::slot(message.channel)).copied() else {
            return false;
        };
        let Some(hold) = holds.get_mut(&number).filter(|hold| hold.backend != backend) else {
            return false;
        };
        hold.bytes += bytes.len();
        hold.messages.push(bytes.to_vec());
        if hold.bytes > HELD_BYTES_MAX {
            self.end_hold(number);
        }
        true
    }

    /// Lets the messages of a hold go, if it has not ended before.
    pub(super) fn end_hold(&mut self, number: u32) {
        let Holds { holds, by_slot, .. } = &mut self.hub.holds;
        let Some(hold) = holds.remove(&number) else { return };
        for slot in &hold.slots {
            by_slot.remove(slot);
        }
        for bytes in hold.messages {
            if let Some(message) = message::read(&bytes) {
                let (form, name): (Form, &[u8]) = (message.form, message.name);
                self.spread(form, name, &bytes);
            }
        }
    }

    /// An old master will say nothing more.
    pub(super) fn end_holds_of(&mut self, backend: u32) {
        let of = |(_, hold): &(&u32, &Hold)| hold.backend == backend;
        let ended: Vec<u32> = self.hub.holds.holds.iter().filter(of).map(|(n, _)| *n).collect();
        ended.into_iter().for_each(|number| self.end_hold(number));
    }
}

//! Reads that replicas cannot answer.
//!
//! A replica that loads its data, or has lost its master and may not answer with old data, says so instead of an
//! answer. It is left alone for a while, and the read goes to the master - where nothing else of its session is under
//! way, so that it can overtake nothing; else its client is given the replica's words. A request that was refused in
//! these words has not run, so it is not run twice.

use super::Engine;
use super::backend::{Body, InFlight, Kind};
use super::route::Route;
use crate::command;
use crate::resp::Request;
use crate::resp::request::{Parsed, Progress, parse};
use crate::slots;

/// For how long a replica that cannot answer is left alone, in microseconds.
const REST_US: u64 = 1_000_000;

impl Engine {
    /// Takes a read to the master that its replica has refused; answers whether it did.
    #[cold]
    pub(super) fn goes_on_at_master(
        &mut self,
        backend: u32,
        entry: &InFlight,
        reply: &[u8],
    ) -> bool {
        let replica = &mut self.backends[backend as usize];
        let refused = reply.starts_with(b"-LOADING") || reply.starts_with(b"-MASTERDOWN");
        if !replica.replica || !refused {
            return false;
        }
        replica.rests_until_us = self.now_us + REST_US;
        if entry.kind != Kind::Reply || self.sessions[entry.session as usize].in_flight() != 1 {
            return false;
        }
        let Some((bytes, slot)) = self.read_again(backend, entry) else { return false };
        let Route::Server { master, .. } = self.routes.slots[usize::from(slot)] else {
            return false;
        };
        let lane = self.sessions[entry.session as usize].lane();
        let master = self.backend_at(master, lane, slot);
        if !self.backends[master as usize].takes_requests() || self.is_full(master) {
            return false;
        }
        self.push(master, *entry, Body::Copy(&bytes));
        true
    }

    /// The bytes of a request that was sent, if they are still here, and the slot of its keys.
    fn read_again(&self, backend: u32, entry: &InFlight) -> Option<(Vec<u8>, u16)> {
        let bytes = self.backends[backend as usize].sent_bytes(entry.offset)?;
        let mut progress = Progress::default();
        let Parsed::Complete(len) = parse(bytes, &mut progress, &self.settings.limits) else {
            return None;
        };
        let request = Request { bytes: &bytes[..len], args: &progress.args };
        let mut keys = Vec::new();
        command::keys(entry.command, &request, &mut keys).ok()?;
        let slot = slots::slot(request.arg(*keys.first()? as usize));
        Some((request.bytes.to_vec(), slot))
    }
}

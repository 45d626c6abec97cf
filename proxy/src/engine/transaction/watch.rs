//! WATCH: a transaction that runs only if keys have not changed.
//!
//! The server does the watching, on a connection that the session has to itself until EXEC, DISCARD or UNWATCH. Where the
//! slot goes to another server meanwhile, or the connection is lost, nobody has watched the keys for a while, and EXEC
//! answers as if one had changed: the client tries again, as it must be ready to do anyway.

use super::super::Engine;
use super::super::backend::Body;
use super::super::dedicated::Lease;
use super::super::dispatch::Flow;
use super::super::route::is_reserved;
use super::super::session::{Flags, Stall};
use crate::command::{CROSSSLOT, CommandId, ids};
use crate::resp::Request;
use crate::slots;
use crate::topology::Address;

/// What a session has watched.
#[derive(Debug)]
pub(in crate::engine) struct Watch {
    pub(super) slot: u16,
    pub(super) lease: Lease,
    /// Changes may have gone unseen.
    pub(super) broken: bool,
}

impl Engine {
    pub(super) fn watch(&mut self, session: u32, id: CommandId, request: &Request<'_>) -> Flow {
        if self.sessions[session as usize].flags.has(Flags::MULTI) {
            return self.deny(session, id, "ERR WATCH inside MULTI is not allowed");
        }
        if let Some(flow) = self.wait_until_quiet(session) {
            return flow;
        }
        let keys: Vec<&[u8]> = (1..request.len()).map(|i| request.arg(i)).collect();
        if keys.iter().any(|key| is_reserved(key)) {
            return self.refuse_reserved(session, id);
        }
        let slot = self.watched_slot(session).unwrap_or_else(|| slots::slot(keys[0]));
        if keys.iter().any(|key| slots::slot(key) != slot) {
            return self.reject(session, id, CROSSSLOT);
        }
        let server = match self.server_for(session, id, slot, &keys) {
            Ok(server) => server,
            Err(flow) => return flow,
        };
        let lease = match self.watching(session, slot, server) {
            Ok(Some(lease)) => lease,
            // It is broken already, and stays so until EXEC.
            Ok(None) => return self.confirm(session, id),
            Err(text) => return self.fail(session, id, &text),
        };
        let target = &mut self.sessions[session as usize];
        let entry = target.entry(session, id, self.now_us);
        target.stall = Stall::Quiet;
        let database = target.database;
        self.select_on(lease, database);
        self.push(lease.backend, entry, Body::Copy(request.bytes));
        Flow::Next
    }

    /// The session's connection for watching keys of a slot of this server; `None` if it has one that is broken.
    fn watching(&mut self, session: u32, slot: u16, server: u16) -> Result<Option<Lease>, String> {
        if let Some((_, lease)) = self.watched(session) {
            return Ok(lease);
        }
        let lease = match self.tracker_for(session, server, slot) {
            Some(lease) if self.leased(lease).is_none() => {
                return Err(self.down_text(lease.backend));
            }
            Some(lease) => {
                self.leases.sessions.insert(session);
                lease
            }
            None => self.lend(session, server, slot)?,
        };
        let watch = Watch { slot, lease, broken: false };
        self.sessions[session as usize].own_mut().watch = Some(watch);
        Ok(Some(lease))
    }

    pub(super) fn unwatch(&mut self, session: u32, id: CommandId) -> Flow {
        self.end_watch(session);
        self.confirm(session, id)
    }

    /// The slot of the keys that a session watches.
    pub(in crate::engine) fn watched_slot(&self, session: u32) -> Option<u16> {
        let own = self.sessions[session as usize].own.as_ref()?;
        own.watch.as_ref().map(|watch| watch.slot)
    }

    /// The session watches nothing any more; its connection goes back.
    pub(super) fn end_watch(&mut self, session: u32) {
        let Some(watch) = self.take_watch(session) else { return };
        if self.leased(watch.lease).is_some() {
            self.push_swallowed(watch.lease.backend, ids::UNWATCH, &[b"UNWATCH"]);
        }
        self.give_back(watch.lease);
    }

    /// EXEC is on its way, and with it the end of the watch. The next request waits for its answer.
    pub(super) fn end_watch_by_exec(&mut self, session: u32) {
        let Some(watch) = self.take_watch(session) else { return };
        self.give_back(watch.lease);
        let target = &mut self.sessions[session as usize];
        if target.stall == Stall::None {
            target.stall = Stall::Quiet;
        }
    }

    fn take_watch(&mut self, session: u32) -> Option<Watch> {
        let own = self.sessions[session as usize].own.as_mut()?;
        let watch = own.watch.take()?;
        if own.blocked.is_none() {
            self.leases.sessions.remove(&session);
        }
        self.sessions[session as usize].tidy_own();
        Some(watch)
    }

    /// A slot goes to another server: nobody watches its keys there.
    pub(in crate::engine) fn break_watch(
        &mut self,
        session: u32,
        stays: impl FnOnce(&Address) -> bool,
    ) {
        if let Some(own) = &mut self.sessions[session as usize].own
            && let Some(watch) = &mut own.watch
        {
            let server = self.backends.get(watch.lease.backend as usize);
            watch.broken |= !server.is_some_and(|server| stays(&server.address));
        }
    }

    /// The session's own connection is lost; the next one is made by the same lease, and has watched nothing.
    pub(in crate::engine) fn break_watch_on(&mut self, session: u32, backend: u32) {
        let own = self.sessions.get_mut(session as usize).and_then(|target| target.own.as_mut());
        if let Some(watch) = own.and_then(|own| own.watch.as_mut()) {
            watch.broken |= watch.lease.backend == backend;
        }
    }

    /// The session's watch: its slot, and its connection unless changes may have gone unseen.
    pub(super) fn watched(&mut self, session: u32) -> Option<(u16, Option<Lease>)> {
        let watch = self.sessions[session as usize].own.as_ref()?.watch.as_ref()?;
        let (slot, lease, broken) = (watch.slot, watch.lease, watch.broken);
        let holds = !broken && self.leased(lease).is_some();
        Some((slot, holds.then_some(lease)))
    }
}

//! Each request to where it is answered.

use super::backend::{Body, InFlight, State};
use super::everywhere::runs_script;
use super::route::{NoRoute, Way, is_reserved};
use super::session::{Flags, Session, Stall};
use super::{CutReason, Engine};
use crate::command::{self, CROSSSLOT, CommandId, LookupError, Route, ids};

use crate::resp::Request;
use crate::slots;
use slab::Slab;

/// Whether the session goes on with its next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// The request was taken.
    Next,
    /// The request waits: it was not taken and will be offered again.
    Wait,
}

/// The engine's clock as requests in flight keep it: microseconds, wrapping after 71 minutes.
#[inline]
pub(super) fn since_us(now_us: u64) -> u32 {
    now_us as u32
}

/// Appends to a list of sessions that wait. Sessions that wait no more are dropped when they make up
/// half of it, so that clients that come and go do not make it grow.
fn enlist(list: &mut Vec<u32>, sessions: &Slab<Session>, session: u32) {
    if list.len() >= 64 && list.len() >= 2 * sessions.len() {
        let waits = |waiter: &u32| {
            let waiter = sessions.get(*waiter as usize);
            waiter.is_some_and(|waiter| waiter.stall != Stall::None)
        };
        list.retain(waits);
        list.sort_unstable();
        list.dedup();
    }
    list.push(session);
}

impl Engine {
    /// Takes one request to where it is answered.
    #[inline(always)]
    pub(super) fn dispatch(&mut self, session: u32, request: &Request<'_>) -> Flow {
        let id = match command::resolve(request) {
            Ok(id) => id,
            Err(error) => return self.refuse_unknown(session, request, error),
        };
        let command = id.command();
        let target = &mut self.sessions[session as usize];
        target.last_command = id;
        let row = target.row;
        if !target.flags.are_ordinary() {
            return self.dispatch_special(session, id, request);
        }
        #[cfg(feature = "planted-faults")]
        if let Some(flow) = self.plant(session, id, request) {
            return flow;
        }
        if command.route == Route::Key {
            let slot = slots::slot(request.arg(1));
            return match self.routes.shortcut(slot, row) {
                Some(backend) => self.send(session, backend, id, request),
                None => self.forward_key(session, id, slot, request),
            };
        }
        self.dispatch_other(session, id, request)
    }

    /// Every route but the one of nearly all requests.
    #[inline(never)]
    pub(super) fn dispatch_other(
        &mut self,
        session: u32,
        id: CommandId,
        request: &Request<'_>,
    ) -> Flow {
        let command = id.command();
        match command.route {
            Route::Key => self.forward_key(session, id, slots::slot(request.arg(1)), request),
            Route::Local(local) => self.local(session, id, local, request),
            Route::Keys => self.forward_keys(session, id, request),
            Route::Split(split) => self.split(session, id, split, request),
            Route::Publish => self.publish(session, id, request),
            Route::Everywhere(what) => self.everywhere(session, id, what, request),
            Route::Blocking => self.block(session, id, request),
            Route::Unsupported => {
                let text = command::refusal(id, request).unwrap_or_else(|| {
                    format!("ERR '{}' is not supported by this proxy", command.name)
                });
                self.reject(session, id, &text)
            }
        }
    }

    /// Sends a request whose keys must be in one slot.
    pub(super) fn forward_keys(
        &mut self,
        session: u32,
        id: CommandId,
        request: &Request<'_>,
    ) -> Flow {
        let mut keys = std::mem::take(&mut self.keys);
        let flow = match self.slot_of_keys(session, id, request, &mut keys) {
            Ok(slot) => self.forward(session, id, slot, &keys, request),
            Err(flow) => flow,
        };
        self.keys = keys;
        flow
    }

    /// The one slot of all keys of a request, which it finds; or what became of the request.
    pub(super) fn slot_of_keys(
        &mut self,
        session: u32,
        id: CommandId,
        request: &Request<'_>,
        keys: &mut Vec<u32>,
    ) -> Result<u16, Flow> {
        if let Some(text) = command::refusal(id, request) {
            return Err(self.reject(session, id, &text));
        }
        keys.clear();
        if let Err(error) = command::keys(id, request, keys) {
            return Err(self.reject(session, id, &error.to_string()));
        }
        let Some(&first) = keys.first() else {
            if runs_script(id) {
                return Err(self.run_keyless(session, id, request));
            }
            let text = format!("ERR '{}' without a key is not supported", id.command().name);
            return Err(self.reject(session, id, &text));
        };
        let slot = slots::slot(request.arg(first as usize));
        let same = |key: &u32| slots::slot(request.arg(*key as usize)) == slot;
        if keys.iter().any(|key| is_reserved(request.arg(*key as usize))) {
            return Err(self.refuse_reserved(session, id));
        }
        if !keys[1..].iter().all(same) {
            return Err(self.reject(session, id, CROSSSLOT));
        }
        Ok(slot)
    }

    /// Sends a request that has one key, its first argument.
    #[inline(never)]
    fn forward_key(
        &mut self,
        session: u32,
        id: CommandId,
        slot: u16,
        request: &Request<'_>,
    ) -> Flow {
        if is_reserved(request.arg(1)) {
            return self.refuse_reserved(session, id);
        }
        self.forward(session, id, slot, &[1], request)
    }

    pub(super) fn forward(
        &mut self,
        session: u32,
        id: CommandId,
        slot: u16,
        keys: &[u32],
        request: &Request<'_>,
    ) -> Flow {
        let lane = self.sessions[session as usize].lane();
        let read_only = command::is_read_only(id);
        let replicas_too = self.may_read_replicas(session, read_only);
        match self.route(slot, lane, replicas_too) {
            Way::To(backend) => {
                if runs_script(id) {
                    self.before_script(backend, id, request);
                }
                self.send(session, backend, id, request)
            }
            Way::Follow => self.follow(session, id, slot, keys, read_only, request),
            Way::Nowhere(reason) => self.no_route(session, id, slot, reason),
        }
    }

    /// Gives a request as it is to a backend.
    #[inline(always)]
    pub(super) fn send(
        &mut self,
        session: u32,
        backend: u32,
        command: CommandId,
        request: &Request<'_>,
    ) -> Flow {
        let server = &mut self.backends[backend as usize];
        if server.state != State::Ready || !server.has_room(&self.settings) || self.large.is_some()
        {
            return self.send_slowly(session, backend, command, request);
        }
        let entry = self.sessions[session as usize].entry(session, command, self.now_us);
        server.push_bytes(&mut self.pool, entry, request.bytes);
        if !server.dirty {
            server.dirty = true;
            self.dirty_backends.push(backend);
        }
        #[cfg(feature = "planted-faults")]
        self.plant_swap(backend);
        Flow::Next
    }

    /// The same where it cannot be copied to a backend that is ready.
    #[inline(never)]
    fn send_slowly(
        &mut self,
        session: u32,
        backend: u32,
        command: CommandId,
        request: &Request<'_>,
    ) -> Flow {
        if !self.backends[backend as usize].takes_requests() {
            return self.refuse_down(session, command, backend);
        }
        if self.is_full(backend) {
            return self.wait_for(session, backend);
        }
        self.push_caching(backend);
        let entry = self.sessions[session as usize].entry(session, command, self.now_us);
        match self.large.take() {
            Some(large) => self.push(backend, entry, Body::Shared(&large)),
            None => self.push(backend, entry, Body::Copy(request.bytes)),
        }
        Flow::Next
    }

    pub(super) fn push(&mut self, backend: u32, entry: InFlight, body: Body<'_>) {
        let target = &mut self.backends[backend as usize];
        target.push(&mut self.pool, entry, body);
        if !target.dirty {
            target.dirty = true;
            self.dirty_backends.push(backend);
        }
        if target.state == State::Idle {
            self.connect(backend);
        }
    }

    /// Whether a backend has all the requests that it may have.
    #[inline]
    pub(super) fn is_full(&self, backend: u32) -> bool {
        !self.backends[backend as usize].has_room(&self.settings)
    }

    #[cold]
    pub(super) fn wait_for(&mut self, session: u32, backend: u32) -> Flow {
        self.sessions[session as usize].stall = Stall::Backend;
        let waiters = &mut self.backends[backend as usize].waiters;
        enlist(waiters, &self.sessions, session);
        Flow::Wait
    }

    #[cold]
    pub(super) fn refuse_down(&mut self, session: u32, id: CommandId, backend: u32) -> Flow {
        let text = self.down_text(backend);
        self.fail(session, id, &text)
    }

    /// What is said of a backend that takes no requests.
    pub(super) fn down_text(&self, backend: u32) -> String {
        let backend = &self.backends[backend as usize];
        format!("ERR backend {} is down: {}", backend.address, backend.last_error)
    }

    #[cold]
    pub(super) fn no_route(
        &mut self,
        session: u32,
        id: CommandId,
        slot: u16,
        reason: NoRoute,
    ) -> Flow {
        match reason {
            NoRoute::Parked => {
                self.sessions[session as usize].stall = Stall::Parked;
                enlist(&mut self.parked, &self.sessions, session);
                Flow::Wait
            }
            NoRoute::Offline => {
                self.fail(session, id, &format!("ERR slot {slot} is offline: no group serves it"))
            }
            NoRoute::Moving => {
                let text = format!(
                    "ERR slot {slot} is moving between groups, and this proxy was not told how to \
                     follow: set migrate_from to empty when its keys have moved"
                );
                self.fail(session, id, &text)
            }
        }
    }

    #[cold]
    fn refuse_unknown(&mut self, session: u32, request: &Request<'_>, error: LookupError) -> Flow {
        // A browser or a forged request speaks HTTP to this port: what follows may be an attacker's
        // choice of commands, so nothing of it is run. Redis does the same.
        let name = request.arg(0);
        if name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:") {
            self.cut(session, CutReason::Http);
            return Flow::Next;
        }
        if error == LookupError::UnknownCommand
            && self.sessions[session as usize].flags.has(Flags::AUTHENTICATED)
            && let Some(flow) = self.run_learned(session, request)
        {
            if flow == Flow::Next {
                let database = self.sessions[session as usize].database;
                self.show_to_monitors(session, database, CommandId::LEARNED, request);
            }
            return flow;
        }
        match error {
            LookupError::WrongArity(id) => self.command_stats(id).rejected += 1,
            _ => self.counters.unknown_commands += 1,
        }
        if self.abort_transaction(session) && error == LookupError::WrongArity(ids::EXEC) {
            return self.refuse_exec(session, "wrong number of arguments for 'exec' command");
        }
        let mut reply = b"-".to_vec();
        reply.extend_from_slice(&error.text(request));
        reply.extend_from_slice(b"\r\n");
        self.reply(session, &reply);
        Flow::Next
    }

    #[cold]
    pub(super) fn refuse_reserved(&mut self, session: u32, id: CommandId) -> Flow {
        self.reject(session, id, "ERR the key is reserved by codis")
    }

    /// Answers an error before the request ran.
    #[cold]
    pub(super) fn reject(&mut self, session: u32, id: CommandId, text: &str) -> Flow {
        self.commands[usize::from(id.0)].rejected += 1;
        self.abort_transaction(session);
        self.reply_error(session, text);
        Flow::Next
    }

    /// Answers an error of the proxy's own: no backend, no slot.
    #[cold]
    pub(super) fn fail(&mut self, session: u32, id: CommandId, text: &str) -> Flow {
        self.commands[usize::from(id.0)].fails += 1;
        self.reply_error(session, text);
        if self.settings.break_on_failure {
            self.close_when_drained(session);
        }
        Flow::Next
    }
}

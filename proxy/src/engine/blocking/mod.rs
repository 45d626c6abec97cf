//! Commands that wait at the server until there is something to answer: BLPOP and its kin, XREAD with BLOCK.
//!
//! Such a request goes to a connection that the session has to itself ([`super::dedicated`]), and so holds up nobody.
//! It is not taken from its session before its answer is here: the session stalls, and the request is offered again
//! when the server has answered, exactly like one that waits for keys to move. That makes it easy to carry along when
//! the slot goes to another server ([`carry`]): the wait at the old server is ended there, and the request, offered
//! again, takes the way of any request to the new one, with the time that is left.
//!
//! A client that goes away ends its wait: its connection to the server is closed, and the server drops what waits on it.
//! One that sends no more may still read: it is given what there is for it, as by CLIENT UNBLOCK.

mod arguments;
mod carry;

use super::Engine;
use super::backend::{Body, InFlight, Kind, State as Connection};
use super::dedicated::Lease;
use super::dispatch::{Flow, since_us};
use super::session::{Flags, Stall};
use crate::command::{CommandId, ids};
use crate::resp::{Request, write};
use arguments::Arguments;

/// A session's request that blocks.
#[derive(Debug)]
pub(super) struct Blocked {
    /// The request's place in its session.
    sequence: u32,
    slot: u16,
    /// When it has waited long enough; `None`: never.
    deadline_us: Option<u64>,
    /// It has been sent before: what the client wrote of time and of streams' ends is not true any more.
    carried: bool,
    /// A server has looked, and there was nothing for it.
    looked: bool,
    /// For each stream that is read from its end on, that end, as it was when the request came.
    ends: Vec<Vec<u8>>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It has yet to be sent, or to be sent again.
    Offered,
    /// The server was asked where streams end.
    Asking(Lease),
    /// The server has said so.
    Asked(Lease),
    /// It waits at the server.
    Waiting(Waiting),
    /// It has its answer.
    Answered(Vec<u8>),
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    lease: Lease,
    /// The server was asked to end the wait, since the slot leaves it.
    leaves: bool,
    /// A client has asked for the end of the wait, by CLIENT UNBLOCK; whether with an error.
    released: Option<bool>,
}

impl Blocked {
    fn lease(&self) -> Option<Lease> {
        match self.state {
            State::Asking(lease) | State::Asked(lease) => Some(lease),
            State::Waiting(waiting) => Some(waiting.lease),
            State::Offered | State::Answered(_) => None,
        }
    }
}

impl Engine {
    /// Runs a request that may block.
    pub(super) fn block(&mut self, session: u32, id: CommandId, request: &Request<'_>) -> Flow {
        let Some(arguments) = Arguments::of(id, request) else {
            return self.forward_keys(session, id, request);
        };
        if let Some(flow) = self.wait_goes_on(session, id) {
            return flow;
        }
        if let Some(flow) = self.wait_until_quiet(session) {
            return flow;
        }
        let mut keys = std::mem::take(&mut self.keys);
        let flow = match self.slot_of_keys(session, id, request, &mut keys) {
            Ok(slot) => {
                let names: Vec<&[u8]> = keys.iter().map(|key| request.arg(*key as usize)).collect();
                self.block_at(session, id, slot, &names, &arguments, request)
            }
            Err(flow) => flow,
        };
        self.keys = keys;
        if flow == Flow::Next {
            self.stop_waiting(session);
        }
        flow
    }

    /// What has become of the session's next request, if it has been offered before. `None`: it is to be sent.
    fn wait_goes_on(&mut self, session: u32, id: CommandId) -> Option<Flow> {
        let target = &mut self.sessions[session as usize];
        let next = target.next;
        let blocked = target.own.as_mut()?.blocked.as_mut()?;
        debug_assert_eq!(blocked.sequence, next, "a wait of another request");
        match &mut blocked.state {
            State::Offered | State::Asked(_) => None,
            State::Asking(_) | State::Waiting(_) => {
                target.stall = Stall::Blocked;
                Some(Flow::Wait)
            }
            State::Answered(reply) => {
                let reply = std::mem::take(reply);
                self.stop_waiting(session);
                self.count_local(id);
                self.reply(session, &reply);
                Some(Flow::Next)
            }
        }
    }

    fn block_at(
        &mut self,
        session: u32,
        id: CommandId,
        slot: u16,
        keys: &[&[u8]],
        arguments: &Arguments,
        request: &Request<'_>,
    ) -> Flow {
        self.begin_blocking(session, slot, arguments);
        if self.is_over(session) {
            self.count_local(id);
            let reply = self.nothing(session, false);
            self.reply(session, &reply);
            return Flow::Next;
        }
        let lease = match self.blocking_lease(session) {
            Some(lease) => lease,
            None => {
                let server = match self.server_for(session, id, slot, keys) {
                    Ok(server) => server,
                    Err(flow) => return flow,
                };
                match self.lend(session, server, slot) {
                    Ok(lease) => lease,
                    Err(text) => return self.fail(session, id, &text),
                }
            }
        };
        match self.asks_for_ends(session, arguments) {
            true => self.ask_for_ends(session, lease, arguments, request),
            false => self.send_blocking(session, id, lease, arguments, request),
        }
        if self.sessions[session as usize].flags.has(Flags::EOF) {
            self.release_wait(session, false);
        }
        Flow::Wait
    }

    fn begin_blocking(&mut self, session: u32, slot: u16, arguments: &Arguments) {
        let deadline_us = arguments.timeout_us.map(|timeout| self.now_us.saturating_add(timeout));
        let target = &mut self.sessions[session as usize];
        let sequence = target.next;
        target.own_mut().blocked.get_or_insert_with(|| Blocked {
            sequence,
            slot,
            deadline_us,
            carried: false,
            looked: false,
            ends: Vec::new(),
            state: State::Offered,
        });
    }

    fn blocked(&mut self, session: u32) -> Option<&mut Blocked> {
        self.sessions.get_mut(session as usize)?.own.as_mut()?.blocked.as_mut()
    }

    /// Whether the session's next request has its answer.
    pub(super) fn is_answered(&mut self, session: u32) -> bool {
        self.blocked(session).is_some_and(|blocked| matches!(blocked.state, State::Answered(_)))
    }

    /// Whether a request that was carried along has waited long enough. If no server has looked yet whether there is
    /// something for it, one has to.
    fn is_over(&mut self, session: u32) -> bool {
        let now_us = self.now_us;
        self.blocked(session).is_some_and(|blocked| {
            blocked.looked && blocked.deadline_us.is_some_and(|deadline| deadline <= now_us)
        })
    }

    /// The connection that the request's questions were asked on.
    fn blocking_lease(&mut self, session: u32) -> Option<Lease> {
        let lease = self.blocked(session)?.lease()?;
        self.leased(lease).map(|_| lease)
    }

    fn asks_for_ends(&mut self, session: u32, arguments: &Arguments) -> bool {
        let Some(blocked) = self.blocked(session) else { return false };
        blocked.ends.len() < arguments.from_end.len()
    }

    /// Asks where the streams end that are to be read from their end on: the request may be sent twice, and
    /// between the two nothing may be missed.
    fn ask_for_ends(
        &mut self,
        session: u32,
        lease: Lease,
        arguments: &Arguments,
        request: &Request<'_>,
    ) {
        for &(key, _) in &arguments.from_end {
            let mut bytes = Vec::new();
            write::request(&mut bytes, &[b"XINFO", b"STREAM", request.arg(key as usize)]);
            let entry = self.waits_on(session, lease, ids::XINFO_STREAM, Kind::StreamEnd);
            self.push(lease.backend, entry, Body::Copy(&bytes));
        }
        self.sessions[session as usize].stall = Stall::Blocked;
        if let Some(blocked) = self.blocked(session) {
            blocked.ends.clear();
            blocked.state = State::Asking(lease);
        }
    }

    fn send_blocking(
        &mut self,
        session: u32,
        id: CommandId,
        lease: Lease,
        arguments: &Arguments,
        request: &Request<'_>,
    ) {
        let now_us = self.now_us;
        let Some(blocked) = self.blocked(session) else { return };
        let left_us = blocked.deadline_us.filter(|_| blocked.carried);
        let left_us = left_us.map(|deadline| deadline.saturating_sub(now_us));
        let rewritten = arguments.rewrite(request, left_us, &blocked.ends);
        blocked.carried = true;
        blocked.state = State::Waiting(Waiting { lease, leaves: false, released: None });
        self.sessions[session as usize].stall = Stall::Blocked;
        let patience_us = arguments.timeout_us.unwrap_or(u64::MAX);
        let entry = self.waits_on(session, lease, id, Kind::Blocked);
        if let Some(backend) = self.leased(lease) {
            backend.patience_us = patience_us;
        }
        let bytes = rewritten.as_deref().unwrap_or(request.bytes);
        self.push(lease.backend, entry, Body::Copy(bytes));
    }

    fn waits_on(&self, session: u32, lease: Lease, command: CommandId, kind: Kind) -> InFlight {
        InFlight {
            session,
            sequence: lease.tag(),
            since_us: since_us(self.now_us),
            offset: 0,
            command,
            kind,
        }
    }

    /// The wait that an answer is for.
    fn wait_of(&mut self, entry: &InFlight) -> Option<&mut Blocked> {
        let blocked = self.blocked(entry.session)?;
        let waits = blocked.lease().is_some_and(|lease| lease.tag() == entry.sequence);
        waits.then_some(blocked)
    }

    /// Takes the server's answer to a request that blocked.
    #[cold]
    pub(super) fn on_unblocked(&mut self, backend: u32, entry: &InFlight, reply: &[u8]) {
        let Some(blocked) = self.wait_of(entry) else { return };
        let State::Waiting(waiting) = blocked.state else { return };
        let ended = matches!(reply, b"*-1\r\n" | b"$-1\r\n" | b"_\r\n");
        let state = match waiting.released {
            Some(error) if ended => State::Answered(self.nothing(entry.session, error)),
            None if ended && waiting.leaves => State::Offered,
            _ => State::Answered(reply.to_vec()),
        };
        if let Some(blocked) = self.blocked(entry.session) {
            blocked.looked = true;
            blocked.state = state;
        }
        debug_assert_eq!(backend, waiting.lease.backend);
        self.give_back(waiting.lease);
        self.make_resumable(entry.session);
    }

    /// Takes what the server says of a stream's end.
    #[cold]
    pub(super) fn on_stream_end(&mut self, entry: &InFlight, reply: &[u8]) {
        let Some(blocked) = self.wait_of(entry) else { return };
        let State::Asking(lease) = blocked.state else { return };
        blocked.ends.push(arguments::stream_end(reply));
        let all = self.leased(lease).is_some_and(|backend| backend.in_flight.is_empty());
        if all && let Some(blocked) = self.blocked(entry.session) {
            blocked.state = State::Asked(lease);
            self.make_resumable(entry.session);
        }
    }

    /// The connection is lost that a request waits on: it may have run, so it is not sent again.
    #[cold]
    pub(super) fn on_wait_lost(&mut self, entry: &InFlight, error: &[u8]) {
        let Some(blocked) = self.wait_of(entry) else { return };
        blocked.state = State::Answered(error.to_vec());
        self.command_stats(entry.command).fails += 1;
        self.make_resumable(entry.session);
    }

    /// The session waits no more, whatever for.
    pub(super) fn stop_waiting(&mut self, session: u32) {
        let Some(own) = &mut self.sessions[session as usize].own else { return };
        let Some(blocked) = own.blocked.take() else { return };
        if own.watch.is_none() {
            self.leases.sessions.remove(&session);
        }
        self.sessions[session as usize].tidy_own();
        match (blocked.lease(), blocked.state) {
            (Some(lease), State::Waiting(_) | State::Asking(_)) => {
                self.abandon(lease, "the client that it blocked for is gone");
            }
            (Some(lease), _) => self.give_back(lease),
            (None, _) => {}
        }
    }

    /// Whether what was given to a dedicated connection may have reached its server.
    fn is_sent(&self, lease: Lease) -> bool {
        let backend = self.backends.get(lease.backend as usize);
        backend.is_some_and(|backend| backend.is_of(lease) && backend.state == Connection::Ready)
    }

    /// How many sessions wait at servers.
    pub(super) fn blocked_sessions(&self) -> usize {
        self.sessions.iter().filter(|(_, session)| session.stall == Stall::Blocked).count()
    }
}

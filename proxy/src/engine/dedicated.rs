//! Connections that one session has to itself for a while.
//!
//! A command that blocks would hold up everyone whose requests share its connection, and WATCH leaves state on the
//! connection that only its own session's EXEC may meet. Such requests go to a dedicated connection: lent to one
//! session, given back clean, lent again. What is lent is a [`Lease`]; it ends of itself when the connection is lost.
//!
//! A session has requests on one connection at a time: a request for the other kind waits until everything of the
//! session has been answered ([`Engine::wait_until_quiet`]), and the next one waits for its answer. So the order within
//! a session never depends on which of two connections a server reads first.

use super::backend::{Backend, Body, InFlight, Kind, Role, State};
use super::dispatch::{Flow, since_us};
use super::lane::Lane;
use super::route::{NoRoute, Route, Server};
use super::session::Stall;
use super::{Engine, NO_INDEX};
use crate::command::{CommandId, ids};
use crate::resp::{Protocol, write};
use std::collections::BTreeSet;

/// How many connections to a server are kept for the next session that needs one.
const IDLE_MAX: usize = 64;

/// A dedicated connection that a session has; by serial, as the index is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) backend: u32,
    serial: u64,
}

impl Lease {
    /// A connection that is the session's already.
    pub(super) fn of(backend: u32, target: &Backend) -> Self {
        Self { backend, serial: target.serial }
    }

    /// Tells it from other leases, in what is in flight.
    pub(super) fn tag(self) -> u32 {
        self.serial as u32
    }
}

/// The dedicated connections to one server.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// All that there are.
    pub(super) all: BTreeSet<u32>,
    /// Those that nobody has. Of some the last reply may be missing.
    idle: Vec<u32>,
}

/// What a shard knows of all of them.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// How many connections there are.
    pub(super) connections: usize,
    /// Sessions that have a lease, or may have.
    pub(super) sessions: BTreeSet<u32>,
}

impl Backend {
    /// Whether it is the connection that was lent by this.
    pub(super) fn is_of(&self, lease: Lease) -> bool {
        self.serial == lease.serial
    }
}

impl Engine {
    /// Lets a session's next request wait until all before it have been answered. `None`: they have.
    pub(super) fn wait_until_quiet(&mut self, session: u32) -> Option<Flow> {
        let target = &mut self.sessions[session as usize];
        if target.in_flight() == 0 {
            return None;
        }
        target.stall = Stall::Quiet;
        Some(Flow::Wait)
    }

    /// Lends a session a connection to a server, for keys of this slot and with its database selected; or says why
    /// there is none.
    pub(super) fn lend(&mut self, session: u32, server: u16, slot: u16) -> Result<Lease, String> {
        let lane = self.sessions[session as usize].lane();
        let backend = match self.idle_connection(server, lane.protocol) {
            Some(backend) => backend,
            None => self.make_dedicated(server, lane)?,
        };
        let target = &mut self.backends[backend as usize];
        target.lessee = session;
        target.slot = slot;
        let lease = Lease { backend, serial: target.serial };
        // Its timer may be that of a wait without an end.
        self.backend_timer(backend);
        self.select_on(lease, lane.database);
        self.leave_untouched_on(lease.backend, lane.no_touch);
        self.leases.sessions.insert(session);
        Ok(lease)
    }

    /// What is sent next on a leased connection is for this database.
    pub(super) fn select_on(&mut self, lease: Lease, database: u16) {
        if let Some(target) = self.leased(lease)
            && target.database != database
        {
            target.database = database;
            let number = database.to_string();
            self.push_swallowed(lease.backend, ids::SELECT, &[b"SELECT", number.as_bytes()]);
        }
    }

    /// What is sent next on a connection that only one session has counts as uses of keys, or does not.
    pub(super) fn leave_untouched_on(&mut self, backend: u32, no_touch: bool) {
        let target = &mut self.backends[backend as usize];
        if target.no_touch == no_touch || !target.takes_requests() {
            return;
        }
        target.no_touch = no_touch;
        // Otherwise the handshake does it.
        if matches!(target.state, State::Ready | State::Handshake(_)) {
            let word: &[u8] = if no_touch { b"ON" } else { b"OFF" };
            self.push_swallowed(backend, ids::CLIENT_NO_TOUCH, &[b"CLIENT", b"NO-TOUCH", word]);
        }
    }

    fn idle_connection(&mut self, server: u16, protocol: Protocol) -> Option<u32> {
        let Self { routes, backends, .. } = self;
        let idle = &mut routes.servers[usize::from(server)].dedicated.idle;
        let fits = |backend: &u32| {
            let backend = &backends[*backend as usize];
            // A question that ends its last wait could end the next one.
            backend.protocol == protocol && backend.in_flight.is_empty() && backend.unblocks == 0
        };
        let place = idle.iter().rposition(fits)?;
        Some(idle.swap_remove(place))
    }

    fn make_dedicated(&mut self, server: u16, lane: Lane) -> Result<u32, String> {
        let max = self.settings.dedicated_max;
        if self.leases.connections >= max {
            return Err(format!(
                "ERR no connection of its own is left for this command: {max} are in use on this shard; \
                 raise backend_dedicated_max, or use fewer clients that block or WATCH"
            ));
        }
        let backend = self.insert_backend(server, lane);
        self.backends[backend as usize].role = Role::Dedicated;
        self.leases.connections += 1;
        self.routes.servers[usize::from(server)].dedicated.all.insert(backend);
        Ok(backend)
    }

    /// The leased connection, while it is there to be used.
    pub(super) fn leased(&mut self, lease: Lease) -> Option<&mut Backend> {
        let target = self.backends.get_mut(lease.backend as usize)?;
        let usable = target.is_of(lease) && target.takes_requests() && !target.retired;
        usable.then_some(target)
    }

    /// Takes a clean connection back.
    pub(super) fn give_back(&mut self, lease: Lease) {
        let Some(target) = self.leased(lease) else { return };
        if target.role == Role::Tracker {
            // The session keeps it.
            return;
        }
        target.lessee = NO_INDEX;
        target.patience_us = 0;
        let ready = target.state == State::Ready;
        match self.pool_of(lease.backend) {
            Some(server) if ready && server.dedicated.idle.len() < IDLE_MAX => {
                server.dedicated.idle.push(lease.backend);
            }
            _ => self.retire(lease.backend),
        }
    }

    /// Closes a connection that is in no state to be lent again.
    pub(super) fn abandon(&mut self, lease: Lease, reason: &str) {
        let target = self.backends.get_mut(lease.backend as usize);
        if let Some(target) = target.filter(|target| target.is_of(lease)) {
            if target.role != Role::Tracker {
                target.lessee = NO_INDEX;
            }
            self.fail_backend(lease.backend, reason);
        }
    }

    /// The connection is lost, or about to be closed: it is lent to nobody any more. Slots that leave its server wait
    /// for what is in flight on it all the same.
    pub(super) fn forget_dedicated(&mut self, backend: u32) {
        if let Some(server) = self.pool_of(backend) {
            server.dedicated.idle.retain(|idle| *idle != backend);
        }
        let target = &mut self.backends[backend as usize];
        if !std::mem::replace(&mut target.retired, true) {
            self.leases.connections -= 1;
        }
        if self.backends[backend as usize].in_flight.is_empty() {
            self.leave_pool(backend);
        }
    }

    /// Nothing is in flight on a connection that is lent to nobody any more.
    pub(super) fn leave_pool(&mut self, backend: u32) {
        if let Some(server) = self.pool_of(backend) {
            server.dedicated.all.remove(&backend);
        }
    }

    /// The server that has a connection in its pool.
    pub(super) fn server_of(&self, backend: u32) -> Option<u16> {
        let mut servers = self.routes.servers.iter();
        let server = servers.position(|server| server.dedicated.all.contains(&backend))?;
        Some(server as u16)
    }

    fn pool_of(&mut self, backend: u32) -> Option<&mut Server> {
        let server = self.server_of(backend)?;
        self.routes.servers.get_mut(usize::from(server))
    }

    /// The master that has these keys of a slot, for a connection of the session's own; or what became of the request.
    pub(super) fn server_for(
        &mut self,
        session: u32,
        id: CommandId,
        slot: u16,
        keys: &[&[u8]],
    ) -> Result<u16, Flow> {
        let reason = match self.routes.slots[usize::from(slot)] {
            Route::Server { master, .. } => return Ok(master),
            Route::Migrating { to, .. } => {
                let lane = self.sessions[session as usize].lane();
                let mut unmoved = keys.to_vec();
                unmoved.retain(|key| self.moved_to(slot, lane, key).is_none());
                return match unmoved.is_empty() {
                    true => Ok(to),
                    false => Err(self.wait_for_keys(session, id, &unmoved, None)),
                };
            }
            Route::Parked => NoRoute::Parked,
            Route::Offline => NoRoute::Offline,
            Route::Moving => NoRoute::Moving,
        };
        Err(self.no_route(session, id, slot, reason))
    }

    /// Sends a request whose reply nobody wants, unless it is an error.
    pub(super) fn push_swallowed(&mut self, backend: u32, command: CommandId, args: &[&[u8]]) {
        let mut bytes = Vec::new();
        write::request(&mut bytes, args);
        let entry = self.swallowed(command);
        self.push(backend, entry, Body::Copy(&bytes));
    }

    /// What is in flight of a request whose reply nobody wants.
    pub(super) fn swallowed(&self, command: CommandId) -> InFlight {
        InFlight {
            session: NO_INDEX,
            sequence: 0,
            since_us: since_us(self.now_us),
            offset: 0,
            command,
            kind: Kind::Swallow,
        }
    }

    /// Takes the reply to a request whose reply nobody wants.
    #[cold]
    pub(super) fn on_swallowed(&mut self, backend: u32, entry: &InFlight, reply: &[u8]) {
        if reply.first() == Some(&b'-') && entry.command == ids::SELECT {
            // What follows would go to another database than it should.
            let words = String::from_utf8_lossy(reply);
            let reason = format!("the server refused SELECT: {}", words.trim_end());
            self.fail_backend(backend, &reason);
        }
    }
}

//! The connections of sessions that track: one to each master, for as long as the session tracks.

use super::super::backend::{Body, Role, State};
use super::super::dedicated::Lease;
use super::super::lane::Lane;
use super::super::route::Server;
use super::super::{Engine, NO_INDEX};
use super::Tracking;
use super::invalidation::without_reserved;
use crate::command::ids;
use crate::resp::Protocol;

/// A connection; by serial, as the index is used again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connection {
    backend: u32,
    serial: u64,
}

impl Engine {
    /// The session's connection to a server for a request of this slot; made on first use.
    #[cold]
    pub(in super::super) fn tracker_at(&mut self, server: u16, lane: Lane, slot: u16) -> u32 {
        let session = lane.tracker;
        if let Some(tracking) = self.tracking_mut(session) {
            tracking.slots[usize::from(slot) % tracking.slots.len()] = true;
        }
        let backend = match self.tracker_of(session, server) {
            Some(connection) => connection.backend,
            None => self.make_tracker(session, server, lane),
        };
        self.select_on_tracker(backend, lane.database);
        self.leave_untouched_on(backend, lane.no_touch);
        backend
    }

    /// The connection that a session which tracks has to a server, for WATCH.
    pub(in super::super) fn tracker_for(
        &mut self,
        session: u32,
        server: u16,
        slot: u16,
    ) -> Option<Lease> {
        let lane = self.sessions[session as usize].lane();
        if lane.tracker == NO_INDEX {
            return None;
        }
        let backend = self.tracker_at(server, lane, slot);
        Some(Lease::of(backend, &self.backends[backend as usize]))
    }

    fn tracker_of(&self, session: u32, server: u16) -> Option<Connection> {
        let address = &self.routes.address(server);
        let mut connections = self.tracking(session)?.connections.iter();
        let fits = |connection: &&Connection| {
            let backend = self.backends.get(connection.backend as usize);
            backend.is_some_and(|backend| {
                backend.serial == connection.serial
                    && !backend.retired
                    && backend.address == *address
            })
        };
        connections.find(fits).copied()
    }

    fn make_tracker(&mut self, session: u32, server: u16, lane: Lane) -> u32 {
        let index = self.insert_backend(server, lane);
        let greeting = self.tracking(session).map(|tracking| tracking.options.request());
        let target = &mut self.backends[index as usize];
        target.role = Role::Tracker;
        target.lessee = session;
        target.tracking = greeting.unwrap_or_default();
        let connection = Connection { backend: index, serial: target.serial };
        self.leases.connections += 1;
        self.routes.servers[usize::from(server)].dedicated.all.insert(index);
        let Self { sessions, backends, .. } = self;
        let own = sessions[session as usize].own.as_mut();
        if let Some(tracking) = own.and_then(|own| own.tracking.as_mut()) {
            tracking.connections.retain(|known| {
                backends.get(known.backend as usize).is_some_and(|b| b.serial == known.serial)
            });
            tracking.connections.push(connection);
        }
        index
    }

    /// What is sent next is for this database.
    fn select_on_tracker(&mut self, backend: u32, database: u16) {
        let target = &mut self.backends[backend as usize];
        if target.database == database {
            return;
        }
        target.database = database;
        // Otherwise the handshake does it.
        if matches!(target.state, State::Ready | State::Handshake(_)) {
            let number = database.to_string();
            self.push_swallowed(backend, ids::SELECT, &[b"SELECT", number.as_bytes()]);
        }
    }

    /// Whether one more session may track.
    pub(super) fn may_open_connections(&self) -> Result<(), String> {
        let max = self.settings.dedicated_max;
        let masters = self.routes.servers.iter().filter(|server| !server.replica).count();
        if self.leases.connections + masters <= max {
            return Ok(());
        }
        Err(format!(
            "ERR no connections of its own are left for a client that tracks: {max} are what this shard may \
             have; raise backend_dedicated_max, or use fewer clients that track, block or WATCH"
        ))
    }

    /// With BCAST, the session has a connection to every master.
    pub(in super::super) fn open_for_bcast(&mut self, session: u32) {
        let lane = self.sessions[session as usize].lane();
        if lane.tracker == NO_INDEX || !self.tracking(session).is_some_and(Tracking::is_bcast) {
            return;
        }
        for server in 0..self.routes.servers.len() as u16 {
            if self.routes.servers[usize::from(server)].replica {
                continue;
            }
            let backend = match self.tracker_of(session, server) {
                Some(connection) => connection.backend,
                None => self.make_tracker(session, server, lane),
            };
            if self.backends[backend as usize].state == State::Idle {
                self.connect(backend);
            }
        }
    }

    /// Whether the session waits for connections that it may still get at once.
    pub(in super::super) fn is_opening(&self, session: u32) -> bool {
        let Some(tracking) = self.tracking(session).filter(|tracking| tracking.opening) else {
            return false;
        };
        tracking.connections.iter().any(|connection| {
            let backend = self.backends.get(connection.backend as usize);
            backend.is_some_and(|backend| {
                let connects = matches!(backend.state, State::Connecting | State::Handshake(_));
                backend.serial == connection.serial && connects && backend.attempts == 0
            })
        })
    }

    /// Tells the servers that the session's options have changed.
    pub(super) fn tell_options(&mut self, session: u32, request: &[u8]) {
        let Some(tracking) = self.tracking(session) else { return };
        let (greeting, connections) = (tracking.options.request(), tracking.connections.clone());
        for Connection { backend, serial } in connections {
            let Some(target) = self.backends.get_mut(backend as usize) else { continue };
            if target.serial != serial {
                continue;
            }
            target.tracking.clone_from(&greeting);
            if matches!(target.state, State::Ready | State::Handshake(_)) {
                let entry = self.swallowed(ids::CLIENT_TRACKING);
                self.push(backend, entry, Body::Copy(request));
            }
        }
    }

    /// Closes the session's connections once what is in flight there has been answered.
    pub(in super::super) fn close_trackers(&mut self, session: u32) {
        let connections =
            self.tracking_mut(session).map(|tracking| std::mem::take(&mut tracking.connections));
        for Connection { backend, serial } in connections.unwrap_or_default() {
            let Some(target) = self.backends.get_mut(backend as usize) else { continue };
            if target.serial == serial {
                target.lessee = NO_INDEX;
                self.forget_dedicated(backend);
                self.retire(backend);
            }
        }
    }

    /// A new topology: connections to servers that are no masters any more are closed, and BCAST needs one to each new
    /// master.
    pub(in super::super) fn keep_trackers_true(&mut self) {
        let sessions: Vec<u32> = self.trackers.sessions.iter().copied().collect();
        for session in sessions {
            let connections = self.tracking(session).map(|tracking| tracking.connections.clone());
            for Connection { backend, serial } in connections.unwrap_or_default() {
                let known = self.backends.get(backend as usize).filter(|b| b.serial == serial);
                let leads =
                    |server: &Server| !server.replica && server.dedicated.all.contains(&backend);
                if known.is_some_and(|known| !known.retired)
                    && !self.routes.servers.iter().any(leads)
                {
                    self.forget_dedicated(backend);
                    self.retire(backend);
                }
            }
            self.open_for_bcast(session);
            if self.tracking(session).is_some_and(|tracking| tracking.opening) {
                // What it waits for may just have been given up.
                self.make_resumable(session);
            }
        }
    }

    /// A server's push message on a session's own connection.
    #[cold]
    pub(in super::super) fn on_tracker_push(&mut self, backend: u32, push: &[u8]) {
        let session = self.backends[backend as usize].lessee;
        if let Some(push) = without_reserved(push) {
            self.push_to_tracker(session, &push);
        }
    }

    /// The handshake of a session's own connection went well.
    #[cold]
    pub(in super::super) fn on_tracker_ready(&mut self, backend: u32) {
        let session = self.backends[backend as usize].lessee;
        match self.tracking(session) {
            Some(tracking) if tracking.opening => self.make_resumable(session),
            // Changes may have been missed before.
            Some(tracking) if tracking.is_bcast() => self.invalidate_all(session),
            _ => {}
        }
    }

    /// A session's own connection is lost, or could not be made.
    #[cold]
    pub(in super::super) fn on_tracker_lost(&mut self, backend: u32, was_ready: bool) {
        let session = self.backends[backend as usize].lessee;
        self.break_watch_on(session, backend);
        if was_ready {
            self.invalidate_all(session);
        }
        if self.tracking(session).is_some_and(|tracking| tracking.opening) {
            self.make_resumable(session);
        }
    }

    /// The audit of what sessions that track have.
    pub(in super::super) fn audit_tracking(&self) -> Result<(), String> {
        for session in &self.trackers.sessions {
            let Some(tracking) = self.tracking(*session) else {
                return Err(format!("session {session} is listed as tracking, and does not"));
            };
            let resp3 = self.sessions[*session as usize].protocol == Protocol::Resp3;
            if !resp3 && !tracking.connections.is_empty() {
                return Err(format!("session {session} has connections that it does not use"));
            }
        }
        for (index, backend) in &self.backends {
            let lost = backend.role == Role::Tracker
                && !backend.retired
                && self.tracking(backend.lessee).is_none();
            if lost {
                return Err(format!("backend {index} tracks for no session"));
            }
        }
        Ok(())
    }
}

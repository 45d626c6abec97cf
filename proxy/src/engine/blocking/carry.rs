//! A wait that has to end before its time: its slot goes to another server, or a client says CLIENT UNBLOCK.
//!
//! Only the server can end a wait without losing what it may have been about to answer. So it is asked to, by CLIENT
//! UNBLOCK on a connection that everybody uses: either the wait was over before, and its answer is on its way, or it ends
//! with nothing, and nothing was taken. The question may overtake the request that it is about, on its way on another
//! connection; then the server knows of no such wait, and is asked again.

use super::super::Engine;
use super::super::backend::{Body, InFlight, Kind, State as Connection};
use super::super::dedicated::Lease;
use super::super::dispatch::since_us;
use super::super::lane::Lane;
use super::State;
use crate::command::ids;
use crate::resp::write;

impl Engine {
    /// The slot goes to another server: ends the wait of a session at the old one.
    pub(in crate::engine) fn carry(&mut self, session: u32, leaves: impl Fn(u16) -> bool) {
        let Some(blocked) = self.blocked(session) else { return };
        if !leaves(blocked.slot) {
            return;
        }
        match &mut blocked.state {
            State::Offered | State::Answered(_) => {}
            State::Asking(lease) | State::Asked(lease) => {
                let lease = *lease;
                self.offer_again(session, lease);
            }
            State::Waiting(waiting) => {
                waiting.leaves = true;
                let lease = waiting.lease;
                if self.is_sent(lease) {
                    self.ask_to_unblock(lease, None);
                } else {
                    self.offer_again(session, lease);
                }
            }
        }
    }

    /// Nothing of the request has been sent that could matter: it is sent anew, elsewhere.
    fn offer_again(&mut self, session: u32, lease: Lease) {
        if let Some(blocked) = self.blocked(session) {
            blocked.state = State::Offered;
        }
        self.abandon(lease, "its slot goes to another server");
        self.make_resumable(session);
    }

    /// Asks the server to end the wait on a dedicated connection; `error`: with an error.
    fn ask_to_unblock(&mut self, lease: Lease, error: Option<bool>) {
        let Some(server) = self.server_of(lease.backend) else { return };
        let Some(backend) = self.leased(lease) else { return };
        let client = backend.client_id.to_string();
        let asked = self.backend_at(server, Lane::own(0), 0);
        if !self.backends[asked as usize].takes_requests() {
            let reason = "its server does not answer";
            return self.fail_backend(lease.backend, reason);
        }
        let mut bytes = Vec::new();
        let how: &[u8] = if error == Some(true) { b"ERROR" } else { b"TIMEOUT" };
        write::request(&mut bytes, &[b"CLIENT", b"UNBLOCK", client.as_bytes(), how]);
        let entry = InFlight {
            session: lease.backend,
            sequence: lease.tag(),
            since_us: since_us(self.now_us),
            offset: 0,
            command: ids::CLIENT_UNBLOCK,
            kind: Kind::Unblock,
        };
        self.push(asked, entry, Body::Copy(&bytes));
    }

    /// The server has answered CLIENT UNBLOCK.
    #[cold]
    pub(in crate::engine) fn on_unblock_reply(&mut self, entry: &InFlight, reply: &[u8]) {
        let waits = |backend: &&super::super::Backend| {
            let waited = backend.in_flight.iter().find(|sent| sent.kind == Kind::Blocked);
            backend.state == Connection::Ready
                && waited.is_some_and(|sent| sent.sequence == entry.sequence)
        };
        let Some(backend) = self.backends.get(entry.session as usize).filter(waits) else { return };
        let session = backend.lessee;
        let Some(blocked) = self.blocked(session) else { return };
        let State::Waiting(waiting) = blocked.state else { return };
        match reply {
            b":1\r\n" => {}
            b":0\r\n" => self.ask_to_unblock(waiting.lease, waiting.released),
            _ => {
                let words = String::from_utf8_lossy(reply);
                let reason = format!("the server refused CLIENT UNBLOCK: {}", words.trim_end());
                self.fail_backend(entry.session, &reason);
            }
        }
    }

    /// Ends the wait of the client of this id, for CLIENT UNBLOCK; answers whether it waited.
    pub fn unblock(&mut self, client: u64, error: bool) -> bool {
        let mut sessions = self.leases.sessions.iter().copied();
        let named = |session: &u32| {
            self.sessions.get(*session as usize).is_some_and(|target| target.client == client)
        };
        let Some(session) = sessions.find(named) else { return false };
        let protocol = self.sessions[session as usize].protocol;
        let Some(blocked) = self.blocked(session) else { return false };
        match &mut blocked.state {
            State::Answered(_) => false,
            State::Waiting(waiting) => {
                waiting.released = Some(error);
                let lease = waiting.lease;
                self.ask_to_unblock(lease, Some(error));
                true
            }
            State::Offered | State::Asking(_) | State::Asked(_) => {
                let mut reply = Vec::new();
                match error {
                    true => {
                        write::error(&mut reply, "UNBLOCKED client unblocked via CLIENT UNBLOCK")
                    }
                    false => write::null_array(&mut reply, protocol),
                }
                let lease = blocked.lease();
                blocked.state = State::Answered(reply);
                if let Some(lease) = lease {
                    self.abandon(lease, "the client was unblocked");
                }
                self.make_resumable(session);
                true
            }
        }
    }
}

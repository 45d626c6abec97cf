//! A wait that has to end before its time: its slot goes to another server, or a client says CLIENT UNBLOCK.
//!
//! Only the server can end a wait without losing what it may have been about to answer. So it is asked to, by CLIENT
//! UNBLOCK on a connection that everybody uses: either the wait was over before, and its answer is on its way, or it ends
//! with nothing, and nothing was taken. The question may overtake the request that it is about, on its way on another
//! connection; then the server knows of no such wait, and is asked again.

use super::super::Engine;
use super::super::backend::{Backend, Body, InFlight, Kind};
use super::super::dedicated::Lease;
use super::super::dispatch::since_us;
use super::super::lane::Lane;
use super::{Blocked, State, Waiting};
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
                let waiting = *waiting;
                match (self.is_sent(waiting.lease), waiting.released) {
                    (true, _) => self.ask_to_unblock(waiting),
                    (false, None) => self.offer_again(session, waiting.lease),
                    (false, Some(error)) => self.answer_released(session, error),
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

    /// Asks the server to end the wait on a dedicated connection.
    fn ask_to_unblock(&mut self, waiting: Waiting) {
        // Where no topology names the server any more it was asked when that came.
        let Some(server) = self.server_of(waiting.lease.backend) else { return };
        let asked = self.backend_at(server, Lane::own(0), 0);
        if self.backends[asked as usize].takes_requests() {
            self.push_unblock(asked, waiting);
        } else {
            self.abandon(waiting.lease, "its server does not answer");
        }
    }

    fn push_unblock(&mut self, asked: u32, waiting: Waiting) {
        let lease = waiting.lease;
        let Some(backend) = self.backends.get_mut(lease.backend as usize) else { return };
        backend.unblocks += 1;
        let client = backend.client_id.to_string();
        let mut bytes = Vec::new();
        // With an error too: whoever it is for is told by the proxy.
        write::request(&mut bytes, &[b"CLIENT", b"UNBLOCK", client.as_bytes(), b"TIMEOUT"]);
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

    /// The dedicated connection that CLIENT UNBLOCK was about.
    fn asked_about(&mut self, entry: &InFlight) -> Option<&mut Backend> {
        let backend = self.backends.get_mut(entry.session as usize)?;
        (backend.serial as u32 == entry.sequence).then_some(backend)
    }

    /// The server has answered CLIENT UNBLOCK on the connection `asked`.
    #[cold]
    pub(in crate::engine) fn on_unblock_reply(
        &mut self,
        asked: u32,
        entry: &InFlight,
        reply: &[u8],
    ) {
        let Some(backend) = self.asked_about(entry) else { return };
        backend.unblocks -= 1;
        let waits = backend.in_flight.iter().any(|sent| sent.kind == Kind::Blocked);
        let session = backend.lessee;
        // Nobody else was lent the connection meanwhile.
        let Some(blocked) = self.blocked(session).filter(|_| waits) else { return };
        let State::Waiting(waiting) = blocked.state else { return };
        match reply {
            b":1\r\n" => {}
            // On this connection: the server may have left the topology.
            b":0\r\n" => self.push_unblock(asked, waiting),
            _ => {
                let words = String::from_utf8_lossy(reply);
                let reason = format!("the server refused CLIENT UNBLOCK: {}", words.trim_end());
                self.fail_backend(entry.session, &reason);
            }
        }
    }

    /// The connection is lost that CLIENT UNBLOCK was sent on. It may reach the server still, so that what it is about
    /// can neither go on to wait nor be lent again.
    #[cold]
    pub(in crate::engine) fn on_unblock_lost(&mut self, entry: &InFlight) {
        if self.asked_about(entry).is_some() {
            self.fail_backend(entry.session, "its server could not be told to end the wait");
        }
    }

    /// Ends the wait of the client of this id, for CLIENT UNBLOCK; answers whether it waited.
    pub fn unblock(&mut self, client: u64, error: bool) -> bool {
        let mut sessions = self.leases.sessions.iter().copied();
        let named = |session: &u32| {
            self.sessions.get(*session as usize).is_some_and(|target| target.client == client)
        };
        let session = sessions.find(named);
        session.is_some_and(|session| self.release_wait(session, error))
    }

    /// Ends the wait of a session, with nothing or with an error; answers whether it waited.
    pub(in crate::engine) fn release_wait(&mut self, session: u32, error: bool) -> bool {
        let Some(blocked) = self.blocked(session) else { return false };
        match &mut blocked.state {
            State::Answered(_) => return false,
            State::Waiting(waiting) => {
                waiting.released = Some(error);
                let waiting = *waiting;
                // What has yet to be sent may find something as it comes: the server is asked when it is.
                if self.is_sent(waiting.lease) {
                    self.ask_to_unblock(waiting);
                }
            }
            State::Offered | State::Asking(_) | State::Asked(_) => {
                self.answer_released(session, error);
            }
        }
        true
    }

    /// Answers a request of which nothing has been sent that could matter.
    fn answer_released(&mut self, session: u32, error: bool) {
        let reply = self.nothing(session, error);
        let Some(blocked) = self.blocked(session) else { return };
        let lease = blocked.lease();
        blocked.state = State::Answered(reply);
        if let Some(lease) = lease {
            self.abandon(lease, "the client was unblocked");
        }
        self.make_resumable(session);
    }

    /// The answer to a wait that was ended.
    pub(super) fn nothing(&self, session: u32, error: bool) -> Vec<u8> {
        let mut reply = Vec::new();
        match error {
            true => write::error(&mut reply, "UNBLOCKED client unblocked via CLIENT UNBLOCK"),
            false => write::null_array(&mut reply, self.sessions[session as usize].protocol),
        }
        reply
    }

    /// A dedicated connection's requests go out now.
    pub(in crate::engine) fn on_wait_sent(&mut self, backend: u32) {
        let session = self.backends[backend as usize].lessee;
        if let Some(Blocked { state: State::Waiting(waiting), .. }) = self.blocked(session)
            && waiting.released.is_some()
            && waiting.lease.backend == backend
        {
            let waiting = *waiting;
            self.ask_to_unblock(waiting);
        }
    }
}

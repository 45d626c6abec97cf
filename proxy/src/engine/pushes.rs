//! Push messages: what a client is sent that answers none of its requests.
//!
//! A push message goes out after every reply that has come before it, also after one that has yet to wait for
//! its turn: whoever is told that a key has changed must not be given the old value afterwards. And it
//! never stands within a reply that streams through. Both costs a reply nothing, since what has to wait waits among the
//! session's early replies.

use super::Engine;
use super::session::Flags;
use std::rc::Rc;

impl Engine {
    /// Sends a session a push message, of whatever protocol it is in. CLIENT REPLY OFF does not silence it, as in Redis.
    pub(super) fn push_to_session(&mut self, session: u32, bytes: &[u8]) {
        let target = &mut self.sessions[session as usize];
        if target.flags.has(Flags::DEAD | Flags::GONE) {
            return;
        }
        target.push(&mut self.pool, bytes);
        self.after_output(session);
    }

    /// The same with bytes that many sessions are sent: they are copied only where they have to wait.
    pub(super) fn push_shared_to_session(&mut self, session: u32, bytes: &Rc<Vec<u8>>) {
        let target = &mut self.sessions[session as usize];
        if target.flags.has(Flags::DEAD | Flags::GONE) {
            return;
        }
        target.push_shared(&mut self.pool, bytes);
        self.after_output(session);
    }
}

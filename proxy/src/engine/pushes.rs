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

    /// A piece of a server's push message that has not ended: held until it has.
    #[cold]
    pub(super) fn on_push_piece(&mut self, backend: u32, piece: &[u8]) {
        let source = &mut self.backends[backend as usize];
        source.partial.extend_from_slice(piece);
        if source.partial.len() > self.settings.output_bytes_hard {
            self.fail_backend(backend, "a push message is greater than session_output_hard");
        }
    }

    /// The end of a server's push message, or the whole of it.
    #[cold]
    pub(super) fn on_push_end(&mut self, backend: u32, end: &[u8]) {
        let source = &mut self.backends[backend as usize];
        let mut whole = std::mem::take(&mut source.partial);
        whole.extend_from_slice(end);
        self.on_push(backend, &whole);
    }

    /// A server's push message. It answers no request: what is in flight on the connection is not touched.
    fn on_push(&mut self, backend: u32, _push: &[u8]) {
        let source = &self.backends[backend as usize];
        tracing::debug!(
            shard = self.shard,
            backend = %source.address,
            "a push message came to a connection that asked for none"
        );
    }
}

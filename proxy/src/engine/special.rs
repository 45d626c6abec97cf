//! Requests of sessions that are not like most: what may not run, what is queued, and what is shown to those who monitor.

use super::Engine;
use super::dispatch::Flow;
use super::session::Flags;
use crate::command::{self, CommandId};
use crate::resp::Request;

impl Engine {
    /// A request of a session that is not like most: it is looked at before it is routed, and shown to those who
    /// monitor.
    #[cold]
    #[inline(never)]
    pub(super) fn dispatch_special(
        &mut self,
        session: u32,
        id: CommandId,
        request: &Request<'_>,
    ) -> Flow {
        let database = self.sessions[session as usize].database;
        let rejected = self.command_stats(id).rejected;
        let flow = match self.look_at(session, id, request) {
            Some(flow) => flow,
            None => self.dispatch_other(session, id, request),
        };
        if flow == Flow::Next && self.command_stats(id).rejected == rejected {
            self.show_to_monitors(session, database, id, request);
        }
        flow
    }

    /// Looks at a request before it is routed: the session may not send it, or it is not to run now. `None`: it
    /// goes on.
    fn look_at(&mut self, session: u32, id: CommandId, request: &Request<'_>) -> Option<Flow> {
        let flags = self.sessions[session as usize].flags;
        if !flags.has(Flags::AUTHENTICATED) && !id.command().flags.any(command::Flags::NO_AUTH) {
            return Some(self.reject(session, id, "NOAUTH Authentication required."));
        }
        if flags.has(Flags::RESTRICTED)
            && let Some(flow) = self.forbid(session, id, request)
        {
            return Some(flow);
        }
        if flags.has(Flags::HELD)
            && let Some(flow) = self.hold(session, id)
        {
            return Some(flow);
        }
        let refused = if flags.has(Flags::HEARS_ONLY) {
            self.refuse_while_subscribed(session, id)
        } else if flags.has(Flags::MONITOR) {
            self.refuse_to_monitor(session, id)
        } else {
            None
        };
        if refused.is_none() && flags.has(Flags::MULTI) {
            return self.queue(session, id, request);
        }
        refused
    }

    /// [`Engine::dispatch`] of a request that was queued.
    #[cold]
    pub(super) fn dispatch_queued(&mut self, session: u32, request: &Request<'_>) -> Flow {
        // Who monitors was shown it when it was queued.
        let on = self.monitors.pause();
        let flow = self.dispatch(session, request);
        self.monitors.set_back(on);
        flow
    }
}

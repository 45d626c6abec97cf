//! CLIENT PAUSE: requests wait, on all shards, until the time is over or CLIENT UNPAUSE is said.
//!
//! While clients are paused, each session has a flag that sends its requests the way of those that are looked at first;
//! so nobody pays for it otherwise. A request that waits was not taken: what was sent before goes on, and what follows it
//! waits behind it. CLIENT and its subcommands run all the same, or nobody could end a pause; and what a server has
//! answered already, as to a BLPOP that began before, is given to its client.

use super::Engine;
use super::dispatch::Flow;
use super::session::{Flags, Stall};
use crate::command::{self, CommandId, ids};

/// What may write by other means; servers do not say so in COMMAND.
const MAY_REPLICATE: [CommandId; 6] =
    [ids::EVAL, ids::EVALSHA, ids::FCALL, ids::PUBLISH, ids::SPUBLISH, ids::PFCOUNT];

/// A pause.
#[derive(Debug)]
pub(super) struct Pause {
    until_us: u64,
    /// Reads wait too.
    all: bool,
    /// Sessions whose next request waits.
    sessions: Vec<u32>,
}

impl Engine {
    /// Pauses clients for so long: all that they ask, or writes alone. A longer or stricter pause goes on.
    pub fn pause_clients(&mut self, duration_us: u64, all: bool) {
        let until_us = self.now_us.saturating_add(duration_us);
        let pause = self.pause.get_or_insert_with(|| Pause { until_us, all, sessions: Vec::new() });
        pause.until_us = pause.until_us.max(until_us);
        pause.all |= all;
        for (_, session) in &mut self.sessions {
            session.flags.set(Flags::HELD);
        }
    }

    /// Ends the pause, if there is one.
    pub fn unpause_clients(&mut self) {
        let Some(pause) = self.pause.take() else { return };
        for (_, session) in &mut self.sessions {
            session.flags.unset(Flags::HELD);
        }
        for session in pause.sessions {
            self.make_resumable(session);
        }
    }

    /// When the pause is over.
    pub(super) fn pause_due_us(&self) -> u64 {
        self.pause.as_ref().map_or(u64::MAX, |pause| pause.until_us)
    }

    /// Lets a request wait, if clients are paused for it.
    #[cold]
    pub(super) fn hold(&mut self, session: u32, id: CommandId) -> Option<Flow> {
        let writes = self.may_write(session, id);
        let answered = self.is_answered(session);
        let pause = self.pause.as_mut()?;
        let is_client = id.command().name.starts_with("client|");
        if is_client || answered || !(pause.all || writes) {
            return None;
        }
        pause.sessions.push(session);
        self.sessions[session as usize].stall = Stall::Held;
        Some(Flow::Wait)
    }

    fn may_write(&mut self, session: u32, id: CommandId) -> bool {
        match id {
            ids::EXEC => self.queued_commands(session).into_iter().any(may_write),
            id => may_write(id),
        }
    }

    /// For the audit: whether a session's request waits.
    pub(super) fn is_held(&self, session: u32) -> bool {
        self.pause.as_ref().is_some_and(|pause| pause.sessions.contains(&session))
    }
}

fn may_write(id: CommandId) -> bool {
    command::is_write(id) || MAY_REPLICATE.contains(&id)
}

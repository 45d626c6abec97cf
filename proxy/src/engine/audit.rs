//! What must hold between turns, checked from the outside of every path that keeps it true.
//!
//! Nothing in the proxy calls this: the simulation and the fuzz targets do, after any turn. Each
//! sentence that it answers names the rule that was broken.

use super::backend::{Kind, State};
use super::dispatch::since_us;
use super::session::{Flags, Session, Stall};
use super::{Backend, Engine};

/// What a healthy engine says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audit {
    /// Questions asked of the control thread that have no answer yet.
    pub questions: usize,
    /// Requests, and parts of split ones, that wait for a backend's reply.
    pub in_flight: usize,
    /// Sessions that wait for a slot or a backend.
    pub waiting: usize,
}

/// Turns a broken rule into an error.
macro_rules! rule {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}

impl Engine {
    /// Checks every invariant. Call it after `finish_turn`.
    ///
    /// # Errors
    /// The first rule that is broken, in words.
    pub fn audit(&self) -> Result<Audit, String> {
        rule!(self.resumable.is_empty(), "sessions were left to go on with");
        let named = self.references()?;
        let mut audit = Audit {
            questions: 0,
            in_flight: self.backends.iter().map(|(_, b)| b.in_flight.len()).sum(),
            waiting: 0,
        };
        for (index, session) in &self.sessions {
            let counted = named.get(index).copied().unwrap_or(0);
            rule!(
                session.references >= counted,
                "session {index} counts {} references, {counted} name it",
                session.references
            );
            audit.questions += (session.references - counted) as usize;
            audit.waiting += usize::from(matches!(
                session.stall,
                Stall::Backend
                    | Stall::Parked
                    | Stall::Move
                    | Stall::Learning
                    | Stall::Quiet
                    | Stall::Subscribing
            ));
            self.audit_session(index, session)?;
        }
        for (index, backend) in &self.backends {
            self.audit_backend(index, backend)?;
        }
        self.audit_settling()?;
        self.audit_moves()?;
        self.audit_tracking()?;
        rule!(
            self.sessions.is_empty() || self.sweep_us > self.now_us,
            "the sweep of sessions is late"
        );
        Ok(audit)
    }

    /// How many backend connections exist, whatever their state.
    #[must_use]
    pub fn backends(&self) -> usize {
        self.backends.len()
    }

    /// How long the oldest request on this backend has waited for its reply, in microseconds.
    #[must_use]
    pub fn backend_waits_us(&self, backend: u32) -> Option<u32> {
        let oldest = self.backends.get(backend as usize)?.in_flight.front()?;
        Some(since_us(self.now_us).wrapping_sub(oldest.since_us))
    }

    /// By session: how many requests in flight name it, its split requests included.
    fn references(&self) -> Result<Vec<u32>, String> {
        let mut sessions = vec![0_u32; self.sessions.capacity()];
        let mut parts = vec![0_u16; self.gathers.capacity()];
        let mut fans = vec![0_u16; self.fans.capacity()];
        for (index, backend) in &self.backends {
            for entry in &backend.in_flight {
                match entry.kind {
                    Kind::Ping
                    | Kind::Learn
                    | Kind::Move
                    | Kind::Swallow
                    | Kind::Unblock
                    | Kind::Topic
                    | Kind::Flush
                    | Kind::Acks => {}
                    Kind::Fan => {
                        let fan = entry.sequence as usize;
                        rule!(fan < fans.len(), "backend {index} has a part of no fan");
                        fans[fan] += 1;
                    }
                    // These end with their session.
                    Kind::Blocked | Kind::StreamEnd => {}
                    Kind::Part => {
                        let gather = entry.sequence as usize;
                        rule!(
                            self.gathers.contains(gather),
                            "backend {index} has a part of no split request"
                        );
                        parts[gather] += 1;
                    }
                    Kind::Reply | Kind::Silent | Kind::Exec => {
                        let session = entry.session as usize;
                        rule!(
                            self.sessions.contains(session),
                            "backend {index} has a request of no session"
                        );
                        sessions[session] += 1;
                    }
                }
            }
        }
        for (index, gather) in &self.gathers {
            rule!(
                gather.missing == parts[index],
                "a split request misses {} parts, {} are in flight",
                gather.missing,
                parts[index]
            );
            sessions[gather.session as usize] += 1;
        }
        for (index, session, missing) in self.fans.each() {
            let in_flight = std::mem::take(&mut fans[index]);
            rule!(missing == in_flight, "a fan misses {missing} parts, {in_flight} are in flight");
            sessions[session as usize] += 1;
        }
        rule!(fans.iter().all(|left| *left == 0), "a backend has a part of no fan");
        Ok(sessions)
    }

    fn audit_session(&self, index: usize, session: &Session) -> Result<(), String> {
        let limits = &self.settings;
        if session.flags.has(Flags::GONE) {
            rule!(session.references > 0, "session {index} is gone and was not freed");
        }
        if session.flags.has(Flags::DEAD | Flags::GONE) {
            rule!(
                session.input.is_empty() && session.reply_bytes() == 0,
                "session {index} is being closed and still holds bytes"
            );
            return Ok(());
        }
        rule!(
            session.in_flight() <= limits.session_requests_max,
            "session {index} has {} requests in flight",
            session.in_flight()
        );
        rule!(
            session.input.len() <= limits.input_bytes_max,
            "session {index} holds {} bytes of requests",
            session.input.len()
        );
        rule!(
            session.reply_bytes() <= limits.output_bytes_hard,
            "session {index} holds {} bytes of replies",
            session.reply_bytes()
        );
        let wakes = match session.stall {
            Stall::None => true,
            Stall::Pipeline => session.in_flight() > limits.session_requests_max / 2,
            Stall::Output => session.reply_bytes() > limits.output_bytes_soft / 2,
            Stall::Backend => {
                self.backends.iter().any(|(_, backend)| backend.waiters.contains(&(index as u32)))
            }
            Stall::Parked => self.parked.contains(&(index as u32)),
            Stall::Move => self.moves.is_waiting(index as u32, session.next),
            Stall::Learning => self.learned.is_waiting(index as u32),
            // The question is the one request that nothing in the engine names.
            Stall::Answer => session.references > 0,
            Stall::Subscribing => self.is_subscribing(index as u32),
            Stall::Quiet | Stall::Exec => session.in_flight() > 0,
            Stall::Held => self.is_held(index as u32),
            Stall::Tracking => self.is_opening(index as u32),
            Stall::Blocked => self.leases.sessions.contains(&(index as u32)),
        };
        rule!(wakes, "session {index} waits ({:?}) for nothing", session.stall);
        rule!(
            !session.is_read_from()
                || !session.flags.has(Flags::PAUSED)
                || session.flags.has(Flags::CLOSING | Flags::EOF),
            "session {index} is not read from and should be"
        );
        Ok(())
    }

    fn audit_backend(&self, index: usize, backend: &Backend) -> Result<(), String> {
        let limits = &self.settings;
        // A split request asks for room once and a PING not at all, so that one may be over.
        // Calls about keys that move do not ask for it either, nor do subscriptions; a fan asks once for all its parts.
        let unbounded = [
            Kind::Move,
            Kind::Swallow,
            Kind::Unblock,
            Kind::Topic,
            Kind::Flush,
            Kind::Fan,
            Kind::Acks,
        ];
        let calls = backend.in_flight.iter();
        let calls = calls.filter(|entry| unbounded.contains(&entry.kind)).count();
        rule!(
            backend.in_flight.len() - calls <= limits.backend_requests_max + 1,
            "backend {index} has {} requests in flight",
            backend.in_flight.len()
        );
        if matches!(backend.state, State::Idle | State::Down | State::Closing) {
            rule!(
                backend.in_flight.is_empty()
                    && backend.output.unsent() == 0
                    && backend.waiters.is_empty()
                    && backend.partial.is_empty(),
                "backend {index} has no connection and still holds requests"
            );
        }
        rule!(
            backend.waiters.is_empty()
                // They wait for the connection.
                || matches!(backend.state, State::Connecting | State::Handshake(_))
                || backend.in_flight.len() > limits.backend_requests_max / 2
                || backend.output.unsent() > limits.backend_output_bytes_max / 2,
            "backend {index} has room and lets sessions wait"
        );
        let armed = !matches!(backend.state, State::Idle | State::Closing | State::Ready);
        rule!(
            !armed || backend.timer_us >= self.now_us,
            "backend {index} is {:?} and its timer is late",
            backend.state
        );
        Ok(())
    }
}

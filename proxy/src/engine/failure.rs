//! The life of a backend connection: connect, serve, fail, back off, connect again. What stands between
//! the first two is in [`super::handshake`].
//!
//! What a failure means to requests: everything in flight gets an error at once - the proxy never
//! sends a request twice, as a write may have run - and requests that come while there is no
//! connection fail at once. Only the very first attempt lets requests wait for it.

use super::backend::{Body, InFlight, Kind, Role, State};
use super::dispatch::since_us;
use super::{CutReason, Effect, Engine};
use crate::command::ids;
use crate::resp::write;
use std::cmp::Reverse;
use std::sync::Arc;

/// The first pause after a failure, in microseconds; it doubles up to `backend_reconnect_max`.
const BACKOFF_US_MIN: u64 = 20_000;

impl Engine {
    /// Asks the driver to connect.
    pub(super) fn connect(&mut self, backend: u32) {
        let target = &mut self.backends[backend as usize];
        debug_assert!(matches!(target.state, State::Idle | State::Down));
        target.state = State::Connecting;
        target.fenced = 0;
        target.since_us = self.now_us;
        let address = Arc::clone(&target.address);
        self.effects.push(Effect::Connect { backend, address });
        self.arm(backend, self.now_us + self.settings.connect_timeout_us);
    }

    /// A connection cannot be used any more: the engine found out.
    pub(super) fn fail_backend(&mut self, backend: u32, reason: &str) {
        let target = &mut self.backends[backend as usize];
        if matches!(target.state, State::Idle | State::Down | State::Closing) {
            return;
        }
        self.effects.push(Effect::CloseBackend { backend });
        self.lose(backend, State::Closing, reason);
    }

    /// The driver has no connection for this backend (any more): it could not connect, the peer
    /// closed it, or the engine had asked for it.
    pub fn on_backend_closed(&mut self, backend: u32, reason: &str) {
        let Some(target) = self.backends.get_mut(backend as usize) else {
            return;
        };
        if target.state == State::Closing {
            target.state = State::Down;
        } else {
            self.lose(backend, State::Down, reason);
        }
        let target = &self.backends[backend as usize];
        if target.retired {
            self.backends.remove(backend as usize);
            return;
        }
        if self.is_let_in(backend) {
            return self.connect(backend);
        }
        let doubled = BACKOFF_US_MIN << target.attempts.saturating_sub(1).min(16);
        let pause = doubled.min(self.settings.reconnect_us_max).max(2);
        // Half of the pause is chance, so that many proxies do not come back as one.
        let pause = self.random.u64(pause / 2..=pause);
        self.arm(backend, self.now_us + pause);
    }

    /// Answers everything in flight with an error, and leaves the backend in `state`.
    fn lose(&mut self, backend: u32, state: State, reason: &str) {
        let target = &mut self.backends[backend as usize];
        let was_ready = target.state == State::Ready;
        target.state = state;
        target.attempts += 1;
        target.counters.failures += 1;
        target.last_error = reason.to_string();
        target.since_us = self.now_us;
        // Once for each time that it goes, not for each attempt to get it back.
        // Clients that track may have thousands, and what is shared is lost too.
        if target.attempts == 1 && !target.retired && target.role != Role::Tracker {
            tracing::warn!(
                shard = self.shard,
                backend = %target.address,
                group = target.group,
                database = target.database,
                in_flight = target.in_flight.len(),
                reason,
                "{}",
                match target.role {
                    Role::Shared | Role::Waiter | Role::Dedicated | Role::Tracker =>
                        "a server is lost: its keys answer errors until it is back",
                    Role::Subscriber =>
                        "a server's messages are lost until the connection for them is back",
                }
            );
        }
        if target.role == Role::Dedicated {
            self.forget_dedicated(backend);
        }
        let target = &mut self.backends[backend as usize];
        let streamed = target.streaming;
        let lost = target.reset(&mut self.pool);
        if target.retired {
            self.leave_pool(backend);
        }
        let target = &self.backends[backend as usize];
        let text = if was_ready {
            format!(
                "ERR backend {}: connection lost before the reply came, the command may have run: \
                 {reason}",
                target.address
            )
        } else {
            format!("ERR backend {} is down: {reason}", target.address)
        };
        let mut error = Vec::new();
        write::error(&mut error, &text);
        for (place, entry) in lost.into_iter().enumerate() {
            self.fail_entry(&entry, streamed && place == 0, &error);
        }
        match self.backends[backend as usize].role {
            Role::Tracker => self.on_tracker_lost(backend, was_ready),
            Role::Subscriber => self.on_feed_lost(backend),
            _ => {}
        }
        self.wake_waiters(backend);
    }

    fn fail_entry(&mut self, entry: &InFlight, streamed: bool, error: &[u8]) {
        match entry.kind {
            Kind::Ping | Kind::Swallow | Kind::Topic | Kind::Flush => {}
            Kind::Unblock => self.on_unblock_lost(entry),
            Kind::Exec => self.on_exec(entry, error),
            Kind::Blocked | Kind::StreamEnd => self.on_wait_lost(entry, error),
            Kind::Fan => self.on_fan_part(entry.sequence, entry.session, error),
            Kind::Acks => self.on_acks(entry.sequence, entry.session, error),
            Kind::Move => self.on_move_lost(entry.sequence, entry.session),
            Kind::Learn => self.on_facts(entry.sequence, error),
            Kind::Part => self.on_part(entry.sequence, entry.session as u16, error),
            Kind::Reply | Kind::Silent => {
                self.commands[usize::from(entry.command.0)].fails += 1;
                if streamed && entry.kind == Kind::Reply {
                    // Half of the reply is out: only the end of the connection says so.
                    self.cut(entry.session, CutReason::Backend);
                }
                let text = if entry.kind == Kind::Silent { b"" } else { error };
                self.deliver(entry.session, entry.sequence, text);
                if self.settings.break_on_failure && self.sessions.contains(entry.session as usize)
                {
                    self.close_when_drained(entry.session);
                }
            }
        }
    }

    /// A backend that no topology names any more.
    pub(super) fn retire(&mut self, backend: u32) {
        if self.backends[backend as usize].role == Role::Dedicated {
            self.forget_dedicated(backend);
        }
        self.backends[backend as usize].retired = true;
        if self.backends[backend as usize].role == Role::Subscriber {
            self.on_feed_lost(backend);
        }
        self.close_if_retired(backend);
    }

    #[cold]
    pub(super) fn close_if_retired(&mut self, backend: u32) {
        let target = &mut self.backends[backend as usize];
        if !target.retired || !target.in_flight.is_empty() {
            return;
        }
        self.leave_pool(backend);
        let target = &mut self.backends[backend as usize];
        match target.state {
            State::Idle | State::Down => {
                self.backends.remove(backend as usize);
            }
            State::Closing => {}
            State::Connecting | State::Handshake(_) | State::Ready => {
                target.state = State::Closing;
                target.reset(&mut self.pool);
                self.effects.push(Effect::CloseBackend { backend });
                self.wake_waiters(backend);
            }
        }
    }

    fn arm(&mut self, backend: u32, at_us: u64) {
        self.backends[backend as usize].timer_us = at_us;
        self.timers.push(Reverse((at_us, backend)));
    }

    /// Does what a backend's state and the time demand, and sets its timer anew.
    pub(super) fn backend_timer(&mut self, backend: u32) {
        let target = &self.backends[backend as usize];
        match target.state {
            State::Idle | State::Closing => {}
            State::Down => self.connect(backend),
            State::Connecting | State::Handshake(_) => {
                let due = target.since_us + self.settings.connect_timeout_us;
                if self.now_us < due {
                    return self.arm(backend, due);
                }
                self.backends[backend as usize].counters.timeouts += 1;
                self.fail_backend(backend, "no connection within backend_connect_timeout");
            }
            State::Ready => self.ready_timer(backend),
        }
    }

    /// Looks at each connection's timeouts anew: they may have changed.
    pub(super) fn schedule_backends(&mut self) {
        let ready: Vec<u32> = self
            .backends
            .iter()
            .filter(|(_, backend)| backend.state == State::Ready)
            .map(|(index, _)| index as u32)
            .collect();
        for backend in ready {
            self.ready_timer(backend);
        }
    }

    fn ready_timer(&mut self, backend: u32) {
        let now = self.now_us;
        let target = &self.backends[backend as usize];
        let idle = target.in_flight.is_empty();
        let (answer, send) = target.waits_us(now);
        let patience = target.patience_us;
        let mut due = u64::MAX;
        for (limit, more, waited, key) in [
            (self.settings.recv_timeout_us, patience, answer, "backend_recv_timeout"),
            (self.settings.send_timeout_us, 0, send, "backend_send_timeout"),
        ] {
            let limit = if limit > 0 { limit.saturating_add(more) } else { 0 };
            // What comes from now on cannot time out earlier than this.
            let waited = waited.unwrap_or(0);
            if limit > 0 && waited >= limit {
                self.backends[backend as usize].counters.timeouts += 1;
                return self.fail_backend(backend, &format!("no answer within {key}"));
            }
            if limit > 0 {
                due = due.min(now.saturating_add(limit - waited));
            }
        }
        let ping = self.settings.ping_us;
        if ping > 0 {
            if now >= self.backends[backend as usize].pinged_us + ping {
                // Where requests are in flight, they prove as much.
                self.backends[backend as usize].pinged_us = now;
                if idle {
                    self.ping(backend);
                }
            }
            due = due.min(self.backends[backend as usize].pinged_us + ping);
        }
        if due < u64::MAX {
            self.arm(backend, due);
        }
    }

    fn ping(&mut self, backend: u32) {
        let entry = InFlight {
            session: 0,
            sequence: 0,
            since_us: since_us(self.now_us),
            offset: 0,
            command: ids::PING,
            kind: Kind::Ping,
        };
        self.push(backend, entry, Body::Copy(b"*1\r\n$4\r\nPING\r\n"));
    }

    pub(super) fn on_pong(&mut self, backend: u32, entry: &InFlight) {
        let elapsed = since_us(self.now_us).wrapping_sub(entry.since_us);
        self.backends[backend as usize].counters.ping_us = elapsed.max(1);
    }
}

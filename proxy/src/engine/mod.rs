//! The engine of a shard: bytes in, bytes out.
//!
//! Here live sessions, backends, routing, ordering and the commands that the proxy answers itself.
//! The engine may use [`crate::resp`], [`crate::command`], [`crate::slots`] and
//! [`crate::topology`]; it must not know of sockets, threads, clocks or async. The driver
//! ([`crate::shard`]) moves bytes and time, and knows nothing of Redis. That is what lets tests run
//! many engines by the million with a seed.
//!
//! A turn: the driver sets the time, hands in what has come (`on_client_bytes`,
//! `on_backend_bytes`, ...), calls [`Engine::finish_turn`], then carries out the effects and sends the
//! output of every dirty connection. The way of a request is [`input`] (parse), [`dispatch`] (look up, route,
//! append to a backend's output) and then [`deliver`] (find the reply's end, append to the session's
//! output in its order). Read those two first.
//!
//! Who owns an index: sessions and backends are named by their index. A session's index is free
//! again after `on_client_closed`, and after the last reply that was in flight for it; a backend's
//! after `on_backend_closed` for one that was retired.

mod acl;
mod audit;
mod backend;
mod blocking;
mod dedicated;
mod deliver;
mod dispatch;
mod early;
mod effect;
mod everywhere;
mod failure;
mod flags;
mod gather;
mod handshake;
mod hello;
mod input;
mod lane;
mod learn;
mod local;
mod monitor;
mod moves;
mod output;
mod pause;
#[cfg(feature = "planted-faults")]
mod planted;
mod pubsub;
mod pushes;
mod replicas;
mod route;
mod session;
mod settings;
mod settle;
mod show;
mod slowlog;
mod special;
#[cfg(test)]
mod tests;
mod tracking;
mod transaction;

pub use audit::Audit;
pub use effect::Effect;
pub use output::Segment;
pub use settings::Settings;

use crate::command::{COMMANDS, CommandId};
use crate::resp::request::Progress;
use crate::stats::{CommandStats, MoveStats};
use backend::Backend;
use dedicated::Leases;
use everywhere::Fans;
use gather::{Gather, Plan, SpareParts};
use learn::Learned;
use monitor::Monitors;
use moves::Moves;
use output::Pool;
use pause::Pause;
use pubsub::Hub;
use route::Routes;
use session::{Flags, Session, Stall};
use settle::Settling;
use slab::Slab;
use slowlog::Slowlog;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use tracking::Trackers;

/// In place of an index: none.
const NO_INDEX: u32 = u32::MAX;

/// Sessions are looked at for timeouts this many times in the shortest timeout.
const SWEEPS_A_TIMEOUT: u64 = 8;

/// Why a session was closed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CutReason {
    /// More than `session_input_max` bytes of requests that have not run.
    Input,
    /// More than `session_output_hard` bytes of unsent replies.
    Output,
    /// Nothing was sent for `session_recv_timeout`.
    Idle,
    /// No reply was taken for `session_send_timeout`.
    Unread,
    /// It spoke HTTP.
    Http,
    /// A backend was lost in the middle of a reply.
    Backend,
    /// CLIENT KILL.
    Killed,
}

/// The reasons as they are shown, in the order of [`CutReason`].
const CUT_REASONS: [&str; 7] =
    ["input_limit", "output_limit", "idle", "unread", "http", "backend_lost", "killed"];

/// Numbers for the operator that belong to no command and no backend.
#[derive(Debug, Default)]
struct Counters {
    sessions_total: u64,
    client_bytes_in: u64,
    client_bytes_out: u64,
    protocol_errors: u64,
    unknown_commands: u64,
    cut: [u64; CUT_REASONS.len()],
    moves: MoveStats,
}

/// The engine of one shard. See the module's documentation.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    /// The shard's number.
    shard: usize,
    /// Microseconds since the driver's start.
    now_us: u64,
    /// What to add to get microseconds since 1970.
    unix_us_at_start: u64,
    sessions: Slab<Session>,
    backends: Slab<Backend>,
    gathers: Slab<Gather>,
    spare_parts: SpareParts,
    /// How many backends there ever were.
    backends_made: u64,
    routes: Routes,
    settling: Settling,
    moves: Moves,
    hub: Hub,
    monitors: Monitors,
    leases: Leases,
    pause: Option<Pause>,
    trackers: Trackers,
    fans: Fans,
    pool: Pool,
    random: fastrand::Rng,

    effects: Vec<Effect>,
    dirty_sessions: Vec<u32>,
    dirty_backends: Vec<u32>,
    /// Sessions whose stall may be over.
    resumable: VecDeque<u32>,
    /// Sessions that wait for a slot.
    parked: Vec<u32>,
    timers: BinaryHeap<Reverse<(u64, u32)>>,
    sweep_us: u64,
    draining: bool,

    /// By command; the last one counts what the table does not have.
    commands: Vec<CommandStats>,
    counters: Counters,
    slowlog: Slowlog,
    learned: Learned,

    /// Scratch memory, kept between requests.
    progress: Progress,
    keys: Vec<u32>,
    plan: Plan,
    /// The reply to a split request, as it is put together.
    whole: Vec<u8>,
    /// The buffer of the request being run, where it may be passed on whole.
    large: Option<Rc<Vec<u8>>>,
    /// What CLIENT CACHING said of the request being run: yes or no.
    caching: Option<bool>,
    #[cfg(feature = "planted-faults")]
    planted: planted::Planted,
}

impl Engine {
    /// An engine with no session and the empty topology. `seed` drives the jitter of reconnects.
    #[must_use]
    pub fn new(settings: Settings, shard: usize, unix_us_at_start: u64, seed: u64) -> Self {
        Self {
            settings,
            shard,
            now_us: 0,
            unix_us_at_start,
            sessions: Slab::new(),
            backends: Slab::new(),
            gathers: Slab::new(),
            spare_parts: SpareParts::default(),
            backends_made: 0,
            routes: Routes::new(),
            settling: Settling::new(),
            moves: Moves::default(),
            hub: Hub::default(),
            monitors: Monitors::default(),
            leases: Leases::default(),
            pause: None,
            trackers: Trackers::default(),
            fans: Fans::default(),
            pool: Pool::default(),
            random: fastrand::Rng::with_seed(seed),
            effects: Vec::new(),
            dirty_sessions: Vec::new(),
            dirty_backends: Vec::new(),
            resumable: VecDeque::new(),
            parked: Vec::new(),
            timers: BinaryHeap::new(),
            sweep_us: u64::MAX,
            draining: false,
            commands: vec![CommandStats::default(); COMMANDS.len() + 1],
            counters: Counters::default(),
            slowlog: Slowlog::default(),
            learned: Learned::default(),
            progress: Progress::default(),
            keys: Vec::new(),
            plan: Plan::default(),
            whole: Vec::new(),
            large: None,
            caching: None,
            #[cfg(feature = "planted-faults")]
            planted: planted::Planted::from_environment(),
        }
    }

    /// Sets the time, in microseconds since the driver's start. It never goes back.
    #[inline]
    pub fn set_now(&mut self, now_us: u64) {
        debug_assert!(now_us >= self.now_us, "time goes back");
        self.now_us = now_us;
    }

    #[inline]
    fn now_s(&self) -> u32 {
        (self.now_us / 1_000_000) as u32
    }

    fn unix_us(&self) -> u64 {
        self.unix_us_at_start + self.now_us
    }

    /// Takes settings that have changed. What is read once for a connection (passwords, parallel
    /// connections) counts for new connections.
    pub fn on_settings(&mut self, settings: Settings) {
        self.settings = settings;
        self.routes.forget_shortcuts();
        self.schedule_sweep();
        self.schedule_backends();
    }

    /// A client has connected. `client` is unique in the process.
    pub fn on_client_open(&mut self, client: u64, peer: Option<SocketAddr>) -> u32 {
        let mut flags = Flags::default();
        if self.settings.users.get(0).needs_no_password() {
            flags.set(Flags::AUTHENTICATED);
        }
        if !self.settings.users.get(0).is_all_powerful() {
            flags.set(Flags::RESTRICTED);
        }
        if self.pause.is_some() {
            flags.set(Flags::HELD);
        }
        if self.monitors.on() {
            flags.set(Flags::WATCHED);
        }
        let none_yet = crate::command::ids::PING;
        let session = Session::new(client, peer, flags, self.now_s(), none_yet);
        let index = self.sessions.insert(session) as u32;
        self.counters.sessions_total += 1;
        if self.sweep_us == u64::MAX {
            self.schedule_sweep();
        }
        if self.draining {
            self.close_when_drained(index);
        }
        index
    }

    /// A client has sent its last byte. What it asked for is still answered.
    pub fn on_client_eof(&mut self, session: u32) {
        let target = &mut self.sessions[session as usize];
        target.flags.set(Flags::EOF);
        if target.stall == Stall::Blocked {
            // What is there for it already may be on its way; it waits for nothing else.
            self.release_wait(session, false);
        }
        self.finish_if_drained(session);
    }

    /// Whether a session that is to be closed was given all its replies, and should have the time to
    /// read them; one that was cut is owed nothing.
    #[must_use]
    pub fn closes_in_order(&self, session: u32) -> bool {
        let session = self.sessions.get(session as usize);
        session.is_some_and(|session| session.flags.has(Flags::CLOSING))
    }

    /// A client's connection is lost: nothing can be sent to it any more, and no effect will name it.
    /// The driver closes it and says so by `on_client_closed`.
    pub fn on_client_lost(&mut self, session: u32) {
        let target = &mut self.sessions[session as usize];
        target.flags.set(Flags::DEAD);
        target.release(&mut self.pool);
    }

    /// The driver has closed a session's connection, and will not name it again. This comes after
    /// every `CloseClient`, and after a connection was lost.
    pub fn on_client_closed(&mut self, session: u32) {
        let target = &mut self.sessions[session as usize];
        target.flags.set(Flags::GONE | Flags::DEAD);
        target.release(&mut self.pool);
        self.forget_wait(session);
        self.end_subscriptions(session);
        self.end_monitor(session);
        self.end_own(session);
        self.release_if_gone(session);
        if self.sessions.is_empty() {
            self.pool.shrink();
            self.spare_parts = SpareParts::default();
            self.sessions.shrink_to_fit();
        }
    }

    /// The control thread has answered a question.
    pub fn on_answer(&mut self, session: u32, client: u64, sequence: u32, reply: &[u8]) {
        if let Some(target) = self.sessions.get_mut(session as usize)
            && target.client == client
        {
            target.flags.unset(Flags::KILLS);
            let asks_monitor = target.flags.has(Flags::MONITOR);
            if target.stall == Stall::Answer {
                self.make_resumable(session);
            }
            self.deliver(session, sequence, reply);
            if asks_monitor {
                self.on_monitor_answer(session, reply);
            }
        }
    }

    /// Reads no more requests from anyone; every session is closed when its replies are out. One that waits at a server
    /// is let go there first, so that nothing is popped for a client that is gone.
    pub fn drain(&mut self) {
        self.draining = true;
        let sessions: Vec<u32> = self.sessions.iter().map(|(index, _)| index as u32).collect();
        for session in sessions {
            let target = &self.sessions[session as usize];
            if target.flags.has(Flags::DEAD | Flags::GONE) {
                continue;
            }
            // What is half done - a wait, the replies of a transaction - is brought to its end.
            match target.own.is_some() {
                true => self.on_client_eof(session),
                false => self.close_when_drained(session),
            }
        }
    }

    /// How many sessions are open, those being closed included.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Runs what became possible during the turn. Call it before taking effects and output.
    pub fn finish_turn(&mut self) {
        if self.settling.pending {
            self.settle();
        }
        loop {
            while let Some(session) = self.resumable.pop_front() {
                self.resume(session);
            }
            if !self.moves.pending() {
                break;
            }
            self.send_moves();
        }
        self.send_monitor_lines();
    }

    /// The things to do, in order. Handing back the emptied list saves an allocation.
    pub fn take_effects(&mut self, emptied: Vec<Effect>) -> Vec<Effect> {
        std::mem::replace(&mut self.effects, emptied)
    }

    /// A session with output to send, if there is one; each is named once a turn.
    #[inline]
    pub fn next_dirty_session(&mut self) -> Option<u32> {
        while let Some(session) = self.dirty_sessions.pop() {
            if let Some(target) = self.sessions.get_mut(session as usize) {
                target.flags.unset(Flags::DIRTY);
                if !target.flags.has(Flags::DEAD | Flags::GONE) {
                    return Some(session);
                }
            }
        }
        None
    }

    /// A backend with output to send, likewise.
    #[inline]
    pub fn next_dirty_backend(&mut self) -> Option<u32> {
        while let Some(backend) = self.dirty_backends.pop() {
            if let Some(target) = self.backends.get_mut(backend as usize) {
                target.dirty = false;
                return Some(backend);
            }
        }
        None
    }

    /// The next bytes to send to a client. They stay counted until `on_client_sent`.
    #[inline]
    pub fn take_client_output(&mut self, session: u32) -> Option<Segment> {
        self.sessions.get_mut(session as usize)?.output.take()
    }

    /// The next bytes to send to a backend. They stay counted until `on_backend_sent`.
    #[inline]
    pub fn take_backend_output(&mut self, backend: u32) -> Option<Segment> {
        self.backends.get_mut(backend as usize)?.take()
    }

    /// The driver has sent all of a client's segment: its memory comes back.
    #[inline]
    pub fn recycle(&mut self, segment: Segment) {
        self.pool.put(segment);
    }

    /// The driver has sent `bytes` of the segment that it took last.
    #[inline]
    pub fn on_backend_sent(&mut self, backend: u32, bytes: usize) {
        let Some(target) = self.backends.get_mut(backend as usize) else {
            return;
        };
        target.counters.bytes_out += bytes as u64;
        if target.state != backend::State::Ready || target.greeting_out {
            return;
        }
        target.count_sent(bytes, self.now_us);
        // What gathered while this was being sent goes next.
        if target.output.unsent() > 0 && !target.dirty {
            target.dirty = true;
            self.dirty_backends.push(backend);
        }
        if !target.waiters.is_empty()
            && target.output.unsent() <= self.settings.backend_output_bytes_max / 2
            && target.in_flight.len() <= self.settings.backend_requests_max / 2
        {
            self.wake_waiters(backend);
        }
    }

    /// The driver has sent all of a backend's segment; it has said so by `on_backend_sent` before.
    #[inline]
    pub fn recycle_backend(&mut self, backend: u32, segment: Segment) {
        match self.backends.get_mut(backend as usize) {
            Some(target) if target.greeting_out => {
                target.greeting_out = false;
                self.pool.put(segment);
            }
            Some(target) if target.state == backend::State::Ready => {
                target.keep_sent(&mut self.pool, segment);
            }
            _ => self.pool.put(segment),
        }
    }

    /// When `on_tick` is due next, in microseconds on the engine's clock.
    #[inline]
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let timer = self.timers.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
        let next = timer
            .min(self.sweep_us)
            .min(self.moves.due_us())
            .min(self.settling.due_us())
            .min(self.pause_due_us());
        (next != u64::MAX).then_some(next)
    }

    /// Does what is due.
    pub fn on_tick(&mut self) {
        while let Some(&Reverse((at, backend))) = self.timers.peek() {
            if at > self.now_us {
                break;
            }
            self.timers.pop();
            if self.backends.get(backend as usize).is_some_and(|target| target.timer_us == at) {
                self.backend_timer(backend);
            }
        }
        if self.moves.due_us() <= self.now_us {
            self.end_pauses();
        }
        if self.pause_due_us() <= self.now_us {
            self.unpause_clients();
        }
        if self.settling.due_us() <= self.now_us {
            self.settling.end_late_answers(self.now_us);
        }
        if self.sweep_us <= self.now_us {
            self.sweep();
            self.schedule_sweep();
        }
    }

    fn schedule_sweep(&mut self) {
        let timeouts = [self.settings.session_recv_timeout_s, self.settings.session_send_timeout_s];
        let shortest = timeouts.into_iter().filter(|timeout| *timeout > 0).min();
        self.sweep_us = match shortest {
            Some(seconds) if !self.sessions.is_empty() => {
                self.now_us + u64::from(seconds) * 1_000_000 / SWEEPS_A_TIMEOUT
            }
            _ => u64::MAX,
        };
    }

    /// Cuts sessions that have been silent, or have not taken their replies, for too long.
    fn sweep(&mut self) {
        let now_s = self.now_s();
        let recv = self.settings.session_recv_timeout_s;
        let send = self.settings.session_send_timeout_s;
        let mut late = Vec::new();
        for (index, session) in &mut self.sessions {
            if session.flags.has(Flags::DEAD | Flags::GONE) {
                continue;
            }
            let unread = session.output.unsent() > 0;
            if !unread {
                session.progress_s = now_s;
            } else if send > 0 && now_s - session.progress_s >= send {
                late.push((index as u32, CutReason::Unread));
                continue;
            }
            // A session that waits for a slot is not read from, so its client may be long gone; a slot
            // that stays locked must not gather them for ever.
            let stalled = !matches!(session.stall, Stall::None | Stall::Parked);
            let waits = unread || session.in_flight() > 0 || stalled;
            let listens = session.is_subscribed() || session.flags.has(Flags::MONITOR);
            if recv > 0 && !waits && !listens && now_s - session.active_s >= recv {
                late.push((index as u32, CutReason::Idle));
            }
        }
        for (session, reason) in late {
            self.cut(session, reason);
        }
    }

    /// The state of a command's counters.
    fn command_stats(&mut self, id: CommandId) -> &mut CommandStats {
        &mut self.commands[usize::from(id.0)]
    }
}

//! The driver of a shard: one thread, pinned to one core, that moves bytes and time between the ring
//! and the engine. It knows nothing of Redis.
//!
//! One turn: wait for completions, hand them to the engine, take the mailbox's messages, run what is
//! due, carry out the engine's effects, then send once on every connection that has output. The next
//! wait submits all of it with one system call. See DESIGN section 3.
//!
//! The loop is a task of a glommio executor, which pins the thread. It blocks in the ring, so it is
//! the executor's only task: whatever else a shard has to do comes through its mailbox.

mod accept;
mod connections;
mod mailbox;

pub use accept::Acceptor;
pub use mailbox::{Mailbox, ShardSender, mailbox};

use crate::clients::{self, ClientInfo};
use crate::engine::{Effect, Engine, Segment, Settings};
use crate::messages::{ControlMessage, ShardMessage};
use crate::stats::ShardStats;
use crate::uring::{Event, Ring, RingConfig, Token};
use connections::{Connections, Kind, User};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::UnboundedSender;

/// How long a listener that cannot take connections (no descriptor left) is left alone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often failures of the listener are logged while they last.
const ACCEPT_LOG_PAUSE: Duration = Duration::from_secs(10);

/// How long a client has to read its last replies before its connection is closed under what it still
/// sends.
const LINGER: Duration = Duration::from_secs(1);

/// What a shard is made of.
#[derive(Debug)]
pub struct ShardConfig {
    /// The shard's number.
    pub shard: usize,
    /// The core it is pinned to.
    pub core: usize,
    /// The engine's settings.
    pub settings: Settings,
    /// TCP keepalive of sessions and of backends; `None` for none.
    pub keepalive: (Option<Duration>, Option<Duration>),
    /// The ring's sizes.
    pub ring: RingConfig,
    /// Messages to this shard.
    pub mailbox: Mailbox,
    /// Messages to the control thread.
    pub control: UnboundedSender<ControlMessage>,
    /// How many sessions each shard has, for whoever accepts.
    pub loads: Arc<[AtomicUsize]>,
    /// Shard 0 accepts for all.
    pub acceptor: Option<Acceptor>,
}

/// A running shard.
struct Shard {
    number: usize,
    core: usize,
    token: String,
    ring: Ring<Segment>,
    engine: Engine,
    connections: Connections,
    mailbox: Mailbox,
    control: UnboundedSender<ControlMessage>,
    loads: Arc<[AtomicUsize]>,
    acceptor: Option<Acceptor>,
    /// When the listener is asked again, in microseconds since `start`.
    accept_again_us: Option<u64>,
    /// When its next failure is logged: it fails ten times a second while descriptors are missing.
    accept_log_us: u64,
    keepalive: (Option<Duration>, Option<Duration>),
    /// Sockets that linger, and until when in microseconds since `start`; the oldest first.
    lingering: VecDeque<(u64, Token)>,
    start: Instant,
    now_us: u64,
    turns: u64,
    draining: bool,
    drained: bool,
    stopped: bool,
    effects: Vec<Effect>,
}

/// Runs a shard on the calling thread until it is told to stop; says by `ready` that it serves.
///
/// # Errors
/// A sentence: what the ring refused.
pub fn run(config: ShardConfig, ready: impl FnOnce()) -> Result<(), String> {
    let mut shard = Shard::new(config)?;
    ready();
    while !shard.stopped {
        shard.turn()?;
    }
    Ok(())
}

impl Shard {
    fn new(config: ShardConfig) -> Result<Self, String> {
        let mut ring = Ring::new(&config.ring)
            .map_err(|error| format!("shard {} cannot make its io_uring: {error}", config.shard))?;
        let wake = config.mailbox.wake().map_err(|error| {
            format!("shard {} cannot copy its eventfd: {error}; raise --ulimit", config.shard)
        })?;
        ring.watch(wake);
        let mut acceptor = config.acceptor;
        if let Some(listener) = acceptor.as_mut().and_then(Acceptor::take_listener) {
            ring.listen(listener);
        }
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let token = config.settings.token.clone();
        let unix_us = since_1970.as_micros() as u64;
        let seed = unix_us ^ (config.shard as u64) << 48 ^ u64::from(std::process::id()) << 32;
        Ok(Self {
            number: config.shard,
            core: config.core,
            token,
            ring,
            engine: Engine::new(config.settings, config.shard, unix_us, seed),
            connections: Connections::default(),
            mailbox: config.mailbox,
            control: config.control,
            loads: config.loads,
            acceptor,
            accept_again_us: None,
            accept_log_us: 0,
            keepalive: config.keepalive,
            lingering: VecDeque::new(),
            start: Instant::now(),
            now_us: 0,
            turns: 0,
            draining: false,
            drained: false,
            stopped: false,
            effects: Vec::new(),
        })
    }

    fn turn(&mut self) -> Result<(), String> {
        let timeout = self.timeout();
        self.ring
            .wait(timeout)
            .map_err(|error| format!("shard {}: io_uring_enter failed: {error}", self.number))?;
        self.turns += 1;
        self.now_us = self.start.elapsed().as_micros() as u64;
        self.engine.set_now(self.now_us);
        if self.reap() {
            self.take_messages();
        }
        self.run_timers();
        // An effect can have an effect: a connection that cannot even be begun fails at once.
        loop {
            self.engine.finish_turn();
            if !self.carry_out(false) {
                break;
            }
        }
        self.send_all();
        if self.draining && !self.drained && self.engine.sessions() == 0 {
            self.drained = true;
            self.tell(ControlMessage::Drained { shard: self.number });
        }
        Ok(())
    }

    /// How long the turn may wait.
    fn timeout(&self) -> Option<Duration> {
        let lingering = self.lingering.front().map(|(until, _)| *until);
        let deadlines = [self.engine.next_deadline(), self.accept_again_us, lingering];
        let deadline = deadlines.into_iter().flatten().min()?;
        Some(Duration::from_micros(deadline.saturating_sub(self.now_us)))
    }

    /// Hands all completions to the engine; answers whether there are messages.
    #[inline]
    fn reap(&mut self) -> bool {
        let Self { ring, engine, connections, .. } = self;
        let mut woken = false;
        let mut accepted = Vec::new();
        let mut accept_error = None;
        let mut failed = Vec::new();
        ring.reap(|event| match event {
            Event::Received { user, bytes } => match User::from(user) {
                User { kind: Kind::Session, index } => engine.on_client_bytes(index, bytes),
                User { kind: Kind::Backend, index } => engine.on_backend_bytes(index, bytes),
            },
            Event::Sent { user, bytes, done } => {
                connections.sent(engine, User::from(user), bytes, done);
            }
            Event::Ended { user } => match User::from(user) {
                User { kind: Kind::Session, index } => engine.on_client_eof(index),
                user => failed.push((user, "the server closed the connection".to_string())),
            },
            Event::Connected { user } => engine.on_backend_open(User::from(user).index),
            Event::Failed { user, error, .. } => {
                failed.push((User::from(user), connections::words(&error)));
            }
            Event::Closed { user } => connections.closed(engine, User::from(user)),
            Event::Accepted(socket) => accepted.push(socket),
            Event::AcceptFailed(error) => accept_error = Some(error),
            Event::Woken => woken = true,
        });
        for (user, reason) in failed {
            self.connections.fail(&mut self.engine, &mut self.ring, user, reason);
        }
        for socket in accepted {
            self.accept(socket);
        }
        if let Some(error) = accept_error {
            self.accept_again_us = Some(self.now_us + ACCEPT_PAUSE.as_micros() as u64);
            if self.now_us >= self.accept_log_us {
                self.accept_log_us = self.now_us + ACCEPT_LOG_PAUSE.as_micros() as u64;
                tracing::error!(
                    %error,
                    "cannot accept connections; trying again (raise --ulimit if files are missing)"
                );
            }
        }
        woken
    }

    fn run_timers(&mut self) {
        if self.engine.next_deadline().is_some_and(|deadline| deadline <= self.now_us) {
            self.engine.on_tick();
        }
        if self.accept_again_us.is_some_and(|at| at <= self.now_us) {
            self.accept_again_us = None;
            self.ring.listen_again();
        }
        while let Some(&(until, token)) = self.lingering.front()
            && until <= self.now_us
        {
            self.lingering.pop_front();
            self.ring.close_lingering(token, until);
        }
    }

    /// Closes a session's connection once the client can have read its replies. One that has nothing
    /// to read (`at_once`), or that misbehaved, is not waited for.
    fn close_client(&mut self, session: u32, at_once: bool) {
        let token = self.connections.session(session);
        let until = self.now_us + LINGER.as_micros() as u64;
        if at_once || !self.engine.closes_in_order(session) {
            self.ring.close(token);
        } else if self.ring.finish(token, until) {
            self.lingering.push_back((until, token));
        }
    }

    /// Carries out what the engine asked for; answers whether there was anything. `at_once` is for
    /// [`Self::close_client`].
    fn carry_out(&mut self, at_once: bool) -> bool {
        let effects = std::mem::take(&mut self.effects);
        let mut effects = self.engine.take_effects(effects);
        let any = !effects.is_empty();
        for effect in effects.drain(..) {
            match effect {
                Effect::Connect { backend, address } => self.connect(backend, &address),
                Effect::CloseBackend { backend } => self.close_backend(backend),
                Effect::CloseClient { session } => self.close_client(session, at_once),
                Effect::Pause { session } => {
                    let token = self.connections.session(session);
                    self.ring.pause(token);
                }
                Effect::Resume { session } => {
                    let token = self.connections.session(session);
                    self.ring.resume(token);
                }
                Effect::Wanted { database, key } => {
                    self.tell(ControlMessage::Wanted { database, key });
                }
                Effect::Settled { epoch } => {
                    self.tell(ControlMessage::Settled { shard: self.number, epoch });
                }
                Effect::Monitored { lines } => {
                    self.tell(ControlMessage::Monitored { shard: self.number, lines });
                }
                Effect::MonitorEnded { client } => {
                    self.tell(ControlMessage::MonitorEnded { client });
                }
                Effect::Ask { session, client, sequence, question, args, protocol } => {
                    let shard = self.number;
                    let ask = ControlMessage::Ask {
                        shard,
                        session,
                        client,
                        sequence,
                        question,
                        args,
                        protocol,
                    };
                    self.tell(ask);
                }
            }
        }
        self.effects = effects;
        any
    }

    /// Sends once on every connection that has output and is not sending.
    #[inline]
    fn send_all(&mut self) {
        while let Some(backend) = self.engine.next_dirty_backend() {
            if let Some(token) = self.connections.backend(backend)
                && self.ring.can_send(token)
                && let Some(segment) = self.engine.take_backend_output(backend)
            {
                self.ring.send(token, segment);
            }
        }
        while let Some(session) = self.engine.next_dirty_session() {
            let token = self.connections.session(session);
            if self.ring.can_send(token)
                && let Some(segment) = self.engine.take_client_output(session)
            {
                self.ring.send(token, segment);
            }
        }
    }

    fn tell(&self, message: ControlMessage) {
        if self.control.send(message).is_err() {
            // The control thread ends last, so the process is about to.
            tracing::debug!(shard = self.number, "the control thread has ended");
        }
    }

    fn connect(&mut self, backend: u32, address: &str) {
        match connections::parse(address) {
            Some(address) => self.connect_to(backend, address),
            None => {
                let ticket = self.connections.resolving(backend);
                let address = address.to_string();
                self.tell(ControlMessage::Resolve { shard: self.number, backend: ticket, address });
            }
        }
    }

    fn connect_to(&mut self, backend: u32, address: socket2::SockAddr) {
        match connections::socket(&address, self.keepalive.1) {
            Ok(socket) => {
                let user = User { kind: Kind::Backend, index: backend };
                let token = self.ring.connect(socket, address, user.into());
                self.connections.set_backend(backend, token);
            }
            Err(error) => {
                let reason = format!("cannot make a socket: {error}");
                self.engine.on_backend_closed(backend, &reason);
            }
        }
    }

    fn close_backend(&mut self, backend: u32) {
        match self.connections.backend(backend) {
            Some(token) => self.ring.close(token),
            None => {
                self.connections.forget_resolving(backend);
                self.engine.on_backend_closed(backend, "closed");
            }
        }
    }

    fn take_messages(&mut self) {
        while let Some(message) = self.mailbox.take() {
            self.take_message(message);
        }
    }

    fn take_message(&mut self, message: ShardMessage) {
        match message {
            ShardMessage::Accepted(accepted) => self.add_client(accepted.socket, accepted.client),
            ShardMessage::Topology(topology) => self.engine.on_topology(&topology),
            ShardMessage::Settings(config) => {
                self.keepalive = (
                    config.session_keepalive_period.non_zero(),
                    config.backend_keepalive_period.non_zero(),
                );
                if let Some(acceptor) = &mut self.acceptor {
                    acceptor.clients_max = config.proxy_max_clients;
                }
                self.engine.on_settings(Settings::new(&config, &self.token));
            }
            ShardMessage::Resolved { backend: ticket, result } => {
                let Some(backend) = self.connections.resolved(ticket) else { return };
                match result {
                    Ok(address) => self.connect_to(backend, address.into()),
                    Err(reason) => self.engine.on_backend_closed(backend, &reason),
                }
            }
            ShardMessage::Answer { session, client, sequence, reply } => {
                self.engine.on_answer(session, client, sequence, &reply);
            }
            ShardMessage::Stats(answer) => give(answer, self.stats()),
            ShardMessage::Clients(answer) => {
                let clients = self.clients().into_iter().map(|(_, client)| client).collect();
                give(answer, clients);
            }
            ShardMessage::Kill(filter, answer) => {
                let clients = self.clients();
                let matching = clients.iter().filter(|(_, client)| filter.matches(client));
                let killed = matching.map(|(session, _)| self.engine.kill(*session)).count();
                give(answer, killed as u64);
            }
            ShardMessage::Unblock(client, error, answer) => {
                give(answer, u64::from(self.engine.unblock(client, error)));
            }
            ShardMessage::Pause { duration_us, all, done } => {
                self.engine.pause_clients(duration_us, all);
                give(done, ());
            }
            ShardMessage::Unpause(done) => {
                self.engine.unpause_clients();
                give(done, ());
            }
            ShardMessage::Slowlog(answer) => give(answer, self.engine.slowlog()),
            ShardMessage::Monitoring { shards, done } => {
                self.engine.on_monitoring(&shards);
                give(done, ());
            }
            ShardMessage::MonitorLines(lines) => self.engine.on_monitor_lines(&lines),
            ShardMessage::SlowlogReset => self.engine.reset_slowlog(),
            ShardMessage::StatsReset => self.engine.reset_stats(),
            ShardMessage::Drain => {
                self.draining = true;
                self.ring.stop_listening();
                // What came before still counts; those that are closed now were idle.
                self.carry_out(false);
                self.engine.drain();
                self.carry_out(true);
            }
            ShardMessage::Stop => self.stopped = true,
        }
    }

    fn stats(&self) -> ShardStats {
        let (cpu_user_us, cpu_system_us) = thread_cpu_us();
        let mut stats = ShardStats {
            core: self.core,
            turns: self.turns,
            cpu_user_us,
            cpu_system_us,
            ..self.engine.stats()
        };
        let refused = self.acceptor.as_ref().map_or(0, Acceptor::refused);
        if refused > 0 {
            stats.sessions_cut.push((clients::CUT_MAX_CLIENTS, refused));
        }
        stats
    }

    /// The sessions, with what only their sockets know.
    fn clients(&self) -> Vec<(u32, ClientInfo)> {
        let mut clients = self.engine.clients();
        for (session, client) in &mut clients {
            let token: Token = self.connections.session(*session);
            if let Some(socket) = self.ring.descriptor(token) {
                connections::describe(socket, client);
            }
        }
        clients
    }

    fn add_client(&mut self, socket: std::os::fd::OwnedFd, client: u64) {
        let peer = connections::prepare_client(&socket, self.keepalive.0);
        let session = self.engine.on_client_open(client, peer);
        let user = User { kind: Kind::Session, index: session };
        let token = self.ring.add(socket, user.into());
        self.connections.set_session(session, token, Arc::clone(&self.loads), self.number);
    }

    fn accept(&mut self, socket: std::os::fd::OwnedFd) {
        let Some(acceptor) = &mut self.acceptor else { return };
        let Some((shard, accepted)) = acceptor.place(socket, &self.loads) else { return };
        self.loads[shard].fetch_add(1, Ordering::Relaxed);
        if shard == self.number {
            return self.add_client(accepted.socket, accepted.client);
        }
        if acceptor.hand_over(shard, accepted).is_err() {
            self.loads[shard].fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Answers the control thread; it has gone on without the answer if it waited too long.
fn give<T>(answer: tokio::sync::oneshot::Sender<T>, value: T) {
    if answer.send(value).is_err() {
        tracing::debug!("an answer came too late");
    }
}

/// User and system time of the calling thread, in microseconds; zero where the kernel does not say.
fn thread_cpu_us() -> (u64, u64) {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    // The name, which may hold anything, ends with the last parenthesis; utime and stime are fields
    // 14 and 15 of the whole, so 12 and 13 of what follows the name.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
    let mut next_us = || {
        let ticks = fields.next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        ticks * 1_000_000 / ticks_per_second
    };
    (next_us(), next_us())
}

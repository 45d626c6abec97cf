//! One thread of the load: its connections, its requests, its counts.
//!
//! A turn takes what the operating system reports, reads all replies, and writes the next requests of each connection in
//! one call. There is nothing else between a reply and the next request, so that one core makes as many as it can.

use crate::run::connection::{Connection, InFlight, Lost};
use crate::run::pace::Pace;
use crate::run::record::Counts;
use crate::run::reply::Kind;
use crate::run::timer::Timer;
use crate::run::transport::Transport;
use crate::run::{Keys, OnError, Phases, Plan, RunError, Target};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;
/// The longest sleep of a thread without work.
const SLEEP_MAX: Duration = Duration::from_millis(100);
/// How long to wait before a connection is tried again.
const RECONNECT_AFTER: Duration = Duration::from_millis(100);
/// How long connections may take at the start.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// What a thread tells the one that shows it all.
#[derive(Debug)]
pub(crate) enum Told {
    /// All connections are ready.
    Ready,
    /// What a second brought the thread with this number.
    Second(usize, Box<Counts>),
    /// It cannot go on.
    Failed(RunError),
    /// It is over.
    Done(Finished),
}

/// What a thread says at its end, beside its counts.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Finished {
    /// CPU time since the end of the warm-up, in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Requests whose replies did not come in time after the end.
    pub(crate) unanswered: u64,
    /// Requests that were due (open loop) and could not be sent before the end.
    pub(crate) unsent: u64,
}

pub(crate) struct Worker {
    plan: Arc<Plan>,
    number: usize,
    tell: Sender<Told>,
    poll: Poll,
    slots: Vec<Slot>,
    keys: Keys,
    rng: fastrand::Rng,
    counts: Box<Counts>,
    /// Counts that were told and added up, to be used again: new memory would cost the load time in each second.
    emptied: Receiver<Box<Counts>>,
    /// Requests that may still be sent, where their number is given.
    left: Option<u64>,
    pace: Option<Pace>,
    timer: Timer,
    /// Connections with room for a request (open loop), the one that waited longest first.
    roomy: VecDeque<usize>,
    stop: Option<RunError>,
    /// When the last request was sent.
    ended: Option<Instant>,
}

/// A place for a connection.
struct Slot {
    target: usize,
    connection: Option<Connection>,
    retry_at: Option<Instant>,
    is_roomy: bool,
}

impl Worker {
    pub(crate) fn new(
        plan: Arc<Plan>,
        number: usize,
        tell: Sender<Told>,
        emptied: Receiver<Box<Counts>>,
    ) -> Result<Self, RunError> {
        let poll = Poll::new().map_err(RunError::System)?;
        let timer = Timer::new(poll.registry()).map_err(RunError::System)?;
        let threads = plan.threads;
        let pace = plan.rate.map(|rate| Pace::new(rate, plan.arrivals, number, threads));
        let clients = (number..plan.clients).step_by(threads);
        let slots = clients.map(|client| Slot {
            target: client % plan.targets.len(),
            connection: None,
            retry_at: None,
            is_roomy: false,
        });
        Ok(Self {
            slots: slots.collect(),
            keys: Keys::new(&plan.distribution, plan.keys, number, threads),
            rng: fastrand::Rng::with_seed(plan.seed.wrapping_add(number as u64)),
            counts: Box::new(Counts::new(plan.mix.count())),
            emptied,
            left: plan.requests.map(|all| share(all, number, threads)),
            roomy: VecDeque::new(),
            stop: None,
            ended: None,
            plan,
            number,
            tell,
            poll,
            pace,
            timer,
        })
    }

    /// Does its part, from the connections to the last reply.
    pub(crate) fn run(mut self) {
        let told = match self.connect_all().and_then(|()| self.load()) {
            Ok(finished) => Told::Done(finished),
            Err(error) => Told::Failed(error),
        };
        // Nobody listens any more when another thread has failed.
        let _ = self.tell.send(Told::Second(self.number, self.counts));
        let _ = self.tell.send(told);
    }

    fn connect_all(&mut self) -> Result<(), RunError> {
        let deadline = Instant::now() + CONNECT_PATIENCE;
        for place in 0..self.slots.len() {
            self.connect(place).map_err(|lost| self.cannot_connect(place, &lost))?;
        }
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; 4096];
        while let Some(waiting) = self.slots.iter().position(|slot| !slot.is_ready()) {
            if Instant::now() > deadline {
                let why = std::io::Error::from(std::io::ErrorKind::TimedOut);
                return Err(self.cannot_connect(waiting, &Lost::Io(why)));
            }
            self.wait(&mut events, Some(SLEEP_MAX))?;
            for event in &events {
                let place = event.token().0;
                if place < self.slots.len() {
                    self.drive(event, &mut buffer)
                        .map_err(|lost| self.cannot_connect(place, &lost))?;
                }
            }
        }
        Ok(())
    }

    fn cannot_connect(&self, place: usize, lost: &Lost) -> RunError {
        let Target { address, .. } = &self.plan.targets[self.slots[place].target];
        RunError::Connect { address: address.to_string(), why: lost.to_string() }
    }

    fn connect(&mut self, place: usize) -> Result<(), Lost> {
        let slot = &mut self.slots[place];
        let target = &self.plan.targets[slot.target];
        let mut socket = TcpStream::connect(target.address)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut socket, Token(place), interest)?;
        let transport = Transport::new(socket, self.plan.tls.as_ref(), &target.host)?;
        let (greeting, replies) = &self.plan.greeting;
        slot.connection = Some(Connection::new(transport, greeting, *replies));
        slot.retry_at = None;
        Ok(())
    }

    /// Loads from the common start until everything is over.
    fn load(&mut self) -> Result<Finished, RunError> {
        // Nobody waits for this when the run was given up.
        let _ = self.tell.send(Told::Ready);
        let plan = Arc::clone(&self.plan);
        let phases = plan.start.wait();
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_BYTES];
        let mut second = phases.measured + Duration::from_secs(1);
        let mut cpu_before = None;
        let mut now = Instant::now();
        self.begin(&phases, now);
        while !self.is_over(&phases, now) {
            let sleep = self.sleep(&phases, now);
            self.wait(&mut events, sleep)?;
            now = Instant::now();
            self.take_events(&events, &phases, &mut buffer);
            self.send_due(&phases, now);
            if let Some(error) = self.stop.take() {
                return Err(error);
            }
            if cpu_before.is_none() && now >= phases.measured {
                cpu_before = Some(cpu_ns());
            }
            if now >= second {
                self.reconnect(now);
                self.tell_counts();
                while second <= now {
                    second += Duration::from_secs(1);
                }
            } else if self.slots.iter().any(|slot| slot.retry_at.is_some()) {
                self.reconnect(now);
            }
        }
        let cpu_ns = cpu_ns().saturating_sub(cpu_before.unwrap_or_default());
        Ok(self.finish(&phases, cpu_ns))
    }

    fn tell_counts(&mut self) {
        let empty = self.emptied.try_recv();
        let empty = empty.unwrap_or_else(|_| Box::new(Counts::new(self.plan.mix.count())));
        let counts = std::mem::replace(&mut self.counts, empty);
        // Nobody listens any more when another thread has failed.
        let _ = self.tell.send(Told::Second(self.number, counts));
    }

    /// The first requests of every connection.
    fn begin(&mut self, phases: &Phases, now: Instant) {
        for place in 0..self.slots.len() {
            if self.pace.is_some() {
                self.has_room(place);
            } else {
                self.refill(place, phases, now);
            }
        }
    }

    fn may_send(&self, phases: &Phases, now: Instant) -> bool {
        // What was due before the end is sent, late as it is: else the slowest would be missing.
        let goes_on = match &self.pace {
            None => now < phases.end,
            Some(pace) => {
                phases.start + pace.due() < phases.end && now < phases.end + self.plan.patience
            }
        };
        goes_on && self.left != Some(0) && !self.plan.stopped.load(Relaxed)
    }

    fn is_over(&mut self, phases: &Phases, now: Instant) -> bool {
        if self.may_send(phases, now) {
            return false;
        }
        let waits = self.slots.iter().any(|slot| slot.in_flight() > 0);
        let ended = *self.ended.get_or_insert(now);
        !waits || now >= ended + self.plan.patience
    }

    /// How long there is nothing to do unless something comes.
    fn sleep(&mut self, phases: &Phases, now: Instant) -> Option<Duration> {
        let may_send = self.may_send(phases, now);
        let due = self.pace.as_ref().filter(|_| may_send && !self.roomy.is_empty());
        if let Some(due) = due.map(|pace| phases.start + pace.due()) {
            if due <= now {
                return Some(Duration::ZERO);
            }
            // The poll's own timeout counts in milliseconds.
            self.timer.set(due, now);
        }
        Some(SLEEP_MAX)
    }

    fn wait(&mut self, events: &mut Events, timeout: Option<Duration>) -> Result<(), RunError> {
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            other => other.map_err(RunError::System),
        }
    }

    fn take_events(&mut self, events: &Events, phases: &Phases, buffer: &mut [u8]) {
        for event in events {
            let place = event.token().0;
            if place >= self.slots.len() {
                continue; // the timer
            }
            match self.drive(event, buffer) {
                Err(lost) => self.lose(place, &lost),
                Ok(()) => {
                    let slot = &self.slots[place];
                    if !slot.is_ready() {
                        continue;
                    }
                    if self.pace.is_some() {
                        self.has_room(place);
                    } else if slot.in_flight() == 0 {
                        self.refill(place, phases, Instant::now());
                    }
                }
            }
        }
    }

    /// Reads and writes what an event says can be.
    fn drive(&mut self, event: &Event, buffer: &mut [u8]) -> Result<(), Lost> {
        let Self { slots, counts, stop, plan, .. } = self;
        let Some(connection) = &mut slots[event.token().0].connection else { return Ok(()) };
        if event.is_error() || (event.is_writable() && !connection.connected) {
            if let Some(error) = connection.transport.socket().take_error()? {
                return Err(error.into());
            }
            connection.connected = true;
        }
        if event.is_writable() {
            // In cipher there is something to write before there is a request.
            counts.sent_bytes += connection.write()? as u64;
        }
        if !event.is_readable() {
            return Ok(());
        }
        let mut now = None;
        // What the closed end of a connection holds is read up to its end.
        for _ in 0..=usize::from(event.is_read_closed()) {
            let received = connection.read(buffer, |request, kind, scanner| {
                let now = *now.get_or_insert_with(Instant::now);
                if kind == Kind::Error && (request.counted || plan.on_error == OnError::Stop) {
                    counts.error(&scanner.error());
                    if plan.on_error == OnError::Stop {
                        *stop = Some(RunError::ErrorReply(scanner.error()));
                    }
                }
                if request.counted {
                    let latency = now.saturating_duration_since(request.since);
                    counts.commands[request.command as usize]
                        .saturating_record(latency.as_nanos() as u64);
                    counts.nils += u64::from(kind == Kind::Nil);
                }
            })?;
            counts.received_bytes += received as u64;
        }
        Ok(())
    }

    /// A batch of requests for a connection that waits for nothing (closed loop).
    fn refill(&mut self, place: usize, phases: &Phases, now: Instant) {
        if !self.may_send(phases, now) {
            return;
        }
        let batch =
            self.left.map_or(self.plan.pipeline as u64, |left| left.min(self.plan.pipeline as u64));
        for _ in 0..batch {
            self.request(place, now, now >= phases.measured);
        }
        self.write(place);
    }

    /// Sends what is due (open loop), to connections with room in turn.
    fn send_due(&mut self, phases: &Phases, now: Instant) {
        if self.pace.is_none() || !self.may_send(phases, now) {
            return;
        }
        let mut touched = Vec::new();
        while let Some(pace) = &mut self.pace {
            let due = phases.start + pace.due();
            if due > now || due >= phases.end || self.left == Some(0) {
                break;
            }
            let Some(place) = self.roomy.pop_front() else { break };
            self.slots[place].is_roomy = false;
            if !self.slots[place].is_ready() {
                continue; // it comes back when it is ready again
            }
            pace.advance();
            let counted = due >= phases.measured;
            if counted {
                self.counts.lag.saturating_record((now - due).as_nanos() as u64);
            }
            self.request(place, due, counted);
            touched.push(place);
            self.has_room(place);
        }
        touched.sort_unstable();
        touched.dedup();
        for place in touched {
            self.write(place);
        }
    }

    fn has_room(&mut self, place: usize) {
        let slot = &mut self.slots[place];
        if !slot.is_roomy && slot.is_ready() && slot.in_flight() < self.plan.pipeline {
            slot.is_roomy = true;
            self.roomy.push_back(place);
        }
    }

    #[inline]
    fn request(&mut self, place: usize, since: Instant, counted: bool) {
        let Self { slots, plan, keys, rng, left, .. } = self;
        let Some(connection) = &mut slots[place].connection else { return };
        let (command, template) = plan.mix.next(rng);
        template.write(&mut connection.output, keys, &plan.values, rng);
        connection.in_flight.push_back(InFlight { since, command: command as u32, counted });
        if let Some(left) = left.as_mut().filter(|_| counted) {
            *left -= 1;
        }
    }

    fn write(&mut self, place: usize) {
        let Some(connection) = &mut self.slots[place].connection else { return };
        match connection.write() {
            Ok(count) => self.counts.sent_bytes += count as u64,
            Err(lost) => self.lose(place, &lost),
        }
    }

    /// A connection has ended.
    fn lose(&mut self, place: usize, lost: &Lost) {
        if self.plan.on_error == OnError::Stop {
            let Target { address, .. } = &self.plan.targets[self.slots[place].target];
            self.stop =
                Some(RunError::Lost { address: address.to_string(), why: lost.to_string() });
        }
        let slot = &mut self.slots[place];
        if let Some(mut connection) = slot.connection.take() {
            // An error means that the system has forgotten the socket already.
            let _ = self.poll.registry().deregister(connection.transport.socket());
            let counted = connection.in_flight.iter().filter(|request| request.counted).count();
            self.counts.lost_requests += counted as u64;
            self.counts.lost_connections += 1;
        }
        slot.retry_at = Some(Instant::now() + RECONNECT_AFTER);
    }

    fn reconnect(&mut self, now: Instant) {
        for place in 0..self.slots.len() {
            if self.slots[place].retry_at.is_some_and(|at| at <= now)
                && let Err(lost) = self.connect(place)
            {
                self.lose(place, &lost);
            }
        }
    }

    /// Counts what is left open.
    fn finish(&mut self, phases: &Phases, cpu_ns: u64) -> Finished {
        let in_flight = self.slots.iter().filter_map(|slot| slot.connection.as_ref());
        let unanswered = in_flight.flat_map(|connection| &connection.in_flight);
        let unanswered = unanswered.filter(|request| request.counted).count() as u64;
        let end = phases.end.min(Instant::now()) - phases.start;
        let measured = phases.measured - phases.start;
        let by_count = self.left == Some(0);
        let unsent =
            self.pace.take().filter(|_| !by_count).map_or(0, |pace| {
                pace.left_until(end).filter(|due| *due >= measured).count() as u64
            });
        Finished { cpu_ns, unanswered, unsent }
    }
}

impl Slot {
    fn is_ready(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_ready)
    }

    fn in_flight(&self) -> usize {
        self.connection.as_ref().map_or(0, |connection| connection.in_flight.len())
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("number", &self.number).finish_non_exhaustive()
    }
}

/// The share of one of `threads` in `all`.
fn share(all: u64, number: usize, threads: usize) -> u64 {
    let (threads, number) = (threads as u64, number as u64);
    all / threads + u64::from(number < all % threads)
}

/// The CPU time that the calling thread has used.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn a_number_of_requests_is_shared_out_completely() {
        let shares: Vec<u64> = (0..3).map(|number| share(11, number, 3)).collect();
        assert_eq!(shares, [4, 4, 3]);
    }
}

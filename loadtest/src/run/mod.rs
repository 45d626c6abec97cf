//! Load for anything that speaks RESP: `codis-loadtest run`.
//!
//! [`run`] starts some threads ([`worker`]), each with its own connections and its own poll, which share nothing while
//! they work; each second they hand over what they counted. A *closed* loop sends the next requests of a connection when
//! all of the last were answered. An *open* loop sends at a given rate whatever is answered, and counts a latency from when
//! the request was due: a server that stalls for a second has made a second's requests late, not one.
//!
//! Requests are [`Template`]s out of a [`Mix`]; replies are only looked through for their end ([`reply`]).

mod connection;
mod keys;
mod mix;
mod pace;
mod record;
pub mod reply;
pub mod report;
mod start;
mod template;
mod timer;
mod transport;
mod values;
mod worker;

pub use keys::{BadDistribution, KeyDistribution, Keys};
pub use mix::{BadMix, COMMANDS, Definition, Mix, Share};
pub use pace::Arrivals;
pub use record::{Counts, latencies};
pub use template::{BadTemplate, Template};
pub use transport::{Tls, TlsError};
pub use values::{BadSizes, ValueSizes, Values};

use start::{Phases, Start};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use worker::{Finished, Told, Worker};

/// A server, or a proxy.
#[derive(Debug, Clone)]
pub struct Target {
    /// As it was named: what a certificate has to be for.
    pub host: String,
    /// Where it is.
    pub address: SocketAddr,
}

/// What happens when a connection is lost, or a reply is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OnError {
    /// Errors are counted, and connections are opened again.
    Continue,
    /// The first one ends the run.
    Stop,
}

/// Everything that a run is.
#[derive(Debug)]
pub struct Plan {
    /// Where the load goes; connections take them in turn.
    pub targets: Vec<Target>,
    /// How many threads make it.
    pub threads: usize,
    /// How many connections there are together.
    pub clients: usize,
    /// How many requests a connection may have in flight.
    pub pipeline: usize,
    /// Requests a second in an open loop; a closed loop when `None`.
    pub rate: Option<f64>,
    /// How an open loop's requests are spread.
    pub arrivals: Arrivals,
    /// What is sent.
    pub mix: Mix,
    /// How many keys there are.
    pub keys: u64,
    /// How they are chosen.
    pub distribution: KeyDistribution,
    /// What is written.
    pub values: Values,
    /// What the random choices follow from.
    pub seed: u64,
    /// The bytes that each connection begins with, and how many replies they get.
    pub greeting: (Vec<u8>, usize),
    /// In cipher.
    pub tls: Option<Tls>,
    /// Time at the beginning that is not counted.
    pub warmup: Duration,
    /// Time that is counted, after the warm-up.
    pub duration: Duration,
    /// Requests that are counted; as many as the time allows when `None`.
    pub requests: Option<u64>,
    /// How long replies are waited for after the end.
    pub patience: Duration,
    /// What errors lead to.
    pub on_error: OnError,
    /// The common start of all threads.
    pub start: Start,
    /// Set to end the run early.
    pub stopped: Arc<AtomicBool>,
}

impl Plan {
    /// One thread with one connection to `targets` and no pipeline, in a closed loop of ten seconds: whatever else is wanted
    /// is set afterwards.
    #[must_use]
    pub fn new(targets: Vec<Target>, mix: Mix, values: Values) -> Self {
        Self {
            targets,
            threads: 1,
            clients: 1,
            pipeline: 1,
            rate: None,
            arrivals: Arrivals::Constant,
            mix,
            keys: 100_000,
            distribution: KeyDistribution::Uniform,
            values,
            seed: fastrand::u64(..),
            greeting: (Vec::new(), 0),
            tls: None,
            warmup: Duration::ZERO,
            duration: Duration::from_secs(10),
            requests: None,
            patience: Duration::from_secs(5),
            on_error: OnError::Continue,
            start: Start::default(),
            stopped: Arc::default(),
        }
    }
}

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A connection that could not be opened at the beginning.
    #[error("cannot connect to {address}: {why}")]
    Connect {
        /// Where to.
        address: String,
        /// What is wrong.
        why: String,
    },
    /// A connection that was lost, where that ends the run.
    #[error("the connection to {address} was lost: {why} (--on-error=continue goes on)")]
    Lost {
        /// Where to.
        address: String,
        /// What happened.
        why: String,
    },
    /// An error reply, where that ends the run.
    #[error("a request was answered by an error: {0} (--on-error=continue goes on)")]
    ErrorReply(String),
    /// The operating system.
    #[error("the operating system refused what the load needs: {0}")]
    System(#[source] io::Error),
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// All that was counted.
    pub counts: Counts,
    /// Requests whose replies did not come in time after the end.
    pub unanswered: u64,
    /// Requests that were due (open loop) and could not be sent before the end.
    pub unsent: u64,
    /// From the end of the warm-up to the last reply.
    pub elapsed: Duration,
    /// CPU time of the threads that made the load.
    pub cpu: Duration,
    /// What each second brought: replies, errors, and the latency that 50 and 99 of 100 requests did not exceed.
    pub seconds: Vec<Second>,
}

/// What a second brought.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Second {
    /// Seconds since the end of the warm-up.
    pub at: u64,
    /// Replies.
    pub replies: u64,
    /// Replies a second.
    pub per_second: f64,
    /// Errors among them.
    pub errors: u64,
    /// Connections that were lost.
    pub lost_connections: u64,
    /// Half of all requests took at most so long, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 took at most so long.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// Who is told how a run goes on.
pub trait Watch {
    /// The threads have connected; the load begins.
    fn begins(&mut self, plan: &Plan);
    /// Another second has passed.
    fn second(&mut self, second: &Second);
    /// The load is over.
    fn ends(&mut self);
}

/// Makes the load of `plan`.
///
/// # Errors
/// When it cannot begin, or something happened that ends it.
pub fn run(plan: Plan, watch: &mut dyn Watch) -> Result<Outcome, RunError> {
    let plan = Arc::new(plan);
    let (tell, told) = channel();
    let mut threads = Vec::new();
    let mut give_back = Vec::new();
    for number in 0..plan.threads {
        let (giver, emptied) = channel();
        // One to count in while the other is added up.
        let _ = giver.send(Box::new(Counts::new(plan.mix.count())));
        give_back.push(giver);
        let worker = Worker::new(Arc::clone(&plan), number, tell.clone(), emptied)?;
        let name = format!("load-{number}");
        let spawned = thread::Builder::new().name(name).spawn(move || worker.run());
        threads.push(spawned.map_err(RunError::System)?);
    }
    drop(tell);
    let outcome = gather(&plan, &told, &give_back, watch);
    plan.stopped.store(true, Relaxed);
    plan.start.give_up();
    drop(told);
    for thread in threads {
        // A thread that panicked has told nothing, which `gather` has noticed.
        let _ = thread.join();
    }
    watch.ends();
    outcome
}

/// Waits for all threads, and adds up what they tell.
fn gather(
    plan: &Plan,
    told: &Receiver<Told>,
    give_back: &[Sender<Box<Counts>>],
    watch: &mut dyn Watch,
) -> Result<Outcome, RunError> {
    let ended = || RunError::System(io::Error::other("a thread of the load has ended"));
    for _ in 0..plan.threads {
        match told.recv().map_err(|_| ended())? {
            Told::Failed(error) => return Err(error),
            _ready => {}
        }
    }
    let phases = plan.start.begin(plan.warmup, plan.duration);
    watch.begins(plan);
    let mut sum = Sum::new(plan, phases.measured);
    let mut running = plan.threads;
    while running > 0 {
        let wait = sum.next_second.saturating_duration_since(Instant::now());
        match told.recv_timeout(wait) {
            Ok(Told::Second(number, mut counts)) => {
                sum.add(&counts);
                counts.clear();
                // It may have ended.
                let _ = give_back[number].send(counts);
            }
            Ok(Told::Done(finished)) => {
                running -= 1;
                sum.finish(finished);
            }
            Ok(Told::Failed(error)) => return Err(error),
            Ok(Told::Ready) => {}
            Err(RecvTimeoutError::Timeout) => sum.end_second(watch),
            Err(RecvTimeoutError::Disconnected) => return Err(ended()),
        }
    }
    sum.outcome.elapsed = sum.last_reply.saturating_duration_since(phases.measured);
    if sum.second.replies() + sum.second.lost_connections > 0 {
        sum.end_second(watch);
    }
    Ok(sum.outcome)
}

/// Adds up what threads tell.
struct Sum {
    outcome: Outcome,
    second: Counts,
    number: u64,
    next_second: Instant,
    begun: Instant,
    last_reply: Instant,
}

/// Threads tell each second a moment after it has ended.
const TELLING: Duration = Duration::from_millis(150);

impl Sum {
    fn new(plan: &Plan, measured: Instant) -> Self {
        let commands = plan.mix.count();
        let outcome = Outcome {
            counts: Counts::new(commands),
            unanswered: 0,
            unsent: 0,
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
            seconds: Vec::new(),
        };
        let next_second = measured + Duration::from_secs(1) + TELLING;
        let second = Counts::new(commands);
        Self { outcome, second, number: 0, next_second, begun: measured, last_reply: measured }
    }

    fn add(&mut self, counts: &Counts) {
        self.second.add(counts);
        self.outcome.counts.add(counts);
        self.last_reply = Instant::now();
    }

    fn finish(&mut self, finished: Finished) {
        self.outcome.cpu += Duration::from_nanos(finished.cpu_ns);
        self.outcome.unanswered += finished.unanswered;
        self.outcome.unsent += finished.unsent;
    }

    fn end_second(&mut self, watch: &mut dyn Watch) {
        let commands = self.second.commands.len();
        let counts = std::mem::replace(&mut self.second, Counts::new(commands));
        let begun = self.begun + Duration::from_secs(self.number);
        // The last one may be shorter.
        let length = self.last_reply.saturating_duration_since(begun).as_secs_f64();
        let length = length.clamp(0.05, 1.0);
        let latencies = counts.all();
        let ms = |quantile: f64| latencies.value_at_quantile(quantile) as f64 / 1e6;
        self.number += 1;
        self.next_second += Duration::from_secs(1);
        let second = Second {
            at: self.number,
            replies: counts.replies(),
            per_second: counts.replies() as f64 / length,
            errors: counts.error_replies(),
            lost_connections: counts.lost_connections,
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            max_ms: latencies.max() as f64 / 1e6,
        };
        self.outcome.seconds.push(second);
        watch.second(&second);
    }
}

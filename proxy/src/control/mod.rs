//! The control plane: one thread beside the shards.
//!
//! It does everything that is not on a request's path: it answers what only the whole process can
//! answer (`INFO`, `CLIENT LIST`, `CONFIG`, `SLOWLOG`; [`questions`]), serves the admin pages
//! ([`http`]), sends stats to other systems ([`report`]), resolves host names ([`resolve`]), follows the
//! metadata group ([`link`]), and ends the process in an orderly way when a signal says so (this file).
//!
//! It talks to shards through [`crate::messages`] alone: to them by a [`ShardMailbox`], from them by one
//! channel. It may wait for a shard, but only for a bounded time, and no shard ever waits for it but for
//! the one request whose answer it asked for. It knows nothing of sockets of clients or of backends, of
//! the ring, or of the engine.

mod facts;
mod fillslots;
mod http;
mod link;
mod monitors;
mod process;
mod questions;
mod rate;
mod report;
mod resolve;
mod shards;
mod state;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod totals;

pub use facts::{CODIS_VERSION, Facts, Model, REDIS_COMPATIBLE_VERSION};
pub use link::{Begin, FIRST_WAIT, Kept, Link, LinkConfig};
pub use shards::{ShardGone, ShardMailbox};

use crate::config::ProxyConfig;
use crate::logging::{Level, LogControl};
use crate::messages::{ControlMessage, ShardMessage};
use crate::topology::Topology;
use state::State;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tracing::{error, info, warn};

/// How many questions are worked on at a time; more wait their turn. Each holds a copy of every shard's
/// answer, so this bounds memory when clients pipeline thousands of them.
const QUESTIONS_AT_A_TIME: usize = 64;

/// How many host names are looked up at a time: the look-ups block threads of their own.
const LOOKUPS_AT_A_TIME: usize = 16;

/// Threads beyond those look-ups, for what must not wait behind them: the topology's file, the link's own look-ups.
const BLOCKING_RESERVE: usize = 8;

/// How long shards may take to end when they are told to.
const SHARDS_END_MAX: Duration = Duration::from_secs(1);

/// The log, as far as it can be changed while the process runs.
pub trait Log: Send + Sync {
    /// Opens the log file anew before the next line, after something has moved it away.
    fn reopen(&self);

    /// Logs from `level` on.
    fn set_level(&self, level: Level);

    /// How many lines were lost since start.
    fn lost_lines(&self) -> u64;
}

impl Log for LogControl {
    fn reopen(&self) {
        Self::reopen(self);
    }

    fn set_level(&self, level: Level) {
        Self::set_level(self, level);
    }

    fn lost_lines(&self) -> u64 {
        Self::lost_lines(self)
    }
}

/// What the control plane is made of.
pub struct Control {
    /// The way to each shard, in the order of their numbers.
    pub shards: Vec<Box<dyn ShardMailbox>>,
    /// What the shards say.
    pub inbox: mpsc::UnboundedReceiver<ControlMessage>,
    /// The settings that the shards started with.
    pub config: Arc<ProxyConfig>,
    /// The topology that the shards started with.
    pub topology: Arc<Topology>,
    /// The bound socket of the admin pages.
    pub admin: TcpListener,
    /// The log.
    pub log: Box<dyn Log>,
    /// Who this process is.
    pub facts: Facts,
    /// The link to the metadata group, where one is followed.
    pub link: Option<Link>,
}

/// How the control plane ended. Every shard has been told to stop by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// A signal came, and every session was closed after its requests were answered.
    Drained,
    /// A signal came, and sessions were cut: `shutdown_timeout` passed, or a second signal came.
    Cut,
    /// The proxy cannot go on, for this reason.
    Failed(String),
}

impl Exit {
    /// The exit code of the process.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Drained | Self::Cut => 0,
            Self::Failed(_) => 1,
        }
    }
}

/// What an operator tells the process by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    /// SIGTERM, SIGINT: drain; a second one ends at once.
    End,
    /// SIGHUP: reopen the log.
    Reopen,
}

/// The control thread's runtime, which watches the process's signals from its making on. Make it
/// before anything can be reached from outside: until then SIGHUP would end the process.
#[derive(Debug)]
pub struct Signals {
    runtime: tokio::runtime::Runtime,
    sender: mpsc::UnboundedSender<Signal>,
    signals: mpsc::UnboundedReceiver<Signal>,
}

impl Signals {
    /// Watches SIGTERM, SIGINT and SIGHUP.
    ///
    /// # Errors
    /// A sentence: the system refused the runtime or the watch.
    pub fn watch() -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(LOOKUPS_AT_A_TIME + BLOCKING_RESERVE)
            .build()
            .map_err(|error| format!("cannot start the control thread: {error}"))?;
        let (sender, signals) = mpsc::unbounded_channel();
        {
            let _inside = runtime.enter();
            watch_signals(&sender).map_err(|error| format!("cannot watch signals: {error}"))?;
        }
        Ok(Self { runtime, sender, signals })
    }
}

/// Runs the control plane on the calling thread until the process should end.
#[must_use]
pub fn run(control: Control, signals: Signals) -> Exit {
    let Signals { runtime, sender, signals } = signals;
    let exit = runtime.block_on(serve(control, sender, signals));
    // Without waiting for look-ups that hang in the system's resolver.
    runtime.shutdown_background();
    exit
}

/// Passes signals on to `sender`.
fn watch_signals(sender: &mpsc::UnboundedSender<Signal>) -> std::io::Result<()> {
    let watched = [
        (SignalKind::terminate(), Signal::End),
        (SignalKind::interrupt(), Signal::End),
        (SignalKind::hangup(), Signal::Reopen),
    ];
    for (kind, meaning) in watched {
        let mut stream = signal(kind)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() && sender.send(meaning).is_ok() {}
        });
    }
    Ok(())
}

/// The loop: takes what shards and signals say, and hands all work that may wait to tasks.
async fn serve(
    control: Control,
    sender: mpsc::UnboundedSender<Signal>,
    mut signals: mpsc::UnboundedReceiver<Signal>,
) -> Exit {
    let Control { shards, mut inbox, config, topology, admin, log, facts, link } = control;
    let shards = shards::Shards::new(shards);
    let state = State::new(shards, facts, log, config, topology, sender);
    let state = Arc::new(state.with_link(link.as_ref().map(Link::status)));
    let pages = match http::Server::start(admin, Arc::clone(&state)) {
        Ok(pages) => pages,
        Err(error) => {
            let reason = format!(
                "cannot serve the admin pages on {}: {error}; see admin_addr",
                state.facts.admin_addr
            );
            return end(&state, Exit::Failed(reason));
        }
    };
    report::start(&state);
    if let Some(link) = &link {
        link.attach(&state);
    }
    let desk = Desk::new(&state);
    let mut drain: Option<Drain> = None;
    let exit = loop {
        let deadline = drain.as_ref().map(|drain| drain.deadline);
        tokio::select! {
            message = inbox.recv() => match message {
                Some(ControlMessage::Wanted { database, key }) => {
                    if let Some(link) = &link {
                        link.wanted(database, key);
                    }
                }
                Some(ControlMessage::Settled { shard, epoch }) => {
                    if let Some(link) = &link {
                        link.settled(shard, epoch);
                    }
                }
                Some(ControlMessage::Monitored { shard, lines }) => {
                    state.monitors.spread(&state.shards, shard, lines);
                }
                Some(ControlMessage::MonitorEnded { client }) => {
                    state.monitors.end(&state.shards, client);
                }
                Some(ControlMessage::Drained { shard }) => {
                    if let Some(drain) = &mut drain && drain.shard_is_empty(shard) {
                        break Exit::Drained;
                    }
                }
                Some(ControlMessage::Failed { shard, reason }) => {
                    break Exit::Failed(format!("shard {shard}: {reason}"));
                }
                Some(ControlMessage::Ask { shard, session, client, sequence, question, args, protocol }) => {
                    desk.take(Ask { shard, session, client, sequence, question, args, protocol });
                }
                Some(ControlMessage::Resolve { shard, backend, address }) => {
                    desk.resolve(shard, backend, address);
                }
                None if drain.is_some() => break Exit::Drained,
                None => break Exit::Failed("every shard has ended".into()),
            },
            Some(signal) = signals.recv() => match (signal, &drain) {
                (Signal::Reopen, _) => {
                    state.log.reopen();
                    info!("the log is opened anew");
                }
                (Signal::End, Some(_)) => {
                    warn!("a second signal to end: closing every session now");
                    break Exit::Cut;
                }
                (Signal::End, None) => match Drain::start(&state) {
                    Some(started) => drain = Some(started),
                    None => break Exit::Drained,
                },
            },
            reason = refused(link.as_ref()) => break Exit::Failed(reason),
            () = until(deadline) => {
                let late = drain.map(|drain| drain.left).unwrap_or_default();
                warn!(
                    "sessions of the shards {late:?} were not answered within shutdown_timeout: \
                     closing them now"
                );
                break Exit::Cut;
            }
        }
    };
    if exit == Exit::Drained {
        pages.finish().await;
    }
    let exit = end(&state, exit);
    if let Some(link) = link {
        say_goodbye(link, inbox).await;
    }
    exit
}

/// Waits until the group refuses the proxy; for ever where none is followed.
async fn refused(link: Option<&Link>) -> String {
    match link {
        Some(link) => link.refused().await,
        None => std::future::pending().await,
    }
}

/// Tells the group that this proxy stops, once that is true: when every shard has ended, and with it its
/// connections to servers. Without this word the group has to shut the proxy out before it may go on.
async fn say_goodbye(link: Link, mut inbox: mpsc::UnboundedReceiver<ControlMessage>) {
    let ended = async { while inbox.recv().await.is_some() {} };
    if tokio::time::timeout(SHARDS_END_MAX, ended).await.is_ok() {
        link.stop().await;
    } else {
        warn!(
            "a shard has not ended within {SHARDS_END_MAX:?}: the metadata group is told nothing"
        );
    }
}

/// Waits until `deadline`; for ever without one.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Stops every shard.
fn end(state: &State, exit: Exit) -> Exit {
    state.shards.tell_all(|| ShardMessage::Stop);
    match &exit {
        Exit::Drained => info!("every session is closed: the proxy ends"),
        Exit::Cut => info!("the proxy ends"),
        Exit::Failed(reason) => error!("the proxy ends: {reason}"),
    }
    exit
}

/// A drain under way.
struct Drain {
    /// The shards that still have sessions.
    left: BTreeSet<usize>,
    /// When it ends whether they do or not.
    deadline: Instant,
}

impl Drain {
    /// Tells every shard to drain; `None` when none is left to do so.
    fn start(state: &State) -> Option<Self> {
        let patience = state.config().shutdown_timeout.0;
        info!("draining: no new sessions, and at most {patience:?} to answer what is in flight");
        state.set_draining();
        let told = |&shard: &usize| state.shards.tell(shard, ShardMessage::Drain).is_ok();
        let left: BTreeSet<usize> = (0..state.shards.len()).filter(told).collect();
        // A time that no clock can reach means as long as it takes.
        const AGES: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
        let deadline = Instant::now() + patience.min(AGES);
        (!left.is_empty()).then_some(Self { left, deadline })
    }

    /// Notes that `shard` has no session left; whether it was the last.
    fn shard_is_empty(&mut self, shard: usize) -> bool {
        self.left.remove(&shard);
        self.left.is_empty()
    }
}

/// A client's question; see [`ControlMessage::Ask`].
struct Ask {
    shard: usize,
    session: u32,
    client: u64,
    sequence: u32,
    question: crate::messages::Question,
    args: Vec<Vec<u8>>,
    protocol: crate::resp::Protocol,
}

/// Where questions of shards are taken and worked on, each in a task of its own.
struct Desk {
    permits: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
    state: Arc<State>,
}

impl Desk {
    fn new(state: &Arc<State>) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(QUESTIONS_AT_A_TIME)),
            lookups: Arc::new(Semaphore::new(LOOKUPS_AT_A_TIME)),
            state: Arc::clone(state),
        }
    }

    /// Answers `ask` once, whatever happens. Questions are begun in the order in which they came, so that
    /// what one client sends in a row reaches the shards in that order.
    fn take(&self, ask: Ask) {
        if ask.question == crate::messages::Question::Monitor {
            return self.begin_monitor(ask);
        }
        let (state, permits) = (Arc::clone(&self.state), Arc::clone(&self.permits));
        tokio::spawn(async move {
            // The semaphore is never closed; without a permit the question would still be answered.
            let _permit = permits.acquire().await;
            let Ask { shard, session, client, sequence, question, args, protocol } = ask;
            let reply = questions::answer(&state, question, &args, client, protocol).await;
            let reply = ShardMessage::Answer { session, client, sequence, reply };
            // A shard that has ended has no session left to answer.
            let _ = state.shards.tell(shard, reply);
        });
    }

    /// Answers MONITOR once every shard shows what it runs.
    fn begin_monitor(&self, ask: Ask) {
        let state = Arc::clone(&self.state);
        let Ask { shard, session, client, sequence, .. } = ask;
        let max = state.config().monitor_max_clients;
        let begun = state.monitors.begin(&state.shards, client, shard, max);
        tokio::spawn(async move {
            let reply = match begun {
                // What a stuck shard runs is shown when it goes on.
                Ok(begun) => begun.await.complete().map_or_else(
                    |missing| questions::refusal(&format!("ERR {missing}")),
                    |_| b"+OK\r\n".to_vec(),
                ),
                Err(reason) => questions::refusal(&format!("ERR {reason}")),
            };
            let reply = ShardMessage::Answer { session, client, sequence, reply };
            let _ = state.shards.tell(shard, reply);
        });
    }

    /// Resolves `address` for a backend of `shard`.
    fn resolve(&self, shard: usize, backend: u32, address: String) {
        let (state, lookups) = (Arc::clone(&self.state), Arc::clone(&self.lookups));
        tokio::spawn(async move {
            // As with questions: never closed.
            let _permit = lookups.acquire().await;
            let result = resolve::resolve(&address, state.config().proto_type).await;
            let _ = state.shards.tell(shard, ShardMessage::Resolved { backend, result });
        });
    }
}

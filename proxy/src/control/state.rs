//! What the parts of the control thread share: the shards, the settings and topology in force, and a
//! snapshot of all counters.

use super::facts::Facts;
use super::link;
use super::monitors::Monitors;
use super::process::Process;
use super::rate::{Rate, Rates, Sample, WINDOW_MIN};
use super::shards::{Missing, Shards};
use super::totals::Totals;
use super::{Log, Signal};
use crate::config::ProxyConfig;
use crate::messages::ShardMessage;
use crate::stats::ShardStats;
use crate::topology::Topology;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How long after a question the rates go on being sampled, so that the next question finds a recent
/// sample.
const SAMPLED_AFTER_QUESTION: Duration = Duration::from_secs(60);

/// Shared by all tasks of the control thread.
pub(super) struct State {
    /// The mailboxes of the shards.
    pub(super) shards: Shards,
    /// Who this process is.
    pub(super) facts: Facts,
    /// The log file and its level.
    pub(super) log: Box<dyn Log>,
    /// Who monitors.
    pub(super) monitors: Monitors,
    config: watch::Sender<Arc<ProxyConfig>>,
    topology: watch::Sender<Arc<Topology>>,
    /// Where a request to end goes, as if it were a signal.
    signals: mpsc::UnboundedSender<Signal>,
    /// How the link to the metadata group stands, where one is followed.
    link: Option<watch::Receiver<link::Status>>,
    draining: AtomicBool,
    rate: Mutex<Rate>,
    sampler: Mutex<Sampler>,
}

/// Whether the task that samples the rates runs, and until when it should.
struct Sampler {
    runs: bool,
    until: Instant,
}

/// Everything that INFO and the pages show, at one moment.
pub(super) struct Snapshot {
    /// The counters of each shard that answered.
    pub(super) shards: Vec<ShardStats>,
    /// The shards that did not.
    pub(super) missing: Vec<Missing>,
    /// The sums over the shards that answered.
    pub(super) totals: Totals,
    /// What the counters rise by.
    pub(super) rates: Rates,
    /// The process, as the kernel sees it.
    pub(super) process: Process,
    /// The settings in force.
    pub(super) config: Arc<ProxyConfig>,
    /// The topology in force.
    pub(super) topology: Arc<Topology>,
    /// How the link to the metadata group stands; `None` where none is followed.
    pub(super) link: Option<link::Status>,
}

impl State {
    pub(super) fn new(
        shards: Shards,
        facts: Facts,
        log: Box<dyn Log>,
        config: Arc<ProxyConfig>,
        topology: Arc<Topology>,
        signals: mpsc::UnboundedSender<Signal>,
    ) -> Self {
        let started = facts.started_at;
        Self {
            shards,
            facts,
            log,
            monitors: Monitors::default(),
            config: watch::Sender::new(config),
            topology: watch::Sender::new(topology),
            signals,
            link: None,
            draining: AtomicBool::new(false),
            rate: Mutex::new(Rate::new(started)),
            sampler: Mutex::new(Sampler { runs: false, until: started }),
        }
    }

    /// Shows how the link to the metadata group stands.
    pub(super) fn with_link(self, link: Option<watch::Receiver<link::Status>>) -> Self {
        Self { link, ..self }
    }

    /// How the link to the metadata group stands; `None` where none is followed.
    pub(super) fn link(&self) -> Option<link::Status> {
        self.link.as_ref().map(|link| link.borrow().clone())
    }

    /// The settings in force.
    pub(super) fn config(&self) -> Arc<ProxyConfig> {
        Arc::clone(&self.config.borrow())
    }

    /// The topology in force.
    pub(super) fn topology(&self) -> Arc<Topology> {
        Arc::clone(&self.topology.borrow())
    }

    /// Puts `config` in force here and on every shard.
    pub(super) fn install_config(&self, config: ProxyConfig) {
        let config = Arc::new(config);
        self.shards.tell_all(|| ShardMessage::Settings(Arc::clone(&config)));
        self.config.send_replace(config);
    }

    /// Puts `topology` in force here and on every shard.
    pub(super) fn install_topology(&self, topology: impl Into<Arc<Topology>>) {
        let topology = topology.into();
        self.shards.tell_all(|| ShardMessage::Topology(Arc::clone(&topology)));
        self.topology.send_replace(topology);
    }

    /// Whether the proxy has been told to end.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Remembers that the proxy has been told to end.
    pub(super) fn set_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Ends the proxy as SIGTERM does.
    pub(super) fn end(&self) {
        // The receiver is dropped only when the proxy has ended already.
        let _ = self.signals.send(Signal::End);
    }

    /// Sets the counters of every shard to zero.
    pub(super) fn reset_stats(&self) {
        self.shards.tell_all(|| ShardMessage::StatsReset);
        lock(&self.rate).reset(Instant::now(), Process::read().cpu());
    }

    /// All counters now, and rates from now on (see [`super::rate`]).
    pub(super) async fn snapshot(self: &Arc<Self>) -> Snapshot {
        let snapshot = self.sample().await;
        self.sample_for_a_while();
        snapshot
    }

    /// All counters now, for one who asks again within moments by itself.
    pub(super) async fn sample(&self) -> Snapshot {
        let answers = self.shards.stats().await;
        let totals = Totals::of(answers.given.iter().map(|(_, stats)| stats));
        let process = Process::read();
        let sample = Sample {
            at: Instant::now(),
            ops: totals.ops(),
            bytes_in: totals.bytes_in,
            bytes_out: totals.bytes_out,
            cpu: process.cpu(),
        };
        // Without a shard the sums are too low, and would make the next rate too high.
        let complete = answers.missing.is_empty();
        let rates = if complete { lock(&self.rate).sample(sample) } else { Rates::default() };
        Snapshot {
            shards: answers.given.into_iter().map(|(_, stats)| stats).collect(),
            missing: answers.missing,
            totals,
            rates,
            process,
            config: self.config(),
            topology: self.topology(),
            link: self.link(),
        }
    }

    /// Samples each second until no question has come for a while or no request has come between two
    /// samples, so that an idle proxy stays idle.
    fn sample_for_a_while(self: &Arc<Self>) {
        let mut sampler = lock(&self.sampler);
        sampler.until = Instant::now() + SAMPLED_AFTER_QUESTION;
        if std::mem::replace(&mut sampler.runs, true) {
            return;
        }
        drop(sampler);
        let state = Arc::clone(self);
        tokio::spawn(async move {
            let mut before = None;
            loop {
                tokio::time::sleep(WINDOW_MIN).await;
                let now = state.sample().await.totals.ops();
                let mut sampler = lock(&state.sampler);
                if before == Some(now) || Instant::now() >= sampler.until {
                    sampler.runs = false;
                    return;
                }
                before = Some(now);
            }
        });
    }
}

/// Locks for a moment in which nothing waits. What is kept under these locks is whole at any time, so a
/// panic while one was held changes nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! What a run is shown as: a live line, a table, JSON, a percentile file, a plot.

mod live;
mod percentiles;
mod plot;
mod table;

pub use live::Live;
pub use percentiles::write_percentiles;
pub use plot::{PlotError, Series, plot_latencies};
pub use table::table;

use crate::run::{Outcome, Plan};
use hdrhistogram::Histogram;
use serde::Serialize;

/// Latencies of some requests, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Latencies {
    /// `get`, or `all`.
    pub command: String,
    /// How many replies came.
    pub replies: u64,
    /// How many a second.
    pub per_second: f64,
    /// The mean.
    pub mean_ms: f64,
    /// Half of all took at most so long.
    pub p50_ms: f64,
    /// 90 of 100 took at most so long.
    pub p90_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// 999 of 1,000.
    pub p999_ms: f64,
    /// 9,999 of 10,000.
    pub p9999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// A run in numbers, as `--json` writes it.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// `closed`, or `open`.
    pub r#loop: &'static str,
    /// Where the load went.
    pub targets: Vec<String>,
    /// Threads that made it.
    pub threads: usize,
    /// Connections.
    pub clients: usize,
    /// Requests that a connection might have in flight.
    pub pipeline: usize,
    /// The rate that was asked for.
    pub rate: Option<f64>,
    /// Seconds that were counted.
    pub seconds: f64,
    /// All commands together.
    pub all: Latencies,
    /// Each command.
    pub commands: Vec<Latencies>,
    /// Replies that were nulls.
    pub nils: u64,
    /// Replies that were errors, by their first words.
    pub errors: std::collections::BTreeMap<String, u64>,
    /// Connections that were lost.
    pub lost_connections: u64,
    /// Requests that were lost with them.
    pub lost_requests: u64,
    /// Requests whose replies did not come in time.
    pub unanswered: u64,
    /// Requests that were due and could not be sent.
    pub unsent: u64,
    /// How late 99 of 100 requests of an open loop were sent at most.
    pub sent_late_p99_ms: f64,
    /// Bytes sent a second.
    pub sent_bytes_per_second: f64,
    /// Bytes received a second.
    pub received_bytes_per_second: f64,
    /// CPU time of the load itself a request, in microseconds.
    pub own_cpu_us_per_request: f64,
    /// Each second.
    pub by_second: Vec<crate::run::Second>,
}

impl Summary {
    /// Sums a run up.
    #[must_use]
    pub fn new(about: &About, outcome: &Outcome) -> Self {
        let seconds = outcome.elapsed.as_secs_f64().max(1e-9);
        let counts = &outcome.counts;
        let of = |command: &str, histogram: &Histogram<u64>| latencies(command, histogram, seconds);
        let all = of("all", &counts.all());
        let commands = about.commands.iter().zip(&counts.commands);
        let own = outcome.cpu.as_secs_f64() * 1e6 / all.replies.max(1) as f64;
        Self {
            r#loop: if about.rate.is_some() { "open" } else { "closed" },
            targets: about.targets.clone(),
            threads: about.threads,
            clients: about.clients,
            pipeline: about.pipeline,
            rate: about.rate,
            seconds,
            all,
            commands: commands.map(|(name, histogram)| of(name, histogram)).collect(),
            nils: counts.nils,
            errors: counts.errors.clone(),
            lost_connections: counts.lost_connections,
            lost_requests: counts.lost_requests,
            unanswered: outcome.unanswered,
            unsent: outcome.unsent,
            sent_late_p99_ms: milliseconds(counts.lag.value_at_quantile(0.99)),
            sent_bytes_per_second: counts.sent_bytes as f64 / seconds,
            received_bytes_per_second: counts.received_bytes as f64 / seconds,
            own_cpu_us_per_request: own,
            by_second: outcome.seconds.clone(),
        }
    }
}

/// What is said about a plan when it has been carried out.
#[derive(Debug, Clone)]
pub struct About {
    targets: Vec<String>,
    commands: Vec<String>,
    threads: usize,
    clients: usize,
    pipeline: usize,
    rate: Option<f64>,
}

impl From<&Plan> for About {
    fn from(plan: &Plan) -> Self {
        Self {
            targets: plan.targets.iter().map(|target| target.address.to_string()).collect(),
            commands: plan.mix.names().map(str::to_owned).collect(),
            threads: plan.threads,
            clients: plan.clients,
            pipeline: plan.pipeline,
            rate: plan.rate,
        }
    }
}

fn milliseconds(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn latencies(command: &str, histogram: &Histogram<u64>, seconds: f64) -> Latencies {
    let at = |quantile: f64| milliseconds(histogram.value_at_quantile(quantile));
    Latencies {
        command: command.to_owned(),
        replies: histogram.len(),
        per_second: histogram.len() as f64 / seconds,
        mean_ms: histogram.mean() / 1e6,
        p50_ms: at(0.5),
        p90_ms: at(0.9),
        p99_ms: at(0.99),
        p999_ms: at(0.999),
        p9999_ms: at(0.9999),
        max_ms: milliseconds(histogram.max()),
    }
}

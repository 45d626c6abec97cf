//! Sending stats to other systems (the `metrics_report_*` settings): as JSON by HTTP, as InfluxDB lines
//! by HTTP, and as statsd gauges by UDP.
//!
//! Each receiver has a task of its own that sends one small message a period. A receiver that is dead
//! costs one warning when it dies and one line when it is back, and is tried less often meanwhile.
//! Nothing runs for a receiver that is not configured.

mod influxdb;
mod post;
mod statsd;
#[cfg(test)]
mod tests;

use super::http::pages::{Stats, overview_json};
use super::state::State;
use post::Endpoint;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// The shortest period, as in Codis.
const PERIOD_MIN: Duration = Duration::from_secs(1);

/// The longest pause after failures.
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// How long one message may take to be sent.
const SEND_MAX: Duration = Duration::from_secs(5);

/// A figure with its name: those of Codis that have a meaning here.
type Figure = (&'static str, Number);

/// A figure's value.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Whole(u64),
    Fraction(f64),
}

/// The figures that InfluxDB and statsd get.
fn figures(stats: &Stats) -> [Figure; 8] {
    [
        ("ops_total", Number::Whole(stats.ops.total)),
        ("ops_fails", Number::Whole(stats.ops.fails)),
        ("ops_redis_errors", Number::Whole(stats.ops.redis.errors)),
        ("ops_qps", Number::Whole(stats.ops.qps)),
        ("sessions_total", Number::Whole(stats.sessions.total)),
        ("sessions_alive", Number::Whole(stats.sessions.alive)),
        ("rusage_mem", Number::Whole(stats.rusage.mem)),
        ("rusage_cpu", Number::Fraction(stats.rusage.cpu)),
    ]
}

/// Starts the tasks of the receivers that are configured.
pub(super) fn start(state: &Arc<State>) {
    let config = state.config();
    if let Some(endpoint) = endpoint("metrics_report_server", &config.metrics_report_server) {
        let (state, endpoint) = (Arc::clone(state), Arc::new(endpoint));
        every(config.metrics_report_period.0, "metrics_report_server", move || {
            send_json(Arc::clone(&state), Arc::clone(&endpoint))
        });
    }
    let name = "metrics_report_influxdb_server";
    if let Some(endpoint) = endpoint(name, &config.metrics_report_influxdb_server) {
        let (state, endpoint) = (Arc::clone(state), Arc::new(endpoint));
        every(config.metrics_report_influxdb_period.0, name, move || {
            influxdb::send(Arc::clone(&state), Arc::clone(&endpoint))
        });
    }
    if !config.metrics_report_statsd_server.is_empty() {
        let state = Arc::clone(state);
        every(config.metrics_report_statsd_period.0, "metrics_report_statsd_server", move || {
            statsd::send(Arc::clone(&state))
        });
    }
}

/// Reads the URL in setting `name`; one that cannot be used costs the report, not the proxy.
fn endpoint(name: &str, url: &str) -> Option<Endpoint> {
    if url.is_empty() {
        return None;
    }
    Endpoint::parse(url).map_err(|error| warn!("nothing is reported to {name}: {error}")).ok()
}

async fn send_json(state: Arc<State>, endpoint: Arc<Endpoint>) -> Result<(), String> {
    let snapshot = state.snapshot().await;
    let body = overview_json(&state, &snapshot).map_err(|error| error.to_string())?;
    endpoint.post("", "application/json", None, &body).await
}

/// Runs `send` each `period`, in a task.
fn every<F>(period: Duration, name: &'static str, send: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let period = period.max(PERIOD_MIN);
    tokio::spawn(async move {
        let mut failures: u32 = 0;
        loop {
            tokio::time::sleep(pause(period, failures)).await;
            let sent = match tokio::time::timeout(SEND_MAX, send()).await {
                Ok(sent) => sent,
                Err(_elapsed) => Err(format!("no answer within {SEND_MAX:?}")),
            };
            match sent {
                Ok(()) if failures > 0 => {
                    info!("{name} takes reports again");
                    failures = 0;
                }
                Ok(()) => {}
                Err(error) => {
                    if failures == 0 {
                        warn!("{name} takes no reports: {error}; trying on in silence");
                    }
                    failures = failures.saturating_add(1);
                }
            }
        }
    });
}

/// How long to wait before the next message: the period, and twice as long for each failure in a row.
fn pause(period: Duration, failures: u32) -> Duration {
    let longer = period.saturating_mul(1 << failures.min(10));
    longer.min(PAUSE_MAX.max(period))
}

//! The counters of all shards as one.

use crate::stats::{
    BackendState, BackendStats, CommandStats, Histogram, MoveStats, PubsubStats, ShardStats,
};
use std::collections::BTreeMap;

/// Sums over all shards.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    /// By command, in alphabetical order.
    pub(super) commands: BTreeMap<&'static str, CommandStats>,
    /// By server, in the order of group, role and address.
    pub(super) servers: BTreeMap<ServerKey, ServerTotals>,
    /// Sessions open now.
    pub(super) sessions_alive: u64,
    pub(super) sessions_blocked: u64,
    pub(super) dedicated_connections: u64,
    /// Sessions opened since the start.
    pub(super) sessions_total: u64,
    /// Sessions closed by a limit or a timeout, by reason.
    pub(super) sessions_cut: BTreeMap<&'static str, u64>,
    /// Bytes from clients.
    pub(super) bytes_in: u64,
    /// Bytes to clients.
    pub(super) bytes_out: u64,
    /// Bytes waiting to be sent to clients.
    pub(super) output_bytes: u64,
    /// Protocol errors made by clients.
    pub(super) protocol_errors: u64,
    pub(super) moves: MoveStats,
    pub(super) pubsub: PubsubStats,
}

/// One server, as the topology names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServerKey {
    /// The group's number.
    pub(super) group: u32,
    /// Whether it is a replica there.
    pub(super) replica: bool,
    /// Its address.
    pub(super) address: String,
}

impl ServerKey {
    /// The role in the group, in Redis's words.
    pub(super) fn role(&self) -> &'static str {
        if self.replica { "replica" } else { "master" }
    }
}

/// The connections to one server, of all shards and databases together.
#[derive(Debug, Clone, Default)]
pub(super) struct ServerTotals {
    /// Connections in each state, in the order of [`STATES`].
    pub(super) states: [u64; STATES.len()],
    /// Requests sent.
    pub(super) requests: u64,
    /// Requests that wait for a reply now.
    pub(super) in_flight: u64,
    /// Bytes waiting to be sent now.
    pub(super) output_bytes: u64,
    /// Bytes read.
    pub(super) bytes_in: u64,
    /// Bytes sent.
    pub(super) bytes_out: u64,
    /// Error replies of any kind.
    pub(super) errors: u64,
    /// `-LOADING` replies.
    pub(super) loading: u64,
    /// `-MASTERDOWN` replies.
    pub(super) masterdown: u64,
    /// `-READONLY` replies.
    pub(super) readonly: u64,
    /// Connections made.
    pub(super) connects: u64,
    /// Attempts that failed and connections lost.
    pub(super) failures: u64,
    /// Of those, for a reply that did not come in time.
    pub(super) timeouts: u64,
    /// Why a connection that is down now last failed; else the last failure known.
    pub(super) last_error: String,
    /// The slowest of the newest PINGs, in microseconds.
    pub(super) ping_us: u32,
}

/// What a connection can be doing, with the word for it.
pub(super) const STATES: [(BackendState, &str); 4] = [
    (BackendState::Idle, "idle"),
    (BackendState::Connecting, "connecting"),
    (BackendState::Ready, "ready"),
    (BackendState::Down, "down"),
];

impl ServerTotals {
    /// How many connections are in `state`.
    pub(super) fn in_state(&self, state: BackendState) -> u64 {
        let place = STATES.iter().position(|&(known, _)| known == state);
        place.map_or(0, |place| self.states[place])
    }

    fn add(&mut self, backend: &BackendStats) {
        for (count, (state, _)) in self.states.iter_mut().zip(STATES) {
            *count += u64::from(state == backend.state);
        }
        for (mine, theirs) in [
            (&mut self.requests, backend.requests),
            (&mut self.in_flight, backend.in_flight),
            (&mut self.output_bytes, backend.output_bytes),
            (&mut self.bytes_in, backend.bytes_in),
            (&mut self.bytes_out, backend.bytes_out),
            (&mut self.errors, backend.errors),
            (&mut self.loading, backend.loading),
            (&mut self.masterdown, backend.masterdown),
            (&mut self.readonly, backend.readonly),
            (&mut self.connects, backend.connects),
            (&mut self.failures, backend.failures),
            (&mut self.timeouts, backend.timeouts),
        ] {
            *mine += theirs;
        }
        self.ping_us = self.ping_us.max(backend.ping_us);
        let newer = backend.state == BackendState::Down || self.last_error.is_empty();
        if newer && !backend.last_error.is_empty() {
            self.last_error.clone_from(&backend.last_error);
        }
    }
}

impl Totals {
    /// Adds the counters of `shards` up.
    pub(super) fn of<'a>(shards: impl IntoIterator<Item = &'a ShardStats>) -> Self {
        let mut totals = Self::default();
        for shard in shards {
            totals.add(shard);
        }
        totals
    }

    fn add(&mut self, shard: &ShardStats) {
        for (name, stats) in &shard.commands {
            let total = self.commands.entry(name).or_default();
            total.calls += stats.calls;
            total.rejected += stats.rejected;
            total.errors += stats.errors;
            total.fails += stats.fails;
            total.latency.merge(&stats.latency);
        }
        for backend in &shard.backends {
            let key = ServerKey {
                group: backend.group,
                replica: backend.replica,
                address: backend.address.clone(),
            };
            self.servers.entry(key).or_default().add(backend);
        }
        for (reason, count) in &shard.sessions_cut {
            *self.sessions_cut.entry(reason).or_default() += count;
        }
        self.sessions_alive += shard.sessions_alive;
        self.sessions_blocked += shard.sessions_blocked;
        self.dedicated_connections += shard.dedicated_connections;
        self.sessions_total += shard.sessions_total;
        self.bytes_in += shard.client_bytes_in;
        self.bytes_out += shard.client_bytes_out;
        self.output_bytes += shard.client_output_bytes;
        self.protocol_errors += shard.protocol_errors;
        self.moves.merge(&shard.moves);
        self.pubsub.merge(&shard.pubsub);
    }

    /// The sum of one counter over all commands.
    pub(super) fn sum(&self, counter: impl Fn(&CommandStats) -> u64) -> u64 {
        self.commands.values().map(counter).sum()
    }

    /// Requests answered.
    pub(super) fn ops(&self) -> u64 {
        self.sum(|stats| stats.calls)
    }
}

/// How many requests one shard has answered.
pub(super) fn shard_ops(shard: &ShardStats) -> u64 {
    shard.commands.iter().map(|(_, stats)| stats.calls).sum()
}

/// The duration in microseconds that `percent` of the counted ones did not exceed, taken to be spread
/// evenly within a bucket; 0 where none was counted.
pub(super) fn percentile_us(histogram: &Histogram, percent: f64) -> f64 {
    let wanted = histogram.count() as f64 * percent / 100.0;
    let mut below = 0.0;
    let mut lower = 0.0;
    for (i, &count) in histogram.counts.iter().enumerate() {
        let upper = Histogram::bound_us(i).map_or(2.0 * lower, |bound| bound as f64);
        let count = count as f64;
        if count > 0.0 && below + count >= wanted {
            return lower + (upper - lower) * (wanted - below) / count;
        }
        below += count;
        lower = upper;
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_two_shards_are_added_up_by_command_and_by_server() {
        let totals =
            Totals::of(&[crate::control::testing::stats(0), crate::control::testing::stats(1)]);
        assert_eq!(totals.commands["get"].calls, 200);
        assert_eq!(totals.commands["get"].latency.count(), 200);
        assert_eq!(totals.sessions_cut["output limit"], 2);
        let key = ServerKey { group: 1, replica: false, address: "127.0.0.1:6380".into() };
        let server = &totals.servers[&key];
        assert_eq!(server.requests, 180);
        assert_eq!(server.in_state(BackendState::Ready), 2);
        assert_eq!(server.in_state(BackendState::Down), 0);
        assert_eq!(server.ping_us, 150);
        assert_eq!(totals.servers.len(), 2);
    }

    #[test]
    fn a_percentile_lies_in_the_bucket_that_holds_it() {
        let mut histogram = Histogram::default();
        assert_eq!(percentile_us(&histogram, 50.0), 0.0);
        for us in [100, 100, 100, 3000] {
            histogram.record(us);
        }
        let median = percentile_us(&histogram, 50.0);
        assert!((64.0..128.0).contains(&median), "{median}");
        let p99 = percentile_us(&histogram, 99.0);
        assert!((2048.0..4096.0).contains(&p99), "{p99}");
        histogram.record(u32::MAX);
        let max = percentile_us(&histogram, 100.0);
        assert!(max >= (1_u64 << 26) as f64, "{max}");
    }
}

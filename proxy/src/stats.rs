//! What a shard counts. Plain numbers, written by one shard alone and copied out on request.

/// How many buckets a [`Histogram`] has.
pub const HISTOGRAM_BUCKETS: usize = 28;

/// Durations in microseconds, counted by powers of two.
///
/// Bucket `i` counts durations `d` with `d < 2^i` that no lower bucket took; the last one takes all
/// the rest. Prometheus wants fixed buckets and the hot path wants few instructions: this is one
/// `lzcnt` and one add, in 224 bytes a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// How many durations fell into each bucket (not cumulative).
    pub counts: [u64; HISTOGRAM_BUCKETS],
    /// The sum of all durations, in microseconds.
    pub sum_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; HISTOGRAM_BUCKETS], sum_us: 0 }
    }
}

impl Histogram {
    /// Counts one duration.
    #[inline]
    pub fn record(&mut self, us: u32) {
        let bucket = (u32::BITS - us.leading_zeros()) as usize;
        self.counts[bucket.min(HISTOGRAM_BUCKETS - 1)] += 1;
        self.sum_us += u64::from(us);
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The upper bound (exclusive) of bucket `i` in microseconds; `None` for the last bucket.
    #[must_use]
    pub fn bound_us(i: usize) -> Option<u64> {
        (i + 1 < HISTOGRAM_BUCKETS).then(|| 1 << i)
    }

    /// Adds another histogram's counts to this one.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine += theirs;
        }
        self.sum_us += other.sum_us;
    }
}

/// Counters of one command on one shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandStats {
    /// Requests that got a reply (from a backend or from the proxy itself).
    pub calls: u64,
    /// Requests refused before they ran: wrong arity, NOAUTH, CROSSSLOT, unsupported.
    pub rejected: u64,
    /// Error replies that a server gave.
    pub errors: u64,
    /// Requests that failed in the proxy: no backend, timeout, connection lost.
    pub fails: u64,
    /// From the request's last byte read to the reply's last byte read.
    pub latency: Histogram,
}

/// What a backend connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendState {
    /// Not connected and no request wants it.
    Idle,
    /// Resolving, connecting or in the handshake.
    Connecting,
    /// Serving requests.
    Ready,
    /// Failed; waits before the next attempt. Requests fail at once.
    Down,
}

/// Counters and state of one backend connection.
#[derive(Debug, Clone)]
pub struct BackendStats {
    /// The server's address, as the topology writes it.
    pub address: String,
    /// The group's number.
    pub group: u32,
    /// Whether the connection is to a replica.
    pub replica: bool,
    /// The database that the connection has selected.
    pub database: u32,
    /// What it is doing.
    pub state: BackendState,
    /// Requests sent to it.
    pub requests: u64,
    /// Requests that wait for its reply now.
    pub in_flight: u64,
    /// Bytes waiting to be sent to it now.
    pub output_bytes: u64,
    /// Bytes read from it.
    pub bytes_in: u64,
    /// Bytes sent to it.
    pub bytes_out: u64,
    /// Error replies of any kind.
    pub errors: u64,
    /// `-LOADING` replies.
    pub loading: u64,
    /// `-MASTERDOWN` replies.
    pub masterdown: u64,
    /// `-READONLY` replies.
    pub readonly: u64,
    /// Connections made.
    pub connects: u64,
    /// Attempts to connect that failed, and connections lost.
    pub failures: u64,
    /// Of those, lost because a reply did not come in time.
    pub timeouts: u64,
    /// Why it last failed; empty when it never did.
    pub last_error: String,
    /// How long the newest PING took, in microseconds; 0 before the first.
    pub ping_us: u32,
}

/// Counters of keys that left their group because requests named them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MoveStats {
    /// Requests that waited for their keys.
    pub requests_waited: u64,
    /// Keys that a source was asked to move.
    pub keys_asked: u64,
    /// Keys of those that were there, and moved.
    pub keys_moved: u64,
    /// Keys that could not be moved, each time that somebody was told so.
    pub failures: u64,
}

impl MoveStats {
    /// Adds another shard's counters to these.
    pub fn merge(&mut self, other: &Self) {
        self.requests_waited += other.requests_waited;
        self.keys_asked += other.keys_asked;
        self.keys_moved += other.keys_moved;
        self.failures += other.failures;
    }
}

/// Counters of publish and subscribe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PubsubStats {
    /// Channels that sessions are subscribed to now.
    pub channels: u64,
    /// Patterns.
    pub patterns: u64,
    /// Shard channels.
    pub shard_channels: u64,
    /// Messages that came from servers.
    pub received: u64,
    /// Messages that sessions were sent.
    pub delivered: u64,
    /// Times that a connection for messages was lost and made again. What was published in between was missed.
    pub reconnects: u64,
}

impl PubsubStats {
    /// Adds another shard's counters to these. A channel of several shards counts for each of them.
    pub fn merge(&mut self, other: &Self) {
        self.channels += other.channels;
        self.patterns += other.patterns;
        self.shard_channels += other.shard_channels;
        self.received += other.received;
        self.delivered += other.delivered;
        self.reconnects += other.reconnects;
    }
}

/// Counters of one shard at one moment.
#[derive(Debug, Clone, Default)]
pub struct ShardStats {
    /// The shard's number, from 0.
    pub shard: usize,
    /// The core it is pinned to.
    pub core: usize,
    /// The epoch of the topology it has installed.
    pub epoch: u64,
    /// Sessions open now.
    pub sessions_alive: u64,
    /// Sessions that block now, until a server has something for them.
    pub sessions_blocked: u64,
    /// Server connections that are one session's own for a while; none of them is in `backends`.
    pub dedicated_connections: u64,
    /// Sessions opened since start.
    pub sessions_total: u64,
    /// Sessions closed by a limit or a timeout, by reason: (reason, count).
    pub sessions_cut: Vec<(&'static str, u64)>,
    /// Bytes read from clients.
    pub client_bytes_in: u64,
    /// Bytes sent to clients.
    pub client_bytes_out: u64,
    /// Bytes waiting to be sent to clients now.
    pub client_output_bytes: u64,
    /// Protocol errors made by clients.
    pub protocol_errors: u64,
    /// Of slots that migrate.
    pub moves: MoveStats,
    /// Of publish and subscribe.
    pub pubsub: PubsubStats,
    /// Turns of the ring.
    pub turns: u64,
    /// User and system CPU time that the shard's thread has used, in microseconds.
    pub cpu_user_us: u64,
    /// See `cpu_user_us`.
    pub cpu_system_us: u64,
    /// By command: (name, counters); only commands that were seen.
    pub commands: Vec<(&'static str, CommandStats)>,
    /// One for each backend connection.
    pub backends: Vec<BackendStats>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_bucket_of_the_next_power_of_two() {
        let mut histogram = Histogram::default();
        for (us, bucket) in [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (1023, 10), (1024, 11)] {
            let before = histogram.counts[bucket];
            histogram.record(us);
            assert_eq!(histogram.counts[bucket], before + 1, "{us} us");
            assert!(u64::from(us) < Histogram::bound_us(bucket).expect("not the last"));
        }
        histogram.record(u32::MAX);
        assert_eq!(histogram.counts[HISTOGRAM_BUCKETS - 1], 1);
        assert_eq!(histogram.count(), 8);
    }
}

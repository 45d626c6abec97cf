//! What a run counts.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// The least difference of latencies that is told apart, in nanoseconds.
const RESOLUTION_NS: u64 = 100;
/// The longest latency that is told from longer ones.
const LATENCY_MAX: Duration = Duration::from_secs(600);
/// So many different errors are told apart.
const ERRORS_MAX: usize = 32;

/// Latencies in nanoseconds, with three digits.
///
/// Its memory is there already: the kernel finds a page when it is first written to, and that time would be in the latencies.
///
/// # Panics
/// Never: the bounds are good.
#[must_use]
pub fn latencies() -> Histogram<u64> {
    let mut latencies = Histogram::new_with_bounds(RESOLUTION_NS, LATENCY_MAX.as_nanos() as u64, 3)
        .expect("the bounds are in order, and three digits are allowed");
    latencies.reset();
    latencies
}

/// What was counted, of a second or of all.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    /// Latencies of each command, in the order of the mix.
    pub commands: Vec<Histogram<u64>>,
    /// Nulls among the replies.
    pub nils: u64,
    /// Errors among the replies, by their first words.
    pub errors: BTreeMap<String, u64>,
    /// Connections that were lost.
    pub lost_connections: u64,
    /// Requests whose replies will not come, as their connection was lost.
    pub lost_requests: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// How long after their due time requests were sent (open loop).
    pub lag: Histogram<u64>,
}

impl Counts {
    /// Nothing yet, of so many commands.
    #[must_use]
    pub fn new(commands: usize) -> Self {
        Self {
            commands: vec![latencies(); commands],
            nils: 0,
            errors: BTreeMap::new(),
            lost_connections: 0,
            lost_requests: 0,
            sent_bytes: 0,
            received_bytes: 0,
            lag: latencies(),
        }
    }

    /// Nothing again, in the same memory.
    pub fn clear(&mut self) {
        self.commands.iter_mut().for_each(Histogram::reset);
        self.lag.reset();
        self.errors.clear();
        (self.nils, self.lost_connections, self.lost_requests) = (0, 0, 0);
        (self.sent_bytes, self.received_bytes) = (0, 0);
    }

    /// Counts an error.
    pub fn error(&mut self, text: &str) {
        let word = text.split(' ').next().unwrap_or_default();
        // The commonest word says nothing by itself.
        let name = if word == "ERR" { text } else { word };
        let full = self.errors.len() >= ERRORS_MAX && !self.errors.contains_key(name);
        *self.errors.entry(if full { "(others)" } else { name }.to_owned()).or_insert(0) += 1;
    }

    /// Takes in what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.commands.iter_mut().zip(&other.commands) {
            // Both have the same bounds.
            let _ = mine.add(theirs);
        }
        let _ = self.lag.add(&other.lag);
        for (name, count) in &other.errors {
            *self.errors.entry(name.clone()).or_insert(0) += count;
        }
        self.nils += other.nils;
        self.lost_connections += other.lost_connections;
        self.lost_requests += other.lost_requests;
        self.sent_bytes += other.sent_bytes;
        self.received_bytes += other.received_bytes;
    }

    /// The latencies of all commands together.
    #[must_use]
    pub fn all(&self) -> Histogram<u64> {
        let mut all = latencies();
        for command in &self.commands {
            // Both have the same bounds.
            let _ = all.add(command);
        }
        all
    }

    /// How many replies came.
    #[must_use]
    pub fn replies(&self) -> u64 {
        self.commands.iter().map(Histogram::len).sum()
    }

    /// How many of them were errors.
    #[must_use]
    pub fn error_replies(&self) -> u64 {
        self.errors.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, ERRORS_MAX};

    #[test]
    fn counts_of_threads_add_up() {
        let mut one = Counts::new(1);
        one.commands[0].saturating_record(1000);
        one.error("MOVED 1 a:1");
        let mut other = one.clone();
        other.error("ERR a thing");
        one.add(&other);
        assert_eq!((one.replies(), one.error_replies(), one.all().len()), (2, 3, 2));
        assert_eq!(one.errors["MOVED"], 2);
    }

    #[test]
    fn cleared_counts_are_as_new_ones() {
        let (mut one, new) = (Counts::new(2), Counts::new(2));
        one.commands[1].saturating_record(1000);
        one.lag.saturating_record(1000);
        one.error("MOVED 1 a:1");
        (one.nils, one.lost_connections, one.lost_requests) = (1, 2, 3);
        (one.sent_bytes, one.received_bytes) = (4, 5);
        assert_ne!(one, new);
        one.clear();
        assert_eq!(one, new);
    }

    #[test]
    fn errors_without_end_do_not_fill_the_memory() {
        let mut counts = Counts::new(1);
        (0..1000).for_each(|n| counts.error(&format!("ERR number {n}")));
        assert!(counts.errors.len() <= ERRORS_MAX + 1);
        assert_eq!(counts.error_replies(), 1000);
    }
}

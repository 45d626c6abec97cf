//! Requests a second and CPU use, from samples of counters that only rise.
//!
//! Nothing is sampled while nobody asks: an idle proxy must cost nothing. Each question leaves a
//! sample, and after it the control thread samples each second for as long as questions are recent and
//! requests come (see `State::sample_for_a_while`).

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// The least time that a rate is the mean of; a shorter one jumps about.
pub(super) const WINDOW_MIN: Duration = Duration::from_secs(1);

/// How many samples are kept: enough for several questions within one window.
const SAMPLES_MAX: usize = 32;

/// The counters at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// When they were read.
    pub(super) at: Instant,
    /// Requests since the start.
    pub(super) ops: u64,
    /// Bytes from clients since the start.
    pub(super) bytes_in: u64,
    /// Bytes to clients since the start.
    pub(super) bytes_out: u64,
    /// CPU time of the process since the start.
    pub(super) cpu: Duration,
}

/// What the counters rose by, a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rates {
    /// Requests a second.
    pub(super) ops: f64,
    /// Bytes a second from clients.
    pub(super) bytes_in: f64,
    /// Bytes a second to clients.
    pub(super) bytes_out: f64,
    /// CPU time a second: 1.0 is one core in full use.
    pub(super) cpu: f64,
}

/// The newest samples, oldest first.
#[derive(Debug)]
pub(super) struct Rate {
    samples: VecDeque<Sample>,
}

impl Rate {
    /// Starts with counters that were all zero at `start`.
    pub(super) fn new(start: Instant) -> Self {
        let zero = Sample { at: start, ops: 0, bytes_in: 0, bytes_out: 0, cpu: Duration::ZERO };
        Self { samples: VecDeque::from([zero]) }
    }

    /// Takes a sample and gives the rates since the newest one that is at least [`WINDOW_MIN`] older;
    /// since the oldest if there is none.
    pub(super) fn sample(&mut self, now: Sample) -> Rates {
        let old_enough = |past: &&Sample| now.at.duration_since(past.at) >= WINDOW_MIN;
        let past = self.samples.iter().rev().find(old_enough).or(self.samples.front());
        let rates = past.map_or_else(Rates::default, |past| rates(past, &now));
        // Samples closer than this to each other would push out those of a whole window.
        let step = WINDOW_MIN / 16;
        if self.samples.back().is_none_or(|last| now.at.duration_since(last.at) >= step) {
            self.samples.push_back(now);
        }
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
        rates
    }

    /// Forgets the past, as the counters have been set to zero.
    pub(super) fn reset(&mut self, at: Instant, cpu: Duration) {
        self.samples.clear();
        self.samples.push_back(Sample { at, ops: 0, bytes_in: 0, bytes_out: 0, cpu });
    }
}

fn rates(past: &Sample, now: &Sample) -> Rates {
    let seconds = now.at.duration_since(past.at).as_secs_f64();
    if seconds <= 0.0 {
        return Rates::default();
    }
    let rate = |past: u64, now: u64| now.saturating_sub(past) as f64 / seconds;
    Rates {
        ops: rate(past.ops, now.ops),
        bytes_in: rate(past.bytes_in, now.bytes_in),
        bytes_out: rate(past.bytes_out, now.bytes_out),
        cpu: now.cpu.saturating_sub(past.cpu).as_secs_f64() / seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(start: Instant, ms: u64, ops: u64) -> Sample {
        let at = start + Duration::from_millis(ms);
        Sample { at, ops, bytes_in: 10 * ops, bytes_out: 0, cpu: Duration::from_millis(ms / 2) }
    }

    #[test]
    fn a_rate_is_the_mean_since_the_newest_sample_that_is_a_second_old() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        let first = rate.sample(sample(start, 10_000, 1000));
        assert_eq!((first.ops, first.bytes_in, first.cpu), (100.0, 1000.0, 0.5));
        assert_eq!(rate.sample(sample(start, 11_000, 6000)).ops, 5000.0);
        assert_eq!(rate.sample(sample(start, 11_500, 6000)).ops, 5000.0 / 1.5, "not since 11.0");
        assert_eq!(rate.sample(sample(start, 13_000, 6000)).ops, 0.0);
    }

    #[test]
    fn many_questions_in_one_second_do_not_push_the_window_out() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        for ms in 1..=5000 {
            rate.sample(sample(start, ms, ms));
        }
        let rates = rate.sample(sample(start, 5001, 5001));
        assert!((999.0..=1001.0).contains(&rates.ops), "{rates:?}");
        assert!(rate.samples.len() <= SAMPLES_MAX);
    }

    #[test]
    fn counters_set_to_zero_give_no_negative_rate() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        rate.sample(sample(start, 2000, 9000));
        rate.reset(start + Duration::from_secs(2), Duration::from_secs(1));
        assert_eq!(rate.sample(sample(start, 4000, 10)).ops, 5.0);
        assert_eq!(rate.sample(sample(start, 4000, 0)).ops, 0.0);
    }
}

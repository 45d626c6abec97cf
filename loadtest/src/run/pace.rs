//! When the next request is due.

use std::time::Duration;

/// How the requests of an open loop are spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrivals {
    /// At equal distances.
    Constant,
    /// As from many independent clients: a Poisson process.
    Poisson,
}

/// The times at which one thread's requests are due, counted from the start. They do not depend on replies: that is
/// what makes a loop open.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    arrivals: Arrivals,
    gap_ns: f64,
    due_ns: f64,
    rng: fastrand::Rng,
}

impl Pace {
    /// Thread `thread` of `threads`, which together send `rate` requests a second.
    pub(crate) fn new(rate: f64, arrivals: Arrivals, thread: usize, threads: usize) -> Self {
        let gap_ns = 1e9 * threads as f64 / rate;
        // Threads take turns, so that together they are as even as one.
        let due_ns = gap_ns * thread as f64 / threads as f64;
        Self { arrivals, gap_ns, due_ns, rng: fastrand::Rng::new() }
    }

    /// When the next request is due.
    pub(crate) fn due(&self) -> Duration {
        Duration::from_nanos(self.due_ns as u64)
    }

    /// Goes on to the next request.
    pub(crate) fn advance(&mut self) {
        self.due_ns += match self.arrivals {
            Arrivals::Constant => self.gap_ns,
            Arrivals::Poisson => -self.gap_ns * (1.0 - self.rng.f64()).ln(),
        };
    }

    /// How many requests are due before `end` that were not taken, each with its time.
    pub(crate) fn left_until(mut self, end: Duration) -> impl Iterator<Item = Duration> {
        std::iter::from_fn(move || {
            let due = self.due();
            self.advance();
            (due < end).then_some(due)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrivals, Pace};
    use std::time::Duration;

    fn dues(arrivals: Arrivals, thread: usize) -> Vec<Duration> {
        Pace::new(1000.0, arrivals, thread, 2).left_until(Duration::from_secs(10)).collect()
    }

    #[test]
    fn threads_share_the_rate_and_take_turns() {
        let (first, second) = (dues(Arrivals::Constant, 0), dues(Arrivals::Constant, 1));
        assert_eq!((first.len(), second.len()), (5000, 5000));
        assert_eq!(second[0], Duration::from_millis(1));
        assert_eq!(first[1], Duration::from_millis(2));
    }

    #[test]
    fn poisson_arrivals_have_the_rate_on_average_and_are_uneven() {
        let dues = dues(Arrivals::Poisson, 0);
        assert!((4_600..5_400).contains(&dues.len()), "{}", dues.len());
        let short =
            dues.windows(2).filter(|two| two[1] - two[0] < Duration::from_millis(2)).count();
        // 1 - 1/e of all gaps are shorter than the mean.
        let part = short as f64 / dues.len() as f64;
        assert!((0.60..0.67).contains(&part), "{part}");
    }
}

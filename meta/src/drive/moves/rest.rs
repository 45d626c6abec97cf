//! Waiting longer from failure to failure.

use std::collections::BTreeMap;
use std::time::Duration;

/// What has failed, and until when it is left alone.
#[derive(Debug)]
pub(super) struct Rests<K> {
    least: Duration,
    most: Duration,
    rests: BTreeMap<K, (Duration, Duration)>,
}

impl<K: Ord> Rests<K> {
    pub(super) fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, rests: BTreeMap::new() }
    }

    /// It failed at `now`.
    pub(super) fn failed(&mut self, what: K, now: Duration) {
        let (length, until) = self.rests.entry(what).or_default();
        *length = (*length * 2).clamp(self.least, self.most);
        *until = now + *length;
    }

    /// It went well.
    pub(super) fn well(&mut self, what: &K) {
        self.rests.remove(what);
    }

    /// Whether it is to be left alone at `now`.
    pub(super) fn is_resting(&self, what: &K, now: Duration) -> bool {
        self.rests.get(what).is_some_and(|(_, until)| *until > now)
    }

    /// Those to be left alone at `now`.
    pub(super) fn resting(&self, now: Duration) -> impl Iterator<Item = &K> {
        self.rests.iter().filter(move |(_, (_, until))| *until > now).map(|(what, _)| what)
    }

    /// How long it is until one of them may be tried again.
    pub(super) fn next(&self, now: Duration) -> Option<Duration> {
        let untils = self.rests.values().map(|(_, until)| *until).filter(|until| *until > now);
        untils.min().map(|until| until - now)
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.rests.retain(|what, _| keep(what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_rest_up_to_the_longest() {
        let second = Duration::from_secs(1);
        let mut rests = Rests::new(second, second * 4);
        let mut now = Duration::ZERO;
        let mut lengths = Vec::new();
        for _ in 0..4 {
            rests.failed("it", now);
            let length = rests.next(now).expect("it rests");
            assert!(rests.is_resting(&"it", now) && rests.resting(now).eq([&"it"]));
            now += length;
            assert!(!rests.is_resting(&"it", now));
            lengths.push(length.as_secs());
        }
        assert_eq!(lengths, [1, 2, 4, 4]);
        rests.well(&"it");
        rests.failed("it", now);
        assert_eq!(rests.next(now), Some(second));
    }
}

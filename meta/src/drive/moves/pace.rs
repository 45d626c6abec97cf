//! How much goes into one step, found out as it goes.

use std::time::Duration;

/// The size of the first step, and of the greatest: a script cannot hand more keys to MIGRATE.
const FIRST: usize = 32;
const MOST: usize = 2000;

/// The size of a batch: it doubles while steps are short and halves when one was long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    size: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { size: FIRST }
    }
}

impl Pace {
    /// How many to take, at most `cap`.
    pub(super) fn size(self, cap: u64) -> usize {
        self.size.min(usize::try_from(cap).unwrap_or(MOST)).max(1)
    }

    /// Learns from a step of `count`, of which each costs `cost`, where `wanted` is to be spent.
    pub(super) fn learn(&mut self, count: usize, cost: Duration, wanted: Duration) {
        if cost > wanted {
            // From what it was, as the last one may have been smaller than it might.
            self.size = (self.size.min(count.max(1)) / 2).max(1);
        } else if cost < wanted / 2 && count >= self.size {
            self.size = (self.size * 2).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Duration = Duration::from_millis(1);

    /// Where it comes to rest when each key costs `each`.
    fn settled(each: Duration, cap: u64) -> Vec<usize> {
        let mut pace = Pace::default();
        let mut sizes = Vec::new();
        for _ in 0..40 {
            let size = pace.size(cap);
            pace.learn(size, each * u32::try_from(size).expect("it is small"), WANTED);
            sizes.push(size);
        }
        sizes.split_off(30)
    }

    #[test]
    fn steps_grow_and_shrink_until_they_take_about_as_long_as_wanted() {
        for micros in [1, 3, 10, 100, 900] {
            let each = Duration::from_micros(micros);
            for size in settled(each, 10_000) {
                let cost = each * u32::try_from(size).expect("it is small");
                assert!(cost <= WANTED, "{micros} us: {size}");
                assert!(cost * 2 > WANTED / 2 || size == MOST, "{micros} us: {size}");
            }
        }
        assert!(settled(Duration::from_millis(5), 10_000).iter().all(|size| *size == 1));
    }

    #[test]
    fn neither_the_cap_nor_what_a_script_can_take_is_exceeded() {
        let each = Duration::from_nanos(1);
        assert!(settled(each, 500).iter().all(|size| *size == 500));
        assert!(settled(each, 1_000_000).iter().all(|size| *size == MOST));
    }

    #[test]
    fn a_short_step_of_few_teaches_nothing() {
        let mut pace = Pace::default();
        pace.learn(3, Duration::ZERO, WANTED);
        assert_eq!(pace.size(10_000), FIRST);
    }
}

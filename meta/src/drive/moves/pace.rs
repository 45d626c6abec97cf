//! How much goes into one step, found out as it goes.

use std::time::Duration;

/// The greatest size: a script cannot hand more keys to MIGRATE.
const MOST: usize = 2000;

/// By which part of itself a size changes at a time.
const PART: usize = 16;

/// The size of a batch, from 1 on. It grows a little after a step that was shorter than wanted and shrinks as much after
/// one that was longer, so that every other step is a little longer: one that a busy machine has held up
/// counts no more than any other. Where it is far off, it doubles or halves.
///
/// What a step takes however few keys it has, the way to the target above all, no size makes shorter. So half as
/// much again as the shortest step took is wanted at least.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    size: usize,
    shortest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { size: 1, shortest: Duration::MAX }
    }
}

impl Pace {
    /// How many to take, at most `cap`.
    pub(super) fn size(self, cap: u64) -> usize {
        self.size.min(usize::try_from(cap).unwrap_or(MOST)).max(1)
    }

    /// Learns from a step of `count`, some of which went, that kept the source for `cost`; it should be `wanted`.
    pub(super) fn learn(&mut self, count: usize, cost: Duration, wanted: Duration) {
        self.shortest = self.shortest.min(cost);
        let wanted = wanted.max(self.shortest + self.shortest / 2);
        let part = (self.size / PART).max(1);
        if cost > wanted {
            // From what it was, as the last one may have been smaller than it might.
            let was = self.size.min(count.max(1));
            self.size = if cost > wanted * 4 { was / 2 } else { was.saturating_sub(part) }.max(1);
        } else if count >= self.size {
            let more = if cost < wanted / 4 { self.size } else { part };
            self.size = (self.size + more).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Duration = Duration::from_millis(1);

    /// Where it comes to rest when a step costs `fixed` and each key `each`.
    fn settled_beside(fixed: Duration, each: Duration, cap: u64) -> Vec<usize> {
        let mut pace = Pace::default();
        let mut sizes = Vec::new();
        for _ in 0..200 {
            let size = pace.size(cap);
            let keys = u32::try_from(size).expect("it is small");
            pace.learn(size, fixed + each * keys, WANTED);
            sizes.push(size);
        }
        sizes.split_off(190)
    }

    fn settled(each: Duration, cap: u64) -> Vec<usize> {
        settled_beside(Duration::ZERO, each, cap)
    }

    #[test]
    fn steps_grow_and_shrink_until_they_take_about_as_long_as_wanted() {
        for micros in [1, 3, 10, 100, 900] {
            let each = Duration::from_micros(micros);
            for size in settled(each, 10_000) {
                let cost = each * u32::try_from(size).expect("it is small");
                let off = WANTED / 8 + each;
                assert!(cost <= WANTED + off, "{micros} us: {size}");
                assert!(cost + off >= WANTED || size == MOST, "{micros} us: {size}");
            }
        }
        assert!(settled(Duration::from_millis(5), 10_000).iter().all(|size| *size <= 2));
    }

    #[test]
    fn a_step_that_was_held_up_is_soon_forgotten() {
        let mut pace = Pace { size: 100, ..Pace::default() };
        pace.learn(100, WANTED / 2, WANTED);
        pace.learn(100, WANTED * 10, WANTED);
        assert_eq!(pace.size(10_000), 50, "{pace:?}");
        for _ in 0..12 {
            pace.learn(pace.size, WANTED / 2, WANTED);
        }
        assert!(pace.size(10_000) >= 90, "{pace:?}");
    }

    #[test]
    fn a_target_that_is_far_away_does_not_make_batches_small() {
        let micros = Duration::from_micros;
        for far in [micros(900), micros(2000), micros(50_000)] {
            for size in settled_beside(far, micros(10), 10_000) {
                let cost = far + micros(10) * u32::try_from(size).expect("it is small");
                assert!(
                    cost > far + far / 4 || cost > WANTED * 9 / 10 || size == MOST,
                    "{far:?}: {size}"
                );
                assert!(cost < WANTED.max(far * 2), "{far:?}: {size}");
            }
        }
    }

    #[test]
    fn neither_the_cap_nor_what_a_script_can_take_is_exceeded() {
        let each = Duration::from_nanos(1);
        assert!(settled(each, 500).iter().all(|size| *size == 500));
        assert!(settled(each, 1_000_000).iter().all(|size| *size == MOST));
    }

    #[test]
    fn a_short_step_of_few_teaches_nothing() {
        let mut pace = Pace { size: 32, ..Pace::default() };
        pace.learn(3, WANTED / 2, WANTED);
        assert_eq!(pace.size(10_000), 32);
    }
}

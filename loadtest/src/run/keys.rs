//! Which key comes next.

use rand_distr::Distribution as _;
use std::str::FromStr;

/// How keys are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum KeyDistribution {
    /// Each as often as any other.
    Uniform,
    /// The n-th most popular is chosen in proportion to 1/n^exponent.
    Zipf(f64),
    /// One after another; each thread begins at a part of its own.
    Sequential,
    /// A part of the keys gets a share of the requests, evenly; the others get the rest.
    Hot {
        /// Of all keys, how many are hot.
        part: f64,
        /// Of all requests, how many go to them.
        share: f64,
    },
}

/// A distribution that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no distribution of keys: uniform, seq, zipf:EXPONENT (such as zipf:0.99) or hot:PART:SHARE \
     (hot:0.1:0.9 sends 90 % of the requests to 10 % of the keys)"
)]
pub struct BadDistribution(String);

impl FromStr for KeyDistribution {
    type Err = BadDistribution;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadDistribution(text.to_owned());
        let number = |text: &str| text.parse::<f64>().map_err(|_| bad());
        let within = |number: f64, most: f64| {
            if number > 0.0 && number <= most { Ok(number) } else { Err(bad()) }
        };
        let parts: Vec<&str> = text.split(':').collect();
        match parts[..] {
            ["uniform"] => Ok(Self::Uniform),
            ["seq"] => Ok(Self::Sequential),
            ["zipf", exponent] => Ok(Self::Zipf(within(number(exponent)?, 20.0)?)),
            ["hot", part, share] => Ok(Self::Hot {
                part: within(number(part)?, 1.0)?,
                share: within(number(share)?, 1.0)?,
            }),
            _ => Err(bad()),
        }
    }
}

/// The keys of one thread.
#[derive(Debug, Clone)]
pub struct Keys {
    count: u64,
    choice: Choice,
}

#[derive(Debug, Clone)]
enum Choice {
    Uniform,
    Zipf(rand_distr::Zipf<f64>),
    Sequential(u64),
    Hot { keys: u64, share: f64 },
}

/// `rand`'s traits over the generator that everything here uses.
struct Random<'a>(&'a mut fastrand::Rng);

impl rand::TryRng for Random<'_> {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.0.u32(..))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.0.u64(..))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl Keys {
    /// The keys of thread `thread` of `threads`, out of `count`.
    #[must_use]
    pub fn new(distribution: &KeyDistribution, count: u64, thread: usize, threads: usize) -> Self {
        let count = count.max(1);
        let choice = match *distribution {
            KeyDistribution::Uniform => Choice::Uniform,
            KeyDistribution::Sequential => {
                Choice::Sequential(count / threads.max(1) as u64 * thread as u64)
            }
            // Both numbers were checked when they were read, so this is not refused.
            KeyDistribution::Zipf(exponent) => {
                rand_distr::Zipf::new(count as f64, exponent).map_or(Choice::Uniform, Choice::Zipf)
            }
            KeyDistribution::Hot { part, share } => {
                Choice::Hot { keys: ((count as f64 * part) as u64).clamp(1, count), share }
            }
        };
        Self { count, choice }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The number of the next key.
    #[inline]
    pub fn next(&mut self, rng: &mut fastrand::Rng) -> u64 {
        match &mut self.choice {
            Choice::Uniform => rng.u64(0..self.count),
            Choice::Sequential(next) => {
                let key = *next % self.count;
                *next = key + 1;
                key
            }
            Choice::Zipf(zipf) => (zipf.sample(&mut Random(rng)) as u64 - 1).min(self.count - 1),
            Choice::Hot { keys, share } => {
                let hot = rng.f64() < *share || *keys == self.count;
                if hot { rng.u64(0..*keys) } else { rng.u64(*keys..self.count) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyDistribution, Keys};

    const DRAWS: usize = 100_000;

    fn counts(distribution: &str, keys: u64) -> Vec<usize> {
        let distribution = distribution.parse().expect("the distribution is known");
        let (mut keys, mut rng) =
            (Keys::new(&distribution, keys, 0, 1), fastrand::Rng::with_seed(7));
        let mut counts = vec![0; keys.count() as usize];
        for _ in 0..DRAWS {
            counts[keys.next(&mut rng) as usize] += 1;
        }
        counts
    }

    #[test]
    fn uniform_keys_are_chosen_evenly() {
        assert!(counts("uniform", 10).iter().all(|count| (9_000..11_000).contains(count)));
    }

    #[test]
    fn zipf_keys_are_chosen_in_proportion_to_their_rank() {
        let counts = counts("zipf:1", 1000);
        // The first of 1000 has 1/H(1000) of all, which is 13.36 %, and twice as many as the second.
        assert!((13_000..13_800).contains(&counts[0]), "{}", counts[0]);
        assert!((6_300..7_100).contains(&counts[1]), "{}", counts[1]);
    }

    #[test]
    fn hot_keys_get_their_share() {
        let hot: usize = counts("hot:0.1:0.9", 1000)[..100].iter().sum();
        assert!((89_000..91_000).contains(&hot), "{hot}");
    }

    #[test]
    fn sequential_keys_come_one_after_another_and_threads_begin_apart() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut keys = Keys::new(&KeyDistribution::Sequential, 10, 1, 2);
        let drawn: Vec<u64> = (0..7).map(|_| keys.next(&mut rng)).collect();
        assert_eq!(drawn, [5, 6, 7, 8, 9, 0, 1]);
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        for text in ["", "zip", "zipf", "zipf:-1", "zipf:nan", "hot:2:0.5", "hot:0.1", "uniform:1"]
        {
            assert!(text.parse::<KeyDistribution>().is_err(), "{text}");
        }
    }
}

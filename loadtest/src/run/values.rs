//! How large values are, and what is in them.

use std::str::FromStr;

/// The largest value that Redis takes.
const BYTES_MAX: usize = 512 << 20;

/// How large values are, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueSizes {
    /// All the same.
    Fixed(usize),
    /// Between both, evenly.
    Range(usize, usize),
    /// Around a mean.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        deviation: f64,
    },
    /// Sizes with weights.
    Weighted(Vec<(usize, u32)>),
}

/// Sizes that are not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no size of values: BYTES, LOW-HIGH, normal:MEAN:DEVIATION or a list of BYTES:WEIGHT (64:90,4096:10), \
     each at most 512 MB"
)]
pub struct BadSizes(String);

impl FromStr for ValueSizes {
    type Err = BadSizes;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadSizes(text.to_owned());
        let size = |text: &str| {
            text.parse::<usize>().ok().filter(|size| *size <= BYTES_MAX).ok_or_else(bad)
        };
        if let Some(numbers) = text.strip_prefix("normal:") {
            let (mean, deviation) = numbers.split_once(':').ok_or_else(bad)?;
            let deviation = deviation.parse::<f64>().map_err(|_| bad())?;
            let mean = size(mean)? as f64;
            let good = deviation >= 0.0 && deviation <= mean.max(1.0);
            return if good { Ok(Self::Normal { mean, deviation }) } else { Err(bad()) };
        }
        if text.contains(':') {
            let weighted = text.split(',').map(|pair| {
                let (bytes, weight) = pair.split_once(':').ok_or_else(bad)?;
                Ok((size(bytes)?, weight.parse().map_err(|_| bad())?))
            });
            let weighted = weighted.collect::<Result<Vec<(usize, u32)>, _>>()?;
            let any = weighted.iter().any(|(_, weight)| *weight > 0);
            return if any { Ok(Self::Weighted(weighted)) } else { Err(bad()) };
        }
        match text.split_once('-') {
            Some((low, high)) => {
                let (low, high) = (size(low)?, size(high)?);
                if low <= high { Ok(Self::Range(low, high)) } else { Err(bad()) }
            }
            None => Ok(Self::Fixed(size(text)?)),
        }
    }
}

/// Makes values.
#[derive(Debug, Clone)]
pub struct Values {
    sizes: ValueSizes,
    /// Random text; a value is a piece of it that begins anywhere in its first half.
    text: Vec<u8>,
    total_weight: u64,
}

impl Values {
    /// Values of these sizes, with contents that follow from `seed`.
    #[must_use]
    pub fn new(sizes: &ValueSizes, seed: u64) -> Self {
        let largest = match sizes {
            ValueSizes::Fixed(size) | ValueSizes::Range(_, size) => *size,
            // Beyond six deviations there is one value in a thousand million.
            ValueSizes::Normal { mean, deviation } => (mean + 6.0 * deviation) as usize,
            ValueSizes::Weighted(sizes) => sizes.iter().map(|(size, _)| *size).max().unwrap_or(0),
        };
        let mut rng = fastrand::Rng::with_seed(seed);
        let text = (0..largest + 4096).map(|_| rng.alphanumeric() as u8).collect();
        let total_weight = match sizes {
            ValueSizes::Weighted(sizes) => sizes.iter().map(|(_, weight)| u64::from(*weight)).sum(),
            _ => 0,
        };
        Self { sizes: sizes.clone(), text, total_weight }
    }

    /// Appends a value as a bulk string, without the end of its line.
    #[inline]
    pub(crate) fn write(&self, out: &mut Vec<u8>, rng: &mut fastrand::Rng) {
        let size = self.size(rng).min(self.text.len());
        let from = rng.usize(0..=self.text.len() - size);
        out.push(b'$');
        out.extend_from_slice(itoa::Buffer::new().format(size).as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.text[from..from + size]);
    }

    #[inline]
    fn size(&self, rng: &mut fastrand::Rng) -> usize {
        match &self.sizes {
            ValueSizes::Fixed(size) => *size,
            ValueSizes::Range(low, high) => rng.usize(*low..=*high),
            ValueSizes::Normal { mean, deviation } => {
                (mean + deviation * normal(rng)).max(0.0) as usize
            }
            ValueSizes::Weighted(sizes) => {
                let mut left = rng.u64(0..self.total_weight);
                for (size, weight) in sizes {
                    match left.checked_sub(u64::from(*weight)) {
                        Some(rest) => left = rest,
                        None => return *size,
                    }
                }
                0
            }
        }
    }
}

/// The standard normal distribution, by Box and Muller.
fn normal(rng: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

#[cfg(test)]
mod tests {
    use super::{ValueSizes, Values};

    fn drawn(sizes: &str) -> Vec<usize> {
        let values = Values::new(&sizes.parse().expect("the sizes are known"), 3);
        let mut rng = fastrand::Rng::with_seed(5);
        let one = |_| {
            let mut out = Vec::new();
            values.write(&mut out, &mut rng);
            let header = out.iter().position(|&byte| byte == b'\n').expect("a header has an end");
            let said: usize = String::from_utf8_lossy(&out[1..header - 1]).parse().expect("a size");
            assert_eq!(said, out.len() - header - 1);
            said
        };
        (0..10_000).map(one).collect()
    }

    #[test]
    fn sizes_follow_their_distribution() {
        assert!(drawn("64").iter().all(|size| *size == 64));
        let range = drawn("10-20");
        assert_eq!((range.iter().min(), range.iter().max()), (Some(&10), Some(&20)));
        let normal = drawn("normal:1000:100");
        let mean = normal.iter().sum::<usize>() as f64 / normal.len() as f64;
        let near = normal.iter().filter(|size| (900..=1100).contains(*size)).count();
        assert!((990.0..1010.0).contains(&mean) && (6_500..7_200).contains(&near), "{mean} {near}");
        let small = drawn("10:3,1000:1").iter().filter(|size| **size == 10).count();
        assert!((7_200..7_800).contains(&small), "{small}");
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "x", "-1", "9-1", "1:0", "1:", "normal:10", "normal:10:99", "999999999999"]
        {
            assert!(text.parse::<ValueSizes>().is_err(), "{text}");
        }
    }
}

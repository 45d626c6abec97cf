//! Sizes and times as Codis writes them: "128kb", "1gb", "30m", "75s", "1ms", and plain numbers.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes.
///
/// Written as a number and a unit (`b`, `kb`, `mb`, `gb`, `tb`, `pb`, or their first letters, in any
/// case, each 1024 times the one before) or as a plain number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

/// A length of time.
///
/// Written as a number and a unit (`ns`, `us`, `ms`, `s`, `m`, `h`) or as a plain number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Period(pub Duration);

/// From which duration on a request goes to the slow log; `None` for never.
///
/// Written as a [`Period`] with a unit, as a plain number of microseconds (which is how Redis counts
/// in its setting of the same name), or as `off` or a negative number for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SlowThreshold(pub Option<Duration>);

/// Why a size or a time was not understood. It reads as the end of "`key`: ...".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(String);

/// Units of size, the greatest first, as they are written back.
const SIZES: [(&str, u64); 5] =
    [("pb", 1 << 50), ("tb", 1 << 40), ("gb", 1 << 30), ("mb", 1 << 20), ("kb", 1 << 10)];

/// Units of time in nanoseconds, the greatest first, as they are written back.
const TIMES: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl ByteSize {
    /// The size as a count that memory can be measured with. More than the address space holds is
    /// as good as no limit.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Period {
    /// `n` milliseconds.
    #[must_use]
    pub const fn from_millis(n: u64) -> Self {
        Self(Duration::from_millis(n))
    }

    /// `n` seconds.
    #[must_use]
    pub const fn from_secs(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }

    /// The duration, or `None` where the time is zero: in most settings that means "never".
    #[must_use]
    pub fn non_zero(self) -> Option<Duration> {
        (!self.0.is_zero()).then_some(self.0)
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || {
            UnitError(format!("\"{text}\" is not a size; write it as \"128kb\", \"64mb\", \"1gb\""))
        };
        let (number, unit) = split(text).ok_or_else(wrong)?;
        let unit = unit.to_ascii_lowercase();
        let factor = match unit.as_str() {
            "" | "b" => 1,
            unit => SIZES
                .iter()
                .find(|(name, _)| *name == unit || name[..1] == *unit)
                .map(|&(_, factor)| factor)
                .ok_or_else(wrong)?,
        };
        if number.starts_with('-') {
            return Err(UnitError(format!("\"{text}\" is negative; a size cannot be")));
        }
        match scale(number, factor) {
            Some(Some(bytes)) => Ok(Self(bytes)),
            Some(None) => Err(UnitError(format!("\"{text}\" is more than 8191 petabytes"))),
            None => Err(wrong()),
        }
    }
}

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || {
            UnitError(format!("\"{text}\" is not a time; write it as \"30m\", \"75s\", \"500ms\""))
        };
        let (number, unit) = split(text).ok_or_else(wrong)?;
        let unit = match unit {
            "" => "s",
            "\u{b5}s" | "\u{3bc}s" => "us",
            unit => unit,
        };
        let &(_, factor) = TIMES.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        if number.starts_with('-') {
            return Err(UnitError(format!("\"{text}\" is negative; a time cannot be")));
        }
        match scale(number, factor) {
            Some(Some(nanos)) => Ok(Self(Duration::from_nanos(nanos))),
            Some(None) => Err(UnitError(format!("\"{text}\" is more than 292 years"))),
            None => Err(wrong()),
        }
    }
}

impl FromStr for SlowThreshold {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || {
            UnitError(format!(
                "\"{text}\" is not a time; write it as \"10ms\", as a number of microseconds, \
                 or \"off\""
            ))
        };
        if text.trim().eq_ignore_ascii_case("off") {
            return Ok(Self(None));
        }
        let (number, unit) = split(text).ok_or_else(wrong)?;
        let magnitude = number.trim_start_matches('-');
        let unit = if unit.is_empty() { "us" } else { unit };
        let period: Period = format!("{magnitude}{unit}").parse().map_err(|_| wrong())?;
        Ok(Self((magnitude == number).then_some(period.0)))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIZES.iter().find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return write!(f, "0");
        }
        let fits = |(_, factor): &&(&str, u64)| nanos.is_multiple_of(u128::from(*factor));
        let (unit, factor) = TIMES.iter().find(fits).expect("one nanosecond divides every time");
        write!(f, "{}{unit}", nanos / u128::from(*factor))
    }
}

impl fmt::Display for SlowThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(duration) => Period(duration).fmt(f),
            None => write!(f, "off"),
        }
    }
}

/// Splits `text` into its number (digits, one dot at most, perhaps a minus sign) and its unit.
fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let digits = text.strip_prefix('-').unwrap_or(text);
    let sign = text.len() - digits.len();
    let end = sign + digits.find(|c| !is_number(c)).unwrap_or(digits.len());
    let (number, unit) = text.split_at(end);
    number.contains(|c: char| c.is_ascii_digit()).then(|| (number, unit.trim_start()))
}

/// `number` times `factor`: `None` when `number` is none, `Some(None)` when the product is more than
/// a signed 64-bit number holds (Codis's own limit, and TOML's).
fn scale(number: &str, factor: u64) -> Option<Option<u64>> {
    const MAX: u64 = i64::MAX as u64;
    if number.bytes().all(|byte| byte.is_ascii_digit()) {
        let whole = number.parse::<u64>().ok();
        return Some(whole.and_then(|n| n.checked_mul(factor)).filter(|&n| n <= MAX));
    }
    let product = number.parse::<f64>().ok()? * factor as f64;
    // The cast is exact enough: whoever writes "1.5gb" does not count the last bytes.
    Some((product < MAX as f64).then_some(product as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(text: &str) -> Result<u64, String> {
        text.parse::<ByteSize>().map(|size| size.0).map_err(|error| error.to_string())
    }

    fn time(text: &str) -> Result<Duration, String> {
        text.parse::<Period>().map(|period| period.0).map_err(|error| error.to_string())
    }

    #[test]
    fn sizes_are_read_as_codis_reads_them() {
        for (text, bytes) in [
            ("0", 0),
            ("131072", 131_072),
            ("128kb", 131_072),
            ("128k", 131_072),
            ("128 KB ", 131_072),
            ("7b", 7),
            ("1mb", 1 << 20),
            ("1.5gb", 3 << 29),
            ("2T", 2 << 40),
            ("1pb", 1 << 50),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn sizes_are_written_in_the_greatest_unit_that_divides_them() {
        for (bytes, text) in [
            (0, "0"),
            (1, "1"),
            (1023, "1023"),
            (131_072, "128kb"),
            (1 << 30, "1gb"),
            (3 << 29, "1536mb"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused_with_an_example() {
        for text in ["", "kb", "12xb", "1.2.3kb", "kb12", "1kib", "--1", "1e3"] {
            let message =
                format!("\"{text}\" is not a size; write it as \"128kb\", \"64mb\", \"1gb\"");
            assert_eq!(size(text), Err(message));
        }
        assert_eq!(size("-1kb"), Err("\"-1kb\" is negative; a size cannot be".into()));
        assert_eq!(size("8192pb"), Err("\"8192pb\" is more than 8191 petabytes".into()));
        assert_eq!(
            size("99999999999999999999999"),
            Err("\"99999999999999999999999\" is more than 8191 petabytes".into())
        );
    }

    #[test]
    fn times_are_read_as_codis_reads_them() {
        for (text, duration) in [
            ("0", Duration::ZERO),
            ("0s", Duration::ZERO),
            ("30", Duration::from_secs(30)),
            ("1.5", Duration::from_millis(1500)),
            ("30m", Duration::from_secs(1800)),
            ("2h", Duration::from_secs(7200)),
            ("75s", Duration::from_secs(75)),
            (" 1 ms ", Duration::from_millis(1)),
            ("10us", Duration::from_micros(10)),
            ("10\u{b5}s", Duration::from_micros(10)),
            ("7ns", Duration::from_nanos(7)),
            ("0.5s", Duration::from_millis(500)),
        ] {
            assert_eq!(time(text), Ok(duration), "{text}");
        }
    }

    #[test]
    fn times_are_written_in_the_greatest_unit_that_divides_them() {
        for (millis, text) in [
            (0, "0"),
            (1, "1ms"),
            (1500, "1500ms"),
            (75_000, "75s"),
            (1_800_000, "30m"),
            (7_200_000, "2h"),
        ] {
            assert_eq!(Period::from_millis(millis).to_string(), text);
        }
        assert_eq!(Period(Duration::from_nanos(1500)).to_string(), "1500ns");
    }

    #[test]
    fn what_is_not_a_time_is_refused_with_an_example() {
        for text in ["", "s", "10 sec", "1d", "1h30m", "1.2.3s", "5S"] {
            let message =
                format!("\"{text}\" is not a time; write it as \"30m\", \"75s\", \"500ms\"");
            assert_eq!(time(text), Err(message));
        }
        assert_eq!(time("-1s"), Err("\"-1s\" is negative; a time cannot be".into()));
        assert_eq!(time("9999999h"), Err("\"9999999h\" is more than 292 years".into()));
    }

    #[test]
    fn the_slow_log_threshold_counts_plain_numbers_in_microseconds() {
        for (text, threshold) in [
            ("10ms", Some(Duration::from_millis(10))),
            ("10000", Some(Duration::from_millis(10))),
            ("0", Some(Duration::ZERO)),
            ("0s", Some(Duration::ZERO)),
            ("-1", None),
            ("-1s", None),
            ("off", None),
            ("OFF", None),
        ] {
            assert_eq!(text.parse(), Ok(SlowThreshold(threshold)), "{text}");
        }
        assert_eq!(SlowThreshold(None).to_string(), "off");
        assert_eq!(SlowThreshold(Some(Duration::from_millis(10))).to_string(), "10ms");
        assert_eq!(
            "soon".parse::<SlowThreshold>().expect_err("no time").to_string(),
            "\"soon\" is not a time; write it as \"10ms\", as a number of microseconds, or \"off\""
        );
    }

    proptest! {
        #[test]
        fn every_size_is_read_back_as_it_was_written(bytes in 0..=i64::MAX as u64, shift in 0..63) {
            let size = ByteSize(bytes >> shift);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
            let round = ByteSize((bytes >> shift) & !0xf_ffff_u64);
            prop_assert_eq!(round.to_string().parse(), Ok(round));
        }

        #[test]
        fn every_time_is_read_back_as_it_was_written(nanos in 0..=i64::MAX as u64, shift in 0..63, factor in 0..6_usize) {
            let (_, factor) = TIMES[factor];
            let period = Period(Duration::from_nanos((nanos >> shift) / factor * factor));
            prop_assert_eq!(period.to_string().parse(), Ok(period));
            let threshold = SlowThreshold(Some(period.0));
            prop_assert_eq!(threshold.to_string().parse(), Ok(threshold));
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in "[-0-9. a-zA-Z\u{b5}]{0,24}|.*") {
            let _ = text.parse::<ByteSize>();
            let _ = text.parse::<Period>();
            let _ = text.parse::<SlowThreshold>();
        }
    }
}

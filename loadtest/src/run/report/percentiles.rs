//! Percentiles as HdrHistogram's own tools write and plot them (`.hgrm`).

use hdrhistogram::Histogram;
use std::io::{self, Write};

/// Nanoseconds in the unit that is written, a millisecond.
const UNIT_NS: f64 = 1e6;
/// Steps in each half of the distance to 100 %.
const STEPS: u32 = 5;

/// Writes the distribution of `latencies`, in milliseconds.
///
/// # Errors
/// Those of the writer.
pub fn write_percentiles(latencies: &Histogram<u64>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "       Value     Percentile TotalCount 1/(1-Percentile)\n")?;
    for step in latencies.iter_quantiles(STEPS) {
        let value = step.value_iterated_to() as f64 / UNIT_NS;
        let (quantile, total) = (step.quantile_iterated_to(), step.count_since_last_iteration());
        let total = (total, latencies.count_between(0, step.value_iterated_to())).1;
        if quantile < 1.0 {
            let inverse = 1.0 / (1.0 - quantile);
            writeln!(out, "{value:12.3} {quantile:2.12} {total:10} {inverse:14.2}")?;
        } else {
            writeln!(out, "{value:12.3} {quantile:2.12} {total:10}")?;
        }
    }
    let (mean, deviation) = (latencies.mean() / UNIT_NS, latencies.stdev() / UNIT_NS);
    writeln!(out, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]")?;
    let (max, total) = (latencies.max() as f64 / UNIT_NS, latencies.len());
    writeln!(out, "#[Max     = {max:12.3}, Total count    = {total:12}]")?;
    writeln!(out, "#[Buckets = {:12}, SubBuckets     = {:12}]", latencies.buckets(), 2048)
}

#[cfg(test)]
mod tests {
    use super::write_percentiles;
    use crate::run::latencies;

    #[test]
    fn percentiles_rise_to_the_longest_latency() {
        let mut histogram = latencies();
        (1..=1000_u64).for_each(|n| histogram.saturating_record(n * 1_000_000));
        let mut out = Vec::new();
        write_percentiles(&histogram, &mut out).expect("memory can be written");
        let text = String::from_utf8(out).expect("it is text");
        let rows = text.lines().filter(|line| !line.starts_with('#')).skip(2);
        let values: Vec<f64> =
            rows.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
        assert!(values.len() > 20 && values.is_sorted(), "{text}");
        assert!(values.last().is_some_and(|last| (999.0..1001.0).contains(last)), "{text}");
        let half = text.lines().find(|line| line.contains(" 0.5000000")).expect("there is a half");
        assert!(half.contains(" 500 ") && half.trim_end().ends_with("2.00"), "{half}");
    }
}

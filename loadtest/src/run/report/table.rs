//! The table at the end of a run.

use super::{Latencies, Summary};
use std::fmt::Write as _;

/// A run as text.
#[must_use]
pub fn table(summary: &Summary) -> String {
    let mut out = String::new();
    let Summary { clients, threads, pipeline, seconds, .. } = summary;
    let how = match summary.rate {
        Some(rate) => format!("open loop at {}/s", count(rate)),
        None => "closed loop".to_owned(),
    };
    line(
        &mut out,
        &format!(
            "{}: {how}, {clients} clients, {threads} threads, pipeline {pipeline}, {seconds:.1} s\n",
            summary.targets.join(", ")
        ),
    );
    let titles =
        ["", "requests", "requests/s", "mean", "p50", "p90", "p99", "p99.9", "p99.99", "max ms"];
    row(&mut out, &titles.map(str::to_owned));
    let each = summary.commands.iter().filter(|_| summary.commands.len() > 1);
    for latencies in each.chain([&summary.all]) {
        row(&mut out, &cells(latencies));
    }
    line(&mut out, "");
    troubles(&mut out, summary);
    let megabytes = |bytes: f64| bytes / 1e6;
    line(
        &mut out,
        &format!(
            "sent {:.1} MB/s, received {:.1} MB/s; the load itself took {:.2} us of CPU a request",
            megabytes(summary.sent_bytes_per_second),
            megabytes(summary.received_bytes_per_second),
            summary.own_cpu_us_per_request
        ),
    );
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn row(out: &mut String, cells: &[String; 10]) {
    let [name, numbers @ ..] = cells;
    // A string can always be written to.
    let _ = write!(out, "{name:10}");
    for (number, width) in numbers.iter().zip([12, 11, 9, 9, 9, 9, 9, 9, 9]) {
        let _ = write!(out, " {number:>width$}");
    }
    out.push('\n');
}

fn cells(latencies: &Latencies) -> [String; 10] {
    let Latencies { mean_ms, p50_ms, p90_ms, p99_ms, p999_ms, p9999_ms, max_ms, .. } = latencies;
    let ms = |number: &f64| format!("{number:.3}");
    [
        latencies.command.clone(),
        count(latencies.replies as f64),
        count(latencies.per_second),
        ms(mean_ms),
        ms(p50_ms),
        ms(p90_ms),
        ms(p99_ms),
        ms(p999_ms),
        ms(p9999_ms),
        ms(max_ms),
    ]
}

/// What did not go well, or "no errors".
fn troubles(out: &mut String, summary: &Summary) {
    let errors: u64 = summary.errors.values().sum();
    if errors == 0 && summary.lost_connections == 0 {
        line(out, &format!("no errors; {} nulls", count(summary.nils as f64)));
    } else {
        line(
            out,
            &format!("{} errors; {} nulls", count(errors as f64), count(summary.nils as f64)),
        );
    }
    for (text, times) in &summary.errors {
        line(out, &format!("  {} times: {text}", count(*times as f64)));
    }
    if summary.lost_connections > 0 {
        line(
            out,
            &format!(
                "  {} connections were lost, with {} requests in flight",
                summary.lost_connections, summary.lost_requests
            ),
        );
    }
    if summary.unanswered > 0 {
        line(out, &format!("  {} requests were not answered in time", summary.unanswered));
    }
    if summary.unsent > 0 {
        line(
            out,
            &format!(
                "  {} requests were due and could not be sent before the end: the rate is more than was answered",
                count(summary.unsent as f64)
            ),
        );
    }
    if summary.rate.is_some() {
        line(
            out,
            &format!(
                "latencies count from when a request was due; 99 % were sent at most {:.3} ms after that",
                summary.sent_late_p99_ms
            ),
        );
    }
}

/// A number with its thousands parted.
pub(crate) fn count(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn thousands_are_parted() {
        let shown: Vec<String> = [0.0, 999.4, 1000.0, 1_234_567.0].map(count).into();
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}

//! Prometheus's text format, version 0.0.4.

use crate::stats::{HISTOGRAM_BUCKETS, Histogram};
use std::fmt::{Display, Write};

/// What kind of metric a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only rises; its name ends in `_total`.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Durations by bucket, in seconds.
    Histogram,
}

/// Labels of a sample: names and values.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page under construction.
pub(super) struct Exposition {
    text: String,
}

impl Exposition {
    pub(super) fn new() -> Self {
        Self { text: String::with_capacity(16 << 10) }
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.text
    }

    /// Begins the family `name`; its samples must follow at once.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a String cannot fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One sample of the family begun last.
    pub(super) fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.text.push_str(name);
        for (i, (label, value)) in labels.iter().enumerate() {
            self.text.push(if i == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            self.push_escaped(value);
            self.text.push('"');
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }

    /// A family of one sample without labels.
    pub(super) fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// The samples of one histogram of the family begun last. Buckets in the page are cumulative, and
    /// their bounds are seconds.
    pub(super) fn histogram(&mut self, name: &str, label: (&str, &str), histogram: &Histogram) {
        let bucket_name = format!("{name}_bucket");
        let mut below = 0;
        for i in 0..HISTOGRAM_BUCKETS {
            below += histogram.counts[i];
            let bound = Histogram::bound_us(i);
            let bound = bound.map_or("+Inf".to_owned(), |us| (us as f64 / 1e6).to_string());
            self.sample(&bucket_name, &[label, ("le", &bound)], below);
        }
        self.sample(&format!("{name}_sum"), &[label], histogram.sum_us as f64 / 1e6);
        self.sample(&format!("{name}_count"), &[label], below);
    }

    fn push_escaped(&mut self, value: &str) {
        for c in value.chars() {
            match c {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                c => self.text.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped() {
        let mut page = Exposition::new();
        page.sample("a", &[("l", "x\"y\\z\nw"), ("m", "")], 1);
        assert_eq!(page.finish(), "a{l=\"x\\\"y\\\\z\\nw\",m=\"\"} 1\n");
    }

    #[test]
    fn a_histogram_is_cumulative_and_in_seconds() {
        let mut histogram = Histogram::default();
        for us in [0, 1, 1, 1_000_000] {
            histogram.record(us);
        }
        let mut page = Exposition::new();
        page.histogram("d_seconds", ("command", "get"), &histogram);
        let page = page.finish();
        for line in [
            "d_seconds_bucket{command=\"get\",le=\"0.000001\"} 1\n",
            "d_seconds_bucket{command=\"get\",le=\"0.000002\"} 3\n",
            "d_seconds_bucket{command=\"get\",le=\"0.524288\"} 3\n",
            "d_seconds_bucket{command=\"get\",le=\"1.048576\"} 4\n",
            "d_seconds_bucket{command=\"get\",le=\"+Inf\"} 4\n",
            "d_seconds_sum{command=\"get\"} 1.000002\n",
            "d_seconds_count{command=\"get\"} 4\n",
        ] {
            assert!(page.contains(line), "{line} in {page}");
        }
    }
}

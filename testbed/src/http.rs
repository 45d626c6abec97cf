//! Just enough HTTP to ask the proxy's admin port.

use crate::PATIENCE;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

/// The answer to a GET.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// 200, 404, ...
    pub status: u16,
    /// What follows the headers.
    pub body: String,
}

/// Asks `http://address/path`.
///
/// # Panics
/// When nothing answers.
#[must_use]
pub fn http_get(address: &str, path: &str) -> HttpAnswer {
    let mut stream = TcpStream::connect(address)
        .unwrap_or_else(|error| panic!("cannot connect to the admin port {address}: {error}"));
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set on an open socket");
    // HTTP/1.0 so that the answer is not chunked and ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .unwrap_or_else(|error| panic!("cannot ask {address}{path}: {error}"));
    let mut bytes = Vec::new();
    stream
        .read_to_end(&mut bytes)
        .unwrap_or_else(|error| panic!("no answer from {address}{path}: {error}"));
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    HttpAnswer { status, body: body.to_owned() }
}

/// The sum of a metric over all of its labels, in a Prometheus text; 0 when it is not there.
#[must_use]
pub fn metric_sum(text: &str, name: &str) -> f64 {
    samples(text, name).map(|(_, value)| value).sum()
}

/// A metric's values summed by one label.
#[must_use]
pub fn metric_by_label(text: &str, name: &str, label: &str) -> BTreeMap<String, f64> {
    let start = format!("{label}=\"");
    let mut sums = BTreeMap::new();
    for (labels, value) in samples(text, name) {
        let found = labels.split(',').find_map(|pair| pair.trim().strip_prefix(start.as_str()));
        if let Some(found) = found {
            *sums.entry(found.trim_end_matches('"').to_owned()).or_insert(0.0) += value;
        }
    }
    sums
}

fn samples<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.rsplit_once('}')?,
            None if rest.starts_with(' ') => ("", rest),
            None => return None,
        };
        Some((labels, value.split_whitespace().next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::{metric_by_label, metric_sum};

    const TEXT: &str = "# HELP a_total x\n# TYPE a_total counter\n\
        a_total{shard=\"0\",cmd=\"get\"} 3\na_total{shard=\"1\",cmd=\"get\"} 4\n\
        a_total{shard=\"1\",cmd=\"set\"} 5\na_total_more 9\nb 2\n";

    #[test]
    fn a_metric_is_summed_over_its_labels() {
        assert!((metric_sum(TEXT, "a_total") - 12.0).abs() < 1e-9);
        assert!((metric_sum(TEXT, "b") - 2.0).abs() < 1e-9);
        assert!(metric_sum(TEXT, "c").abs() < 1e-9);
    }

    #[test]
    fn a_metric_is_summed_by_one_label() {
        let sums = metric_by_label(TEXT, "a_total", "shard");
        assert_eq!(sums.into_iter().collect::<Vec<_>>(), [("0".into(), 3.0), ("1".into(), 9.0)]);
    }
}

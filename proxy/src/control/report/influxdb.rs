//! Stats as a line of InfluxDB's protocol, as Codis wrote it: measurement `codis_usage`.

use super::super::state::State;
use super::post::Endpoint;
use super::{Figure, Number, Stats, figures};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;
use std::sync::Arc;
use time::OffsetDateTime;

/// Sends one line.
pub(super) async fn send(state: Arc<State>, endpoint: Arc<Endpoint>) -> Result<(), String> {
    let snapshot = state.snapshot().await;
    let (facts, config) = (&state.facts, &snapshot.config);
    let stats = Stats::of(&state, &snapshot, false);
    let tags = [
        ("token", facts.token.as_str()),
        ("product_name", &config.product_name),
        ("admin_addr", &facts.admin_addr),
        ("proxy_addr", &facts.proxy_addr),
        ("hostname", &facts.hostname),
    ];
    let now = OffsetDateTime::now_utc().unix_timestamp_nanos();
    let line = line(&tags, &figures(&stats), now);
    let database = percent_encoded(&config.metrics_report_influxdb_database);
    let user = &config.metrics_report_influxdb_username;
    let authorization = (!user.is_empty()).then(|| {
        let password = config.metrics_report_influxdb_password.expose();
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
    });
    let below = format!("/write?db={database}&precision=ns");
    endpoint
        .post(&below, "text/plain; charset=utf-8", authorization.as_deref(), line.as_bytes())
        .await
}

fn line(tags: &[(&str, &str)], figures: &[Figure], unix_ns: i128) -> String {
    let mut line = String::from("codis_usage");
    // The protocol has no way to write an empty tag.
    for (name, value) in tags.iter().filter(|(_, value)| !value.is_empty()) {
        // Writing to a String cannot fail.
        let _ = write!(line, ",{name}={}", escaped(value));
    }
    for (i, (name, value)) in figures.iter().enumerate() {
        line.push(if i == 0 { ' ' } else { ',' });
        let _ = match value {
            Number::Whole(number) => write!(line, "{name}={number}i"),
            Number::Fraction(number) => write!(line, "{name}={number}"),
        };
    }
    let _ = writeln!(line, " {unix_ns}");
    line
}

/// The value of a tag, with what ends one escaped. An end of line cannot be.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            ',' | '=' | ' ' => escaped.extend(['\\', c]),
            '\n' | '\r' => escaped.push_str("\\ "),
            c => escaped.push(c),
        }
    }
    escaped
}

/// `text` as a value in a URL's query.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_tags_that_are_escaped_and_typed_fields() {
        let tags = [("product_name", "my demo,a=b"), ("hostname", ""), ("token", "t")];
        let figures = [("ops_total", Number::Whole(7)), ("rusage_cpu", Number::Fraction(0.25))];
        assert_eq!(
            line(&tags, &figures, 123),
            "codis_usage,product_name=my\\ demo\\,a\\=b,token=t ops_total=7i,rusage_cpu=0.25 123\n"
        );
    }

    #[test]
    fn a_database_of_any_name_stays_within_its_place_in_the_url() {
        assert_eq!(percent_encoded("my db&x=1/\u{e9}"), "my%20db%26x%3D1%2F%C3%A9");
    }
}

//! Until when a call is to be answered.

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;

/// How long a change may take where the caller does not say.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// A call is answered so long before its deadline that the answer still arrives; the tenth part of a short one.
const MARGIN_MAX: Duration = Duration::from_millis(100);

/// When a change has to be answered: by the caller's deadline, or after the usual time.
pub(super) fn of_change(metadata: &MetadataMap) -> Instant {
    within(metadata, CHANGE_TIMEOUT)
}

/// When a call has to be answered: by the caller's deadline, or after `usual`.
pub(super) fn within(metadata: &MetadataMap, usual: Duration) -> Instant {
    let given = metadata.get("grpc-timeout").and_then(|value| parse(value.to_str().ok()?));
    let given = given.map(|timeout| timeout - (timeout / 10).min(MARGIN_MAX));
    Instant::now() + given.unwrap_or(usual)
}

/// A gRPC timeout: at most eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let plain = digits.len() <= 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = digits.parse().ok().filter(|_| plain)?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        for (text, timeout) in [
            ("2S", Some(Duration::from_secs(2))),
            ("1500m", Some(Duration::from_millis(1500))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("7u", Some(Duration::from_micros(7))),
            ("100000000S", None),
            ("", None),
            ("S", None),
            ("2", None),
            ("+2S", None),
            ("2€", None),
        ] {
            assert_eq!(parse(text), timeout, "{text}");
        }
    }
}

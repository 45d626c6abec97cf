//! What a request that may block says of time, and of streams' ends.

use crate::command::{CommandId, Streams, ids};
use crate::resp::{Request, write};

/// The least that is left of a wait, in microseconds: 0 would be for ever.
const LEFT_US_MIN: u64 = 1_000;

/// How a timeout is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
}

/// The arguments that matter when a request that blocks is sent again.
#[derive(Debug, PartialEq)]
pub(super) struct Arguments {
    /// Which one is the timeout.
    timeout: usize,
    unit: Unit,
    /// How long it may wait, in microseconds; `None`: for ever, or the server will refuse it.
    pub(super) timeout_us: Option<u64>,
    /// Keys of streams that are to be read from their end on, and where that is said.
    pub(super) from_end: Vec<(u32, u32)>,
}

impl Arguments {
    /// `None`: it does not block.
    pub(super) fn of(id: CommandId, request: &Request<'_>) -> Option<Self> {
        let mut from_end = Vec::new();
        let (timeout, unit) = match id {
            ids::BLMPOP | ids::BZMPOP => (1, Unit::Seconds),
            ids::XREAD | ids::XREADGROUP => {
                let streams = Streams::parse(id, request).ok()?;
                let timeout = streams.block?;
                if id == ids::XREAD {
                    let keys = streams.first..streams.first + streams.count;
                    let from = keys.map(|key| (key, key + streams.count));
                    from_end.extend(from.filter(|(_, from)| request.arg(*from as usize) == b"$"));
                }
                (timeout as usize, Unit::Milliseconds)
            }
            _ => (request.len() - 1, Unit::Seconds),
        };
        let timeout_us = timeout_us(request.arg(timeout), unit);
        Some(Self { timeout, unit, timeout_us, from_end })
    }

    /// The request with `left_us` to wait, and streams' ends named. `None`: as it is.
    pub(super) fn rewrite(
        &self,
        request: &Request<'_>,
        left_us: Option<u64>,
        ends: &[Vec<u8>],
    ) -> Option<Vec<u8>> {
        if left_us.is_none() && ends.is_empty() {
            return None;
        }
        let left = left_us.map(|left| time_left(request.arg(self.timeout), self.unit, left));
        let mut bytes = Vec::with_capacity(request.bytes.len() + 32);
        write::array(&mut bytes, request.len());
        for i in 0..request.len() {
            let end = self.from_end.iter().position(|(_, from)| *from as usize == i);
            match (&left, end.and_then(|place| ends.get(place))) {
                (Some(left), _) if i == self.timeout => write::bulk(&mut bytes, left.as_bytes()),
                (_, Some(end)) => write::bulk(&mut bytes, end),
                _ => write::bulk(&mut bytes, request.arg(i)),
            }
        }
        Some(bytes)
    }
}

fn timeout_us(text: &[u8], unit: Unit) -> Option<u64> {
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let us = number * if unit == Unit::Seconds { 1e6 } else { 1e3 };
    // More than a century is for ever.
    (us > 0.0 && us < 4e15).then_some(us as u64)
}

/// What is left of a timeout, as the client wrote it: Redis 5 knows whole seconds alone.
fn time_left(text: &[u8], unit: Unit, left_us: u64) -> String {
    let left_us = left_us.max(LEFT_US_MIN);
    match unit {
        Unit::Milliseconds => left_us.div_ceil(1_000).to_string(),
        Unit::Seconds if text.iter().all(u8::is_ascii_digit) => {
            left_us.div_ceil(1_000_000).to_string()
        }
        Unit::Seconds => {
            let ms = left_us.div_ceil(1_000);
            format!("{}.{:03}", ms / 1_000, ms % 1_000)
        }
    }
}

/// The last id that a stream has given out, from what XINFO STREAM answers; that of a stream that is not there.
pub(super) fn stream_end(reply: &[u8]) -> Vec<u8> {
    const FIELD: &[u8] = b"$17\r\nlast-generated-id\r\n$";
    // Nothing but numbers comes before it, so what is found is the field.
    let id = memchr::memmem::find(reply, FIELD).and_then(|field| {
        let rest = &reply[field + FIELD.len()..];
        let start = memchr::memchr(b'\n', rest)? + 1;
        let end = memchr::memchr(b'\r', &rest[start..])?;
        Some(rest[start..start + end].to_vec())
    });
    match id {
        Some(id) => id,
        None if reply.starts_with(b"-ERR no such key") => b"0-0".to_vec(),
        // The server says what is wrong when it is read from.
        None => b"$".to_vec(),
    }
}

//! The slow log of a shard.

use super::Engine;
use super::backend::{InFlight, Kind};
use crate::clients::SlowEntry;
use crate::resp::request::strict_integer;
use std::collections::VecDeque;

/// As Redis cuts what it logs: this many arguments...
const ARGS_MAX: usize = 32;
/// ...of this many bytes.
const ARG_BYTES_MAX: usize = 128;

/// The newest slow requests, newest first.
#[derive(Debug, Default)]
pub(super) struct Slowlog {
    entries: VecDeque<SlowEntry>,
    next_id: u64,
}

impl Slowlog {
    fn push(&mut self, mut entry: SlowEntry, len_max: usize) {
        entry.id = self.next_id;
        self.next_id += 1;
        self.entries.push_front(entry);
        self.entries.truncate(len_max);
    }
}

impl Engine {
    /// Logs a request that a backend took long to answer. Its arguments are read from the bytes that
    /// were sent, which are kept until now.
    #[cold]
    pub(super) fn log_slow(&mut self, backend: u32, entry: &InFlight, elapsed_us: u32) {
        if entry.kind == Kind::Ping || self.settings.slowlog_len_max == 0 {
            return;
        }
        let source = &self.backends[backend as usize];
        let args = match source.sent_bytes(entry.offset) {
            Some(bytes) => logged_args(bytes),
            None => vec![entry.command.command().name.as_bytes().to_vec()],
        };
        let session = &self.sessions[entry.session as usize];
        let name = session.identity.as_ref().map_or("", |identity| &identity.name);
        let slow = SlowEntry {
            id: 0,
            unix_time_s: (self.unix_us() - u64::from(elapsed_us)) / 1_000_000,
            duration_us: u64::from(elapsed_us),
            args,
            addr: session.peer.map_or_else(String::new, |peer| peer.to_string()),
            name: name.to_string(),
            backend: source.address.to_string(),
        };
        self.slowlog.push(slow, self.settings.slowlog_len_max);
    }

    /// The slow log, newest first.
    #[must_use]
    pub fn slowlog(&self) -> Vec<SlowEntry> {
        self.slowlog.entries.iter().cloned().collect()
    }

    /// Empties the slow log.
    pub fn reset_slowlog(&mut self) {
        self.slowlog.entries.clear();
    }
}

/// The arguments of the request at the start of `bytes`, cut short. What is not there any more is
/// left out.
fn logged_args(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = bytes;
    let Some(count) = take_number(&mut rest, b'*') else {
        return Vec::new();
    };
    let shown = if count > ARGS_MAX { ARGS_MAX - 1 } else { count };
    let mut args = Vec::with_capacity(shown + 1);
    for _ in 0..shown {
        let Some(len) = take_number(&mut rest, b'$') else {
            break;
        };
        let arg = &rest[..len.min(rest.len())];
        args.push(cut(arg, len));
        rest = rest.get(len + 2..).unwrap_or_default();
    }
    if count > ARGS_MAX {
        args.push(format!("... ({} more arguments)", count - shown).into_bytes());
    }
    args
}

fn cut(arg: &[u8], len: usize) -> Vec<u8> {
    if len <= ARG_BYTES_MAX {
        return arg.to_vec();
    }
    let mut text = arg[..ARG_BYTES_MAX.min(arg.len())].to_vec();
    text.extend_from_slice(format!("... ({} more bytes)", len - ARG_BYTES_MAX).as_bytes());
    text
}

fn take_number(bytes: &mut &[u8], kind: u8) -> Option<usize> {
    let text = bytes.strip_prefix(&[kind])?;
    let end = memchr::memchr(b'\r', text)?;
    let number = strict_integer(&text[..end])?;
    *bytes = text.get(end + 2..)?;
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::write;

    #[test]
    fn arguments_are_cut_as_redis_cuts_them() {
        let long = b"v".repeat(200);
        let mut bytes = Vec::new();
        write::request(&mut bytes, &[b"SET", b"key", &long]);
        let args = logged_args(&bytes);
        assert_eq!(args[..2], [b"SET".to_vec(), b"key".to_vec()]);
        assert_eq!(args[2], [&long[..128], b"... (72 more bytes)"].concat());

        let many: Vec<&[u8]> = std::iter::repeat_n(&b"a"[..], 40).collect();
        bytes.clear();
        write::request(&mut bytes, &many);
        let args = logged_args(&bytes);
        assert_eq!(args.len(), 32);
        assert_eq!(args[31], b"... (9 more arguments)");
    }

    #[test]
    fn a_request_whose_end_was_sent_in_another_piece_is_logged_as_far_as_it_is_here() {
        let mut bytes = Vec::new();
        write::request(&mut bytes, &[b"SET", b"key", b"value"]);
        for end in 0..bytes.len() {
            assert!(logged_args(&bytes[..end]).len() <= 3);
        }
    }
}

//! MONITOR: every request that this proxy runs, as a line, to whoever asked for it.
//!
//! While somebody monitors, on whichever shard, each session has a flag that sends its requests the way of those that
//! are looked at first; so nobody pays for it otherwise. A line goes to the monitors of its own shard at once, and once a
//! turn to those of the others, by way of the control thread, which says who monitors.

use super::dispatch::Flow;
use super::session::Flags;
use super::{CutReason, Effect, Engine};
use crate::clients;
use crate::command::{self, CommandId, ids};
use crate::resp::Request;
use std::collections::BTreeSet;
use std::io::Write;

/// More of an argument is not shown.
const ARG_BYTES_MAX: usize = 64 * 1024;

/// What may write by other means; servers do not say so in COMMAND.
const MAY_REPLICATE: [CommandId; 5] =
    [ids::EVAL, ids::EVALSHA, ids::FCALL, ids::PUBLISH, ids::SPUBLISH];

/// What stands for a password.
const REDACTED: &[u8] = b"(redacted)";

/// Who monitors.
#[derive(Debug, Default)]
pub(super) struct Monitors {
    /// Anybody in the process.
    on: bool,
    /// Anybody on another shard.
    elsewhere: bool,
    /// Sessions of this shard.
    sessions: Vec<u32>,
    /// What the other shards have yet to be told.
    lines: Vec<u8>,
}

impl Monitors {
    /// Whether anybody monitors.
    #[inline]
    pub(super) fn on(&self) -> bool {
        self.on
    }

    /// Shows nothing until it is set back to what this answers.
    pub(super) fn pause(&mut self) -> bool {
        std::mem::take(&mut self.on)
    }

    pub(super) fn set_back(&mut self, on: bool) {
        self.on = on;
    }
}

impl Engine {
    /// These are the shards that have monitors now.
    pub fn on_monitoring(&mut self, shards: &BTreeSet<usize>) {
        self.monitors.on = !shards.is_empty();
        self.monitors.elsewhere = shards.iter().any(|shard| *shard != self.shard);
        for (_, session) in &mut self.sessions {
            match self.monitors.on {
                true => session.flags.set(Flags::WATCHED),
                false => session.flags.unset(Flags::WATCHED),
            }
        }
    }

    /// Lines have come from another shard.
    pub fn on_monitor_lines(&mut self, lines: &[u8]) {
        let monitors = std::mem::take(&mut self.monitors.sessions);
        for session in &monitors {
            self.push_to_session(*session, lines);
            let held = self.sessions[*session as usize].reply_bytes();
            if held > self.settings.monitor_output_bytes_max {
                self.cut(*session, CutReason::Output);
            }
        }
        self.monitors.sessions = monitors;
    }

    /// The control thread has answered a session that monitors, or has asked to.
    pub(super) fn on_monitor_answer(&mut self, session: u32, reply: &[u8]) {
        if self.monitors.sessions.contains(&session) {
            return;
        }
        if reply.starts_with(b"+") {
            self.monitors.sessions.push(session);
        } else {
            self.end_monitor(session);
        }
    }

    /// A session that monitors, or has asked to, is closed or RESET.
    pub(super) fn end_monitor(&mut self, session: u32) {
        let target = &mut self.sessions[session as usize];
        if target.flags.has(Flags::MONITOR) {
            target.flags.unset(Flags::MONITOR);
            self.effects.push(Effect::MonitorEnded { client: target.client });
            self.monitors.sessions.retain(|monitor| *monitor != session);
        }
    }

    /// Why a session that monitors may not run a command. The words are those of Redis.
    pub(super) fn refuse_to_monitor(&mut self, session: u32, id: CommandId) -> Option<Flow> {
        let keyspace = command::Flags::of(&[command::Flags::WRITE, command::Flags::READONLY]);
        let refused = id.command().flags.any(keyspace) || MAY_REPLICATE.contains(&id);
        refused.then(|| self.reject(session, id, "ERR Replica can't interact with the keyspace"))
    }

    /// Shows a request that has been run.
    pub(super) fn show_to_monitors(
        &mut self,
        session: u32,
        database: u16,
        id: CommandId,
        request: &Request<'_>,
    ) {
        let hidden = command::Flags::of(&[command::Flags::ADMIN, command::Flags::SKIP_MONITOR]);
        let Some(target) = self.sessions.get(session as usize) else { return };
        if !self.monitors.on || id.command().flags.any(hidden) {
            return;
        }
        let mut line = Vec::with_capacity(request.bytes.len().min(ARG_BYTES_MAX) + 64);
        let (now, peer) = (self.unix_us(), clients::address(target.peer));
        // Writing to memory cannot fail.
        let _ = write!(line, "+{}.{:06} [{database} {peer}]", now / 1_000_000, now % 1_000_000);
        for arg in 0..request.len() {
            line.push(b' ');
            let shown = if is_secret(id, request, arg) { REDACTED } else { request.arg(arg) };
            quote(&mut line, shown);
        }
        line.extend_from_slice(b"\r\n");
        self.on_monitor_lines(&line);
        if self.monitors.elsewhere {
            self.monitors.lines.extend_from_slice(&line);
        }
    }

    /// Hands on what the other shards have yet to be told.
    #[inline]
    pub(super) fn send_monitor_lines(&mut self) {
        if !self.monitors.lines.is_empty() {
            let lines = std::mem::take(&mut self.monitors.lines);
            self.effects.push(Effect::Monitored { lines });
        }
    }
}

/// Whether an argument is a part of the credentials of AUTH or HELLO.
fn is_secret(id: CommandId, request: &Request<'_>, arg: usize) -> bool {
    match id {
        ids::AUTH => arg > 0,
        ids::HELLO => {
            let names_auth = |at: usize| request.arg(at).eq_ignore_ascii_case(b"AUTH");
            (2..arg).any(|at| at + 2 >= arg && names_auth(at))
        }
        _ => false,
    }
}

/// Appends an argument as Redis writes it.
fn quote(line: &mut Vec<u8>, arg: &[u8]) {
    line.push(b'"');
    for &byte in &arg[..arg.len().min(ARG_BYTES_MAX)] {
        match byte {
            b'\\' | b'"' => line.extend_from_slice(&[b'\\', byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            7 => line.extend_from_slice(b"\\a"),
            8 => line.extend_from_slice(b"\\b"),
            b' '..=b'~' => line.push(byte),
            _ => {
                let _ = write!(line, "\\x{byte:02x}");
            }
        }
    }
    if arg.len() > ARG_BYTES_MAX {
        let _ = write!(line, "... ({} more bytes)", arg.len() - ARG_BYTES_MAX);
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Span;

    #[test]
    fn an_argument_is_written_as_redis_writes_it() {
        let mut line = Vec::new();
        quote(&mut line, b"a \"b\"\\\r\n\t\x07\x08\x00\xff~");
        assert_eq!(line, br#""a \"b\"\\\r\n\t\a\b\x00\xff~""#);
    }

    #[test]
    fn a_long_argument_is_cut_and_says_so() {
        let mut line = Vec::new();
        quote(&mut line, &vec![b'a'; ARG_BYTES_MAX + 3]);
        assert!(line.ends_with(b"aa... (3 more bytes)\""));
    }

    #[test]
    fn credentials_are_secret_wherever_they_stand() {
        let secrets = |id, text: &'static str| {
            let words: Vec<&str> = text.split(' ').collect();
            let mut start = 0;
            let spans: Vec<Span> = words
                .iter()
                .map(|word| {
                    let span = Span { start, len: word.len() as u32 };
                    start += span.len + 1;
                    span
                })
                .collect();
            let request = Request { bytes: text.as_bytes(), args: &spans };
            let secret = (0..words.len()).filter(|arg| is_secret(id, &request, *arg));
            secret.map(|arg| words[arg]).collect::<Vec<_>>()
        };
        assert_eq!(secrets(ids::AUTH, "AUTH user pass"), ["user", "pass"]);
        assert_eq!(secrets(ids::HELLO, "HELLO 3 auth u p SETNAME n"), ["u", "p"]);
        assert_eq!(secrets(ids::HELLO, "HELLO 3 SETNAME n AUTH u p"), ["u", "p"]);
        assert!(secrets(ids::GET, "GET auth").is_empty());
    }
}

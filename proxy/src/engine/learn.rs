//! Commands that the table does not have: those of modules, of newer servers, renamed ones.
//!
//! The first request with such a name waits while a server is asked `COMMAND INFO`; the answer is
//! remembered. What a server knows and whose keys stand at fixed places is then routed like any other
//! command.

use super::Engine;
use super::backend::{Body, InFlight, Kind, Role, State};
use super::dispatch::{Flow, since_us};
use super::route::{Way, is_reserved};
use super::session::Flags;
use super::session::Stall;
use crate::command::{CROSSSLOT, CommandId};
use crate::resp::reply::{Scan, Scanner};
use crate::resp::request::strict_integer;
use crate::resp::{Protocol, Request, write};
use crate::slots;
use ahash::AHashMap;

/// How many names are remembered; with more than that, new ones are unknown.
const NAMES_MAX: usize = 1024;

/// Longer names are not asked for.
const NAME_BYTES_MAX: usize = 64;

/// How long a server's "no" counts, in microseconds: a module may be loaded meanwhile.
const ABSENT_US: u64 = 10_000_000;

/// What servers have said of names that the table does not have.
#[derive(Debug, Default)]
pub(super) struct Learned {
    names: AHashMap<Box<[u8]>, u32>,
    known: Vec<Known>,
}

#[derive(Debug)]
enum Known {
    /// A server has been asked; these sessions wait.
    Asked(Vec<u32>),
    /// No server knows it, as of this time.
    Absent(u64),
    /// It is known.
    Present(Facts),
}

/// What a server says of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    first: i64,
    last: i64,
    step: i64,
    read_only: bool,
    /// Its keys stand elsewhere, or it may block the connection.
    unfit: bool,
}

/// What to do with a request whose name the table does not have.
enum Verdict {
    Unknown,
    Wait,
    Ask(u32),
    Run(Facts),
}

impl Engine {
    /// Runs a command that the table does not have, if a server knows it. `None`: nobody does.
    #[cold]
    pub(super) fn run_learned(&mut self, session: u32, request: &Request<'_>) -> Option<Flow> {
        let name = request.arg(0).to_ascii_lowercase();
        match self.learned.verdict(&name, self.now_us) {
            Verdict::Unknown => None,
            Verdict::Run(facts) => Some(self.forward_learned(session, facts, request)),
            Verdict::Wait => Some(self.wait_for_facts(session, &name)),
            Verdict::Ask(place) => {
                let backend = self.ready_master()?;
                self.learned.known[place as usize] = Known::Asked(Vec::new());
                let mut bytes = Vec::new();
                write::request(&mut bytes, &[b"COMMAND", b"INFO", &name]);
                let entry = InFlight {
                    session: 0,
                    sequence: place,
                    since_us: since_us(self.now_us),
                    offset: 0,
                    command: crate::command::ids::COMMAND_INFO,
                    kind: Kind::Learn,
                };
                self.push(backend, entry, Body::Copy(&bytes));
                Some(self.wait_for_facts(session, &name))
            }
        }
    }

    fn wait_for_facts(&mut self, session: u32, name: &[u8]) -> Flow {
        self.sessions[session as usize].stall = Stall::Learning;
        if let Some(waiters) = self.learned.waiters(name)
            && !waiters.contains(&session)
        {
            waiters.push(session);
        }
        Flow::Wait
    }

    /// A connection to some master that can answer now and has room.
    fn ready_master(&self) -> Option<u32> {
        let (index, _) = self.backends.iter().find(|(index, backend)| {
            backend.state == State::Ready
                && !backend.replica
                && !backend.retired
                && backend.role == Role::Shared
                && backend.protocol == Protocol::Resp2
                && !self.is_full(*index as u32)
        })?;
        Some(index as u32)
    }

    /// Takes a server's answer, or that there will be none, and lets the sessions go on.
    pub(super) fn on_facts(&mut self, place: u32, reply: &[u8]) {
        let known = match facts(reply) {
            Some(facts) => Known::Present(facts),
            None => Known::Absent(self.now_us),
        };
        let before = std::mem::replace(&mut self.learned.known[place as usize], known);
        if let Known::Asked(waiters) = before {
            for session in waiters {
                self.make_resumable(session);
            }
        }
    }

    fn forward_learned(&mut self, session: u32, facts: Facts, request: &Request<'_>) -> Flow {
        let command = CommandId::LEARNED;
        let name = || String::from_utf8_lossy(request.arg(0)).into_owned();
        if facts.unfit || facts.first <= 0 {
            let text = format!(
                "ERR '{}' is not supported by this proxy: its keys are not at fixed places, or it \
                 may block",
                name()
            );
            return self.reject(session, command, &text);
        }
        let len = request.len() as i64;
        let last = if facts.last < 0 { len + facts.last } else { facts.last }.min(len - 1);
        if facts.first > last {
            let text = format!("ERR wrong number of arguments for '{}' command", name());
            return self.reject(session, command, &text);
        }
        let mut keys = (facts.first..=last).step_by(facts.step.max(1) as usize);
        if keys.clone().any(|key| is_reserved(request.arg(key as usize))) {
            return self.refuse_reserved(session, command);
        }
        let slot_of = |key: i64| slots::slot(request.arg(key as usize));
        let slot = slot_of(facts.first);
        if keys.any(|key| slot_of(key) != slot) {
            return self.reject(session, command, CROSSSLOT);
        }
        let target = &mut self.sessions[session as usize];
        target.last_command = command;
        if target.flags.has(Flags::MULTI) {
            let keys: Vec<u32> = (facts.first..=last)
                .step_by(facts.step.max(1) as usize)
                .map(|key| key as u32)
                .collect();
            return self.queue_keys(session, command, &keys, request);
        }
        let lane = self.sessions[session as usize].lane();
        let replicas_too = self.may_read_replicas(session, facts.read_only);
        match self.route(slot, lane, replicas_too) {
            Way::To(backend) => self.send(session, backend, command, request),
            Way::Follow => {
                let keys = (facts.first..=last).step_by(facts.step.max(1) as usize);
                let keys: Vec<u32> = keys.map(|key| key as u32).collect();
                self.follow(session, command, slot, &keys, facts.read_only, request)
            }
            Way::Nowhere(reason) => self.no_route(session, command, slot, reason),
        }
    }
}

impl Learned {
    fn verdict(&mut self, name: &[u8], now_us: u64) -> Verdict {
        if let Some(&place) = self.names.get(name) {
            return match &self.known[place as usize] {
                Known::Asked(_) => Verdict::Wait,
                Known::Present(facts) => Verdict::Run(*facts),
                Known::Absent(since) if now_us - since < ABSENT_US => Verdict::Unknown,
                Known::Absent(_) => Verdict::Ask(place),
            };
        }
        let fit = name.len() <= NAME_BYTES_MAX && name.iter().all(u8::is_ascii_graphic);
        if !fit {
            return Verdict::Unknown;
        }
        if self.known.len() < NAMES_MAX {
            self.known.push(Known::Absent(0));
            let place = (self.known.len() - 1) as u32;
            self.names.insert(name.into(), place);
            return Verdict::Ask(place);
        }
        // Full: the place of a name that is known to be nothing is taken over.
        let stale = |known: &Known| matches!(known, Known::Absent(at) if now_us - at >= ABSENT_US);
        let Some(place) = self.known.iter().position(stale) else { return Verdict::Unknown };
        self.names.retain(|_, taken| *taken as usize != place);
        self.names.insert(name.into(), place as u32);
        Verdict::Ask(place as u32)
    }

    fn waiters(&mut self, name: &[u8]) -> Option<&mut Vec<u32>> {
        match &mut self.known[*self.names.get(name)? as usize] {
            Known::Asked(waiters) => Some(waiters),
            _ => None,
        }
    }

    /// Whether a session waits for a server's answer; for the engine's own audit.
    pub(super) fn is_waiting(&self, session: u32) -> bool {
        let asks = |known: &Known| matches!(known, Known::Asked(w) if w.contains(&session));
        self.known.iter().any(asks)
    }
}

/// The facts in an answer to `COMMAND INFO`: an array of one entry, which is name, arity, flags, first
/// key, last key, step and more; or a null.
fn facts(reply: &[u8]) -> Option<Facts> {
    let mut rest = after_header(reply, b'*')?;
    rest = after_header(rest, b'*')?;
    element(&mut rest)?;
    element(&mut rest)?;
    let flags = element(&mut rest)?;
    let has = |flag: &str| {
        flags.split(|byte| *byte == b'\n').any(|line| {
            line.strip_prefix(b"+").is_some_and(|text| text.trim_ascii_end() == flag.as_bytes())
        })
    };
    Some(Facts {
        first: integer(&mut rest)?,
        last: integer(&mut rest)?,
        step: integer(&mut rest)?,
        read_only: has("readonly"),
        unfit: has("movablekeys") || has("blocking") || has("pubsub"),
    })
}

/// What follows the header of an array that is not empty.
fn after_header(bytes: &[u8], kind: u8) -> Option<&[u8]> {
    let line_end = memchr::memchr(b'\n', bytes)?;
    let line = bytes.get(..line_end)?.strip_prefix(&[kind])?.strip_suffix(b"\r")?;
    (strict_integer(line)? > 0).then(|| &bytes[line_end + 1..])
}

fn element<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    match Scanner::default().scan(rest) {
        Ok(Scan::End(end)) => {
            let (element, after) = rest.split_at(end);
            *rest = after;
            Some(element)
        }
        _ => None,
    }
}

fn integer(rest: &mut &[u8]) -> Option<i64> {
    strict_integer(element(rest)?.strip_prefix(b":")?.strip_suffix(b"\r\n")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_are_read_from_a_servers_answer() {
        let reply = b"*1\r\n*10\r\n$8\r\njson.get\r\n:-2\r\n*2\r\n+readonly\r\n+module\r\n:1\r\n:1\r\n:1\r\n\
                      *0\r\n*0\r\n*0\r\n*0\r\n";
        let expected = Facts { first: 1, last: 1, step: 1, read_only: true, unfit: false };
        assert_eq!(facts(reply), Some(expected));
        let blocking = b"*1\r\n*6\r\n$1\r\nb\r\n:-2\r\n*1\r\n+blocking\r\n:1\r\n:-1\r\n:2\r\n";
        let expected = Facts { first: 1, last: -1, step: 2, read_only: false, unfit: true };
        assert_eq!(facts(blocking), Some(expected));
        for none in [&b"*1\r\n*-1\r\n"[..], b"*1\r\n$-1\r\n", b"-ERR no\r\n", b"*0\r\n", b"*1\r\n"]
        {
            assert_eq!(facts(none), None, "{}", none.escape_ascii());
        }
    }

    #[test]
    fn names_are_bounded_and_an_old_no_makes_room() {
        let mut learned = Learned::default();
        for i in 0..NAMES_MAX {
            assert!(matches!(learned.verdict(format!("n{i}").as_bytes(), 1), Verdict::Ask(_)));
            learned.known[i] = Known::Absent(1);
        }
        assert!(matches!(learned.verdict(b"n5", 2), Verdict::Unknown));
        assert!(matches!(learned.verdict(b"more", 2), Verdict::Unknown));
        assert!(matches!(learned.verdict(b"more", 1 + ABSENT_US), Verdict::Ask(_)));
        assert_eq!(learned.names.len(), NAMES_MAX);
        assert!(matches!(learned.verdict(&b"x".repeat(65), 1), Verdict::Unknown));
        assert!(matches!(learned.verdict(b"a b", 1), Verdict::Unknown));
    }
}

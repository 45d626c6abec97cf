//! WAIT and WAITAOF: how many replicas, and files, have what a session wrote.
//!
//! Everything that the session wrote has been answered when its fan begins. A mark that is written to each master now stands
//! behind all of it, so whoever has the mark has that too; WAIT is asked for the mark, on a connection that does
//! nothing else, since it blocks it. That connection is everybody's: it is asked in rounds of a few milliseconds,
//! each for the least that anyone wants, and a session that wants more, or began to wait during the round, goes on into
//! the next one. So nobody's wait is held up by a longer one.

use super::super::Engine;
use super::super::backend::{Body, InFlight, Kind};
use super::super::dispatch::{Flow, since_us};
use super::super::session::Flags;
use super::{Part, Work, read};
use crate::command::{CommandId, ids};
use crate::resp::request::strict_integer;
use crate::resp::{Request, write};
use crate::topology::Address;
use codis_proto::WAIT_KEY;
use std::sync::Arc;

/// How long a round takes at most, in milliseconds.
const ROUND_MS: u64 = 50;

/// What has acknowledged the writes of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Acks {
    /// WAITAOF: whether the master's file has to have them, or has them. `None`: WAIT.
    local: Option<i64>,
    replicas: i64,
}

/// A session's wait at one master.
#[derive(Debug)]
struct Waiting {
    fan: u32,
    part: u32,
    wants: Acks,
    /// When it takes what there is; `None`: never.
    due_us: Option<u64>,
    /// The first round whose mark is behind its writes.
    round: u64,
}

/// All that wait at one master.
#[derive(Debug)]
pub(super) struct Line {
    address: Address,
    waiting: Vec<Waiting>,
    /// The present round, or the last one.
    round: u64,
    /// What is asked, while it is.
    asked: Option<Option<i64>>,
    /// The error that the mark met.
    failed: Option<Vec<u8>>,
}

impl Acks {
    /// The arguments of WAIT or WAITAOF, and the timeout in milliseconds.
    fn read(id: CommandId, request: &Request<'_>) -> Result<(Self, u64), &'static str> {
        let integer = |at: usize| strict_integer(request.arg(at));
        let last = request.len() - 1;
        let not_an_integer = "ERR value is not an integer or out of range";
        let mut wants = Self { local: None, replicas: 0 };
        if id == ids::WAITAOF {
            let local = integer(1).ok_or(not_an_integer)?;
            if !(0..=1).contains(&local) {
                return Err("ERR value is out of range, value must between 0 and 1");
            }
            wants.local = Some(local);
        }
        wants.replicas = integer(last - 1).ok_or(not_an_integer)?;
        if wants.local.is_some() && wants.replicas < 0 {
            return Err("ERR value is out of range, must be positive");
        }
        let timeout = integer(last).ok_or("ERR timeout is not an integer or out of range")?;
        Ok((wants, u64::try_from(timeout).map_err(|_| "ERR timeout is negative")?))
    }

    /// What a server answers.
    fn of(reply: &[u8]) -> Option<Self> {
        if let Some(replicas) = read::integer(reply) {
            return Some(Self { local: None, replicas });
        }
        let mut numbers = read::elements(reply)?.map(read::integer);
        let local = Some(numbers.next()??);
        Some(Self { local, replicas: numbers.next()?? })
    }

    fn least(self, other: Self) -> Self {
        let local = self.local.zip(other.local).map(|(a, b)| a.min(b));
        Self { local, replicas: self.replicas.min(other.replicas) }
    }

    fn suffice(self, wants: Self) -> bool {
        self.replicas >= wants.replicas && self.local.unwrap_or(0) >= wants.local.unwrap_or(0)
    }

    fn reply(self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(local) = self.local {
            write::array(&mut out, 2);
            write::integer(&mut out, local);
        }
        write::integer(&mut out, self.replicas);
        out
    }
}

/// The least of what all masters answer, or the first error.
pub(super) fn merge(parts: &[Part]) -> Vec<u8> {
    let mut least: Option<Acks> = None;
    for part in parts {
        let Some(acks) = Acks::of(&part.reply) else { return part.reply.clone() };
        least = Some(least.map_or(acks, |least| least.least(acks)));
    }
    least.map_or_else(Vec::new, Acks::reply)
}

impl Engine {
    /// Runs `WAIT replicas timeout` or `WAITAOF local replicas timeout`.
    pub(super) fn wait_for_acks(
        &mut self,
        session: u32,
        id: CommandId,
        request: &Request<'_>,
    ) -> Flow {
        let (wants, timeout_ms) = match Acks::read(id, request) {
            Ok(read) => read,
            Err(text) => return self.reject(session, id, text),
        };
        let masters = self.masters();
        if masters.is_empty() {
            return self.refuse_nowhere(session, id);
        }
        let fan = self.begin(session, id, Work::Acks);
        let due_us =
            (timeout_ms > 0).then(|| self.now_us.saturating_add(timeout_ms.saturating_mul(1000)));
        let mut lines = Vec::new();
        for master in masters {
            let part = self.fans.fans[fan as usize].expect(master.number);
            let line = self.line_at(self.routes.address(master.server));
            let target = &mut self.fans.lines[line as usize];
            let round = target.round + 1;
            target.waiting.push(Waiting { fan, part, wants, due_us, round });
            lines.push(line);
        }
        lines.into_iter().for_each(|line| self.next_round(line));
        Flow::Next
    }

    fn line_at(&mut self, address: Address) -> u32 {
        let lines = &mut self.fans.lines;
        let known = lines.iter().find(|(_, line)| line.address == address);
        let known = known.map(|(index, _)| index);
        known.unwrap_or_else(|| {
            let waiting = Vec::new();
            lines.insert(Line { address, waiting, round: 0, asked: None, failed: None })
        }) as u32
    }

    /// Asks the master what those who wait there want to know, unless it is being asked.
    fn next_round(&mut self, index: u32) {
        if self.fans.lines[index as usize].asked.is_some() {
            return;
        }
        self.drop_gone(index);
        let Some(line) = self.fans.lines.get(index as usize) else { return };
        let Some(first) = line.waiting.first() else {
            self.fans.lines.remove(index as usize);
            return;
        };
        let kind = first.wants.local;
        let address = Arc::clone(&line.address);
        match self.waiter(&address) {
            Some(backend) if self.backends[backend as usize].takes_requests() => {
                self.ask_round(index, backend, kind);
            }
            Some(backend) => {
                let target = &self.backends[backend as usize];
                let text = format!("ERR backend {address} is down: {}", target.last_error);
                self.fail_line(index, &super::error(&text));
            }
            None => {
                let text = format!("ERR {address} is the master of no group any more");
                self.fail_line(index, &super::error(&text));
            }
        }
    }

    fn ask_round(&mut self, index: u32, backend: u32, kind: Option<i64>) {
        let now_us = self.now_us;
        let line = &mut self.fans.lines[index as usize];
        line.round += 1;
        line.asked = Some(kind);
        let alike = || line.waiting.iter().filter(|waiting| waiting.wants.local == kind);
        // Nobody waits for no replica; and a fresh mark has none yet.
        let replicas = alike().map(|waiting| waiting.wants.replicas).min().unwrap_or(1).max(1);
        let left_ms = |due_us: u64| due_us.saturating_sub(now_us).div_ceil(1000);
        let left = alike().filter_map(|waiting| waiting.due_us.map(left_ms)).min();
        let wait_ms = left.unwrap_or(ROUND_MS).clamp(1, ROUND_MS).to_string();
        let replicas = replicas.to_string();
        let (replicas, wait_ms) = (replicas.as_bytes(), wait_ms.as_bytes());
        let local = kind.unwrap_or(0).to_string();
        let question: &[&[u8]] = match kind {
            None => &[b"WAIT", replicas, wait_ms],
            Some(_) => &[b"WAITAOF", local.as_bytes(), replicas, wait_ms],
        };
        let mark: &[&[u8]] = &[b"SET", WAIT_KEY.as_bytes(), b"1"];
        for (part, words) in (0..).zip([mark, question]) {
            let mut bytes = Vec::new();
            write::request(&mut bytes, words);
            let entry = InFlight {
                session: part,
                sequence: index,
                since_us: since_us(self.now_us),
                offset: 0,
                command: ids::WAIT,
                kind: Kind::Acks,
            };
            self.push(backend, entry, Body::Copy(&bytes));
        }
    }

    /// Takes the reply to a round's mark (part 0), or to its question.
    pub(in super::super) fn on_acks(&mut self, index: u32, part: u32, reply: &[u8]) {
        let line = &mut self.fans.lines[index as usize];
        if part == 0 {
            line.failed = read::error(reply).map(|_| reply.to_vec());
            return;
        }
        let kind = line.asked.take().flatten();
        let failed = line.failed.take();
        let unknown = reply.starts_with(b"-ERR unknown command");
        let acks = match failed {
            Some(error) => Err(error),
            None if kind.is_some() && unknown => Err(super::error(&format!(
                "ERR WAITAOF needs Redis 7.2, and {} does not know it",
                line.address
            ))),
            None => Acks::of(reply).ok_or_else(|| reply.to_vec()),
        };
        self.end_acks_round(index, kind, &acks);
        self.next_round(index);
    }

    /// Answers those who have what they want, or want to wait no longer.
    fn end_acks_round(&mut self, index: u32, kind: Option<i64>, acks: &Result<Acks, Vec<u8>>) {
        let now_us = self.now_us;
        let line = &mut self.fans.lines[index as usize];
        let round = line.round;
        let ends = |waiting: &mut Waiting| {
            waiting.wants.local == kind
                && waiting.round <= round
                && match acks {
                    Ok(acks) => {
                        acks.suffice(waiting.wants)
                            || waiting.due_us.is_some_and(|due_us| due_us <= now_us)
                    }
                    Err(_) => true,
                }
        };
        let ended: Vec<Waiting> = line.waiting.extract_if(.., ends).collect();
        // Who wants something of another kind is asked for next.
        let others = line.waiting.iter().position(|waiting| waiting.wants.local != kind);
        if let Some(place) = others {
            line.waiting.rotate_left(place);
        }
        for waiting in ended {
            let reply = acks.as_ref().map_or_else(Vec::clone, |acks| acks.reply());
            self.on_fan_part(waiting.fan, waiting.part, &reply);
        }
    }

    /// Drops the waits of sessions that are no more.
    fn drop_gone(&mut self, index: u32) {
        let Self { sessions, fans, .. } = self;
        let gone = |waiting: &mut Waiting| {
            let session = fans.fans[waiting.fan as usize].session;
            sessions[session as usize].flags.has(Flags::DEAD | Flags::GONE)
        };
        let gone: Vec<Waiting> = fans.lines[index as usize].waiting.extract_if(.., gone).collect();
        for waiting in gone {
            self.on_fan_part(waiting.fan, waiting.part, b":0\r\n");
        }
    }

    fn fail_line(&mut self, index: u32, error: &[u8]) {
        let line = self.fans.lines.remove(index as usize);
        for waiting in line.waiting {
            self.on_fan_part(waiting.fan, waiting.part, error);
        }
    }
}

impl super::Fans {
    /// How many parts of a fan wait for acknowledgements; for the engine's own audit.
    pub(super) fn waits_of(&self, fan: usize) -> u16 {
        let lines = self.lines.iter().flat_map(|(_, line)| &line.waiting);
        lines.filter(|waiting| waiting.fan as usize == fan).count() as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_all_masters_is_the_answer_and_an_error_of_any() {
        let part = |reply: &str| Part { group: 1, reply: reply.as_bytes().to_vec() };
        assert_eq!(merge(&[part(":2\r\n"), part(":1\r\n")]), b":1\r\n");
        let both = [part("*2\r\n:1\r\n:3\r\n"), part("*2\r\n:0\r\n:4\r\n")];
        assert_eq!(merge(&both), b"*2\r\n:0\r\n:3\r\n");
        assert_eq!(merge(&[part(":2\r\n"), part("-ERR no\r\n")]), b"-ERR no\r\n");
    }
}

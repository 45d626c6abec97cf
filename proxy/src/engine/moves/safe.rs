//! Whether what was copied to a target is safe there, so that the source's copy may go.
//!
//! A connection of its own to the target's master, since WAIT blocks its connection and counts what was
//! written before on it alone. One question at a time; the keys that come meanwhile share the next one.

use super::super::Engine;
use super::{Call, Step, What};
use crate::topology::{Address, Durability, SlotState};
use codis_proto::WAIT_KEY;
use std::sync::Arc;

/// How long a target is asked to wait at once, in milliseconds.
const WAIT_MS: &[u8] = b"100";

/// What stands before a target.
#[derive(Debug, Default)]
pub(super) struct Safe {
    queue: Vec<u32>,
    /// A question is under way.
    asked: bool,
}

impl Safe {
    pub(super) fn holds(&self, job: u32) -> bool {
        self.queue.contains(&job)
    }

    pub(super) fn retain(&mut self, mut goes_on: impl FnMut(u32) -> bool) {
        self.queue.retain(|job| goes_on(*job));
    }
}

/// What a target was asked.
#[derive(Debug)]
pub(super) struct Question {
    target: Address,
    pub(super) jobs: Vec<u32>,
    durability: Durability,
    /// Replies that have not come.
    missing: u8,
    acknowledged: bool,
    /// The first error.
    error: Option<String>,
}

impl Question {
    /// Takes a reply that is no error. The first one is that to the marker.
    fn take(&mut self, part: u32, reply: &[u8]) {
        let integer = |line: &[u8]| crate::resp::request::strict_integer(line.trim_ascii_end());
        let lines = || reply.split(|byte| *byte == b'\n');
        match (part, self.durability) {
            (1, Durability::Aof) => {
                let local = lines().nth(1).and_then(|line| integer(line.strip_prefix(b":")?));
                self.acknowledged = local.is_some_and(|count| count >= 1);
            }
            (1, _) => {
                let count = reply.strip_prefix(b":").and_then(integer);
                self.acknowledged = count.is_some_and(|count| count >= 1);
            }
            // There is nobody to wait for.
            (2, _) => {
                self.acknowledged |=
                    lines().any(|line| line.trim_ascii_end() == b"connected_slaves:0");
            }
            _ => {}
        }
    }
}

impl Engine {
    /// Whether the old copy of a key of this slot stays until the new one is safe.
    pub(super) fn moves_by_copy(&self, slot: u16) -> bool {
        let topology = &self.routes.topology;
        let SlotState::Migrating { to, .. } = topology.slots[usize::from(slot)].state else {
            return true;
        };
        match topology.moves.map(|rules| rules.durability) {
            Some(Durability::None) => false,
            Some(Durability::Replica) => topology.group(to).has_replicas,
            Some(Durability::Aof) | None => true,
        }
    }

    /// The target has a job's key: waits until its copy is safe.
    pub(super) fn make_safe(&mut self, index: u32) {
        if !super::drop_if_cancelled(&mut self.moves.jobs, index) {
            return;
        }
        let job = &mut self.moves.jobs[index as usize];
        job.step = Step::Copied;
        let target = Arc::clone(&job.target);
        self.moves.safes.entry(Arc::clone(&target)).or_default().queue.push(index);
        self.mark_safe(&target);
    }

    /// Has the target asked before the turn ends.
    pub(super) fn mark_safe(&mut self, target: &Address) {
        if !self.moves.dirty_safes.contains(target) {
            self.moves.dirty_safes.push(Arc::clone(target));
        }
    }

    pub(super) fn ask_whether_safe(&mut self, target: &Address) {
        let moves = &mut self.moves;
        let Some(safe) = moves.safes.get_mut(target) else { return };
        if safe.asked {
            return;
        }
        let jobs = std::mem::take(&mut safe.queue);
        if jobs.is_empty() {
            moves.safes.remove(target);
            return;
        }
        let durability = self.rules().map_or(Durability::Replica, |rules| rules.durability);
        if durability == Durability::None {
            self.moves.safes.remove(target);
            return self.unlink(jobs);
        }
        let Some(backend) = self.waiter(target) else {
            self.moves.safes.remove(target);
            return self.give_up_all(jobs, "the target is no server of the topology");
        };
        let server = &self.backends[backend as usize];
        if !server.takes_requests() {
            let words = format!("the server {target} is down: {}", server.last_error);
            self.moves.safes.remove(target);
            return self.give_up_all(jobs, &words);
        }
        self.ask_target(backend, target, jobs, durability);
    }

    fn ask_target(
        &mut self,
        backend: u32,
        target: &Address,
        jobs: Vec<u32>,
        durability: Durability,
    ) {
        let wait: &[&[u8]] = match durability {
            Durability::Aof => &[b"WAITAOF", b"1", b"0", WAIT_MS],
            Durability::Replica | Durability::None => &[b"WAIT", b"1", WAIT_MS],
        };
        let marker: &[&[u8]] = &[b"SET", WAIT_KEY.as_bytes(), b"1"];
        let info: &[&[u8]] = &[b"INFO", b"replication"];
        let requests = match durability {
            Durability::Aof => vec![marker, wait],
            Durability::Replica | Durability::None => vec![marker, wait, info],
        };
        if let Some(safe) = self.moves.safes.get_mut(target) {
            safe.asked = true;
        }
        let question = Question {
            target: Arc::clone(target),
            jobs,
            durability,
            missing: requests.len() as u8,
            acknowledged: false,
            error: None,
        };
        let call = self.moves.calls.insert(Call { backend, what: What::Safe(question) }) as u32;
        for (part, request) in (0..).zip(requests) {
            self.call(backend, call, part, request);
        }
    }

    /// Takes a reply to the question, or the words of an error; answers whether it was the last one.
    pub(super) fn on_safe_part(
        question: &mut Question,
        part: u32,
        reply: Result<&[u8], &str>,
    ) -> bool {
        match reply {
            Ok(reply) => question.take(part, reply),
            Err(words) => _ = question.error.get_or_insert_with(|| words.to_owned()),
        }
        question.missing -= 1;
        question.missing == 0
    }

    /// All replies to a question have come.
    pub(super) fn on_safe(&mut self, question: Question) {
        let Question { target, jobs, durability, acknowledged, error, .. } = question;
        if let Some(safe) = self.moves.safes.get_mut(&target) {
            safe.asked = false;
        }
        self.mark_safe(&target);
        let jobs = self.moves.drop_cancelled(jobs);
        match error {
            Some(words) => self.give_up_all(jobs, &unsafe_words(durability, &target, &words)),
            None if acknowledged => self.unlink(jobs),
            None => {
                let words = format!(
                    "no replica of {target} has acknowledged it, as migration_durability asks for"
                );
                jobs.into_iter().for_each(|job| self.pause(job, true, &words));
            }
        }
    }
}

/// Why nobody can say whether a copy is safe.
fn unsafe_words(durability: Durability, target: &Address, words: &str) -> String {
    if durability == Durability::Aof && words.contains("unknown command") {
        return format!(
            "migration_durability \"aof\" needs Redis 7.2 at the target, and {target} does not know \
             WAITAOF: set it to \"replica\" or \"none\""
        );
    }
    format!(
        "{target} cannot say whether it is safe there, as migration_durability asks for: {words}"
    )
}

//! The life of a job: begun by the first request that wants the key, ended when the key has left, when it cannot, when
//! nobody waits for it any more, or when a newer topology ends the move.

use super::super::Engine;
use super::super::lane::Lane;
use super::super::route::Route;
use super::memory::Place;
use super::{Job, Outcome, Step, drop_if_cancelled};
use crate::slots;
use crate::topology::{MoveRules, SlotState};
use std::cmp::Reverse;
use std::rc::Rc;

/// The pause before a key is asked for again; it doubles...
const PAUSE_US_MIN: u64 = 5_000;

/// ...up to this.
const PAUSE_US_MAX: u64 = 50_000;

/// How much of a server's words is shown.
const WORDS_BYTES_MAX: usize = 300;

impl Engine {
    pub(super) fn rules(&self) -> Option<MoveRules> {
        self.routes.topology.moves
    }

    /// Where a key of a slot that migrates is, for the memory.
    pub(super) fn place(&self, slot: u16, database: u16) -> Option<Place> {
        match self.routes.topology.slots[usize::from(slot)].state {
            SlotState::Migrating { since, .. } => Some(Place { slot, database, since }),
            _ => None,
        }
    }

    /// The job of a key; a new one where there is none. `None` where the key's slot does not migrate.
    pub(super) fn job_for(&mut self, database: u16, key: &[u8]) -> Option<u32> {
        if let Some(job) = self.moves.job_of(database, key) {
            return Some(job);
        }
        let slot = slots::slot(key);
        let Route::Migrating { from, to } = self.routes.slots[usize::from(slot)] else {
            return None;
        };
        let place = self.place(slot, database)?;
        let backend = self.backend_at(from, Lane::own(database), slot);
        let key: Rc<[u8]> = key.into();
        let job = self.moves.jobs.insert(Job {
            place,
            key: Rc::clone(&key),
            backend,
            target: self.routes.address(to),
            waiters: Vec::new(),
            step: Step::Queued,
            big: false,
            alone: false,
            cancelled: false,
            pause_us: PAUSE_US_MIN,
        }) as u32;
        self.moves.by_key.entry(database).or_default().insert(key, job);
        self.counters.moves.keys_asked += 1;
        self.enqueue(job);
        Some(job)
    }

    /// The key has left.
    pub(super) fn finish(&mut self, job: u32) {
        let job = self.moves.remove_job(job);
        if job.cancelled {
            return;
        }
        self.moves.memory.insert(job.place, &job.key);
        for (session, round) in job.waiters {
            if let Some(wait) = self.moves.wait(session, round) {
                wait.missing -= 1;
                if wait.missing == 0 {
                    self.make_resumable(session);
                }
            }
        }
    }

    /// The key cannot be moved, by these words.
    pub(super) fn give_up(&mut self, job: u32, words: &str) {
        let job = self.moves.remove_job(job);
        self.counters.moves.failures += u64::from(!job.cancelled);
        let text = self.move_error(job.place.slot, words);
        for (session, round) in job.waiters {
            self.end_round(session, round, Outcome::Failed(text.clone()));
        }
    }

    /// A wait has come to an end, if it has not before.
    pub(super) fn end_round(&mut self, session: u32, round: u64, outcome: Outcome) {
        if let Some(wait) = self.moves.wait(session, round)
            && wait.outcome.is_none()
        {
            wait.outcome = Some(outcome);
            self.make_resumable(session);
        }
    }

    /// The sentence for a client whose request was not run.
    pub(super) fn move_error(&self, slot: u16, words: &str) -> String {
        let topology = &self.routes.topology;
        let way = match topology.slots[usize::from(slot)].state {
            SlotState::Migrating { from, to, .. } => {
                let (from, to) = (topology.group(from).id, topology.group(to).id);
                format!(" from group {from} to group {to}")
            }
            _ => String::new(),
        };
        let mut words = words.trim_end();
        while words.len() > WORDS_BYTES_MAX {
            let end = (0..=WORDS_BYTES_MAX).rev().find(|end| words.is_char_boundary(*end));
            words = &words[..end.unwrap_or(0)];
        }
        format!(
            "ERR slot {slot} is moving{way}, and a key of the request could not be moved, so that the \
             command was not run: {words}"
        )
    }

    /// Lets a job wait a moment, for those whose patience is not over; `words` say why.
    pub(super) fn pause(&mut self, index: u32, copied: bool, words: &str) {
        let Some(rules) = self.rules() else { return self.give_up(index, words) };
        if !drop_if_cancelled(&mut self.moves.jobs, index) {
            return;
        }
        let job = &mut self.moves.jobs[index as usize];
        let patience_ms = if job.big { rules.big_patience_ms } else { rules.patience_ms };
        let mut due_us = self.now_us + job.pause_us;
        let (slot, waiters) = (job.place.slot, std::mem::take(&mut job.waiters));
        let mut staying = Vec::with_capacity(waiters.len());
        for (session, round) in waiters {
            let Some(wait) = self.moves.wait(session, round) else { continue };
            let end_us = wait.began_us.saturating_add(patience_ms.saturating_mul(1000));
            if end_us <= self.now_us {
                self.counters.moves.failures += 1;
                let text = self.move_error(slot, words);
                self.end_round(session, round, Outcome::Failed(text));
            } else {
                due_us = due_us.min(end_us);
                staying.push((session, round));
            }
        }
        let job = &mut self.moves.jobs[index as usize];
        job.waiters = staying;
        if job.waiters.is_empty() && !job.big {
            self.moves.remove_job(index);
            return;
        }
        job.pause_us = (2 * job.pause_us).min(PAUSE_US_MAX);
        job.step = Step::Paused { due_us, copied };
        self.moves.paused.push(Reverse((due_us, index)));
    }

    /// Lets paused jobs go on that are due.
    #[cold]
    pub(in super::super) fn end_pauses(&mut self) {
        while let Some(&Reverse((due, index))) = self.moves.paused.peek() {
            if due > self.now_us {
                break;
            }
            self.moves.paused.pop();
            let Some(job) = self.moves.jobs.get(index as usize) else { continue };
            let Step::Paused { due_us, copied } = job.step else { continue };
            if due_us != due {
                continue;
            }
            // A big key's job stays for a while, so that reads need not ask each time whether it is big.
            if job.waiters.is_empty() {
                self.moves.remove_job(index);
            } else if copied {
                self.make_safe(index);
            } else {
                self.enqueue(index);
            }
        }
    }

    /// Ends the moves that the newest topology does not go on with. What is under way is not followed by another
    /// step; what it may still do at the source is waited for like any other request there ([`super::settle`]).
    pub(in super::super) fn keep_moves_true(&mut self) {
        if self.moves.jobs.is_empty() && self.moves.memory.is_empty() {
            return;
        }
        let Self { routes, moves, .. } = self;
        moves.memory.retain(|slot, moving_since| {
            let state = routes.topology.slots[usize::from(slot)].state;
            matches!(state, SlotState::Migrating { since, .. } if since == moving_since)
        });
        let live = self.moves.jobs.iter().filter(|(_, job)| !job.cancelled);
        let live = live.map(|(index, _)| index as u32);
        let ended: Vec<u32> = live.filter(|index| !self.goes_on(*index)).collect();
        for index in ended {
            self.cancel(index);
        }
        self.moves.drop_cancelled_queues();
        for line in self.moves.lines.iter().map(|(line, _)| line as u32).collect::<Vec<_>>() {
            self.mark_line(line);
        }
    }

    /// Whether the newest topology would have a job's key move from the same server to the same target.
    pub(super) fn goes_on(&self, job: u32) -> bool {
        let job = &self.moves.jobs[job as usize];
        let Place { slot, database, .. } = job.place;
        match self.routes.newest(usize::from(slot)) {
            Route::Migrating { from, to } => {
                self.place(slot, database) == Some(job.place)
                    && self.routes.servers[usize::from(from)]
                        .connections()
                        .any(|b| b == job.backend)
                    && self.routes.address(to) == job.target
            }
            _ => false,
        }
    }

    pub(super) fn cancel(&mut self, index: u32) {
        let job = &mut self.moves.jobs[index as usize];
        job.cancelled = true;
        let (key, database, step) = (Rc::clone(&job.key), job.place.database, job.step);
        let waiters = std::mem::take(&mut job.waiters);
        self.moves.unname(&key, database);
        if matches!(step, Step::Paused { .. }) {
            self.moves.jobs.remove(index as usize);
        }
        for (session, round) in waiters {
            if self.moves.wait(session, round).is_some() {
                self.make_resumable(session);
            }
        }
    }
}

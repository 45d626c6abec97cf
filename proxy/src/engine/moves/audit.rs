//! What must hold of keys that move, between turns.

use super::super::Engine;
use super::{Moves, RunId, Step, What};
use std::cmp::Reverse;

impl Moves {
    /// Whether a session's next request waits for something that is under way.
    pub(in super::super) fn is_waiting(&self, session: u32, next: u32) -> bool {
        let Some(wait) = self.waits.get(&session) else { return false };
        let names = |(waiter, round): &(u32, u64)| *waiter == session && *round == wait.round;
        let waited = self.jobs.iter().filter(|(_, job)| job.waiters.iter().any(names)).count() > 0;
        let reads = self.calls.iter().any(|(_, call)| match &call.what {
            What::Look(looking) => names(&looking.name()),
            What::Read(reading) => names(&reading.name()),
            _ => false,
        });
        wait.sequence == next && wait.missing > 0 && wait.outcome.is_none() && (waited || reads)
    }

    /// Where a job is to be found, by its step.
    fn audit_job(&self, index: u32) -> Result<(), String> {
        let job = &self.jobs[index as usize];
        let found = match job.step {
            Step::Queued => self.lines.iter().any(|(_, line)| line.queue.contains(&index)),
            Step::Paused { due_us, .. } => {
                self.paused.iter().any(|Reverse(entry)| *entry == (due_us, index))
            }
            Step::Called => self.calls.iter().any(|(_, call)| match &call.what {
                What::Script { jobs, .. } | What::Unlink { jobs } => jobs.contains(&index),
                _ => false,
            }),
            Step::Copied => {
                self.safes.values().any(|safe| safe.holds(index))
                    || self.calls.iter().any(|(_, call)| match &call.what {
                        What::Safe(question) => question.jobs.contains(&index),
                        _ => false,
                    })
            }
        };
        if !found {
            return Err(format!("a key's job is nowhere at its step {:?}", job.step));
        }
        let named = self.job_of(job.place.database, &job.key) == Some(index);
        if named == job.cancelled {
            return Err("a key's job has no name, or has one though it is over".into());
        }
        Ok(())
    }
}

impl Engine {
    /// For the engine's own audit.
    pub(in super::super) fn audit_moves(&self) -> Result<(), String> {
        let moves = &self.moves;
        if moves.pending() {
            return Err("moves were asked for and not sent".into());
        }
        if moves.memory.waiting() != moves.waits.len() {
            return Err("the memory of moved keys counts waits that are over".into());
        }
        for (index, job) in &moves.jobs {
            moves.audit_job(index as u32)?;
            if !job.cancelled && !self.goes_on(index as u32) {
                return Err("a key moves that no slot lets move".into());
            }
        }
        for (_, line) in &moves.lines {
            let idle = line.calls == 0 && line.queue.is_empty();
            let asked = || {
                let source = self.backends.get(line.backend as usize);
                source.is_some_and(|source| source.run_id == RunId::Asked)
            };
            if idle || (line.calls == 0 && !asked()) {
                return Err("keys stand in a line that nobody looks at".into());
            }
        }
        Ok(())
    }
}

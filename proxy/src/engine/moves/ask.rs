//! Calls to the sources: who is to move what.
//!
//! All that was asked for in a turn stands in lines when the turn ends, and what comes while a line's calls are
//! under way gathers behind them: one MIGRATE of many keys is far cheaper than many.

use super::super::Engine;
use super::super::backend::{Body, InFlight, Kind, State};
use super::super::dispatch::since_us;
use super::{Call, Line, RunId, Step, What};
use crate::command::ids;
use crate::resp::write;
use codis_proto::moves::{self, Script, Target};
use std::collections::VecDeque;
use std::sync::Arc;

/// How many keys a call names...
pub(super) const CALL_KEYS_MAX: usize = 64;

/// ...with names of how many bytes, unless one is longer...
const CALL_NAME_BYTES_MAX: usize = 256 * 1024;

/// ...and how many bytes of values it moves: the source serves nobody else meanwhile.
const CALL_BYTES_MAX: u64 = 512 * 1024;

/// How many calls of a line are under way: one that runs, and one for the source to go on with.
const LINE_CALLS_MAX: usize = 2;

impl Engine {
    /// Puts a job into its line.
    pub(super) fn enqueue(&mut self, job: u32) {
        let line = self.line_for(job);
        self.moves.jobs[job as usize].step = Step::Queued;
        self.moves.lines[line as usize].queue.push_back(job);
        self.mark_line(line);
    }

    fn line_for(&mut self, job: u32) -> u32 {
        let job = &self.moves.jobs[job as usize];
        let (backend, target) = (job.backend, &job.target);
        let lines = &mut self.moves.lines;
        *self.moves.line_of.entry((backend, Arc::clone(target))).or_insert_with(|| {
            let target = Arc::clone(target);
            lines.insert(Line { backend, target, queue: VecDeque::new(), calls: 0, dirty: false })
                as u32
        })
    }

    /// Puts a job that was not tried back to the front of its line.
    pub(super) fn enqueue_first(&mut self, job: u32, line: u32) {
        if super::drop_if_cancelled(&mut self.moves.jobs, job) {
            self.moves.jobs[job as usize].step = Step::Queued;
            self.moves.lines[line as usize].queue.push_front(job);
        }
    }

    /// Has the line looked at before the turn ends.
    pub(super) fn mark_line(&mut self, line: u32) {
        if !std::mem::replace(&mut self.moves.lines[line as usize].dirty, true) {
            self.moves.dirty_lines.push(line);
        }
    }

    /// Has all lines of a connection looked at.
    pub(super) fn mark_lines_of(&mut self, backend: u32) {
        let lines = self.moves.lines.iter().filter(|(_, line)| line.backend == backend);
        let lines: Vec<u32> = lines.map(|(line, _)| line as u32).collect();
        lines.into_iter().for_each(|line| self.mark_line(line));
    }

    /// Sends what gathered during the turn.
    #[cold]
    pub(in super::super) fn send_moves(&mut self) {
        while let Some(line) = self.moves.dirty_lines.pop() {
            self.send_line(line);
        }
        while let Some(target) = self.moves.dirty_safes.pop() {
            self.ask_whether_safe(&target);
        }
    }

    fn send_line(&mut self, index: u32) {
        let moves = &mut self.moves;
        let line = &mut moves.lines[index as usize];
        line.dirty = false;
        if line.queue.is_empty() {
            if line.calls == 0 {
                let line = moves.lines.remove(index as usize);
                moves.line_of.remove(&(line.backend, line.target));
            }
            return;
        }
        let source = &mut self.backends[line.backend as usize];
        if !source.takes_requests() {
            let words = format!("the server {} is down: {}", source.address, source.last_error);
            return self.give_up_line(index, &words);
        }
        match source.run_id {
            RunId::Asked => {}
            RunId::Unknown => {
                source.run_id = RunId::Asked;
                let backend = line.backend;
                let call = moves.calls.insert(Call { backend, what: What::RunId });
                self.call(backend, call as u32, 0, &[b"INFO", b"server"]);
            }
            RunId::Known(_) => self.send_scripts(index),
        }
    }

    fn send_scripts(&mut self, index: u32) {
        while let line = &mut self.moves.lines[index as usize]
            && line.calls < LINE_CALLS_MAX
            && !line.queue.is_empty()
        {
            let mut jobs = Vec::new();
            let mut bytes = 0;
            while let Some(&job) = line.queue.front()
                && jobs.len() < CALL_KEYS_MAX
                && bytes < CALL_NAME_BYTES_MAX
            {
                let job_of = &mut self.moves.jobs[job as usize];
                if job_of.alone && !jobs.is_empty() {
                    break;
                }
                line.queue.pop_front();
                job_of.step = Step::Called;
                bytes += job_of.key.len();
                jobs.push(job);
                if job_of.alone {
                    break;
                }
            }
            self.call_script(index, jobs, Script::Sha1);
        }
    }

    /// Calls the script for these jobs of a line.
    pub(super) fn call_script(&mut self, index: u32, jobs: Vec<u32>, script: Script) {
        let line = &self.moves.lines[index as usize];
        let (backend, address) = (line.backend, Arc::clone(&line.target));
        let first = &self.moves.jobs[jobs[0] as usize];
        let (database, slot) = (first.place.database, first.place.slot);
        let copy = self.moves_by_copy(slot);
        let (Some(rules), RunId::Known(run_id)) =
            (self.rules(), &self.backends[backend as usize].run_id)
        else {
            return self.give_up_all(jobs, "the source has to be asked anew");
        };
        let target = Target {
            address: &address,
            database: u32::from(database),
            password: &self.settings.product_auth,
            timeout_ms: rules.timeout_ms,
            copy,
            big_bytes: rules.big_bytes,
            big_elements: rules.big_elements,
            budget_bytes: CALL_BYTES_MAX,
        };
        let keys: Vec<&[u8]> =
            jobs.iter().map(|job| &*self.moves.jobs[*job as usize].key).collect();
        let Some(arguments) = target.arguments(script, run_id, &keys) else {
            let words = format!("no server can be told to connect to {address}: it has no port");
            return self.give_up_all(jobs, &words);
        };
        self.moves.lines[index as usize].calls += 1;
        let what = What::Script { line: index, jobs, copy };
        let call = self.moves.calls.insert(Call { backend, what }) as u32;
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        self.call(backend, call, 0, &arguments);
    }

    /// The old copies of these jobs' keys go: those at the target are safe.
    pub(super) fn unlink(&mut self, mut jobs: Vec<u32>) {
        // Keys of one connection next to each other.
        jobs.sort_by_key(|job| self.moves.jobs[*job as usize].backend);
        let same = |a: &u32, b: &u32| {
            self.moves.jobs[*a as usize].backend == self.moves.jobs[*b as usize].backend
        };
        let groups: Vec<Vec<u32>> = jobs
            .chunk_by(same)
            .flat_map(|group| group.chunks(CALL_KEYS_MAX))
            .map(<[u32]>::to_vec)
            .collect();
        for jobs in groups {
            let first = &self.moves.jobs[jobs[0] as usize];
            let (backend, target) = (first.backend, Arc::clone(&first.target));
            let source = &self.backends[backend as usize];
            let (State::Ready, RunId::Known(run_id)) = (source.state, &source.run_id) else {
                // Another connection: from the beginning.
                jobs.into_iter().for_each(|job| self.enqueue(job));
                continue;
            };
            let keys: Vec<&[u8]> =
                jobs.iter().map(|job| &*self.moves.jobs[*job as usize].key).collect();
            let database = u32::from(first.place.database);
            let arguments = moves::unlink_arguments(run_id, &target, database, &keys);
            for job in &jobs {
                self.moves.jobs[*job as usize].step = Step::Called;
            }
            let call = self.moves.calls.insert(Call { backend, what: What::Unlink { jobs } });
            let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
            self.call(backend, call as u32, 0, &arguments);
        }
    }

    /// Sends one request of a call. The limits on what is in flight are for clients' requests: there are
    /// few calls at a time.
    pub(super) fn call(&mut self, backend: u32, call: u32, part: u32, arguments: &[&[u8]]) {
        let mut bytes = Vec::new();
        write::request(&mut bytes, arguments);
        self.call_bytes(backend, call, part, &bytes);
    }

    pub(super) fn call_bytes(&mut self, backend: u32, call: u32, part: u32, bytes: &[u8]) {
        let entry = InFlight {
            session: part,
            sequence: call,
            since_us: since_us(self.now_us),
            offset: 0,
            command: ids::EVALSHA,
            kind: Kind::Move,
        };
        self.push(backend, entry, Body::Copy(bytes));
    }

    /// Gives up all that stands in a line.
    pub(super) fn give_up_line(&mut self, line: u32, words: &str) {
        let queue = std::mem::take(&mut self.moves.lines[line as usize].queue);
        self.give_up_all(queue.into(), words);
        self.mark_line(line);
    }

    pub(super) fn give_up_all(&mut self, jobs: Vec<u32>, words: &str) {
        for job in jobs {
            self.give_up(job, words);
        }
    }
}

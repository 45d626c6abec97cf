//! Reads of big keys, which go on at the source until the migrator has moved them.
//!
//! The target is asked first whether it has the key. Where it has, the read goes there: what the source has is
//! equal, or has come back when the source was started anew from an old snapshot. Else the read goes to the source, followed by
//! EXISTS on the same connection. A key that has gone cannot come back on one connection, so if it is there after
//! the read, it was there during it, and nothing but the migrator's copy can have happened at the target: the answer
//! stands. Else the request goes the common way. The answer is held until then. The connection to the source must have
//! stood before the target was asked: else the key may have gone and come back in between.

use super::super::backend::State;
use super::super::dispatch::{Flow, since_us};
use super::super::everywhere::runs_script;
use super::super::route::Route;
use super::super::{CutReason, Effect, Engine};
use super::{Call, Job, Outcome, Step, What};
use crate::command::CommandId;
use crate::resp::Request;
use crate::slots;
use std::rc::Rc;

/// The longest name of a key that the migrator is told of.
const WANTED_BYTES_MAX: usize = 4 << 10;

/// The question whether the target has a key that is to be read.
#[derive(Debug)]
pub(super) struct Looking {
    session: u32,
    round: u64,
    slot: u16,
    standing: Standing,
}

impl Looking {
    /// The wait that it ends.
    pub(super) fn name(&self) -> (u32, u64) {
        (self.session, self.round)
    }
}

/// A read that is under way.
#[derive(Debug)]
pub(super) struct Reading {
    session: u32,
    round: u64,
    database: u16,
    key: Rc<[u8]>,
    since_us: u32,
    reply: Vec<u8>,
    /// What EXISTS says; or the words of why it says nothing.
    exists: Result<bool, String>,
}

impl Reading {
    /// The wait that it ends.
    pub(super) fn name(&self) -> (u32, u64) {
        (self.session, self.round)
    }

    /// Takes a reply; answers whether it was the last one.
    pub(super) fn take(&mut self, part: u32, reply: Result<&[u8], &str>) -> bool {
        match (part, reply) {
            (0, Ok(reply)) => self.reply.extend_from_slice(reply),
            // The server's error is the answer; where the connection is lost, EXISTS says so too.
            (0, Err(words)) => self.reply = format!("-{words}\r\n").into_bytes(),
            (_, Ok(reply)) => self.exists = Ok(reply == b":1\r\n"),
            (_, Err(words)) => self.exists = Err(words.to_owned()),
        }
        part == 1
    }
}

/// A connection, told from an earlier or later one of the same backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    backend: u64,
    /// When its present state began.
    since_us: u64,
}

impl Engine {
    /// The source says that a job's key is big. Reads go there; for others the migrator is told that it is wanted.
    pub(super) fn on_big(&mut self, index: u32) {
        let Job { waiters, big, .. } = &mut self.moves.jobs[index as usize];
        *big = true;
        let waiters = std::mem::take(waiters);
        let mut others = Vec::new();
        for (session, round) in waiters {
            match self.moves.wait(session, round) {
                Some(wait) if wait.reads => self.make_resumable(session),
                Some(_) => others.push((session, round)),
                None => {}
            }
        }
        let job = &mut self.moves.jobs[index as usize];
        if !others.is_empty() && job.key.len() <= WANTED_BYTES_MAX {
            let (database, key) = (job.place.database, job.key.to_vec());
            self.effects.push(Effect::Wanted { database, key });
        }
        self.moves.jobs[index as usize].waiters = others;
        self.pause(
            index,
            false,
            "it is big, and is being moved in pieces: read it, or write later",
        );
    }

    /// The next step of the read of a key, where that is big, or the target was asked for it; `looked` is what it
    /// said. The connections are the session's own, which answer in its protocol. The slot waited for all
    /// connections to its source before it began to migrate, so that nothing is overtaken.
    pub(super) fn read_big(
        &mut self,
        session: u32,
        id: CommandId,
        (database, key): (u16, &[u8]),
        request: &Request<'_>,
        looked: Option<&Outcome>,
    ) -> Option<Flow> {
        let is_big =
            self.moves.job_of(database, key).is_some_and(|job| self.moves.jobs[job as usize].big);
        if looked.is_none() && !is_big {
            return None;
        }
        let slot = slots::slot(key);
        let Route::Migrating { from, to } = self.routes.slots[usize::from(slot)] else {
            return None;
        };
        let lane = self.sessions[session as usize].lane();
        let (source, target) = (self.backend_at(from, lane, slot), self.backend_at(to, lane, slot));
        match looked {
            Some(Outcome::AtTarget) => {
                if runs_script(id) {
                    self.before_script(target, id, request);
                }
                Some(self.send(session, target, id, request))
            }
            Some(Outcome::NotAtTarget(standing)) if *standing == self.connection_to(source) => {
                Some(self.read_at_source(session, id, source, (database, key), request))
            }
            _ => is_big.then(|| self.look_at_target(session, id, (source, target), key)),
        }
    }

    fn connection_to(&self, backend: u32) -> Standing {
        let backend = &self.backends[backend as usize];
        Standing { backend: backend.serial, since_us: backend.since_us }
    }

    /// Whether a question that a client waits for can be sent now; else what becomes of the request.
    fn takes_question(&mut self, session: u32, id: CommandId, backend: u32) -> Option<Flow> {
        if !self.backends[backend as usize].takes_requests() {
            return Some(self.refuse_down(session, id, backend));
        }
        self.is_full(backend).then(|| self.wait_for(session, backend))
    }

    /// Asks the target whether it has a big key that is to be read, once there is a connection to the source.
    fn look_at_target(
        &mut self,
        session: u32,
        id: CommandId,
        (source, target): (u32, u32),
        key: &[u8],
    ) -> Flow {
        for backend in [source, target] {
            if let Some(flow) = self.takes_question(session, id, backend) {
                return flow;
            }
        }
        if self.backends[source as usize].state != State::Ready {
            if self.backends[source as usize].state == State::Idle {
                self.connect(source);
            }
            return self.wait_for(session, source);
        }
        let round = self.begin_wait(session, 1, true);
        let standing = self.connection_to(source);
        let what = What::Look(Looking { session, round, slot: slots::slot(key), standing });
        let call = self.moves.calls.insert(Call { backend: target, what }) as u32;
        self.call(target, call, 0, &[b"EXISTS", key]);
        Flow::Wait
    }

    /// The target has said whether it has the key.
    pub(super) fn on_look(&mut self, looking: Looking, reply: Result<&[u8], &str>) {
        let Looking { session, round, slot, standing } = looking;
        let outcome = match reply {
            Ok(b":1\r\n") => Outcome::AtTarget,
            Ok(_) => Outcome::NotAtTarget(standing),
            Err(words) => Outcome::Failed(self.move_error(slot, words)),
        };
        self.end_round(session, round, outcome);
    }

    /// Sends the read of a key to the source.
    fn read_at_source(
        &mut self,
        session: u32,
        id: CommandId,
        backend: u32,
        (database, key): (u16, &[u8]),
        request: &Request<'_>,
    ) -> Flow {
        if let Some(flow) = self.takes_question(session, id, backend) {
            return flow;
        }
        let key: Rc<[u8]> = key.into();
        let round = self.begin_wait(session, 1, true);
        let reading = Reading {
            session,
            round,
            database,
            key: Rc::clone(&key),
            since_us: since_us(self.now_us),
            reply: Vec::new(),
            exists: Ok(false),
        };
        let call = self.moves.calls.insert(Call { backend, what: What::Read(reading) }) as u32;
        self.call_bytes(backend, call, 0, request.bytes);
        self.call(backend, call, 1, &[b"EXISTS", &key]);
        Flow::Wait
    }

    /// All that was to come of a read has come.
    pub(super) fn on_read(&mut self, reading: Reading) {
        let Reading { session, round, database, key, since_us, reply, exists } = reading;
        match exists {
            Ok(true) => self.end_round(session, round, Outcome::Answer { reply, since_us }),
            Ok(false) => {
                self.ask_anew(database, &key);
                if self.moves.wait(session, round).is_some() {
                    self.make_resumable(session);
                }
            }
            Err(words) => {
                let text = self.move_error(slots::slot(&key), &words);
                self.end_round(session, round, Outcome::Failed(text));
            }
        }
    }

    /// A big key is not at its source any more.
    fn ask_anew(&mut self, database: u16, key: &[u8]) {
        let Some(index) = self.moves.job_of(database, key) else { return };
        let job = &mut self.moves.jobs[index as usize];
        job.big = false;
        if matches!(job.step, Step::Paused { .. }) {
            self.enqueue(index);
        }
    }

    /// A piece of a reply to a part of a call that has not ended; answers whether it is still wanted.
    pub(in super::super) fn holds_piece(&mut self, call: u32, held: usize) -> bool {
        let What::Read(Reading { session, round, .. }) = self.moves.calls[call as usize].what
        else {
            return true;
        };
        if self.moves.wait(session, round).is_none() {
            return false;
        }
        let fits =
            held + self.sessions[session as usize].reply_bytes() <= self.settings.output_bytes_hard;
        if !fits {
            self.cut(session, CutReason::Output);
        }
        fits
    }
}

//! Reads of big keys, which go on at the source until the migrator has moved them.
//!
//! The read is followed by EXISTS on the same connection. A key that has gone cannot come back to the source, so
//! if it is there after the read, it was there during it, and nothing but the migrator's copy can have happened at
//! the target: the answer stands. Else the request goes the common way. The answer is held until then.

use super::super::dispatch::{Flow, since_us};
use super::super::route::Route;
use super::super::{CutReason, Engine};
use super::{Call, Job, Outcome, Step, What};
use crate::command::CommandId;
use crate::resp::Request;
use crate::slots;
use std::rc::Rc;

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

impl Engine {
    /// The source says that a job's key is big.
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
        self.moves.jobs[index as usize].waiters = others;
        self.pause(
            index,
            false,
            "it is big, and is being moved in pieces: read it, or write later",
        );
    }

    /// The session's own connection to the source of a job's key: it answers in the session's protocol. The slot waited
    /// for all connections to its source before it began to migrate, so that nothing is overtaken.
    pub(super) fn source_of(&mut self, session: u32, job: u32) -> Option<u32> {
        let slot = self.moves.jobs[job as usize].place.slot;
        let Route::Migrating { from, .. } = self.routes.slots[usize::from(slot)] else {
            return None;
        };
        let lane = self.sessions[session as usize].lane();
        Some(self.backend_at(from, lane, slot))
    }

    /// Sends the read of a job's key to the source.
    pub(super) fn read_at_source(
        &mut self,
        session: u32,
        id: CommandId,
        job: u32,
        backend: u32,
        request: &Request<'_>,
    ) -> Flow {
        let Job { place, ref key, .. } = self.moves.jobs[job as usize];
        let key = Rc::clone(key);
        if !self.backends[backend as usize].takes_requests() {
            return self.refuse_down(session, id, backend);
        }
        if self.is_full(backend) {
            return self.wait_for(session, backend);
        }
        let round = self.begin_wait(session, 1, true);
        let reading = Reading {
            session,
            round,
            database: place.database,
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

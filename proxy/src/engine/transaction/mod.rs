//! Transactions: MULTI, EXEC, DISCARD, WATCH and UNWATCH.
//!
//! A transaction needs no connection of its own: what MULTI begins is queued here ([`queue`]), where each request is
//! looked at as the server would - known, enough arguments, keys of one slot - and leaves at EXEC as one piece, MULTI
//! and EXEC around it, on the connection that everybody's requests take ([`exec`]). Nothing can come between the bytes
//! of one piece, and an EXEC that is never sent leaves nothing behind. So a transaction costs its client no round trip
//! more than at a server, and it moves with its slot like a single request: until EXEC it is nowhere.
//!
//! What concerns no slot - PING, PUBLISH, INFO, DBSIZE - is not sent along. It runs when the server has answered EXEC, as
//! if it came right behind, and its reply takes its place among EXEC's: an array is nothing but its replies after a
//! header.
//!
//! WATCH does need a connection that nobody else's EXEC is sent on ([`watch`], [`super::dedicated`]).

mod exec;
mod queue;
mod watch;

pub(super) use watch::Watch;

use super::Engine;
use super::dispatch::Flow;
use super::session::Flags;
use crate::command::{CommandId, Local};
use crate::resp::{Request, Span};
use std::collections::VecDeque;

/// What MULTI has begun.
#[derive(Debug)]
pub(super) struct Transaction {
    /// A request was refused: EXEC will be too.
    aborted: bool,
    /// The slot of all keys.
    slot: Option<u16>,
    /// The database that the next request is for.
    database: u16,
    queue: Vec<Queued>,
    /// The requests that go to the server, one after the other.
    bytes: Vec<u8>,
    /// Where their keys stand in `bytes`, and the database of each.
    keys: Vec<(u16, Span)>,
}

/// A request that waits for EXEC.
#[derive(Debug)]
enum Queued {
    /// It goes to the server; its bytes end here.
    Server { command: CommandId, end: usize },
    /// SELECT: the server is sent it, and the session follows.
    Select { database: u16 },
    /// The proxy runs it when the server has answered.
    After(Vec<u8>),
}

/// What follows the header of EXEC's reply: elements that have come, and requests that are yet to run.
#[derive(Debug, Default)]
pub(super) struct Replay {
    steps: VecDeque<Step>,
    /// See [`Replay::last`].
    last: Option<u32>,
    /// The session wants no reply to EXEC.
    silent: bool,
}

#[derive(Debug)]
enum Step {
    Element(Vec<u8>),
    Run(Vec<u8>),
}

impl Replay {
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.last.is_none()
    }

    /// The request whose reply is the last element, if it was still missing when the others were out.
    pub(super) fn last(&self) -> Option<u32> {
        self.last
    }
}

impl Transaction {
    fn new(database: u16) -> Self {
        Self {
            aborted: false,
            slot: None,
            database,
            queue: Vec::new(),
            bytes: Vec::new(),
            keys: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    fn key(&self, span: Span) -> &[u8] {
        &self.bytes[span.start as usize..][..span.len as usize]
    }
}

impl Engine {
    /// Runs the five commands, outside of [`Engine::queue`].
    pub(super) fn transact(
        &mut self,
        session: u32,
        id: CommandId,
        local: Local,
        request: &Request<'_>,
    ) -> Flow {
        match local {
            Local::Multi => self.multi(session, id),
            Local::Exec => self.exec(session, id),
            Local::Discard => self.discard(session, id),
            Local::Watch => self.watch(session, id, request),
            _ => self.unwatch(session, id),
        }
    }

    fn multi(&mut self, session: u32, id: CommandId) -> Flow {
        let target = &mut self.sessions[session as usize];
        if target.flags.has(Flags::MULTI) {
            return self.deny(session, id, "ERR MULTI calls can not be nested");
        }
        target.flags.set(Flags::MULTI);
        let database = target.database;
        target.own_mut().transaction = Some(Transaction::new(database));
        self.confirm(session, id)
    }

    fn discard(&mut self, session: u32, id: CommandId) -> Flow {
        if self.end_transaction(session).is_none() {
            return self.deny(session, id, "ERR DISCARD without MULTI");
        }
        self.end_watch(session);
        self.confirm(session, id)
    }

    fn confirm(&mut self, session: u32, id: CommandId) -> Flow {
        self.count_local(id);
        self.reply(session, b"+OK\r\n");
        Flow::Next
    }

    /// Answers an error that leaves a transaction as it is.
    fn deny(&mut self, session: u32, id: CommandId, text: &str) -> Flow {
        self.command_stats(id).rejected += 1;
        self.reply_error(session, text);
        Flow::Next
    }

    /// The session's transaction, which it has no more.
    fn end_transaction(&mut self, session: u32) -> Option<Transaction> {
        let target = &mut self.sessions[session as usize];
        target.flags.unset(Flags::MULTI);
        let transaction = target.own.as_mut()?.transaction.take();
        target.tidy_own();
        transaction
    }

    /// The commands that are queued for the server.
    pub(super) fn queued_commands(&mut self, session: u32) -> Vec<CommandId> {
        let queue = self.transaction(session).map_or(&[][..], |transaction| &transaction.queue);
        let command = |queued: &Queued| match queued {
            Queued::Server { command, .. } => Some(*command),
            Queued::Select { .. } | Queued::After(_) => None,
        };
        queue.iter().filter_map(command).collect()
    }

    fn transaction(&mut self, session: u32) -> Option<&mut Transaction> {
        self.sessions[session as usize].own.as_mut()?.transaction.as_mut()
    }

    /// A request was refused: so will EXEC be, if the request was part of a transaction. Answers whether it was.
    pub(super) fn abort_transaction(&mut self, session: u32) -> bool {
        let target = &mut self.sessions[session as usize];
        if !target.flags.has(Flags::MULTI) {
            return false;
        }
        if let Some(transaction) = self.transaction(session) {
            transaction.aborted = true;
            // None of it will run.
            transaction.queue = Vec::new();
            transaction.bytes = Vec::new();
            transaction.keys = Vec::new();
        }
        true
    }

    /// RESET, or the end of the session: whatever it had of its own ends.
    pub(super) fn end_own(&mut self, session: u32) {
        if self.sessions[session as usize].own.is_none() {
            return;
        }
        self.end_transaction(session);
        self.end_watch(session);
        self.stop_waiting(session);
        let target = &mut self.sessions[session as usize];
        target.own = None;
        self.leases.sessions.remove(&session);
    }
}

//! EXEC: the queue leaves as one piece, and its answer comes back as one.

use super::super::Engine;
use super::super::backend::{Body, InFlight, Kind};
use super::super::dedicated::Lease;
use super::super::dispatch::Flow;
use super::super::everywhere::runs_script;
use super::super::lane::Lane;
use super::super::route::{NoRoute, Route, Way};
use super::super::session::{Flags, Stall};
use super::{Queued, Step, Transaction};
use crate::command::{CommandId, ids};
use crate::resp::reply::{Scan, Scanner};
use crate::resp::request::{Limits, Parsed, Progress, parse};
use crate::resp::{Request, write};
use std::collections::VecDeque;

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

impl Engine {
    pub(super) fn exec(&mut self, session: u32, id: CommandId) -> Flow {
        let Some(transaction) = self.transaction(session) else {
            return self.deny(session, id, "ERR EXEC without MULTI");
        };
        if transaction.aborted {
            return self.refuse_exec(session, "previous errors.");
        }
        let watches = self.watched_slot(session).is_some();
        if watches && let Some(flow) = self.wait_until_quiet(session) {
            return flow;
        }
        match self.end_transaction(session) {
            Some(transaction) => self.exec_queue(session, id, transaction),
            None => Flow::Next,
        }
    }

    /// Answers that nothing of the transaction has run.
    pub(in crate::engine) fn refuse_exec(&mut self, session: u32, reason: &str) -> Flow {
        self.end_transaction(session);
        self.end_watch(session);
        let join = if reason == "previous errors." { "because of" } else { "because of:" };
        let text = format!("EXECABORT Transaction discarded {join} {reason}");
        self.command_stats(ids::EXEC).rejected += 1;
        self.reply_error(session, &text);
        Flow::Next
    }

    fn exec_queue(&mut self, session: u32, id: CommandId, transaction: Transaction) -> Flow {
        let found = match (self.watched(session), transaction.slot) {
            (Some((_, None)), _) => {
                self.end_watch(session);
                return self.exec_nothing(session, id);
            }
            (Some((slot, Some(lease))), _) => {
                self.watcher_for(session, id, slot, lease, &transaction)
            }
            (None, Some(slot)) => self.backend_for(session, id, slot, &transaction),
            (None, None) => return self.exec_without_server(session, id, transaction),
        };
        match found {
            Ok(backend) => {
                self.send_queue(session, backend, transaction);
                self.end_watch_by_exec(session);
                Flow::Next
            }
            Err(Flow::Wait) => {
                // EXEC is offered again, with all that was queued.
                let target = &mut self.sessions[session as usize];
                target.flags.set(Flags::MULTI);
                target.own_mut().transaction = Some(transaction);
                Flow::Wait
            }
            Err(flow) => {
                self.end_watch(session);
                flow
            }
        }
    }

    /// The connection that watches, once the server has all keys of the transaction.
    fn watcher_for(
        &mut self,
        session: u32,
        id: CommandId,
        slot: u16,
        lease: Lease,
        transaction: &Transaction,
    ) -> Result<u32, Flow> {
        match self.routes.slots[usize::from(slot)] {
            Route::Server { .. } => {}
            // The watched keys have left the source; others of the transaction need not have.
            Route::Migrating { .. } => _ = self.follow_queue(session, id, slot, transaction)?,
            Route::Parked => return Err(self.no_route(session, id, slot, NoRoute::Parked)),
            Route::Offline => return Err(self.no_route(session, id, slot, NoRoute::Offline)),
            Route::Moving => return Err(self.no_route(session, id, slot, NoRoute::Moving)),
        }
        let database = self.sessions[session as usize].database;
        self.select_on(lease, database);
        Ok(lease.backend)
    }

    /// Answers that a watched key has changed.
    fn exec_nothing(&mut self, session: u32, id: CommandId) -> Flow {
        self.count_local(id);
        let mut reply = Vec::new();
        write::null_array(&mut reply, self.sessions[session as usize].protocol);
        self.reply(session, &reply);
        Flow::Next
    }

    /// The connection that a transaction of this slot goes to, once all its keys are there.
    fn backend_for(
        &mut self,
        session: u32,
        id: CommandId,
        slot: u16,
        transaction: &Transaction,
    ) -> Result<u32, Flow> {
        let lane = self.sessions[session as usize].lane();
        let backend = match self.route(slot, lane, false) {
            Way::To(backend) => backend,
            Way::Follow => self.follow_queue(session, id, slot, transaction)?,
            Way::Nowhere(reason) => return Err(self.no_route(session, id, slot, reason)),
        };
        if !self.backends[backend as usize].takes_requests() {
            return Err(self.refuse_down(session, id, backend));
        }
        if self.is_full(backend) {
            return Err(self.wait_for(session, backend));
        }
        Ok(backend)
    }

    /// Waits until all keys of the transaction have left their source.
    fn follow_queue(
        &mut self,
        session: u32,
        id: CommandId,
        slot: u16,
        transaction: &Transaction,
    ) -> Result<u32, Flow> {
        let lane = self.sessions[session as usize].lane();
        let mut unmoved: Vec<(u16, &[u8])> = Vec::new();
        for &(database, span) in &transaction.keys {
            let key = (database, transaction.key(span));
            if self.moved_to(slot, Lane { database, ..lane }, key.1).is_none()
                && !unmoved.contains(&key)
            {
                unmoved.push(key);
            }
        }
        if !unmoved.is_empty() {
            return Err(self.wait_for_places(session, id, &unmoved, None));
        }
        match self.target_of(slot, lane) {
            Some(backend) => Ok(backend),
            None => {
                Err(self.fail(session, id, &format!("ERR slot {slot} does not migrate any more")))
            }
        }
    }

    /// Sends MULTI, what is queued for the server, and EXEC, as one piece.
    fn send_queue(&mut self, session: u32, backend: u32, transaction: Transaction) {
        let database = self.sessions[session as usize].database;
        self.load_queued_scripts(backend, &transaction);
        self.push_caching(backend);
        let entry = self.swallowed(ids::MULTI);
        self.push(backend, entry, Body::Copy(MULTI));
        let mut start = 0;
        let mut moves = false;
        for queued in &transaction.queue {
            match *queued {
                Queued::Server { command, end } => {
                    let entry = self.swallowed(command);
                    let bytes = &transaction.bytes[start..end];
                    self.push(backend, entry, Body::Copy(bytes));
                    self.command_stats(command).calls += 1;
                    start = end;
                }
                Queued::Select { database } => {
                    moves = true;
                    let number = database.to_string();
                    self.push_swallowed(backend, ids::MULTI, &[b"SELECT", number.as_bytes()]);
                }
                Queued::After(_) => {}
            }
        }
        self.send_exec(session, backend, transaction);
        if moves {
            let number = database.to_string();
            self.push_swallowed(backend, ids::SELECT, &[b"SELECT", number.as_bytes()]);
        }
    }

    /// Has the server know the scripts that are queued, before MULTI.
    fn load_queued_scripts(&mut self, backend: u32, transaction: &Transaction) {
        let mut start = 0;
        for queued in &transaction.queue {
            let Queued::Server { command, end } = *queued else { continue };
            if runs_script(command) {
                let bytes = &transaction.bytes[start..end];
                let mut progress = Progress::default();
                if let Parsed::Complete(_) = parse(bytes, &mut progress, &self.settings.limits) {
                    let request = Request { bytes, args: &progress.args };
                    self.before_script(backend, command, &request);
                }
            }
            start = end;
        }
    }

    fn send_exec(&mut self, session: u32, backend: u32, transaction: Transaction) {
        let target = &mut self.sessions[session as usize];
        let mut entry = target.entry(session, ids::EXEC, self.now_us);
        let is_whole = |queued: &Queued| matches!(queued, Queued::Server { .. });
        if !transaction.queue.iter().all(is_whole) {
            // The proxy completes the reply.
            let own = target.own_mut();
            own.replay.silent = entry.kind == Kind::Silent;
            own.transaction = Some(transaction);
            target.stall = Stall::Exec;
            entry.kind = Kind::Exec;
        }
        self.push(backend, entry, Body::Copy(EXEC));
    }

    /// Takes the server's reply to EXEC, where the proxy completes it.
    #[cold]
    pub(in crate::engine) fn on_exec(&mut self, entry: &InFlight, reply: &[u8]) {
        let target = &mut self.sessions[entry.session as usize];
        let transaction = target.own.as_mut().and_then(|own| own.transaction.take());
        let silent = target.own.as_ref().is_some_and(|own| own.replay.silent);
        let Some(transaction) = transaction else {
            return self.deliver(entry.session, entry.sequence, b"");
        };
        let failed = reply.first() == Some(&b'-');
        if failed {
            self.command_stats(ids::EXEC).errors += 1;
        }
        match elements(reply) {
            Some(elements) => {
                let header = self.prepare_replay(entry.session, transaction, elements);
                let header = if silent { b"" } else { &header[..] };
                self.deliver(entry.session, entry.sequence, header);
            }
            // An error, or a watched key has changed.
            None => {
                let reply = if silent { b"" } else { reply };
                self.deliver(entry.session, entry.sequence, reply);
            }
        }
        self.make_resumable(entry.session);
    }

    /// Lays out what follows EXEC's header; answers the header.
    fn prepare_replay(
        &mut self,
        session: u32,
        transaction: Transaction,
        elements: Vec<Vec<u8>>,
    ) -> Vec<u8> {
        let mut elements = elements.into_iter();
        let mut header = Vec::new();
        write::array(&mut header, transaction.queue.len());
        let target = &mut self.sessions[session as usize];
        let mut steps = VecDeque::with_capacity(transaction.queue.len());
        for queued in transaction.queue {
            steps.push_back(match queued {
                Queued::Server { .. } => Step::Element(elements.next().unwrap_or_default()),
                Queued::Select { database } => {
                    target.select(database);
                    Step::Element(elements.next().unwrap_or_default())
                }
                Queued::After(bytes) => Step::Run(bytes),
            });
        }
        target.own_mut().replay.steps = steps;
        header
    }

    /// Nothing that is queued is for the server.
    fn exec_without_server(
        &mut self,
        session: u32,
        id: CommandId,
        transaction: Transaction,
    ) -> Flow {
        self.count_local(id);
        let target = &mut self.sessions[session as usize];
        let silent = target.wants_silence();
        let ok = b"+OK\r\n".to_vec();
        let elements = vec![ok; transaction.queue.len()];
        let header = self.prepare_replay(session, transaction, elements);
        let target = &mut self.sessions[session as usize];
        target.own_mut().replay.silent = silent;
        if silent {
            target.flags.set(Flags::REPLY_SKIP);
        }
        self.reply(session, &header);
        self.replay(session);
        Flow::Next
    }

    /// Goes on with what follows EXEC's header.
    pub(in crate::engine) fn replay(&mut self, session: u32) {
        loop {
            let target = &mut self.sessions[session as usize];
            let Some(own) = &target.own else { return };
            if target.stall != Stall::None || target.flags.has(Flags::DEAD | Flags::CLOSING) {
                return;
            }
            let silent = own.replay.silent;
            if target.in_flight() >= self.settings.session_requests_max {
                target.stall = Stall::Pipeline;
                return;
            }
            let Some(own) = &mut target.own else { return };
            let Some(step) = own.replay.steps.pop_front() else {
                own.replay.silent = false;
                if own.replay.last.is_some_and(|last| !target.is_in_flight(last)) {
                    target.own_mut().replay.last = None;
                }
                return target.tidy_own();
            };
            let ends = own.replay.steps.is_empty();
            if silent {
                target.flags.set(Flags::REPLY_SKIP);
            }
            match step {
                Step::Element(element) => self.reply(session, &element),
                Step::Run(bytes) => {
                    if self.run_queued(session, &bytes) == Flow::Wait {
                        let own = self.sessions[session as usize].own_mut();
                        return own.replay.steps.push_front(Step::Run(bytes));
                    }
                    let target = &mut self.sessions[session as usize];
                    if ends && target.in_flight() > 0 {
                        target.own_mut().replay.last = Some(target.next.wrapping_sub(1));
                    }
                }
            }
        }
    }

    fn run_queued(&mut self, session: u32, bytes: &[u8]) -> Flow {
        let mut progress = Progress::default();
        let limits = Limits { request_bytes_max: bytes.len(), ..self.settings.limits };
        match parse(bytes, &mut progress, &limits) {
            Parsed::Complete(_) => {
                let request = Request { bytes, args: &progress.args };
                self.dispatch_queued(session, &request)
            }
            _ => {
                self.reply_error(
                    session,
                    "ERR the queued request is larger than the settings allow now",
                );
                Flow::Next
            }
        }
    }
}

/// The elements of an array; `None` for any other reply.
fn elements(reply: &[u8]) -> Option<Vec<Vec<u8>>> {
    let rest = reply.strip_prefix(b"*")?;
    let end = memchr::memchr(b'\n', rest)?;
    if rest[0] == b'-' {
        return None;
    }
    let mut rest = &rest[end + 1..];
    let mut elements = Vec::new();
    while !rest.is_empty() {
        let Ok(Scan::End(end)) = Scanner::default().scan(rest) else { break };
        elements.push(rest[..end].to_vec());
        rest = &rest[end..];
    }
    Some(elements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_elements_of_an_array_are_its_replies_however_deep() {
        let reply = b"*3\r\n+OK\r\n*2\r\n$1\r\na\r\n*0\r\n-ERR x\r\n";
        let expected: [&[u8]; 3] = [b"+OK\r\n", b"*2\r\n$1\r\na\r\n*0\r\n", b"-ERR x\r\n"];
        assert_eq!(elements(reply).expect("an array"), expected);
        assert_eq!(elements(b"*0\r\n"), Some(Vec::new()));
        assert_eq!(elements(b"*-1\r\n"), None);
        assert_eq!(elements(b"-EXECABORT x\r\n"), None);
        assert_eq!(elements(b"_\r\n"), None);
    }
}

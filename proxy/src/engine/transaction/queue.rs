//! What is said between MULTI and EXEC.

use super::super::Engine;
use super::super::dispatch::Flow;
use super::super::route::is_reserved;
use super::Queued;
use crate::command::{self, CROSSSLOT, CommandId, Flags, Local, Route};
use crate::resp::request::strict_integer;
use crate::resp::{Request, Span};
use crate::slots;

impl Engine {
    /// Queues a request of a session that has said MULTI. `None`: it runs at once.
    pub(in crate::engine) fn queue(
        &mut self,
        session: u32,
        id: CommandId,
        request: &Request<'_>,
    ) -> Option<Flow> {
        let command = id.command();
        match command.route {
            Route::Local(
                Local::Multi
                | Local::Exec
                | Local::Discard
                | Local::Watch
                | Local::Quit
                | Local::Reset,
            ) => return None,
            _ if command.flags.any(Flags::NO_MULTI) => {
                let text = "ERR Command not allowed inside a transaction";
                return Some(self.reject(session, id, text));
            }
            // The refusal is said as it is outside.
            Route::Unsupported => return None,
            _ => {}
        }
        if let Some(text) = command::refusal(id, request) {
            return Some(self.reject(session, id, &text));
        }
        if !self.has_room_to_queue(session, request) {
            let text = "ERR the transaction is larger than session_input_max";
            return Some(self.reject(session, id, text));
        }
        Some(match command.route {
            Route::Key | Route::Keys | Route::Split(_) | Route::Blocking => {
                self.queue_by_keys(session, id, request)
            }
            Route::Local(Local::Select) => self.queue_select(session, request),
            Route::Local(_) | Route::Publish | Route::Everywhere(_) | Route::Unsupported => {
                self.queue_after(session, request)
            }
        })
    }

    fn has_room_to_queue(&mut self, session: u32, request: &Request<'_>) -> bool {
        let max = self.settings.input_bytes_max;
        let queued = self.transaction(session).map_or(0, |transaction| transaction.bytes.len());
        queued + request.bytes.len() <= max
    }

    fn queue_by_keys(&mut self, session: u32, id: CommandId, request: &Request<'_>) -> Flow {
        let mut keys = std::mem::take(&mut self.keys);
        keys.clear();
        let flow = match command::keys(id, request, &mut keys) {
            Ok(()) => self.queue_keys(session, id, &keys, request),
            // It fails when it runs, as it would at a server.
            Err(_) => self.queue_after(session, request),
        };
        self.keys = keys;
        flow
    }

    /// Queues a request with these keys.
    pub(in crate::engine) fn queue_keys(
        &mut self,
        session: u32,
        id: CommandId,
        keys: &[u32],
        request: &Request<'_>,
    ) -> Flow {
        let args = || keys.iter().map(|key| request.arg(*key as usize));
        if args().any(is_reserved) {
            return self.refuse_reserved(session, id);
        }
        let Some(first) = args().next() else { return self.queue_after(session, request) };
        let slot = slots::slot(first);
        let watched = self.watched_slot(session);
        let Some(transaction) = self.transaction(session) else { return Flow::Next };
        let of_transaction = transaction.slot.or(watched).unwrap_or(slot);
        if slot != of_transaction || args().any(|key| slots::slot(key) != slot) {
            return self.reject(session, id, CROSSSLOT);
        }
        if !transaction.aborted {
            transaction.slot = Some(slot);
            let start = transaction.bytes.len() as u32;
            let database = transaction.database;
            transaction.keys.extend(keys.iter().map(|key| {
                let span = request.args[*key as usize];
                (database, Span { start: start + span.start, len: span.len })
            }));
            transaction.bytes.extend_from_slice(request.bytes);
            let end = transaction.bytes.len();
            transaction.queue.push(Queued::Server { command: id, end });
        }
        self.say_queued(session)
    }

    fn queue_select(&mut self, session: u32, request: &Request<'_>) -> Flow {
        let databases = self.settings.databases;
        let database = strict_integer(request.arg(1))
            .and_then(|number| u16::try_from(number).ok())
            .filter(|number| *number < databases);
        // A number that is none is refused when it runs.
        let Some(database) = database else { return self.queue_after(session, request) };
        if let Some(transaction) = self.transaction(session)
            && !transaction.aborted
        {
            transaction.database = database;
            transaction.queue.push(Queued::Select { database });
        }
        self.say_queued(session)
    }

    /// Queues a request that runs when the server has answered.
    fn queue_after(&mut self, session: u32, request: &Request<'_>) -> Flow {
        if let Some(transaction) = self.transaction(session)
            && !transaction.aborted
        {
            transaction.queue.push(Queued::After(request.bytes.to_vec()));
        }
        self.say_queued(session)
    }

    fn say_queued(&mut self, session: u32) -> Flow {
        self.reply(session, b"+QUEUED\r\n");
        Flow::Next
    }
}

//! Faults that are planted on purpose, so that it can be shown that `codis-loadtest check` finds such ones.
//!
//! Compiled with the feature `planted-faults` alone, which nothing turns on by default; `CODIS_PLANTED_FAULT` chooses one:
//! `drop-writes`, `swap-replies` or `stale-after-move`. Never run such a proxy for anything else.

use super::Engine;
use super::backend::{InFlight, Kind};
use super::dispatch::Flow;
use super::route::Route;
use crate::command::CommandId;
use crate::resp::Request;
use crate::slots;
use crate::topology::Address;
use ahash::AHashMap;

/// One in so many writes is acknowledged and not sent to its server.
const DROPPED_EVERY: u64 = 100_000;
/// One in so many replies changes places with the one before it.
const SWAPPED_EVERY: u64 = 100_000;
/// So many keys are remembered as they were.
const STALE_MAX: usize = 1_000_000;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    DropWrites,
    SwapReplies,
    StaleAfterMove,
}

/// The planted fault of a shard, and what it needs to know.
#[derive(Debug, Default)]
pub(super) struct Planted {
    fault: Option<Fault>,
    count: u64,
    /// The first reply that each GET got, and from where.
    stale: AHashMap<Vec<u8>, (Address, Vec<u8>)>,
}

impl Planted {
    pub(super) fn from_environment() -> Self {
        let fault = match std::env::var("CODIS_PLANTED_FAULT").as_deref() {
            Ok("drop-writes") => Some(Fault::DropWrites),
            Ok("swap-replies") => Some(Fault::SwapReplies),
            Ok("stale-after-move") => Some(Fault::StaleAfterMove),
            _ => None,
        };
        Self { fault, ..Self::default() }
    }

    fn is_due(&mut self, fault: Fault, every: u64) -> bool {
        if self.fault != Some(fault) {
            return false;
        }
        self.count += 1;
        self.count.is_multiple_of(every)
    }

    /// A server has answered a request, of which these are the bytes.
    pub(super) fn saw(&mut self, server: &Address, request: Option<&[u8]>, reply: &[u8]) {
        const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$";
        if self.fault != Some(Fault::StaleAfterMove) || self.stale.len() >= STALE_MAX {
            return;
        }
        let key = request.and_then(|request| {
            let rest = request.strip_prefix(GET)?;
            let end = memchr::memchr(b'\n', rest)?;
            let len: usize = std::str::from_utf8(&rest[..end - 1]).ok()?.parse().ok()?;
            rest.get(end + 1..end + 1 + len)
        });
        if let Some(key) = key.filter(|_| reply.starts_with(b"$")) {
            let first = || (server.clone(), reply.to_vec());
            self.stale.entry(key.to_vec()).or_insert_with(first);
        }
    }
}

impl Engine {
    /// Answers a request in a way that it must not be answered, where one is due.
    pub(super) fn plant(
        &mut self,
        session: u32,
        id: CommandId,
        request: &Request<'_>,
    ) -> Option<Flow> {
        let reply: Vec<u8> = match (id.command().name, request.args.len()) {
            ("set", 3) if self.planted.is_due(Fault::DropWrites, DROPPED_EVERY) => {
                b"+OK\r\n".to_vec()
            }
            ("hset", 4) | ("sadd", 3) if self.planted.is_due(Fault::DropWrites, DROPPED_EVERY) => {
                b":1\r\n".to_vec()
            }
            ("get", 2) => self.stale_copy(request.arg(1))?,
            _ => return None,
        };
        self.reply(session, &reply);
        Some(Flow::Next)
    }

    fn stale_copy(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        let (server, _) = self.planted.stale.get(key)?;
        let Route::Server { master, .. } = self.routes.slots[usize::from(slots::slot(key))] else {
            return None;
        };
        if *server == self.routes.address(master) {
            return None;
        }
        self.planted.stale.remove(key).map(|(_, reply)| reply)
    }

    /// Lets the last two requests on a backend get each other's replies, where that is due.
    pub(super) fn plant_swap(&mut self, backend: u32) {
        let entries = &mut self.backends[backend as usize].in_flight;
        let [.., one, other] = entries.make_contiguous() else { return };
        if one.kind == Kind::Reply
            && other.kind == Kind::Reply
            && self.planted.is_due(Fault::SwapReplies, SWAPPED_EVERY)
        {
            let swapped = |entry: &InFlight, with: &InFlight| InFlight {
                session: with.session,
                sequence: with.sequence,
                ..*entry
            };
            (*one, *other) = (swapped(one, other), swapped(other, one));
        }
    }
}

//! Clients that keep what they have read until they are told of a change: client-side caching, by CLIENT TRACKING.
//!
//! What must be true is that nobody keeps a value that is not the key's any more, once everything that was on its way has
//! arrived. Before that, a client without BCAST is never given a value of a key of which it keeps another one, as
//! its server tells it of the change first. Only where answers wait for others, behind a request that is split or among several that are
//! under way, the news may have to wait with them.

use crate::clients::{Asked, Question};
use crate::history::What;
use crate::plan::{Bug, Speaks};
use crate::server::Near;
use crate::server::data::{Place, Value};
use crate::server::reply::Reply;
use crate::world::World;
use std::collections::BTreeMap;

/// How long news may be on its way when nothing fails any more, in microseconds.
const NEWS_US_MAX: u64 = 10_000_000;

/// What a client keeps.
#[derive(Default)]
pub(crate) struct Cache {
    /// CLIENT TRACKING was answered.
    on: bool,
    kept: BTreeMap<Place, Reply>,
}

impl Cache {
    /// The session is over: nobody tells it of changes.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Whether the answer to it is what the key holds.
fn reads(what: &What) -> bool {
    match what {
        What::Get(_) | What::Range(_) | What::Members(_) => true,
        What::OfSecond(what) => reads(what),
        _ => false,
    }
}

/// What a key's value looks like to whoever reads it; nothing like an empty list.
fn seen(value: Option<&Value>) -> Reply {
    match value {
        Some(Value::Text(text)) => Reply::bulk(text),
        Some(Value::List(items)) => Reply::Array(items.iter().map(Reply::bulk).collect()),
        Some(Value::Set(items)) => Reply::Array(items.iter().map(Reply::bulk).collect()),
        _ => Reply::Nil,
    }
}

fn is_same(kept: &Reply, now: &Reply) -> bool {
    let nothing = |reply: &Reply| matches!(reply, Reply::Nil) || *reply == Reply::Array(Vec::new());
    kept == now || nothing(kept) && nothing(now)
}

impl World {
    /// HELLO, or CLIENT TRACKING.
    pub(crate) fn take_greeting(&mut self, client: usize, what: &Question, reply: &Reply) {
        match (what, reply) {
            (Question::Greeted, Reply::Map(_)) => {}
            (Question::Tracks, Reply::Status(_)) => self.clients[client].cache.on = true,
            _ => self.fail(format!("client {client} was answered {reply:?} to {what:?}")),
        }
    }

    /// A client was answered, and keeps what it has read.
    pub(crate) fn keep_read(&mut self, client: usize, asked: &Asked, reply: &Reply) {
        if !self.clients[client].cache.on {
            return;
        }
        for (at, (key, number)) in asked.operations.iter().enumerate() {
            let value = match reply {
                Reply::Array(items) if asked.what == Question::Values => items.get(at).cloned(),
                reply => Some(reply.clone()),
            };
            if let Some(value) = value
                && reads(&self.histories.operation(&key.place, *number).what)
            {
                let alone = self.clients[client].asks().next().is_none();
                let in_order = asked.operations.len() == 1 && alone;
                self.keep(client, &key.place, value, in_order);
            }
        }
    }

    /// A client keeps what a key holds; `in_order`: it has heard of all changes before.
    fn keep(&mut self, client: usize, place: &Place, value: Reply, in_order: bool) {
        let bcast = self.clients[client].speaks() == Speaks::Tracks { bcast: true };
        let cache = &mut self.clients[client].cache;
        let before = cache.kept.insert(place.clone(), value.clone());
        if let Some(before) = before.filter(|before| in_order && !bcast && !is_same(before, &value))
        {
            let (key, was) = (place.1.escape_ascii(), format!("{before:?}"));
            self.fail(format!(
                "client {client} keeps {was} for {key}, is given {value:?}, and was not told"
            ));
        }
    }

    /// The same of a part of a transaction.
    pub(crate) fn keep_part(&mut self, client: usize, place: &Place, what: &What, value: &Reply) {
        if self.clients[client].cache.on && reads(what) && !matches!(value, Reply::Error(_)) {
            self.keep(client, place, value.clone(), false);
        }
    }

    /// A client is told something that it has not asked for.
    pub(crate) fn hear_push(&mut self, client: usize, items: &[Reply]) {
        self.tell(|| format!("client {client} is told {items:?}"));
        if !matches!(self.clients[client].speaks(), Speaks::Tracks { .. }) {
            return self.fail(format!("client {client} does not track and is told {items:?}"));
        }
        let untold = self.plan.bug == Bug::AllUntold;
        let kept = &mut self.clients[client].cache.kept;
        match items {
            [Reply::Bulk(what), Reply::Nil] if what == b"invalidate" => {
                if !untold {
                    kept.clear();
                }
            }
            [Reply::Bulk(what), Reply::Array(keys)] if what == b"invalidate" => {
                kept.retain(|(_, key), _| !keys.contains(&Reply::Bulk(key.clone())));
            }
            _ => self.fail(format!("client {client} is told {items:?}")),
        }
    }

    /// When everybody has heard of everything, nobody keeps what is not so.
    pub(crate) fn check_caches(&mut self) -> Result<(), String> {
        if !self.clients.iter().any(|client| client.cache.on) {
            return Ok(());
        }
        for server in 0..self.servers.len() {
            self.end_turn(server);
        }
        self.run_until(self.now + NEWS_US_MAX, Self::is_quiet)?;
        for (client, target) in self.clients.iter().enumerate() {
            for (place, kept) in &target.cache.kept {
                let (owner, _) = self.owners(&place.1);
                let entry = self.servers[owner as usize - 1].data.get(place);
                let is = seen(entry.map(|entry| &entry.value));
                if !is_same(kept, &is) {
                    let key = place.1.escape_ascii();
                    return Err(format!(
                        "client {client} keeps {kept:?} for {key}, which is {is:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether nothing is on its way from servers to clients.
    fn is_quiet(&self) -> bool {
        let arrived = |wire: &crate::server::Wire| {
            let matters = matches!(wire.near, Near::Backend { .. });
            !matters || wire.over || !wire.killed && wire.back.is_empty()
        };
        let told = self.servers.iter().all(|server| server.run.tracked.changed.is_empty());
        let heard = self.clients.iter().all(|client| client.has_heard());
        told && heard && self.wires.iter().all(arrived)
    }
}

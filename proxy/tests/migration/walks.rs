//! Clients that walk over all keys with SCAN while slots move.
//!
//! Some keys are there from the beginning and nobody touches them, so a whole walk must tell each of them, whatever moves
//! meanwhile, and whichever proxies and shards it is continued on. A server that starts anew tells its keys in another order, as
//! Redis does: a walk during which one did so proves nothing.

use crate::clients::Question;
use crate::plan::{Bug, Plan, Trouble};
use crate::server::data::Value;
use crate::server::reply::{Reply, request};
use crate::world::World;
use codis_proto::BIG_KEY_PREFIX;
use std::collections::BTreeSet;

/// Where in a cursor of the proxy's stands that it is not on its first pass over the groups.
const LATER_PASS: u64 = 0b1111 << 14;

/// A walk over the keys of a database.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    cursor: u64,
    /// Keys that were told.
    seen: BTreeSet<Vec<u8>>,
    /// How often each server had started when it began.
    runs: Vec<u64>,
    /// Another one follows no more.
    pub(crate) over: bool,
}

/// The keys of one database that nobody touches.
fn untouched(plan: &Plan) -> impl Iterator<Item = Vec<u8>> {
    let of_tag = |tag: &String| {
        let tag = tag.clone();
        (0..6).map(move |number| format!("{{{tag}}}still{number}").into_bytes())
    };
    plan.tags.iter().flat_map(of_tag)
}

impl World {
    /// Lays the keys that nobody touches, on the group that has all slots at the beginning.
    pub(crate) fn lay_untouched(&mut self) {
        let keys: Vec<Vec<u8>> = untouched(&self.plan).collect();
        for database in 0..self.plan.databases {
            for key in &keys {
                let place = (database * 5, key.clone());
                self.servers[0].data.put(place, Value::Text(b"still".to_vec()), None);
            }
        }
    }

    fn runs_of_servers(&self) -> Vec<u64> {
        self.servers.iter().map(|server| server.runs).collect()
    }

    /// The next page of a client's walk, or the first one of another.
    pub(crate) fn walk_on(&mut self, client: usize) {
        let runs = self.runs_of_servers();
        let Some(walk) = &mut self.clients[client].walk else { return };
        if walk.cursor == 0 {
            walk.seen.clear();
            walk.runs = runs;
        }
        let words = request(&["SCAN", &walk.cursor.to_string()]);
        self.ask(client, &words, Question::Page, Vec::new());
    }

    /// A page has come.
    pub(crate) fn take_page(&mut self, client: usize, reply: Reply) {
        let Some((next, keys)) = page(&reply) else {
            return self.fail(format!("client {client} was sent {reply:?} for SCAN"));
        };
        let strange = keys
            .iter()
            .find(|key| key.starts_with(b"__codis_") || key.starts_with(BIG_KEY_PREFIX.as_bytes()));
        if let Some(key) = strange {
            return self.fail(format!("SCAN tells {}", key.escape_ascii()));
        }
        let ends_early = self.plan.bug == Bug::OnePass && next & LATER_PASS != 0;
        let healed = self.healed;
        let Some(walk) = &mut self.clients[client].walk else { return };
        walk.seen.extend(keys);
        walk.cursor = if ends_early { 0 } else { next };
        if walk.cursor == 0 {
            walk.over = healed;
            self.check_walk(client);
        }
    }

    fn check_walk(&mut self, client: usize) {
        let runs = self.runs_of_servers();
        let Some(walk) = &self.clients[client].walk else { return };
        if walk.runs != runs || self.plan.trouble == Trouble::Losses {
            return;
        }
        let missed = untouched(&self.plan).find(|key| !walk.seen.contains(key));
        if let Some(key) = missed {
            self.fail(format!("client {client}'s walk has missed {}", key.escape_ascii()));
        }
    }
}

/// The next cursor and the keys in a reply to SCAN.
fn page(reply: &Reply) -> Option<(u64, Vec<Vec<u8>>)> {
    let Reply::Array(parts) = reply else { return None };
    let [Reply::Bulk(next), Reply::Array(keys)] = &parts[..] else { return None };
    let key = |key: &Reply| match key {
        Reply::Bulk(key) => Some(key.clone()),
        _ => None,
    };
    let next = std::str::from_utf8(next).ok()?.parse().ok()?;
    Some((next, keys.iter().map(key).collect::<Option<_>>()?))
}

//! CLIENT TRACKING: whom a model server tells that a key has changed, and when.
//!
//! By Redis's rules: a key is remembered for whoever reads it, without its database, and forgotten once they have been told; with BCAST
//! everybody is told of every key, once in a turn. What a command of a client's own changes it is told behind the answer to that
//! command, a transaction being one.

use super::reply::{Reply, Request};
use crate::plan::Bug;
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};

/// How a connection tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracks {
    /// What it has read.
    Reads,
    /// BCAST: everything.
    All,
}

/// What a server's process knows of it.
#[derive(Default)]
pub(crate) struct Tracked {
    /// By key, the numbers of the clients that have read it.
    readers: BTreeMap<Vec<u8>, BTreeSet<i64>>,
    /// What BCAST has yet to tell of.
    pub(crate) changed: BTreeSet<Vec<u8>>,
}

/// The keys that a command reads, if it changes nothing.
fn read_keys(args: &Request) -> &[Vec<u8>] {
    match args[0].to_ascii_uppercase().as_slice() {
        b"GET" | b"LRANGE" | b"SMEMBERS" => &args[1..2],
        b"MGET" | b"EXISTS" => &args[1..],
        _ => &[],
    }
}

fn invalidation(keys: impl IntoIterator<Item = Vec<u8>>) -> Reply {
    let keys = keys.into_iter().map(Reply::Bulk).collect();
    Reply::Push(vec![Reply::bulk("invalidate"), Reply::Array(keys)])
}

impl World {
    /// CLIENT TRACKING ON.
    pub(crate) fn begin_to_track(&mut self, wire: usize, args: &Request) -> Reply {
        let bcast = args.iter().any(|arg| arg.eq_ignore_ascii_case(b"BCAST"));
        self.wires[wire].client.tracks = Some(if bcast { Tracks::All } else { Tracks::Reads });
        Reply::ok()
    }

    /// A connection has run a command.
    pub(crate) fn remember_reads(&mut self, server: usize, wire: usize, args: &Request) {
        let client = &self.wires[wire].client;
        if client.tracks != Some(Tracks::Reads) {
            return;
        }
        let readers = &mut self.servers[server].run.tracked.readers;
        for key in read_keys(args) {
            readers.entry(key.clone()).or_default().insert(client.id);
        }
    }

    /// Tells those who track of what has changed; `current` is the connection whose command is running.
    pub(crate) fn invalidate(&mut self, server: usize, current: Option<usize>) {
        let touched = self.servers[server].data.take_touched();
        if touched.is_empty() {
            return;
        }
        let mut wires = self.servers[server].run.accepted.values();
        let bcast = wires.any(|wire| self.wires[*wire].client.tracks == Some(Tracks::All));
        for (_, key) in touched {
            let run = &mut self.servers[server].run;
            if bcast {
                run.tracked.changed.insert(key.clone());
            }
            let readers = run.tracked.readers.remove(&key).unwrap_or_default();
            let wires: Vec<usize> =
                readers.iter().filter_map(|id| run.accepted.get(id).copied()).collect();
            for wire in wires {
                let mut bytes = Vec::new();
                invalidation([key.clone()]).encode3(&mut bytes);
                let waits = current == Some(wire) && self.plan.bug != Bug::ToldTooEarly;
                match waits {
                    true => self.wires[wire].client.pushes.push(bytes),
                    false => self.push(wire, &bytes),
                }
            }
        }
    }

    /// A server has come to the end of a turn.
    pub(crate) fn tell_all(&mut self, server: usize) {
        let run = &mut self.servers[server].run;
        let changed = std::mem::take(&mut run.tracked.changed);
        if changed.is_empty() {
            return;
        }
        let mut bytes = Vec::new();
        invalidation(changed).encode3(&mut bytes);
        let wires: Vec<usize> = run.accepted.values().copied().collect();
        for wire in wires {
            if self.wires[wire].client.tracks == Some(Tracks::All) {
                self.push(wire, &bytes);
            }
        }
    }

    /// What a connection is told behind the answer that it has just got.
    pub(crate) fn push_behind_answer(&mut self, wire: usize) {
        for bytes in std::mem::take(&mut self.wires[wire].client.pushes) {
            self.push(wire, &bytes);
        }
    }

    fn push(&mut self, wire: usize, bytes: &[u8]) {
        let target = &mut self.wires[wire];
        if !target.killed {
            target.back.extend_from_slice(bytes);
            self.wake_returning(wire);
            self.tell(|| format!("  pushed on {wire}: {}", bytes.escape_ascii()));
        }
    }
}

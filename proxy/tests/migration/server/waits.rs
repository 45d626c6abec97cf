//! BLPOP: clients of a model server that wait for a list to have something.

use super::data::{Place, Value};
use super::reply::{Reply, Request};
use crate::plan::Bug;
use crate::world::{Event, World};

/// A client's BLPOP that has found nothing yet.
pub(crate) struct Waiting {
    keys: Vec<Place>,
    /// Names it; earlier ones are served first.
    serial: u64,
}

/// A timeout in seconds, as microseconds; 0 is for ever.
fn timeout_us(arg: &[u8]) -> Result<u64, Reply> {
    let seconds = std::str::from_utf8(arg).ok().and_then(|text| text.parse::<f64>().ok());
    match seconds {
        Some(seconds) if seconds >= 0.0 => Ok((seconds * 1e6) as u64),
        _ => Err(Reply::Error("ERR timeout is not a float or out of range".into())),
    }
}

impl World {
    /// BLPOP of a connection; `None`: it waits.
    pub(crate) fn begin_to_wait(
        &mut self,
        server: usize,
        wire: usize,
        args: &Request,
    ) -> Option<Reply> {
        let (keys, patience_us) = match self.read_pop(wire, args) {
            Ok(read) => read,
            Err(refused) => return Some(refused),
        };
        if let Some(reply) = self.pop_first(server, &keys) {
            return Some(reply);
        }
        let serial = self.next_serial();
        self.wires[wire].client.waiting = Some(Waiting { keys, serial });
        if patience_us > 0 {
            let run = self.servers[server].runs;
            self.at(self.now + patience_us, Event::PopLate { server, run, wire, serial });
        }
        None
    }

    /// BLPOP in a transaction, where nothing waits.
    pub(crate) fn pop_at_once(&mut self, server: usize, wire: usize, args: &Request) -> Reply {
        match self.read_pop(wire, args) {
            Ok((keys, _)) => self.pop_first(server, &keys).unwrap_or(Reply::Nil),
            Err(refused) => refused,
        }
    }

    fn read_pop(&self, wire: usize, args: &Request) -> Result<(Vec<Place>, u64), Reply> {
        let last = args.len() - 1;
        let database = self.wires[wire].client.database;
        let keys = args[1..last].iter().map(|key| (database, key.clone())).collect();
        Ok((keys, timeout_us(&args[last])?))
    }

    /// Takes the first element of the first of these lists that has one.
    fn pop_first(&mut self, server: usize, keys: &[Place]) -> Option<Reply> {
        let data = &mut self.servers[server].data;
        for place in keys {
            let Some(entry) = data.get(place) else { continue };
            let Value::List(items) = &entry.value else { continue };
            let (first, rest, expires) = (items[0].clone(), items[1..].to_vec(), entry.expires);
            if rest.is_empty() {
                data.remove(place);
            } else {
                data.put(place.clone(), Value::List(rest), expires);
            }
            return Some(Reply::Array(vec![Reply::bulk(&place.1), Reply::Bulk(first)]));
        }
        None
    }

    /// Gives clients that wait what has come for them, in the order in which they came.
    pub(crate) fn serve_waiting(&mut self, server: usize) {
        let waiting = |wire: &usize| {
            let waiting = self.wires[*wire].client.waiting.as_ref()?;
            Some((waiting.serial, *wire))
        };
        let accepted = self.servers[server].run.accepted.values();
        let mut waiting: Vec<(u64, usize)> = accepted.filter_map(waiting).collect();
        waiting.sort_unstable();
        for (_, wire) in waiting {
            let Some(waiting) = &self.wires[wire].client.waiting else { continue };
            let keys = waiting.keys.clone();
            let Some(reply) = self.pop_first(server, &keys) else { continue };
            match self.plan.bug {
                Bug::ElementDropped => {}
                Bug::WaitDoubled => {
                    drop(self.pop_first(server, &keys));
                    self.end_waiting(server, wire, &reply);
                }
                _ => self.end_waiting(server, wire, &reply),
            }
        }
    }

    fn end_waiting(&mut self, server: usize, wire: usize, reply: &Reply) {
        self.wires[wire].client.waiting = None;
        self.answer(wire, reply);
        self.wake_server(server);
    }

    /// A client has waited for as long as it wanted to.
    pub(crate) fn pop_late(&mut self, server: usize, run: u64, wire: usize, serial: u64) {
        let waits = self.wires[wire].client.waiting.as_ref();
        if self.servers[server].runs != run || waits.is_none_or(|waits| waits.serial != serial) {
            return;
        }
        if self.servers[server].frozen {
            return self.at(self.now + 1_000, Event::PopLate { server, run, wire, serial });
        }
        self.end_waiting(server, wire, &Reply::Nil);
    }

    /// CLIENT UNBLOCK.
    pub(crate) fn unblock_client(&mut self, server: usize, id: i64, error: bool) -> Reply {
        let wire = self.servers[server].run.accepted.get(&id).copied();
        let Some(wire) = wire.filter(|wire| self.wires[*wire].client.waiting.is_some()) else {
            return Reply::Int(0);
        };
        let reply = match error {
            true => Reply::Error("UNBLOCKED client unblocked via CLIENT UNBLOCK".into()),
            false => Reply::Nil,
        };
        self.end_waiting(server, wire, &reply);
        Reply::Int(1)
    }
}

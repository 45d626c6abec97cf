//! What blocks: clients of a model server that wait for a list or a stream to have something.

use super::Client;
use super::commands::number;
use super::data::{EntryId, Place, Value, read_id};
use super::reply::{Reply, Request};
use super::streams::read_after;
use crate::plan::Bug;
use crate::world::{Event, World};

/// What a client waits for.
#[derive(Debug, Clone)]
enum Wait {
    /// BLPOP.
    Pop(Vec<Place>),
    /// BLMOVE from the head of one list to the tail of another.
    Move(Place, Place),
    /// XREAD with BLOCK: what comes after this entry, in RESP3 or not.
    Read(Place, EntryId, bool),
}

/// A client's command that has found nothing yet.
pub(crate) struct Waiting {
    what: Wait,
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
    /// A command of a connection that blocks; `None`: it waits.
    pub(crate) fn begin_to_wait(
        &mut self,
        server: usize,
        wire: usize,
        args: &Request,
    ) -> Option<Reply> {
        let (what, patience_us) = match self.read_wait(server, wire, args) {
            Ok(read) => read,
            Err(refused) => return Some(refused),
        };
        if let Some(reply) = self.try_wait(server, &what) {
            return Some(reply);
        }
        let serial = self.next_serial();
        self.wires[wire].client.waiting = Some(Waiting { what, serial });
        if patience_us > 0 {
            let run = self.servers[server].runs;
            self.at(self.now + patience_us, Event::WaitLate { server, run, wire, serial });
        }
        None
    }

    /// The same in a transaction, where nothing waits.
    pub(crate) fn try_at_once(&mut self, server: usize, wire: usize, args: &Request) -> Reply {
        match self.read_wait(server, wire, args) {
            Ok((what, _)) => self.try_wait(server, &what).unwrap_or(Reply::Nil),
            Err(refused) => refused,
        }
    }

    /// What is waited for, and for how long.
    fn read_wait(
        &mut self,
        server: usize,
        wire: usize,
        args: &Request,
    ) -> Result<(Wait, u64), Reply> {
        let last = args.len() - 1;
        let Client { database, resp3, .. } = self.wires[wire].client;
        let place = |key: &Vec<u8>| (database, key.clone());
        match args[0].to_ascii_uppercase().as_slice() {
            b"BLMOVE" if self.servers[server].full => {
                Err(Reply::Error("OOM command not allowed when used memory > 'maxmemory'.".into()))
            }
            // From the left to the right.
            b"BLMOVE" => {
                Ok((Wait::Move(place(&args[1]), place(&args[2])), timeout_us(&args[last])?))
            }
            // XREAD BLOCK milliseconds STREAMS key id
            b"XREAD" => {
                let place = place(&args[4]);
                let id = self.read_from(server, wire, &place, &args[5]);
                Ok((Wait::Read(place, id, resp3), 1_000 * number(&args[2])? as u64))
            }
            _ => {
                let keys = args[1..last].iter().map(place).collect();
                Ok((Wait::Pop(keys), timeout_us(&args[last])?))
            }
        }
    }

    /// After which entry a stream is to be read.
    fn read_from(&mut self, server: usize, wire: usize, place: &Place, from: &[u8]) -> EntryId {
        let end = match self.servers[server].data.get(place).map(|entry| &entry.value) {
            Some(Value::Stream(stream)) => stream.last,
            _ => (0, 0),
        };
        let id = read_id(from).unwrap_or(end);
        let carried = self.note_read(server, wire, place, id);
        match carried && self.plan.bug == Bug::EndAskedAnew {
            true => end,
            false => id,
        }
    }

    /// Does what is waited for, if it can be done.
    fn try_wait(&mut self, server: usize, what: &Wait) -> Option<Reply> {
        match what {
            Wait::Pop(keys) => keys.iter().find_map(|place| {
                let first = self.pop_first(server, place)?;
                Some(Reply::Array(vec![Reply::bulk(&place.1), Reply::Bulk(first)]))
            }),
            Wait::Move(from, to) => {
                let first = self.pop_first(server, from)?;
                if self.plan.bug != Bug::MovedNowhere {
                    self.push_last(server, to, first.clone());
                }
                Some(Reply::Bulk(first))
            }
            Wait::Read(place, id, resp3) => {
                let entry = self.servers[server].data.get(place)?;
                read_after(&entry.value, place, *id, *resp3)
            }
        }
    }

    /// Takes the first element of a list, if it has one.
    fn pop_first(&mut self, server: usize, place: &Place) -> Option<Vec<u8>> {
        let data = &mut self.servers[server].data;
        let entry = data.get(place)?;
        let Value::List(items) = &entry.value else { return None };
        let (first, rest, expires) = (items[0].clone(), items[1..].to_vec(), entry.expires);
        if rest.is_empty() {
            data.remove(place);
        } else {
            data.put(place.clone(), Value::List(rest), expires);
        }
        Some(first)
    }

    fn push_last(&mut self, server: usize, place: &Place, item: Vec<u8>) {
        let data = &mut self.servers[server].data;
        let entry = data.get(place);
        let expires = entry.and_then(|entry| entry.expires);
        let mut items = match entry.map(|entry| &entry.value) {
            Some(Value::List(items)) => items.clone(),
            _ => Vec::new(),
        };
        items.push(item);
        data.put(place.clone(), Value::List(items), expires);
    }

    /// Gives clients that wait what has come for them, in the order in which they came; what one of them has moved may be what
    /// another waits for.
    pub(crate) fn serve_waiting(&mut self, server: usize) {
        while self.serve_each(server) {}
    }

    /// Whether anybody was given anything that may matter to somebody else.
    fn serve_each(&mut self, server: usize) -> bool {
        let waiting = |wire: &usize| {
            let waiting = self.wires[*wire].client.waiting.as_ref()?;
            Some((waiting.serial, *wire))
        };
        let accepted = self.servers[server].run.accepted.values();
        let mut waiting: Vec<(u64, usize)> = accepted.filter_map(waiting).collect();
        waiting.sort_unstable();
        let mut moved = false;
        for (_, wire) in waiting {
            let Some(waiting) = &self.wires[wire].client.waiting else { continue };
            let what = waiting.what.clone();
            let Some(reply) = self.try_wait(server, &what) else { continue };
            match (self.plan.bug, &what) {
                (Bug::ElementDropped, Wait::Pop(_)) => continue,
                (Bug::WaitDoubled, Wait::Pop(_)) => drop(self.try_wait(server, &what)),
                _ => {}
            }
            self.end_waiting(server, wire, &reply);
            moved |= matches!(what, Wait::Move(..));
        }
        moved
    }

    fn end_waiting(&mut self, server: usize, wire: usize, reply: &Reply) {
        self.wires[wire].client.waiting = None;
        self.answer(wire, reply);
        self.wake_server(server);
    }

    /// A client has waited for as long as it wanted to.
    pub(crate) fn wait_late(&mut self, server: usize, run: u64, wire: usize, serial: u64) {
        let waits = self.wires[wire].client.waiting.as_ref();
        if self.servers[server].runs != run || waits.is_none_or(|waits| waits.serial != serial) {
            return;
        }
        if self.servers[server].frozen {
            return self.at(self.now + 1_000, Event::WaitLate { server, run, wire, serial });
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

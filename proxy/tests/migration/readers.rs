//! Streams: clients that add to them, and one reader for each, who waits for what comes by XREAD with BLOCK.
//!
//! A reader begins at the stream's end and goes on behind the last entry that it was given. In the end it must have been given
//! all entries since its beginning, each once, in their order, wherever the stream has been meanwhile. Where the end was is
//! decided by the proxy, which asks the server; so the reader's beginning is what the first server is asked for.

use crate::clients::{Asked, Question, Wait};
use crate::server::Near;
use crate::server::data::{EntryId, Place, Stream, Value, id_text, read_id};
use crate::server::reply::{Reply, request};
use crate::world::World;
use std::collections::BTreeMap;

/// The longest wait that ends by itself, in milliseconds.
const WAIT_MS_MAX: u64 = 400;

/// A client that reads one stream.
pub(crate) struct Reader {
    place: Place,
    /// The entry behind which it began, once that is known.
    start: Option<EntryId>,
    given: Vec<(EntryId, Vec<u8>)>,
    /// The first server that has seen its present request.
    seen_at: Option<usize>,
    /// When it asked nobody had anything to add any more.
    last_look: bool,
    pub(crate) over: bool,
}

/// What became of an entry that a client wanted to add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It may be there.
    Unknown,
    Refused,
    Is(EntryId),
}

/// All entries that clients wanted to add, by stream and value.
pub(crate) type Added = BTreeMap<(Place, Vec<u8>), Fate>;

impl Reader {
    pub(crate) fn new(place: Place) -> Self {
        Self { place, start: None, given: Vec::new(), seen_at: None, last_look: false, over: false }
    }

    /// Behind which entry it goes on.
    fn from(&self) -> Option<EntryId> {
        self.given.last().map(|(id, _)| *id).or(self.start)
    }
}

/// The entries in an answer to XREAD of one stream, in either protocol.
fn entries(reply: &Reply) -> Option<Vec<(EntryId, Vec<u8>)>> {
    let of_stream = match reply {
        Reply::Map(of_stream) => of_stream,
        Reply::Array(streams) => match &streams[..] {
            [Reply::Array(of_stream)] => of_stream,
            _ => return None,
        },
        _ => return None,
    };
    let [Reply::Bulk(_), Reply::Array(entries)] = &of_stream[..] else { return None };
    let entry = |entry: &Reply| {
        let Reply::Array(parts) = entry else { return None };
        let [Reply::Bulk(id), Reply::Array(fields)] = &parts[..] else { return None };
        let [Reply::Bulk(_), Reply::Bulk(value)] = &fields[..] else { return None };
        Some((read_id(id)?, value.clone()))
    };
    entries.iter().map(entry).collect()
}

impl World {
    /// XADD.
    pub(crate) fn ask_add(&mut self, client: usize, place: Place) {
        let value = self.next_value(client);
        self.added.insert((place.clone(), value.clone()), Fate::Unknown);
        let words: [&[u8]; 5] = [b"XADD", &place.1, b"*", b"f", &value];
        self.ask(client, &request(&words), Question::Added(place, value), Vec::new());
    }

    pub(crate) fn take_added(&mut self, client: usize, place: Place, value: Vec<u8>, reply: Reply) {
        let fate = match &reply {
            Reply::Error(words) if words.contains("may have run") => Some(Fate::Unknown),
            Reply::Error(_) => Some(Fate::Refused),
            Reply::Bulk(id) => read_id(id).map(Fate::Is),
            _ => None,
        };
        match fate {
            Some(fate) => drop(self.added.insert((place, value), fate)),
            None => self.fail(format!("client {client} was answered {reply:?} to XADD")),
        }
    }

    /// The next XREAD of a reader.
    pub(crate) fn read_on(&mut self, client: usize) {
        let adds = |client: &crate::clients::Client| client.reader.is_none() && !client.is_done();
        let last_look = self.healed && !self.clients.iter().any(adds);
        let timeout_ms = match self.rng.u8(..3) {
            0 => 0,
            _ => self.rng.u64(1..WAIT_MS_MAX),
        };
        let Some(reader) = &mut self.clients[client].reader else { return };
        reader.seen_at = None;
        reader.last_look = last_look;
        let from = reader.from().map_or("$".into(), id_text);
        let (timeout, key) = (timeout_ms.to_string(), reader.place.1.clone());
        let words: [&[u8]; 6] =
            [b"XREAD", b"BLOCK", timeout.as_bytes(), b"STREAMS", &key, from.as_bytes()];
        let wait = Wait { timeout_us: 1_000 * timeout_ms, released: false };
        self.ask(client, &request(&words), Question::Read(wait), Vec::new());
    }

    /// A server was asked by XREAD for what comes after an entry; answers whether another server was before, for the same request of
    /// a client's.
    pub(crate) fn note_read(
        &mut self,
        server: usize,
        wire: usize,
        place: &Place,
        id: EntryId,
    ) -> bool {
        let wire = &self.wires[wire];
        if wire.over || !matches!(wire.near, Near::Backend { .. }) {
            // Of a session that is gone.
            return false;
        }
        let mut clients = self.clients.iter_mut();
        let reader = clients.find_map(|client| {
            let waits = client.asks().any(|what| matches!(what, Question::Read(_)));
            client.reader.as_mut().filter(|reader| waits && reader.place == *place)
        });
        let Some(reader) = reader else { return false };
        reader.start.get_or_insert(id);
        *reader.seen_at.get_or_insert(server) != server
    }

    pub(crate) fn take_read(&mut self, client: usize, wait: Wait, asked: &Asked, reply: Reply) {
        self.check_patience(client, wait, asked, &reply);
        let Some(reader) = &mut self.clients[client].reader else { return };
        match &reply {
            Reply::Error(_) => {}
            Reply::Nil => reader.over = reader.last_look,
            reply => {
                let Some(entries) = entries(reply) else {
                    return self.fail(format!("client {client} was sent {reply:?} for XREAD"));
                };
                reader.given.extend(entries);
            }
        }
    }

    /// Whether each reader was given what it should be, and each entry is there that was said to be.
    pub(crate) fn check_streams(&self) -> Result<(), String> {
        for client in &self.clients {
            if let Some(reader) = &client.reader {
                self.check_reader(reader)?;
            }
        }
        for ((place, value), fate) in &self.added {
            let entries = self.stream(place).entries;
            let there: Vec<EntryId> =
                entries.iter().filter(|(_, is)| is == value).map(|(id, _)| *id).collect();
            let fits = match fate {
                Fate::Unknown => there.len() <= 1,
                Fate::Refused => there.is_empty(),
                Fate::Is(id) => there == [*id],
            };
            if !fits {
                let (key, value) = (place.1.escape_ascii(), value.escape_ascii());
                return Err(format!("{value} of {key} should be {fate:?} and is {there:?}"));
            }
        }
        Ok(())
    }

    fn stream(&self, place: &Place) -> Stream {
        let (owner, _) = self.owners(&place.1);
        match self.servers[owner as usize - 1].data.get(place).map(|entry| &entry.value) {
            Some(Value::Stream(stream)) => stream.clone(),
            _ => Stream::default(),
        }
    }

    fn check_reader(&self, reader: &Reader) -> Result<(), String> {
        let Reader { place, start, given, .. } = reader;
        let stream = self.stream(place);
        let since = stream.after(start.unwrap_or(stream.last));
        // What was given up may be added when nobody looks any more.
        let is_late = |(_, value): &(EntryId, Vec<u8>)| {
            self.added.get(&(place.clone(), value.clone())) == Some(&Fate::Unknown)
        };
        match since.strip_prefix(&given[..]) {
            Some(rest) if rest.iter().all(is_late) => Ok(()),
            _ => {
                let ids = |entries: &[(EntryId, Vec<u8>)]| {
                    entries.iter().map(|(id, _)| id_text(*id)).collect::<Vec<_>>().join(" ")
                };
                Err(format!(
                    "the reader of {} was given {}, and not {}",
                    place.1.escape_ascii(),
                    ids(given),
                    ids(since)
                ))
            }
        }
    }
}

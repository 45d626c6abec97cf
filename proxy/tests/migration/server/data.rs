//! Keys and values of a model server.

use std::collections::{BTreeMap, BTreeSet};

/// A value of one of the kinds that clients use here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Value {
    Text(Vec<u8>),
    List(Vec<Vec<u8>>),
    Set(BTreeSet<Vec<u8>>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    Stream(Stream),
}

/// What names an entry of a stream: milliseconds, and a number within them.
pub(crate) type EntryId = (u64, u64);

/// A stream without groups; its entries have one field.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stream {
    pub(crate) entries: Vec<(EntryId, Vec<u8>)>,
    /// The last one that was given out.
    pub(crate) last: EntryId,
}

/// As servers write it.
pub(crate) fn id_text((ms, number): EntryId) -> String {
    format!("{ms}-{number}")
}

/// What [`id_text`] has written.
pub(crate) fn read_id(text: &[u8]) -> Option<EntryId> {
    let (ms, number) = std::str::from_utf8(text).ok()?.split_once('-')?;
    Some((ms.parse().ok()?, number.parse().ok()?))
}

impl Stream {
    /// Adds an entry now.
    pub(crate) fn add(&mut self, now_ms: u64, value: Vec<u8>) -> EntryId {
        let (ms, number) = self.last;
        self.last = if now_ms > ms { (now_ms, 0) } else { (ms, number + 1) };
        self.entries.push((self.last, value));
        self.last
    }

    /// What was added after this one.
    pub(crate) fn after(&self, id: EntryId) -> &[(EntryId, Vec<u8>)] {
        &self.entries[self.entries.partition_point(|(known, _)| *known <= id)..]
    }
}

impl Value {
    /// As TYPE has it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Hash(_) => "hash",
            Self::Stream(_) => "stream",
        }
    }

    /// As MEMORY USAGE has it, more or less.
    pub(crate) fn bytes(&self) -> usize {
        56 + match self {
            Self::Text(text) => text.len(),
            Self::List(items) => items.iter().map(|item| item.len() + 11).sum(),
            Self::Set(items) => items.iter().map(|item| item.len() + 11).sum(),
            Self::Hash(fields) => fields.iter().map(|(f, v)| f.len() + v.len() + 22).sum(),
            // Never big: what moves a big one in pieces has tests of its own, with real servers.
            Self::Stream(_) => 100,
        }
    }

    /// What DUMP makes of it.
    pub(crate) fn dump(&self) -> Vec<u8> {
        let mut parts: Vec<&[u8]> = vec![self.kind().as_bytes()];
        let ids: Vec<String> = match self {
            Self::Stream(stream) => {
                let entries = stream.entries.iter().map(|(id, _)| *id);
                entries.chain([stream.last]).map(id_text).collect()
            }
            _ => Vec::new(),
        };
        match self {
            Self::Text(text) => parts.push(text),
            Self::List(items) => parts.extend(items.iter().map(Vec::as_slice)),
            Self::Set(items) => parts.extend(items.iter().map(Vec::as_slice)),
            Self::Hash(fields) => fields.iter().for_each(|(f, v)| parts.extend([&f[..], v])),
            Self::Stream(stream) => {
                let values = stream.entries.iter().map(|(_, value)| &value[..]).chain([&b""[..]]);
                ids.iter().zip(values).for_each(|(id, value)| parts.extend([id.as_bytes(), value]));
            }
        }
        super::reply::encode(&parts)
    }

    /// What RESTORE makes of that.
    pub(crate) fn load(bytes: &[u8]) -> Option<Self> {
        let (parts, _) = super::reply::parse_request(bytes).ok()??;
        let mut parts = parts.into_iter();
        Some(match parts.next()?.as_slice() {
            b"string" => Self::Text(parts.next()?),
            b"list" => Self::List(parts.collect()),
            b"set" => Self::Set(parts.collect()),
            b"stream" => {
                let parts: Vec<Vec<u8>> = parts.collect();
                let entry = |pair: &[Vec<u8>]| Some((read_id(&pair[0])?, pair[1].clone()));
                let mut entries = parts.chunks(2).map(entry).collect::<Option<Vec<_>>>()?;
                let (last, _) = entries.pop()?;
                Self::Stream(Stream { entries, last })
            }
            _ => {
                let parts: Vec<Vec<u8>> = parts.collect();
                Self::Hash(parts.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
            }
        })
    }
}

/// A value with its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    /// In milliseconds of virtual time.
    pub(crate) expires: Option<u64>,
}

/// A database's number and a key.
pub(crate) type Place = (u32, Vec<u8>);

/// All keys of all databases.
#[derive(Debug, Clone, Default)]
pub(crate) struct Data {
    keys: BTreeMap<Place, Entry>,
    /// When the first one ends, or earlier.
    next_end: u64,
    /// How often each key was changed, for WATCH.
    changes: BTreeMap<Place, u64>,
    /// What has changed since somebody asked, for clients that track.
    touched: Vec<Place>,
}

impl Data {
    pub(crate) fn get(&self, place: &Place) -> Option<&Entry> {
        self.keys.get(place)
    }

    pub(crate) fn put(&mut self, place: Place, value: Value, expires: Option<u64>) {
        if let Some(at) = expires {
            self.next_end = if self.next_end == 0 { at } else { self.next_end.min(at) };
        }
        self.touch(&place);
        self.keys.insert(place, Entry { value, expires });
    }

    pub(crate) fn remove(&mut self, place: &Place) -> Option<Entry> {
        let gone = self.keys.remove(place)?;
        self.touch(place);
        Some(gone)
    }

    fn touch(&mut self, place: &Place) {
        *self.changes.entry(place.clone()).or_default() += 1;
        self.touched.push(place.clone());
    }

    /// What has changed since this was asked last, in that order.
    pub(crate) fn take_touched(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.touched)
    }

    /// Sets or takes away a key's end.
    pub(crate) fn end_at(&mut self, place: &Place, expires: Option<u64>) -> bool {
        let Some(entry) = self.remove(place) else { return false };
        self.put(place.clone(), entry.value, expires);
        true
    }

    /// Removes what has ended.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        if self.next_end == 0 || now_ms < self.next_end {
            return;
        }
        let ended = |entry: &Entry| entry.expires.is_some_and(|at| at <= now_ms);
        let gone: Vec<Place> =
            self.keys.iter().filter(|(_, e)| ended(e)).map(|(place, _)| place.clone()).collect();
        gone.iter().for_each(|place| drop(self.remove(place)));
        self.next_end = self.keys.values().filter_map(|entry| entry.expires).min().unwrap_or(0);
    }

    /// A number that changes with the key.
    pub(crate) fn changes(&self, place: &Place) -> u64 {
        self.changes.get(place).copied().unwrap_or(0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Place, &Entry)> {
        self.keys.iter()
    }

    pub(crate) fn of_database(&self, database: u32) -> impl Iterator<Item = (&Vec<u8>, &Entry)> {
        let of = self.keys.range((database, Vec::new())..(database + 1, Vec::new()));
        of.map(|((_, key), entry)| (key, entry))
    }
}

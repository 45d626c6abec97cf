//! The commands of a model server that touch nothing but its data.

use super::data::{Data, Entry, Place, Value};
use super::reply::{Reply, shown};

/// Commands that a server without memory to spare refuses.
const NEED_MEMORY: [&[u8]; 18] = [
    b"HMSET",
    b"SLOTSRESTORE",
    b"SET",
    b"SETNX",
    b"INCR",
    b"APPEND",
    b"SETRANGE",
    b"RPUSH",
    b"SADD",
    b"HSET",
    b"MSET",
    b"RESTORE",
    b"RESTORE-ASKING",
    b"RENAME",
    b"RENAMENX",
    b"GETSET",
    b"XADD",
    b"BLMOVE",
];

/// What a command runs on.
pub(crate) struct Call<'a> {
    pub(crate) data: &'a mut Data,
    pub(crate) database: u32,
    pub(crate) now_ms: u64,
    /// `maxmemory` is reached.
    pub(crate) full: bool,
    pub(crate) rng: &'a mut fastrand::Rng,
    /// Tells the order of keys in SCAN.
    pub(crate) order: u64,
}

/// A failure of a command: what the client is answered.
pub(super) type Ran = Result<Reply, Reply>;

pub(super) fn error<T>(text: &str) -> Result<T, Reply> {
    Err(Reply::Error(text.into()))
}

pub(super) fn wrong_type<T>() -> Result<T, Reply> {
    error("WRONGTYPE Operation against a key holding the wrong kind of value")
}

/// A number out of an argument.
pub(crate) fn number(arg: &[u8]) -> Result<i64, Reply> {
    let parsed = std::str::from_utf8(arg).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| Reply::Error("ERR value is not an integer or out of range".into()))
}

/// From `from` to `to` of `len`, both included and negative from the end.
fn range(len: usize, from: i64, to: i64) -> std::ops::Range<usize> {
    let place = |at: i64| if at < 0 { (at + len as i64).max(0) } else { at } as usize;
    let end = if to < 0 && to + (len as i64) < 0 { 0 } else { (place(to) + 1).min(len) };
    place(from).min(end)..end
}

fn hash(key: &[u8], seed: u64) -> u64 {
    let start = seed ^ 0xcbf2_9ce4_8422_2325;
    let hash = key.iter().fold(start, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    // The proxy has room for cursors of this size.
    (hash ^ (hash >> 29)) >> 33
}

fn flat(items: impl IntoIterator<Item = Vec<u8>>) -> Reply {
    Reply::Array(items.into_iter().map(Reply::Bulk).collect())
}

/// Runs a command. `None`: the model does not know it.
pub(crate) fn run(call: &mut Call<'_>, args: &[Vec<u8>]) -> Option<Reply> {
    let name = args[0].to_ascii_uppercase();
    if call.full && NEED_MEMORY.contains(&name.as_slice()) {
        let text = "OOM command not allowed when used memory > 'maxmemory'.";
        return Some(Reply::Error(text.into()));
    }
    let ran =
        match name.as_slice() {
            b"PING" => Ok(Reply::Status("PONG".into())),
            b"GET" | b"SET" | b"SETNX" | b"INCR" | b"APPEND" | b"GETRANGE" | b"STRLEN"
            | b"GETSET" => call.text(&name, args),
            b"MGET" | b"MSET" | b"DEL" | b"UNLINK" | b"EXISTS" | b"TOUCH" => call.many(&name, args),
            b"RPUSH" | b"LRANGE" | b"LLEN" => call.list(&name, args),
            b"SADD" | b"SREM" | b"SMEMBERS" | b"SCARD" | b"SSCAN" => call.set(&name, args),
            b"HSET" | b"HGET" | b"HDEL" | b"HLEN" | b"HGETALL" | b"HSCAN" => call.hash(&name, args),
            b"HMSET" => call.hash(b"HSET", args).map(|_| Reply::ok()),
            b"EXPIRE" | b"PEXPIRE" | b"PEXPIREAT" | b"PERSIST" | b"PTTL" | b"PEXPIRETIME"
            | b"TTL" => call.ends(&name, args),
            b"TYPE" | b"DUMP" | b"MEMORY" | b"RENAME" | b"RENAMENX" | b"DBSIZE" | b"OBJECT" => {
                call.keys(&name, args)
            }
            b"MOVE" => call.move_key(args),
            b"FLUSHDB" => Ok(call.flush()),
            b"XADD" | b"XLEN" | b"XINFO" => call.stream(&name, args),
            b"RESTORE" | b"RESTORE-ASKING" => call.restore(args),
            b"SLOTSRESTORE" => call.restore(&[args, &[b"REPLACE".to_vec()]].concat()),
            b"SCAN" => call.scan(args),
            // As a server before 7.0.
            b"FUNCTION" => error("ERR unknown command 'FUNCTION'"),
            _ => return None,
        };
    Some(ran.unwrap_or_else(|failure| failure))
}

impl Call<'_> {
    pub(super) fn place(&self, args: &[Vec<u8>], at: usize) -> Place {
        let missing = || panic!("a server was sent {}, which lacks an argument", shown(args));
        (self.database, args.get(at).cloned().unwrap_or_else(missing))
    }

    fn text(&mut self, name: &[u8], args: &[Vec<u8>]) -> Ran {
        let place = self.place(args, 1);
        let old = match self.data.get(&place) {
            None => None,
            Some(Entry { value: Value::Text(text), expires }) => Some((text.clone(), *expires)),
            Some(_) if name == b"SET" => None,
            Some(_) if name == b"SETNX" => return Ok(Reply::Int(0)),
            Some(_) => return wrong_type(),
        };
        let bulk = |old: &Option<(Vec<u8>, _)>| {
            old.as_ref().map_or(Reply::Nil, |(text, _)| Reply::Bulk(text.clone()))
        };
        Ok(match name {
            b"GET" => bulk(&old),
            b"STRLEN" => Reply::Int(old.map_or(0, |(text, _)| text.len() as i64)),
            b"GETRANGE" => {
                let text = old.map(|(text, _)| text).unwrap_or_default();
                Reply::bulk(&text[range(text.len(), number(&args[2])?, number(&args[3])?)])
            }
            b"SET" => return self.set_text(place, args),
            b"GETSET" => {
                self.data.put(place, Value::Text(args[2].clone()), None);
                bulk(&old)
            }
            b"SETNX" if old.is_some() => Reply::Int(0),
            b"SETNX" => {
                self.data.put(place, Value::Text(args[2].clone()), None);
                Reply::Int(1)
            }
            _ => {
                let (mut text, expires) = old.unwrap_or((Vec::new(), None));
                let answer = if name == b"APPEND" {
                    text.extend_from_slice(&args[2]);
                    text.len() as i64
                } else {
                    let next = if text.is_empty() { 1 } else { number(&text)? + 1 };
                    text = next.to_string().into_bytes();
                    next
                };
                self.data.put(place, Value::Text(text), expires);
                Reply::Int(answer)
            }
        })
    }

    fn set_text(&mut self, place: Place, args: &[Vec<u8>]) -> Ran {
        let mut expires = None;
        let exists = self.data.get(&place).is_some();
        let mut options = args[3..].iter();
        while let Some(option) = options.next() {
            let mut end = || options.next().map_or(Ok(0), |arg| number(arg)).map(|n| n as u64);
            match option.to_ascii_uppercase().as_slice() {
                b"PX" => expires = Some(self.now_ms + end()?),
                b"EX" => expires = Some(self.now_ms + 1000 * end()?),
                b"PXAT" => expires = Some(end()?),
                b"NX" if exists => return Ok(Reply::Nil),
                b"XX" if !exists => return Ok(Reply::Nil),
                b"NX" | b"XX" => {}
                _ => return error("ERR syntax error"),
            }
        }
        self.data.put(place, Value::Text(args[2].clone()), expires);
        Ok(Reply::ok())
    }

    fn many(&mut self, name: &[u8], args: &[Vec<u8>]) -> Ran {
        if name == b"MSET" {
            for pair in args[1..].chunks(2) {
                self.data.put((self.database, pair[0].clone()), Value::Text(pair[1].clone()), None);
            }
            return Ok(Reply::ok());
        }
        let places = args[1..].iter().map(|key| (self.database, key.clone()));
        if name == b"MGET" {
            let one = |place| match self.data.get(&place).map(|entry| &entry.value) {
                Some(Value::Text(text)) => Reply::bulk(text),
                _ => Reply::Nil,
            };
            return Ok(Reply::Array(places.map(one).collect()));
        }
        let removes = name == b"DEL" || name == b"UNLINK";
        let data = &mut *self.data;
        let there = |place: &Place| {
            if removes { data.remove(place).is_some() } else { data.get(place).is_some() }
        };
        Ok(Reply::Int(places.filter(there).count() as i64))
    }

    fn list(&mut self, name: &[u8], args: &[Vec<u8>]) -> Ran {
        let place = self.place(args, 1);
        let (old, expires) = match self.data.get(&place) {
            None => (Vec::new(), None),
            Some(Entry { value: Value::List(items), expires }) => (items.clone(), *expires),
            Some(_) => return wrong_type(),
        };
        Ok(match name {
            b"LLEN" => Reply::Int(old.len() as i64),
            b"LRANGE" => flat(old[range(old.len(), number(&args[2])?, number(&args[3])?)].to_vec()),
            _ => {
                let mut items = old;
                items.extend_from_slice(&args[2..]);
                let count = items.len();
                self.data.put(place, Value::List(items), expires);
                Reply::Int(count as i64)
            }
        })
    }

    fn set(&mut self, name: &[u8], args: &[Vec<u8>]) -> Ran {
        let place = self.place(args, 1);
        let (mut items, expires) = match self.data.get(&place) {
            None => (std::collections::BTreeSet::new(), None),
            Some(Entry { value: Value::Set(items), expires }) => (items.clone(), *expires),
            Some(_) => return wrong_type(),
        };
        Ok(match name {
            b"SCARD" => Reply::Int(items.len() as i64),
            b"SMEMBERS" => flat(items),
            b"SSCAN" => Reply::Array(vec![Reply::bulk("0"), flat(items)]),
            _ => {
                let before = items.len();
                for item in &args[2..] {
                    if name == b"SADD" {
                        items.insert(item.clone())
                    } else {
                        items.remove(item)
                    };
                }
                let changed = items.len().abs_diff(before);
                if items.is_empty() {
                    self.data.remove(&place);
                } else if changed > 0 {
                    self.data.put(place, Value::Set(items), expires);
                }
                Reply::Int(changed as i64)
            }
        })
    }

    fn hash(&mut self, name: &[u8], args: &[Vec<u8>]) -> Ran {
        let place = self.place(args, 1);
        let (mut fields, expires) = match self.data.get(&place) {
            None => (std::collections::BTreeMap::new(), None),
            Some(Entry { value: Value::Hash(fields), expires }) => (fields.clone(), *expires),
            Some(_) => return wrong_type(),
        };
        let pairs = |fields: std::collections::BTreeMap<Vec<u8>, Vec<u8>>| {
            flat(fields.into_iter().flat_map(|(field, value)| [field, value]))
        };
        Ok(match name {
            b"HGET" => fields.get(&args[2]).map_or(Reply::Nil, Reply::bulk),
            b"HLEN" => Reply::Int(fields.len() as i64),
            b"HGETALL" => pairs(fields),
            b"HSCAN" => Reply::Array(vec![Reply::bulk("0"), pairs(fields)]),
            b"HSET" => {
                let before = fields.len();
                fields.extend(args[2..].chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())));
                let added = fields.len() - before;
                self.data.put(place, Value::Hash(fields), expires);
                Reply::Int(added as i64)
            }
            _ => {
                let gone = args[2..].iter().filter(|field| fields.remove(*field).is_some()).count();
                if fields.is_empty() {
                    self.data.remove(&place);
                } else if gone > 0 {
                    self.data.put(place, Value::Hash(fields), expires);
                }
                Reply::Int(gone as i64)
            }
        })
    }

    fn ends(&mut self, name: &[u8], args: &[Vec<u8>]) -> Ran {
        let place = self.place(args, 1);
        let Some(entry) = self.data.get(&place) else {
            let asks = [&b"PTTL"[..], b"TTL", b"PEXPIRETIME"].contains(&name);
            return Ok(Reply::Int(if asks { -2 } else { 0 }));
        };
        let left = entry.expires.map(|at| (at - self.now_ms) as i64);
        let end = match name {
            b"PTTL" => return Ok(Reply::Int(left.unwrap_or(-1))),
            b"TTL" => return Ok(Reply::Int(left.map_or(-1, |left| (left + 500) / 1000))),
            b"PEXPIRETIME" => return Ok(Reply::Int(entry.expires.map_or(-1, |at| at as i64))),
            b"PERSIST" if entry.expires.is_none() => return Ok(Reply::Int(0)),
            b"PERSIST" => None,
            b"EXPIRE" => Some(self.now_ms as i64 + 1000 * number(&args[2])?),
            b"PEXPIRE" => Some(self.now_ms as i64 + number(&args[2])?),
            _ => Some(number(&args[2])?),
        };
        match end {
            Some(at) if at <= self.now_ms as i64 => drop(self.data.remove(&place)),
            at => drop(self.data.end_at(&place, at.map(|at| at as u64))),
        }
        Ok(Reply::Int(1))
    }

    fn move_key(&mut self, args: &[Vec<u8>]) -> Ran {
        let place = self.place(args, 1);
        let to = (number(&args[2])? as u32, place.1.clone());
        if self.data.get(&to).is_some() {
            return Ok(Reply::Int(0));
        }
        let Some(entry) = self.data.remove(&place) else { return Ok(Reply::Int(0)) };
        self.data.put(to, entry.value, entry.expires);
        Ok(Reply::Int(1))
    }

    fn flush(&mut self) -> Reply {
        let keys: Vec<Vec<u8>> =
            self.data.of_database(self.database).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.data.remove(&(self.database, key));
        }
        Reply::ok()
    }

    fn keys(&mut self, name: &[u8], args: &[Vec<u8>]) -> Ran {
        if name == b"DBSIZE" {
            return Ok(Reply::Int(self.data.of_database(self.database).count() as i64));
        }
        let place = self.place(args, if name == b"MEMORY" || name == b"OBJECT" { 2 } else { 1 });
        let entry = self.data.get(&place);
        Ok(match name {
            b"TYPE" => Reply::Status(entry.map_or("none", |entry| entry.value.kind()).into()),
            b"DUMP" => entry.map_or(Reply::Nil, |entry| Reply::Bulk(entry.value.dump())),
            b"MEMORY" => {
                let bytes = |entry: &Entry| entry.value.bytes() + place.1.len();
                entry.map_or(Reply::Nil, |entry| Reply::Int(bytes(entry) as i64))
            }
            b"OBJECT" => entry.map_or(Reply::Nil, |_| Reply::bulk("embstr")),
            _ => {
                let to = self.place(args, 2);
                if entry.is_none() {
                    return error("ERR no such key");
                }
                if name == b"RENAMENX" && self.data.get(&to).is_some() {
                    return Ok(Reply::Int(0));
                }
                if let Some(entry) = self.data.remove(&place) {
                    self.data.put(to, entry.value, entry.expires);
                }
                if name == b"RENAMENX" { Reply::Int(1) } else { Reply::ok() }
            }
        })
    }

    fn restore(&mut self, args: &[Vec<u8>]) -> Ran {
        let place = self.place(args, 1);
        let options: Vec<Vec<u8>> = args[4..].iter().map(|arg| arg.to_ascii_uppercase()).collect();
        let has = |name: &[u8]| options.iter().any(|option| option == name);
        if self.data.get(&place).is_some() && !has(b"REPLACE") {
            return error("BUSYKEY Target key name already exists.");
        }
        let ttl = number(&args[2])? as u64;
        let base = if has(b"ABSTTL") { 0 } else { self.now_ms };
        let Some(value) = Value::load(&args[3]) else {
            return error("ERR DUMP payload version or checksum are wrong");
        };
        self.data.put(place, value, (ttl > 0).then_some(base + ttl));
        Ok(Reply::ok())
    }

    /// What is there from the first to the last SCAN of a walk is told at least once, in an order that has nothing to
    /// do with anything; a key may be told more than once. The cursor is the hash of the next key.
    fn scan(&mut self, args: &[Vec<u8>]) -> Ran {
        let from = number(&args[1])? as u64;
        let keys =
            self.data.of_database(self.database).map(|(key, _)| (hash(key, self.order), key));
        let mut keys: Vec<(u64, &Vec<u8>)> = keys.collect();
        keys.sort_unstable();
        let next = keys.partition_point(|(hash, _)| *hash < from);
        let end = (next + self.rng.usize(1..=6)).min(keys.len());
        // All keys of one hash together, as those of one bucket are.
        let end = (end..keys.len()).find(|at| *at == 0 || keys[*at].0 != keys[at - 1].0);
        let cursor = end.map_or(0, |end| keys[end].0);
        let mut told: Vec<Vec<u8>> =
            keys[next..end.unwrap_or(keys.len())].iter().map(|(_, key)| key.to_vec()).collect();
        if next > 0 && self.rng.u8(..4) == 0 {
            told.push(keys[self.rng.usize(..next)].1.clone());
        }
        self.rng.shuffle(&mut told);
        Ok(Reply::Array(vec![Reply::bulk(cursor.to_string()), flat(told)]))
    }
}

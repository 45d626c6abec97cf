//! What clients ask for, and how it is noted in histories.

use crate::clients::Question;
use crate::history::{OPERATIONS_MAX, What};
use crate::plan::{Key, Kind};
use crate::server::data::Place;
use crate::world::World;

impl World {
    /// Makes a request of what the plan has.
    pub(crate) fn ask_something(&mut self, client: usize) {
        self.clients[client].left -= 1;
        let database = self.clients[client].database;
        let streams = self.plan.streams.iter().filter(|place| place.0 == database);
        let streams: Vec<Place> = streams.cloned().collect();
        if !streams.is_empty() && self.rng.u8(..4) == 0 {
            let stream = self.rng.usize(..streams.len());
            return self.ask_add(client, streams[stream].clone());
        }
        let of_database: Vec<Key> =
            self.plan.keys.iter().filter(|key| key.place.0 == database).cloned().collect();
        let key = of_database[self.rng.usize(..of_database.len())].clone();
        match self.rng.u8(..10) {
            0 | 1 => return self.ask_transaction(client, &key),
            2 if key.kind == Kind::Register => return self.ask_watch(client, key),
            3 | 4 if key.kind == Kind::List => return self.ask_pop(client, key),
            _ => {}
        }
        let several = self.rng.u8(..5) == 0;
        let (name, question, keys) = if several {
            let registers = self.rng.bool();
            let name = if registers {
                ["MGET", "MSET"][self.rng.usize(..2)]
            } else {
                match self.rng.usize(..3) {
                    0 => "DEL",
                    1 if self.plan.codis => "DEL",
                    1 => "UNLINK",
                    _ => "EXISTS",
                }
            };
            let fits = |key: &&Key| !registers || key.kind == Kind::Register;
            let mut keys: Vec<Key> = of_database.iter().filter(fits).cloned().collect();
            self.rng.shuffle(&mut keys);
            keys.truncate(self.rng.usize(1..=4));
            let question = match name {
                "MGET" => Question::Values,
                "MSET" => Question::Ok,
                _ => Question::Count,
            };
            (name, question, keys)
        } else {
            let names: &[&str] = match key.kind {
                Kind::Register => &["GET", "GET", "SET", "SET", "DEL", "EXISTS", "PEXPIRE"],
                Kind::Counter => &["INCR", "INCR", "INCR", "GET", "DEL"],
                Kind::List => &["RPUSH", "RPUSH", "LRANGE", "DEL"],
                Kind::Set => &["SADD", "SADD", "SMEMBERS", "DEL"],
            };
            (names[self.rng.usize(..names.len())], Question::One, vec![key])
        };
        let full = |key: &Key| self.histories.len(&key.place) >= OPERATIONS_MAX;
        let refused = matches!(name, "DEL" | "UNLINK" | "PEXPIRE") && !self.plan.deletes;
        if keys.is_empty() || keys.iter().any(full) || refused {
            return;
        }
        self.ask_about(client, name, question, keys);
    }

    /// Its name in histories.
    pub(crate) fn session_of(&self, client: usize) -> Option<u64> {
        let target = &self.clients[client];
        Some(((target.number as u64) << 32) + target.sessions)
    }

    /// A value that nobody has written before.
    pub(crate) fn new_value(&mut self, client: usize, key: &Key) -> Vec<u8> {
        let mut value = self.next_value(client);
        if key.large {
            value.extend(std::iter::repeat_n(b'.', 1_200));
        }
        value
    }

    /// The same, whatever it is for.
    pub(crate) fn next_value(&mut self, client: usize) -> Vec<u8> {
        let target = &mut self.clients[client];
        target.values += 1;
        format!("{}.{}", target.number, target.values).into_bytes()
    }

    pub(crate) fn ask_about(
        &mut self,
        client: usize,
        name: &str,
        question: Question,
        keys: Vec<Key>,
    ) {
        let now = self.now;
        let session = self.session_of(client);
        let mut args = vec![name.as_bytes().to_vec()];
        let mut operations = Vec::new();
        for key in keys {
            let value = self.new_value(client, &key);
            args.push(key.place.1.clone());
            let what = match name {
                "GET" | "MGET" => What::Get(None),
                "SET" | "MSET" => {
                    args.push(value.clone());
                    What::Set(value)
                }
                "DEL" | "UNLINK" => What::Delete(None),
                "EXISTS" => What::Exists(None),
                "INCR" => What::Increment(None),
                "RPUSH" => {
                    args.push(value.clone());
                    What::Push(value, None)
                }
                "LRANGE" => {
                    args.extend([b"0".to_vec(), b"-1".to_vec()]);
                    What::Range(None)
                }
                "SADD" => {
                    args.push(value.clone());
                    What::Add(value, None)
                }
                "SMEMBERS" => What::Members(None),
                _ => {
                    let length_ms = self.rng.u64(1..400);
                    args.push(length_ms.to_string().into_bytes());
                    // Servers count whole milliseconds.
                    let end = (now / 1000 + length_ms) * 1000;
                    self.histories.call(&key.place, What::Vanish, end, None);
                    What::Expire(None)
                }
            };
            let number = self.histories.call(&key.place, what, now, session);
            operations.push((key, number));
        }
        self.ask(client, &args, question, operations);
    }
}

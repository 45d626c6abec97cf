//! Clients' transactions, and compare-and-set by WATCH.

use crate::answers::learn;
use crate::clients::{Asked, Question};
use crate::history::{OPERATIONS_MAX, What};
use crate::plan::{Key, Kind};
use crate::server::reply::{Reply, request};
use crate::world::World;

/// A command of a transaction.
struct Part {
    key: Key,
    request: Vec<Vec<u8>>,
    what: What,
}

fn words(name: &str, key: &Key, rest: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut request = request(&[name.as_bytes(), &key.place.1]);
    request.extend(rest.iter().map(|word| word.to_vec()));
    request
}

impl World {
    /// A few commands on keys of one slot, as one.
    pub(crate) fn ask_transaction(&mut self, client: usize, key: &Key) {
        let parts = self.choose_parts(client, key);
        self.ask_to_execute(client, false, parts);
    }

    fn choose_parts(&mut self, client: usize, key: &Key) -> Vec<Part> {
        let tag = |key: &Key| key.place.1.split(|byte| *byte == b'}').next().map(<[u8]>::to_vec);
        let near = |other: &&Key| other.place.0 == key.place.0 && tag(other) == tag(key);
        let near: Vec<Key> = self.plan.keys.iter().filter(near).cloned().collect();
        let count = self.rng.usize(1..=4);
        let mut parts = Vec::new();
        for _ in 0..count {
            let key = match self.rng.bool() {
                true => key.clone(),
                false => near[self.rng.usize(..near.len())].clone(),
            };
            parts.push(self.choose_part(client, key));
        }
        parts
    }

    fn choose_part(&mut self, client: usize, key: Key) -> Part {
        let value = self.new_value(client, &key);
        let deletes = self.plan.deletes;
        let (request, what) = match (key.kind, self.rng.u8(..4)) {
            (_, 0) if deletes => (words("DEL", &key, &[]), What::Delete(None)),
            (Kind::Register, 1) => (words("GET", &key, &[]), What::Get(None)),
            (Kind::Register, _) => (words("SET", &key, &[&value]), What::Set(value)),
            (Kind::Counter, _) => (words("INCR", &key, &[]), What::Increment(None)),
            // Within a transaction nothing waits.
            (Kind::List, 1) => (words("BLPOP", &key, &[b"0"]), What::Pop(None)),
            (Kind::List, 2) => (words("LRANGE", &key, &[b"0", b"-1"]), What::Range(None)),
            (Kind::List, _) => (words("RPUSH", &key, &[&value]), What::Push(value, None)),
            (Kind::Set, 1) => (words("SMEMBERS", &key, &[]), What::Members(None)),
            (Kind::Set, _) => (words("SADD", &key, &[&value]), What::Add(value, None)),
        };
        Part { key, request, what }
    }

    fn ask_to_execute(&mut self, client: usize, watched: bool, parts: Vec<Part>) {
        let full = |part: &Part| self.histories.len(&part.key.place) >= OPERATIONS_MAX;
        if parts.iter().any(full) {
            if watched {
                self.ask(client, &request(&["UNWATCH"]), Question::Said, Vec::new());
            }
            return;
        }
        let session = self.session_of(client);
        self.ask(client, &request(&["MULTI"]), Question::Said, Vec::new());
        let mut by_key: Vec<(Key, Vec<What>)> = Vec::new();
        let mut places = Vec::new();
        for part in parts {
            if self.rng.u8(..6) == 0 {
                self.ask(client, &request(&["PING"]), Question::Said, Vec::new());
                places.push(None);
            }
            self.ask(client, &part.request, Question::Said, Vec::new());
            let known = by_key.iter().position(|(key, _)| *key == part.key);
            let place = known.unwrap_or_else(|| {
                by_key.push((part.key, Vec::new()));
                by_key.len() - 1
            });
            places.push(Some((place, by_key[place].1.len())));
            by_key[place].1.push(part.what);
        }
        let now = self.now;
        let operations = by_key.into_iter().map(|(key, whats)| {
            let number = self.histories.call(&key.place, What::All(whats), now, session);
            (key, number)
        });
        let operations = operations.collect();
        let question = Question::Exec { watched, parts: places };
        self.ask(client, &request(&["EXEC"]), question, operations);
    }

    /// EXEC has an answer: all of it has run, or nothing.
    pub(crate) fn take_executed(&mut self, client: usize, asked: &Asked, reply: Reply) {
        let Question::Exec { watched, parts } = &asked.what else { return };
        let whole = format!("{reply:?}");
        match reply {
            Reply::Error(words) if words.contains("may have run") => {}
            Reply::Error(_) => self.did_not_happen(asked),
            Reply::Nil if *watched => self.did_not_happen(asked),
            Reply::Array(items) if items.len() == parts.len() => {
                let ran = parts.iter().zip(items).all(|(part, item)| match *part {
                    None => item == Reply::Status("PONG".into()),
                    Some(part) => self.learn_part(client, asked, part, item),
                });
                if !ran {
                    self.fail(format!("client {client} asked for {parts:?} and was sent {whole}"));
                }
                for (key, number) in &asked.operations {
                    self.histories.answered(&key.place, *number, self.now);
                }
            }
            _ => self.fail(format!("client {client} was answered {whole} to EXEC")),
        }
    }

    fn learn_part(
        &mut self,
        client: usize,
        asked: &Asked,
        (place, part): (usize, usize),
        item: Reply,
    ) -> bool {
        let (key, number) = &asked.operations[place];
        let operation = self.histories.operation(&key.place, *number);
        if let What::All(whats) = operation.what.asked() {
            let what = whats[part].clone();
            self.keep_part(client, &key.place, &what, &item);
        }
        let operation = self.histories.operation(&key.place, *number);
        let What::All(whats) = operation.what.asked() else { return false };
        if matches!(item, Reply::Error(_)) {
            whats[part] = What::Exists(None);
            return true;
        }
        learn(&mut whats[part], Some(item), 1)
    }

    pub(crate) fn did_not_happen(&mut self, asked: &Asked) {
        for (key, number) in &asked.operations {
            self.histories.never_happened(&key.place, *number);
        }
    }

    /// The first half of a compare-and-set.
    pub(crate) fn ask_watch(&mut self, client: usize, key: Key) {
        // The answer for one that failed may still be on its way.
        let reads = self.clients[client].asked.iter().any(|one| one.what == Question::Watched);
        if reads || self.histories.len(&key.place) + 2 >= OPERATIONS_MAX {
            return;
        }
        self.clients[client].watches = Some(key.clone());
        self.ask(client, &words("WATCH", &key, &[]), Question::Watch, Vec::new());
        self.ask_about(client, "GET", Question::Watched, vec![key]);
    }

    /// The second half, if both went well. The value is still the one that was seen, or nothing happens.
    pub(crate) fn go_on_with_swap(&mut self, client: usize, asked: &Asked, reply: &Reply) {
        let failed = matches!(reply, Reply::Error(_));
        if failed && self.clients[client].watches.take().is_some() {
            return self.ask(client, &request(&["UNWATCH"]), Question::Said, Vec::new());
        }
        if asked.what == Question::Watch {
            return;
        }
        match self.clients[client].values % 2 {
            0 => self.swap(client, reply),
            _ => self.clients[client].saw = Some(reply.clone()),
        }
    }

    /// The transaction of a compare-and-set, at once or later.
    pub(crate) fn swap(&mut self, client: usize, saw: &Reply) {
        let Some(key) = self.clients[client].watches.take() else { return };
        let seen = match saw {
            Reply::Bulk(text) => Some(text.clone()),
            _ => None,
        };
        let value = self.new_value(client, &key);
        let mut parts = vec![Part {
            request: words("SET", &key, &[&value]),
            what: What::Swap(seen, value),
            key: key.clone(),
        }];
        if self.rng.bool() {
            parts.extend(self.choose_parts(client, &key));
        }
        self.ask_to_execute(client, true, parts);
    }
}

//! Clients: sessions with a few requests under way, each of which is in the history of its keys.

use crate::answers::learn;
use crate::history::{OPERATIONS_MAX, What};
use crate::plan::{Key, Kind, Plan};
use crate::server::reply::{Reply, encode, request};
use crate::walks::Walk;
use crate::world::{Event, World};
use std::collections::VecDeque;

/// How long clients wait for an element before somebody ends that, once nothing fails any more, in microseconds.
const PATIENCE_US: u64 = 3_000_000;

/// One client.
pub(crate) struct Client {
    database: u32,
    /// The proxies' shards that it may use are by their numbers; it takes another one when it is thrown out.
    pub(crate) node: usize,
    session: Option<u32>,
    /// Counts its sessions.
    sessions: u64,
    number: usize,
    to_proxy: Vec<u8>,
    pub(crate) from_proxy: Vec<u8>,
    received: Vec<u8>,
    pub(crate) paused: bool,
    writing: bool,
    reading: bool,
    asked: VecDeque<Asked>,
    left: usize,
    window: usize,
    values: u64,
    pub(crate) replies: usize,
    last_reply: u64,
    /// The key that it watches, until it has said EXEC.
    pub(crate) watches: Option<Key>,
    /// It has said its last word, and reads on.
    hung_up: bool,
    /// It does nothing but SCAN.
    pub(crate) walk: Option<Walk>,
}

/// A request that has no answer.
pub(crate) struct Asked {
    pub(crate) since: u64,
    pub(crate) what: Question,
    /// By key: which operation of its history.
    pub(crate) operations: Vec<(Key, usize)>,
}

/// How to read the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    Select,
    One,
    Values,
    Ok,
    Count,
    /// BLPOP that waits for so long, 0 is for ever; whether it may end before.
    Pop {
        timeout_us: u64,
        released: bool,
    },
    /// WATCH.
    Watch,
    /// What a watched key holds.
    Watched,
    /// It is a part of a transaction, or ends one that was not begun: there is nothing to learn.
    Said,
    /// EXEC: for each reply which part of which operation it is of; none for PING.
    Exec {
        watched: bool,
        parts: Vec<Option<(usize, usize)>>,
    },
    Page,
}

impl Client {
    pub(crate) fn new(number: usize, plan: &Plan) -> Self {
        Self {
            database: (number as u32 % plan.databases) * 5,
            node: number % (plan.proxies * plan.shards),
            session: None,
            sessions: 0,
            number,
            to_proxy: Vec::new(),
            from_proxy: Vec::new(),
            received: Vec::new(),
            paused: false,
            writing: false,
            reading: false,
            asked: VecDeque::new(),
            left: if number < plan.clients { plan.requests } else { 0 },
            window: 1 + number % plan.window,
            values: 0,
            replies: 0,
            last_reply: 0,
            watches: None,
            hung_up: false,
            walk: (number >= plan.clients).then(Walk::default),
        }
    }

    /// Whether it has asked all it wanted to and was answered.
    pub(crate) fn is_done(&self) -> bool {
        let walks = self.walk.as_ref().is_some_and(|walk| !walk.over);
        self.left == 0 && self.asked.is_empty() && !walks
    }
}

impl World {
    /// A client opens a session, or asks something.
    pub(crate) fn client_turn(&mut self, client: usize) {
        if self.clients[client].is_done() {
            return;
        }
        let walks = self.clients[client].walk.is_some();
        let think = if walks { self.plan.walk_us } else { self.plan.think_us };
        self.soon(think, Event::ClientTurn(client));
        if self.clients[client].session.is_none() {
            return self.open_session(client);
        }
        if self.clients[client].hung_up || self.waits_or_leaves(client) {
            return;
        }
        if walks {
            if self.clients[client].asked.is_empty() {
                self.walk_on(client);
            }
            return;
        }
        if self.clients[client].watches.is_none()
            && self.clients[client].asked.len() < self.clients[client].window
            && self.clients[client].left > 0
        {
            self.ask_something(client);
        }
    }

    fn open_session(&mut self, client: usize) {
        let nodes = self.nodes.len();
        let target = &mut self.clients[client];
        let (node, id) = (target.node, 1000 + client as u64);
        if !self.proxies[self.nodes[node].proxy].alive {
            // It goes to another proxy, as clients do.
            target.node = (node + 1) % nodes;
            return;
        }
        if !self.runs(node) {
            return;
        }
        let session = self.engine(node).on_client_open(id, None);
        self.nodes[node].sessions.insert(session, client);
        let target = &mut self.clients[client];
        target.session = Some(session);
        target.sessions += 1;
        target.paused = false;
        if target.database != 0 {
            let select = request(&["SELECT", &target.database.to_string()]);
            self.ask(client, &select, Question::Select, Vec::new());
        }
    }

    /// A client's session is gone: what it waits for has happened or not.
    pub(crate) fn session_over(&mut self, client: usize) {
        let target = &mut self.clients[client];
        target.session = None;
        target.to_proxy.clear();
        target.from_proxy.clear();
        target.received.clear();
        target.asked.clear();
        target.watches = None;
        target.hung_up = false;
    }

    /// Lets the wait of a client's BLPOP end now and then, or the client go away. Whether it does.
    fn waits_or_leaves(&mut self, client: usize) -> bool {
        let target = &self.clients[client];
        let (node, session) = (target.node, target.session);
        let pops = |asked: &Asked| matches!(asked.what, Question::Pop { .. });
        let Some(pop) = target.asked.iter().find(|asked| pops(asked)) else { return false };
        let patient = self.now - pop.since > PATIENCE_US;
        let all_said = target.to_proxy.is_empty() && !target.paused;
        let Some(session) = session.filter(|_| self.runs(node)) else { return false };
        let chance = self.rng.u8(..if patient && self.healed { 3 } else { 40 });
        match chance {
            0 | 1 => {
                let id = 1000 + client as u64;
                let released = self.engine(node).unblock(id, chance == 0);
                self.tell(|| format!("client {client} is unblocked: {released}"));
                if released {
                    self.may_end_early(client);
                }
                false
            }
            2 if all_said => {
                self.tell(|| format!("client {client} says no more"));
                self.engine(node).on_client_eof(session);
                self.clients[client].hung_up = true;
                self.may_end_early(client);
                true
            }
            3 if all_said => {
                self.tell(|| format!("client {client} is gone"));
                self.engine(node).on_client_lost(session);
                self.engine(node).on_client_closed(session);
                self.nodes[node].sessions.remove(&session);
                self.session_over(client);
                true
            }
            _ => false,
        }
    }

    fn may_end_early(&mut self, client: usize) {
        for asked in &mut self.clients[client].asked {
            if let Question::Pop { released, .. } = &mut asked.what {
                *released = true;
            }
        }
    }

    pub(crate) fn ask(
        &mut self,
        client: usize,
        request: &[Vec<u8>],
        what: Question,
        operations: Vec<(Key, usize)>,
    ) {
        let since = self.now;
        let words = || crate::server::reply::shown(request);
        self.tell(|| format!("client {client} asks {}", words()));
        let target = &mut self.clients[client];
        target.to_proxy.extend(encode(request));
        target.asked.push_back(Asked { since, what, operations });
        self.wake_to_proxy(client);
    }

    pub(crate) fn wake_to_proxy(&mut self, client: usize) {
        if !self.clients[client].writing && !self.clients[client].to_proxy.is_empty() {
            self.clients[client].writing = true;
            self.soon(self.plan.delay_us, Event::ToProxy(client));
        }
    }

    pub(crate) fn wake_from_proxy(&mut self, client: usize) {
        if !self.clients[client].reading {
            self.clients[client].reading = true;
            self.soon(self.plan.delay_us, Event::FromProxy(client));
        }
    }

    pub(crate) fn reach_proxy(&mut self, client: usize) {
        self.clients[client].writing = false;
        let target = &self.clients[client];
        let (node, Some(session)) = (target.node, target.session) else { return };
        if target.paused {
            return;
        }
        if !self.runs(node) {
            self.clients[client].writing = true;
            return self.at(self.now + 1_000, Event::ToProxy(client));
        }
        let count = self.chunk(self.clients[client].to_proxy.len());
        let bytes: Vec<u8> = self.clients[client].to_proxy.drain(..count).collect();
        self.engine(node).on_client_bytes(session, &bytes);
        self.wake_to_proxy(client);
    }

    pub(crate) fn hear_proxy(&mut self, client: usize) {
        self.clients[client].reading = false;
        let count = self.chunk(self.clients[client].from_proxy.len());
        let target = &mut self.clients[client];
        target.received.extend(target.from_proxy.drain(..count));
        if !target.from_proxy.is_empty() {
            self.wake_from_proxy(client);
        }
        while let Some((reply, length)) = Reply::parse(&self.clients[client].received) {
            self.clients[client].received.drain(..length);
            let Some(asked) = self.clients[client].asked.pop_front() else {
                return self.fail(format!("client {client} was sent {reply:?} unasked"));
            };
            self.tell(|| format!("client {client} is answered {reply:?}"));
            let target = &mut self.clients[client];
            target.replies += 1;
            // It is the first in its session's queue since then.
            let since = asked.since.max(target.last_reply);
            target.last_reply = self.now;
            // Writes to a big key wait until it has moved, BLPOP for something to pop.
            if let [(key, _)] = asked.operations.as_slice()
                && !key.large
                && !matches!(asked.what, Question::Pop { .. } | Question::Exec { .. })
            {
                self.check_wait(client, since);
            }
            self.take_reply(client, asked, reply);
        }
    }

    fn take_reply(&mut self, client: usize, asked: Asked, reply: Reply) {
        let now = self.now;
        match asked.what {
            Question::Said => return,
            Question::Watch | Question::Watched => self.go_on_with_swap(client, &asked, &reply),
            Question::Pop { .. } => return self.take_popped(client, &asked, reply),
            Question::Exec { .. } => return self.take_executed(client, &asked, reply),
            Question::Page if !matches!(reply, Reply::Error(_)) => {
                return self.take_page(client, reply);
            }
            _ => {}
        }
        if let Reply::Error(words) = &reply {
            // Of several keys some may have been reached.
            let may_have_run = words.contains("may have run") || asked.operations.len() > 1;
            if let [(key, number)] = asked.operations.as_slice()
                && !may_have_run
            {
                self.histories.never_happened(&key.place, *number);
            }
            return;
        }
        let count = asked.operations.len();
        let whole = format!("{reply:?}");
        let mut values = match reply {
            Reply::Array(items) if asked.what == Question::Values => items,
            reply => vec![reply; count],
        };
        if values.len() != count {
            return self.fail(format!("client {client} was sent {whole} for {count} keys"));
        }
        for (key, number) in asked.operations.into_iter().rev() {
            let value = values.pop();
            let operation = self.histories.operation(&key.place, number);
            operation.answered = now;
            let nothing_to_end =
                operation.what == What::Expire(None) && value == Some(Reply::Int(0));
            let learnt = learn(&mut operation.what, value, count);
            if nothing_to_end {
                self.histories.never_vanishes(&key.place, number);
            } else if !learnt {
                let what = self.histories.operation(&key.place, number).what.clone();
                self.fail(format!("client {client} asked {what:?} and was sent {whole}"));
            }
        }
    }

    /// Makes a request of what the plan has.
    fn ask_something(&mut self, client: usize) {
        self.clients[client].left -= 1;
        let database = self.clients[client].database;
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
        let target = &mut self.clients[client];
        target.values += 1;
        let mut value = format!("{}.{}", target.number, target.values).into_bytes();
        if key.large {
            value.extend(std::iter::repeat_n(b'.', 1_200));
        }
        value
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

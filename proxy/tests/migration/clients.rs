//! Clients: sessions with a few requests under way, each of which is in the history of its keys.

use crate::answers::learn;
use crate::caches::Cache;
use crate::history::What;
use crate::plan::{Key, Plan, Speaks};
use crate::readers::Reader;
use crate::server::data::Place;
use crate::server::reply::{Reply, encode, request};
use crate::walks::Walk;
use crate::world::{Event, World};
use std::collections::VecDeque;

/// How long clients wait for an element before somebody ends that, once nothing fails any more, in microseconds.
const PATIENCE_US: u64 = 3_000_000;

/// One client.
pub(crate) struct Client {
    pub(crate) database: u32,
    /// The proxies' shards that it may use are by their numbers; it takes another one when it is thrown out.
    pub(crate) node: usize,
    session: Option<u32>,
    /// Counts its sessions.
    pub(crate) sessions: u64,
    pub(crate) number: usize,
    to_proxy: Vec<u8>,
    pub(crate) from_proxy: Vec<u8>,
    received: Vec<u8>,
    pub(crate) paused: bool,
    writing: bool,
    reading: bool,
    pub(crate) asked: VecDeque<Asked>,
    pub(crate) left: usize,
    window: usize,
    pub(crate) values: u64,
    pub(crate) replies: usize,
    last_reply: u64,
    /// The key that it watches, until it has said EXEC.
    pub(crate) watches: Option<Key>,
    /// What that key holds, and it thinks about it.
    pub(crate) saw: Option<Reply>,
    /// It has said its last word, and reads on.
    hung_up: bool,
    /// It does nothing but SCAN.
    pub(crate) walk: Option<Walk>,
    /// It does nothing but XREAD.
    pub(crate) reader: Option<Reader>,
    speaks: Speaks,
    pub(crate) cache: Cache,
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
    /// BLPOP or BLMOVE.
    Pop(Wait),
    /// XREAD with BLOCK.
    Read(Wait),
    /// XADD of this to a stream.
    Added(Place, Vec<u8>),
    /// HELLO.
    Greeted,
    /// CLIENT TRACKING.
    Tracks,
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

/// A request waits for so long, 0 is for ever; whether it may end before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) timeout_us: u64,
    pub(crate) released: bool,
}

impl Client {
    pub(crate) fn new(number: usize, plan: &Plan) -> Self {
        let reads = number.checked_sub(plan.clients + plan.walkers);
        let database = match reads {
            Some(stream) => plan.streams[stream].0,
            None => (number as u32 % plan.databases) * 5,
        };
        Self {
            database,
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
            saw: None,
            hung_up: false,
            walk: (plan.clients..plan.clients + plan.walkers).contains(&number).then(Walk::default),
            reader: reads.map(|stream| Reader::new(plan.streams[stream].clone())),
            speaks: plan.speaks[number],
            cache: Cache::default(),
        }
    }

    /// Whether it has asked all it wanted to and was answered.
    pub(crate) fn is_done(&self) -> bool {
        let walks = self.walk.as_ref().is_some_and(|walk| !walk.over);
        let reads = self.reader.as_ref().is_some_and(|reader| !reader.over);
        self.left == 0 && self.asked.is_empty() && self.saw.is_none() && !walks && !reads
    }

    pub(crate) fn speaks(&self) -> Speaks {
        self.speaks
    }

    /// Whether everything has arrived that its proxy has sent.
    pub(crate) fn has_heard(&self) -> bool {
        self.from_proxy.is_empty() && self.received.is_empty()
    }

    /// What it has asked and not been answered, oldest first.
    pub(crate) fn asks(&self) -> impl Iterator<Item = &Question> {
        self.asked.iter().map(|asked| &asked.what)
    }
}

impl World {
    /// A client opens a session, or asks something.
    pub(crate) fn client_turn(&mut self, client: usize) {
        if self.clients[client].is_done() {
            return;
        }
        let (walks, reads) =
            (self.clients[client].walk.is_some(), self.clients[client].reader.is_some());
        let think = if walks || reads { self.plan.walk_us } else { self.plan.think_us };
        self.soon(think, Event::ClientTurn(client));
        if self.clients[client].session.is_none() {
            return self.open_session(client);
        }
        if self.clients[client].hung_up || self.waits_or_leaves(client) {
            return;
        }
        if walks || reads {
            match self.clients[client].asked.is_empty() {
                true if walks => self.walk_on(client),
                true => self.read_on(client),
                false => {}
            }
            return;
        }
        if let Some(saw) = self.clients[client].saw.take() {
            return self.swap(client, &saw);
        }
        let window = self.clients[client].window;
        let several = if window == 1 { 1 } else { self.rng.usize(1..=window) };
        for _ in 0..several {
            if !self.may_ask(client) {
                return;
            }
            self.ask_something(client);
        }
    }

    fn may_ask(&self, client: usize) -> bool {
        let target = &self.clients[client];
        target.watches.is_none() && target.asked.len() < target.window && target.left > 0
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
        if target.speaks != Speaks::Resp2 {
            self.ask(client, &request(&["HELLO", "3"]), Question::Greeted, Vec::new());
        }
        if let Speaks::Tracks { bcast } = self.clients[client].speaks {
            let words = ["CLIENT", "TRACKING", "ON", "BCAST"];
            let words = if bcast { &words[..] } else { &words[..3] };
            self.ask(client, &request(words), Question::Tracks, Vec::new());
        }
        let target = &self.clients[client];
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
        target.saw = None;
        target.hung_up = false;
        target.cache.forget();
    }

    /// Lets what a client waits for end now and then, or the client go away. Whether it does.
    fn waits_or_leaves(&mut self, client: usize) -> bool {
        let target = &self.clients[client];
        let (node, session) = (target.node, target.session);
        let waits = |asked: &&Asked| matches!(asked.what, Question::Pop(_) | Question::Read(_));
        let Some(waits) = target.asked.iter().find(waits) else { return false };
        let patient = self.now - waits.since > PATIENCE_US;
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
            if let Question::Pop(wait) | Question::Read(wait) = &mut asked.what {
                wait.released = true;
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
            if let Reply::Push(items) = reply {
                self.hear_push(client, &items);
                continue;
            }
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
                && !matches!(asked.what, Question::Pop(_) | Question::Exec { .. })
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
            Question::Pop(wait) => return self.take_popped(client, wait, &asked, reply),
            Question::Read(wait) => return self.take_read(client, wait, &asked, reply),
            Question::Added(place, value) => return self.take_added(client, place, value, reply),
            Question::Greeted | Question::Tracks => {
                return self.take_greeting(client, &asked.what, &reply);
            }
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
        self.keep_read(client, &asked, &reply);
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
}

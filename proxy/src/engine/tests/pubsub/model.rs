//! Random histories: sessions that subscribe and go, servers that do what Redis does, connections that are lost, slots that
//! move behind a barrier. Whoever has a confirmation hears each message once, in the order of its channel, and
//! nothing after it has left.

use super::super::*;
use crate::command::glob_matches;
use backend::Role;
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const MASTERS: [&str; 3] = ["a:1", "b:1", "c:1"];
const CHANNELS: [&str; 5] = ["k", "l", "m", "news", "{t}x"];
const PATTERNS: [&str; 4] = ["*", "n*", "[kl]", "{t}*"];
const FORMS: [&str; 3] = ["", "p", "s"];

/// Steps of 5 ms after which everything has come to rest: pauses before connecting again are at most 500 ms.
const REST_STEPS: usize = 220;

/// A form's number and a name.
type Topic = (usize, String);

/// One connection, as its server sees it.
#[derive(Default)]
struct Conn {
    server: usize,
    topics: BTreeSet<Topic>,
    /// Requests that it has not read, and what the engine has not.
    inbox: VecDeque<Vec<String>>,
    outbox: VecDeque<String>,
}

/// A client.
#[derive(Default)]
struct Listener {
    topics: BTreeSet<Topic>,
    /// Confirmations that it waits for: the word and the topic.
    expected: VecDeque<(String, Topic)>,
    /// By topic and channel: the newest message.
    newest: BTreeMap<(Topic, String), u64>,
    /// What it must yet be told: the topic, the channel, the number, and the server that said it.
    due: BTreeSet<(Topic, String, u64, usize)>,
}

/// Where a channel is published.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Stable(usize),
    /// The epoch at which it began.
    Preparing(usize, usize, u64),
    Migrating(usize, usize),
}

struct World {
    rig: Rig,
    rng: Rng,
    conns: BTreeMap<u32, Conn>,
    listeners: BTreeMap<u32, Listener>,
    phases: BTreeMap<&'static str, Phase>,
    epoch: u64,
    settled: u64,
    /// Topologies that the engine has not been given.
    news: VecDeque<Arc<Topology>>,
    /// Servers whose messages may be missed, until all is subscribed there again.
    missing: BTreeSet<usize>,
    next: u64,
    clients: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            rig: Rig::new(settings()),
            rng: Rng::with_seed(seed),
            conns: BTreeMap::new(),
            listeners: BTreeMap::new(),
            phases: CHANNELS.iter().map(|channel| (*channel, Phase::Stable(0))).collect(),
            epoch: 1,
            settled: 0,
            news: VecDeque::new(),
            missing: BTreeSet::new(),
            next: 0,
            clients: 1,
        };
        // The rig has served this connection already.
        let backend = world.rig.backend(MASTERS[0], 0);
        world.conns.insert(backend, Conn::default());
        world.publish_topology();
        world
    }

    fn publish_topology(&mut self) {
        self.epoch += 1;
        let group = |index: usize| GroupIndex(index as u16);
        let states: Vec<(&str, SlotState)> = self
            .phases
            .iter()
            .map(|(channel, phase)| {
                let state = match *phase {
                    Phase::Stable(at) => SlotState::Stable(group(at)),
                    Phase::Preparing(from, to, _) => {
                        SlotState::Preparing { from: group(from), to: group(to) }
                    }
                    Phase::Migrating(from, to) => {
                        SlotState::Migrating { from: group(from), to: group(to), since: 1 }
                    }
                };
                (*channel, state)
            })
            .collect();
        let topology = settle::groups(self.epoch, &MASTERS, &states);
        self.news.push_back(Arc::new(topology));
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.usize(..of.len())]
    }

    fn step(&mut self) {
        match self.rng.u8(..40) {
            0..6 => self.client(),
            6..12 => self.publish(),
            12..20 => self.read_request(),
            20..30 => self.deliver(),
            30..32 => self.take_news(),
            32..35 => {
                let channel = self.pick(&CHANNELS);
                self.advance_move(channel);
            }
            35 => self.lose_connection(),
            36 => self.open_or_close(),
            _ => {
                let now = self.rig.engine.now_us + 5_000;
                self.rig.to(now);
            }
        }
        self.exchange();
    }

    // Clients.

    fn open_or_close(&mut self) {
        if self.listeners.len() > 5 || (!self.listeners.is_empty() && self.rng.bool()) {
            let sessions: Vec<u32> = self.listeners.keys().copied().collect();
            let session = self.pick(&sessions);
            self.listeners.remove(&session);
            self.rig.engine.on_client_lost(session);
            self.rig.engine.on_client_closed(session);
        } else {
            self.clients += 1;
            let session = self.rig.engine.on_client_open(self.clients, None);
            self.listeners.insert(session, Listener::default());
            if self.rng.bool() {
                self.rig.session = session;
                self.rig.ask("*2 $5 HELLO $1 3 ");
                self.rig.replies();
            }
        }
    }

    fn client(&mut self) {
        let sessions: Vec<u32> = self.listeners.keys().copied().collect();
        if sessions.is_empty() {
            return self.open_or_close();
        }
        let session = self.pick(&sessions);
        let form = self.rng.usize(..3);
        let names: &[&str] = if form == 1 { &PATTERNS } else { &CHANNELS };
        let count = self.rng.usize(1..4);
        let names: Vec<&str> = (0..count).map(|_| self.pick(names)).collect();
        let leaves = self.rng.u8(..3) == 0;
        let word = format!("{}{}subscribe", FORMS[form], if leaves { "un" } else { "" });
        let mut request = format!("*{} ${} {word} ", count + 1, word.len());
        let listener = self.listeners.get_mut(&session).expect("it is there");
        for name in names {
            request += &format!("${} {name} ", name.len());
            let topic = (form, name.to_owned());
            if leaves {
                // From now on it may be told less.
                listener.due.retain(|(due, ..)| *due != topic);
            }
            listener.expected.push_back((word.clone(), topic));
        }
        self.rig.session = session;
        self.rig.ask(&request);
    }

    /// Takes what clients are sent.
    fn hear(&mut self) {
        let sessions: Vec<u32> = self.listeners.keys().copied().collect();
        for session in sessions {
            self.rig.session = session;
            let text = self.rig.replies();
            let mut lines = text.split("\r\n");
            while let Some(head) = lines.next().filter(|line| !line.is_empty()) {
                if let Some(error) = head.strip_prefix('-') {
                    self.on_refusal(session, error);
                    continue;
                }
                let count: usize = head[1..].parse().expect("an array");
                let elements: Vec<&str> = (0..count)
                    .map(|_| {
                        let line = lines.next().expect("an element");
                        if line.starts_with('$') { lines.next().expect("a text") } else { line }
                    })
                    .collect();
                self.on_heard(session, &elements);
            }
        }
    }

    fn on_refusal(&mut self, session: u32, error: &str) {
        let listener = self.listeners.get_mut(&session).expect("it is there");
        assert!(error.contains("is down"), "{error}");
        let (word, _) = listener.expected.pop_front().expect("something was asked for");
        assert!(!word.contains("un"), "leaving was refused: {error}");
    }

    fn on_heard(&mut self, session: u32, elements: &[&str]) {
        let listener = self.listeners.get_mut(&session).expect("it is there");
        let (topic, channel, number) = match *elements {
            ["message", name, number] => ((0, name.to_owned()), name, number),
            ["pmessage", name, channel, number] => ((1, name.to_owned()), channel, number),
            ["smessage", name, number] => ((2, name.to_owned()), name, number),
            [word, name, count] => {
                let expected = listener.expected.pop_front().expect("something was asked for");
                let topic = expected.1.clone();
                assert_eq!(expected, (word.to_owned(), (topic.0, name.to_owned())));
                match word.contains("un") {
                    true => listener.topics.remove(&topic),
                    false => listener.topics.insert(topic.clone()),
                };
                let same = |held: &&Topic| (held.0 == 2) == (topic.0 == 2);
                let held = listener.topics.iter().filter(same).count();
                assert_eq!(count, format!(":{held}"));
                return;
            }
            _ => panic!("{elements:?}"),
        };
        assert!(listener.topics.contains(&topic), "{elements:?} without a subscription");
        let number: u64 = number.parse().expect("a number");
        let newest = listener.newest.entry((topic.clone(), channel.to_owned())).or_default();
        assert!(*newest < number, "{elements:?} came after {newest}");
        *newest = number;
        listener.due.retain(|due| !(due.0 == topic && due.1 == channel && due.2 == number));
    }

    // Servers.

    fn publish(&mut self) {
        let channel = self.pick(&CHANNELS);
        let at = match self.phases[channel] {
            Phase::Stable(at) | Phase::Preparing(at, ..) | Phase::Migrating(_, at) => at,
        };
        let to_shard = self.rng.bool();
        self.publish_at(channel, at, to_shard);
    }

    fn publish_at(&mut self, channel: &str, server: usize, to_shard: bool) {
        self.next += 1;
        let number = self.next;
        let hears = |(form, name): &Topic| match form {
            1 => !to_shard && glob_matches(name.as_bytes(), channel.as_bytes()),
            0 => !to_shard && name == channel,
            _ => to_shard && name == channel,
        };
        for conn in self.conns.values_mut().filter(|conn| conn.server == server) {
            for topic in conn.topics.iter().filter(|topic| hears(topic)) {
                let (length, name) = (number.to_string().len(), &topic.1);
                let said = match topic.0 {
                    1 => format!(
                        "*4 $8 pmessage ${} {name} ${} {channel} ${length} {number} ",
                        name.len(),
                        channel.len()
                    ),
                    0 => format!("*3 $7 message ${} {name} ${length} {number} ", name.len()),
                    _ => format!("*3 $8 smessage ${} {name} ${length} {number} ", name.len()),
                };
                conn.outbox.push_back(said);
            }
        }
        if self.missing.contains(&server) {
            return;
        }
        for listener in self.listeners.values_mut() {
            // One that is leaving may hear it or not.
            let leaves = |topic: &Topic| {
                let mut leaving = listener.expected.iter().filter(|(word, _)| word.contains("un"));
                leaving.any(|(_, left)| left == topic)
            };
            let heard = listener.topics.iter().filter(|topic| hears(topic) && !leaves(topic));
            let due = heard.map(|topic| (topic.clone(), channel.to_owned(), number, server));
            let due: Vec<_> = due.collect();
            listener.due.extend(due);
        }
    }

    /// A server runs one request.
    fn read_request(&mut self) {
        let waiting = self.conns.iter().filter(|(_, conn)| !conn.inbox.is_empty());
        let waiting: Vec<u32> = waiting.map(|(backend, _)| *backend).collect();
        if waiting.is_empty() {
            return;
        }
        let backend = self.pick(&waiting);
        let conn = self.conns.get_mut(&backend).expect("it is there");
        let request = conn.inbox.pop_front().expect("it has one");
        let reply = match request[0].as_str() {
            "GET" => "$-1 ".to_owned(),
            "PING" if conn.topics.is_empty() => "+PONG ".to_owned(),
            "PING" => "*2 $4 pong $0  ".to_owned(),
            "CLIENT" => "+OK ".to_owned(),
            word => {
                let name = &request[1];
                let form = FORMS.iter().position(|form| {
                    word.strip_prefix(form)
                        .is_some_and(|rest| rest == "subscribe" || rest == "unsubscribe")
                });
                let topic = (form.expect("a command of pubsub"), name.clone());
                match word.contains("un") {
                    true => conn.topics.remove(&topic),
                    false => conn.topics.insert(topic),
                };
                format!("*3 ${} {word} ${} {name} :1 ", word.len(), name.len())
            }
        };
        conn.outbox.push_back(reply);
    }

    /// Something arrives at the engine.
    fn deliver(&mut self) {
        let waiting = self.conns.iter().filter(|(_, conn)| !conn.outbox.is_empty());
        let waiting: Vec<u32> = waiting.map(|(backend, _)| *backend).collect();
        if waiting.is_empty() {
            return;
        }
        let backend = self.pick(&waiting);
        let conn = self.conns.get_mut(&backend).expect("it is there");
        let bytes = conn.outbox.pop_front().expect("it has something").replace(' ', "\r\n");
        let cut = self.rng.usize(..=bytes.len());
        for piece in [&bytes[..cut], &bytes[cut..]] {
            if !piece.is_empty() {
                self.rig.engine.on_backend_bytes(backend, piece.as_bytes());
            }
        }
    }

    fn lose_connection(&mut self) {
        let feeds =
            self.conns.keys().copied().filter(|backend| {
                self.rig.engine.backends[*backend as usize].role == Role::Subscriber
            });
        let feeds: Vec<u32> = feeds.collect();
        if feeds.is_empty() {
            return;
        }
        let backend = self.pick(&feeds);
        let conn = self.conns.remove(&backend).expect("it is there");
        self.miss(conn.server);
        self.rig.engine.on_backend_closed(backend, "gone");
    }

    /// What a server says may be missed, from what is on its way now to when all is subscribed there again.
    fn miss(&mut self, server: usize) {
        self.missing.insert(server);
        for listener in self.listeners.values_mut() {
            listener.due.retain(|due| due.3 != server);
        }
    }

    // The operator.

    fn take_news(&mut self) {
        if let Some(topology) = self.news.pop_front() {
            self.rig.engine.on_topology(&topology);
        }
    }

    fn advance_move(&mut self, channel: &'static str) {
        let next = match self.phases[channel] {
            Phase::Stable(at) => {
                let to = (at + self.rng.usize(1..3)) % 3;
                Phase::Preparing(at, to, self.epoch + 1)
            }
            Phase::Preparing(from, to, epoch) if self.settled >= epoch => {
                if self.rng.u8(..4) == 0 {
                    Phase::Stable(from)
                } else {
                    Phase::Migrating(from, to)
                }
            }
            Phase::Preparing(from, ..) if self.rng.u8(..8) == 0 => Phase::Stable(from),
            Phase::Preparing(..) => return,
            Phase::Migrating(_, to) => Phase::Stable(to),
        };
        self.phases.insert(channel, next);
        self.publish_topology();
    }

    fn on_settled(&mut self, epoch: u64) {
        self.settled = epoch;
        for server in 0..MASTERS.len() {
            if !self.is_subscribed(server) {
                // It was down, or late.
                self.miss(server);
            }
        }
    }

    /// Whether a server has confirmed all that it should have.
    fn is_subscribed(&self, server: usize) -> bool {
        self.rig.engine.has_all_subscriptions(MASTERS[server])
    }

    // Both ends.

    fn exchange(&mut self) {
        loop {
            self.rig.engine.finish_turn();
            let effects = self.rig.engine.take_effects(Vec::new());
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                match effect {
                    Effect::Connect { backend, address } => {
                        let server = MASTERS.iter().position(|master| **master == *address);
                        let server = server.expect("a known server");
                        self.conns.insert(backend, Conn { server, ..Conn::default() });
                        self.rig.engine.on_backend_open(backend);
                    }
                    Effect::CloseBackend { backend } => {
                        if let Some(conn) = self.conns.remove(&backend) {
                            self.miss(conn.server);
                        }
                        self.rig.engine.on_backend_closed(backend, "closed");
                    }
                    Effect::Settled { epoch } => self.on_settled(epoch),
                    Effect::Pause { .. } | Effect::Resume { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        let backends: Vec<u32> = self.conns.keys().copied().collect();
        for backend in backends {
            let sent = String::from_utf8(self.rig.sent(backend)).expect("text");
            let mut lines = sent.split("\r\n");
            while let Some(head) = lines.next().filter(|line| !line.is_empty()) {
                let count: usize = head[1..].parse().expect("an array");
                let words = (0..count).map(|_| lines.nth(1).expect("a word").to_owned());
                let request: Vec<String> = words.collect();
                self.conns.get_mut(&backend).expect("it is there").inbox.push_back(request);
            }
        }
        self.hear();
        let subscribed: Vec<usize> =
            self.missing.iter().copied().filter(|server| self.is_subscribed(*server)).collect();
        for server in subscribed {
            self.missing.remove(&server);
        }
        self.rig.engine.audit().expect("healthy");
    }

    /// Lets everything come to rest.
    fn rest(&mut self) {
        while !self.news.is_empty() {
            self.take_news();
            self.exchange();
        }
        for _ in 0..REST_STEPS {
            let now = self.rig.engine.now_us + 5_000;
            self.rig.to(now);
            self.exchange();
            while self.conns.values().any(|conn| !conn.inbox.is_empty() || !conn.outbox.is_empty())
            {
                self.read_request();
                self.deliver();
                self.exchange();
            }
        }
    }

    fn check_end(&mut self) {
        self.rest();
        for channel in CHANNELS {
            while !matches!(self.phases[channel], Phase::Stable(_)) {
                self.advance_move(channel);
                self.rest();
            }
        }
        assert!(self.missing.is_empty(), "not subscribed again at {:?}", self.missing);
        for channel in CHANNELS {
            let Phase::Stable(at) = self.phases[channel] else { unreachable!("all have ended") };
            self.publish_at(channel, at, false);
            self.publish_at(channel, at, true);
        }
        self.rest();
        for (session, listener) in &self.listeners {
            assert!(listener.due.is_empty(), "session {session} has missed {:?}", listener.due);
            assert!(listener.expected.is_empty(), "session {session}: {:?}", listener.expected);
        }
        for session in std::mem::take(&mut self.listeners).into_keys() {
            self.rig.engine.on_client_closed(session);
        }
        self.rest();
        assert!(self.rig.engine.hub.is_idle());
        assert!(self.conns.values().all(|conn| conn.topics.is_empty()));
    }
}

#[test]
fn whoever_has_a_confirmation_hears_each_message_once_and_in_order() {
    for seed in 0..120 {
        println!("seed {seed}");
        let mut world = World::new(seed);
        for _ in 0..600 {
            world.step();
        }
        world.check_end();
    }
}

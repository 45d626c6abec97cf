//! Random histories with servers that do what Redis does: every push that was acknowledged is there once, at the place that
//! its reply says, and none that was said not to have run.

use super::*;
use fastrand::Rng;
use std::collections::{BTreeMap, VecDeque};

const KEYS: [&str; 5] = ["k", "l", "m", "{t}a", "{t}b"];

/// Lists by key.
type Data = BTreeMap<String, Vec<String>>;

/// Both servers, and what is under way to and from them.
struct World {
    bed: Bed,
    rng: Rng,
    a: Data,
    b: Data,
    /// By backend: requests that it has not read, and replies that the engine has not.
    inbox: BTreeMap<u32, VecDeque<Sent>>,
    outbox: BTreeMap<u32, VecDeque<String>>,
    clean: bool,
    /// By session, in order: the pushes that have no reply.
    pushes: BTreeMap<u32, VecDeque<(String, String)>>,
    acknowledged: Vec<(String, String, usize)>,
    refused: Vec<String>,
    next: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let durability = match rng.bool() {
            true => Durability::Replica,
            false => Durability::None,
        };
        let mut bed = Bed::with(settings(), MoveRules { durability, ..RULES });
        bed.replicas = true;
        bed.migrate(3, 2);
        let old = |key: &str| (key.to_owned(), vec![format!("old-{key}")]);
        let mut world = Self {
            bed,
            rng,
            a: KEYS.iter().map(|key| old(key)).collect(),
            b: Data::new(),
            inbox: BTreeMap::new(),
            outbox: BTreeMap::new(),
            clean: true,
            pushes: BTreeMap::new(),
            acknowledged: Vec::new(),
            refused: Vec::new(),
            next: 0,
        };
        world.pushes.insert(world.bed.rig.session, VecDeque::new());
        for client in 10..14 {
            let session = world.bed.rig.engine.on_client_open(client, None);
            world.pushes.insert(session, VecDeque::new());
        }
        world
    }

    /// A client pushes something that nobody else pushes.
    fn client(&mut self) {
        let sessions: Vec<u32> = self.pushes.keys().copied().collect();
        let session = sessions[self.rng.usize(..sessions.len())];
        let key = KEYS[self.rng.usize(..KEYS.len())];
        self.next += 1;
        let value = format!("v{}", self.next);
        self.bed.rig.session = session;
        self.bed.ask(&format!("RPUSH {key} {value}"));
        self.pushes.get_mut(&session).expect("a session").push_back((key.into(), value));
    }

    /// Moves bytes between the engine and the servers' sockets, and takes what clients are sent.
    fn exchange(&mut self) {
        self.bed.serve();
        let live: Vec<u32> =
            self.bed.rig.engine.backends.iter().map(|(index, _)| index as u32).collect();
        for backend in live {
            let sent = requests(&self.bed.rig.sent(backend));
            self.inbox.entry(backend).or_default().extend(sent);
        }
        for (&session, pushes) in &mut self.pushes {
            self.bed.rig.session = session;
            for reply in self.bed.rig.replies().split_terminator("\r\n") {
                let (key, value) = pushes.pop_front().expect("a reply to a request");
                match reply.strip_prefix(':') {
                    Some(len) => {
                        let len = len.parse().expect("a length");
                        self.acknowledged.push((key, value, len));
                    }
                    None if reply.contains("may have run") => {}
                    None => self.refused.push(value),
                }
            }
        }
    }

    /// A server reads one request, or the engine one reply.
    fn server(&mut self) {
        let backends: Vec<u32> = self.inbox.keys().copied().collect();
        let Some(&backend) = backends.get(self.rng.usize(..backends.len().max(1))) else { return };
        if self.rng.bool() {
            let Some(request) = self.inbox.get_mut(&backend).and_then(VecDeque::pop_front) else {
                return;
            };
            let at_a = &*self.bed.rig.engine.backends[backend as usize].address == "a:1";
            let reply = self.run(at_a, &request);
            self.outbox.entry(backend).or_default().push_back(reply);
        } else if let Some(reply) = self.outbox.get_mut(&backend).and_then(VecDeque::pop_front) {
            self.bed.rig.engine.on_backend_bytes(backend, reply.as_bytes());
        }
    }

    fn run(&mut self, at_a: bool, request: &Sent) -> String {
        let data = if at_a { &mut self.a } else { &mut self.b };
        match request[0].as_str() {
            "RPUSH" => {
                assert!(!at_a, "a write went to the source");
                let list = data.entry(request[1].clone()).or_default();
                list.push(request[2].clone());
                format!(":{}\r\n", list.len())
            }
            "INFO" if at_a => bulk("run_id:run1\r\n"),
            "INFO" => bulk(&format!("connected_slaves:{}\r\n", self.rng.u8(..2))),
            "SET" => "+OK\r\n".into(),
            "WAIT" => format!(":{}\r\n", self.rng.u8(..2)),
            "EVALSHA" if self.rng.u8(..8) == 0 => "-NOSCRIPT\r\n".into(),
            _ if !self.clean => "-CODISUNCLEAN\r\n".into(),
            "EVAL" if request[1] != SCRIPT => {
                let count: usize = request[2].parse().expect("a count");
                request[3..3 + count].iter().for_each(|key| _ = self.a.remove(key));
                ":1\r\n".into()
            }
            "EVAL" | "EVALSHA" => self.run_script(request),
            other => panic!("{other}"),
        }
    }

    fn run_script(&mut self, request: &Sent) -> String {
        let count: usize = request[2].parse().expect("a count");
        let copy = request[3 + count + 5] == "COPY";
        let mut reply = format!("*{}\r\n", count + 3);
        for key in &request[3..3 + count] {
            let number = match (self.a.get(key), self.b.contains_key(key)) {
                (None, _) => 0,
                _ if self.rng.u8(..10) == 0 => 3 + self.rng.u8(..3),
                (Some(_), true) => 2,
                (Some(list), false) => {
                    self.b.insert(key.clone(), list.clone());
                    1
                }
            };
            if !copy && (number == 1 || number == 2) {
                self.a.remove(key);
            }
            reply += &format!(":{number}\r\n");
        }
        format!("{reply}:1\r\n:50\r\n$2\r\nno\r\n")
    }

    /// A connection is lost; the server runs some of what it was sent.
    fn lose(&mut self) {
        let backends: Vec<u32> = self.inbox.keys().copied().collect();
        let Some(&backend) = backends.get(self.rng.usize(..backends.len().max(1))) else { return };
        if self.bed.rig.engine.backends[backend as usize].state != backend::State::Ready {
            return;
        }
        let at_a = &*self.bed.rig.engine.backends[backend as usize].address == "a:1";
        let mut waiting = self.inbox.remove(&backend).unwrap_or_default();
        waiting.truncate(self.rng.usize(..=waiting.len()));
        for request in waiting {
            self.run(at_a, &request);
        }
        self.outbox.remove(&backend);
        self.bed.rig.engine.on_backend_closed(backend, "lost");
    }

    /// The migrator moves a key.
    fn migrator(&mut self) {
        let key = KEYS[self.rng.usize(..KEYS.len())];
        if self.clean
            && let Some(list) = self.a.remove(key)
        {
            self.b.entry(key.into()).or_insert(list);
        }
    }

    fn step(&mut self) {
        match self.rng.u8(..100) {
            0..15 => self.client(),
            15..80 => self.server(),
            80..83 => self.lose(),
            83..84 => self.migrator(),
            84..86 => self.clean = self.rng.u8(..4) > 0,
            _ => {
                let now = self.bed.rig.engine.now_us;
                self.bed.rig.to(now + self.rng.u64(..8_000));
            }
        }
        self.exchange();
    }

    /// Lets everything come to its end, with no further faults.
    fn end(&mut self) {
        self.clean = true;
        let mut steps = 0;
        while self.pushes.values().any(|pushes| !pushes.is_empty()) {
            for _ in 0..50 {
                self.server();
                self.exchange();
            }
            self.bed.pass(2);
            steps += 1;
            assert!(steps < 10_000, "a request is never answered");
        }
    }

    fn check(&self, seed: u64) {
        for (key, value, len) in &self.acknowledged {
            let list = self.b.get(key).unwrap_or_else(|| panic!("seed {seed}: {key} is lost"));
            assert_eq!(list.get(len - 1), Some(value), "seed {seed}: {key} {list:?}");
            assert_eq!(list[0], format!("old-{key}"), "seed {seed}");
        }
        let all: Vec<&String> = self.a.values().chain(self.b.values()).flatten().collect();
        for value in &self.refused {
            assert!(!all.contains(&value), "seed {seed}: {value} ran after all");
        }
    }
}

#[test]
fn no_write_is_lost_or_doubled_whatever_the_servers_and_the_connections_do() {
    let (mut acknowledged, mut refused, mut ended) = (0, 0, 0);
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step();
        }
        // In some histories the slots' move comes to its end, as soon as the source is empty.
        if seed % 2 == 0 && world.a.is_empty() {
            let topology = world.bed.topology(9, SlotState::Stable(GroupIndex(1)));
            world.bed.install(topology);
            ended += 1;
        }
        world.end();
        world.check(seed);
        acknowledged += world.acknowledged.len();
        refused += world.refused.len();
    }
    // The histories are not empty.
    assert!(acknowledged > 1000, "{acknowledged}");
    assert!(refused > 100, "{refused}");
    assert!(ended > 10, "{ended}");
}

//! The engine: any order of events that keeps its contract leaves it whole, and empty at the end.

use codis_proxy::config::ProxyConfig;
use codis_proxy::engine::{Effect, Engine, Segment, Settings};
use codis_proxy::slots::SLOT_COUNT;
use codis_proxy::topology::{Durability, Group, GroupIndex, MoveRules, Slot, SlotState, Topology};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reads the input as numbers and pieces; zeros when it is used up.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    fn piece(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        self.0.split_off(..len).unwrap_or_default()
    }

    /// One of the keys of a map.
    fn pick<T>(&mut self, from: &BTreeMap<u32, T>) -> Option<u32> {
        let place = usize::from(self.byte()) % from.len().max(1);
        from.keys().nth(place).copied()
    }
}

#[derive(Default)]
struct Connection {
    open: bool,
    ended: bool,
    sending: Option<(Segment, usize)>,
}

struct Driver {
    engine: Engine,
    now: u64,
    clients: BTreeMap<u32, Connection>,
    backends: BTreeMap<u32, Connection>,
    /// Sessions and backends that the engine wants closed.
    closing_clients: Vec<u32>,
    closing_backends: Vec<u32>,
    questions: Vec<(u32, u64, u32)>,
    next_client: u64,
    epoch: u64,
    /// The newest epoch that the engine said has settled.
    settled: u64,
    /// The servers have one.
    password: bool,
}

const REQUESTS: [&str; 12] = [
    "*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
    "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$2\r\nxy\r\n",
    "*4\r\n$4\r\nMGET\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
    "*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n",
    "*3\r\n$3\r\nDEL\r\n$1\r\na\r\n$1\r\nd\r\n",
    "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n",
    "*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n",
    "*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$4\r\nSKIP\r\n",
    "*1\r\n$4\r\nINFO\r\n",
    "*2\r\n$4\r\nAUTH\r\n$6\r\nsesame\r\n",
    "*1\r\n$5\r\nRESET\r\n",
    "QUIT\r\n",
];

const REPLIES: [&str; 15] = [
    "+OK\r\n",
    "$-1\r\n",
    "$3\r\nabc\r\n",
    "*2\r\n$1\r\na\r\n$-1\r\n",
    ":1\r\n",
    "-ERR no\r\n",
    // What is answered about keys that move.
    "$12\r\nrun_id:run\r\n\r\n",
    "*3\r\n:1\r\n:9\r\n$0\r\n\r\n",
    "*3\r\n:3\r\n:9\r\n$0\r\n\r\n",
    "*3\r\n:4\r\n:9\r\n$2\r\nno\r\n",
    "*4\r\n:2\r\n:5\r\n:9\r\n$0\r\n\r\n",
    "-CODISUNCLEAN no\r\n",
    "-NOSCRIPT no\r\n",
    "$20\r\nconnected_slaves:0\r\n\r\n",
    ":0\r\n",
];

/// Feeds the engine the events that the bytes stand for.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let mut driver = Driver::new(&mut input);
    while !input.0.is_empty() {
        driver.step(&mut input);
        driver.finish_turn();
    }
    driver.end();
}

impl Driver {
    fn new(input: &mut Input<'_>) -> Self {
        let mut settings = Settings::new(&ProxyConfig::default(), "token");
        let bits = input.byte();
        let pick = |bit: u8, low: usize, high: usize| if bits & 1 << bit == 0 { low } else { high };
        settings.session_requests_max = pick(0, 2, 100) as u32;
        settings.backend_requests_max = pick(1, 2, 100);
        settings.backend_output_bytes_max = pick(2, 60, 10_000);
        settings.output_bytes_soft = pick(3, 20, 10_000);
        settings.output_bytes_hard = pick(4, 200, 100_000);
        settings.input_bytes_max = pick(5, 600, 100_000);
        settings.limits.request_bytes_max = settings.input_bytes_max;
        settings.break_on_failure = bits & 64 != 0;
        if bits & 128 != 0 {
            settings.users = settings.users.with_default_password("sesame");
            settings.product_auth = "product".into();
        }
        settings.primary_parallel = 2;
        settings.session_recv_timeout_s = 3;
        settings.session_send_timeout_s = 2;
        settings.recv_timeout_us = 900_000;
        settings.send_timeout_us = 700_000;
        settings.connect_timeout_us = 300_000;
        settings.ping_us = 400_000;
        settings.slow_us = 0;
        let mut driver = Self {
            engine: Engine::new(settings, 0, 1_700_000_000_000_000, 7),
            now: 0,
            clients: BTreeMap::new(),
            backends: BTreeMap::new(),
            closing_clients: Vec::new(),
            closing_backends: Vec::new(),
            questions: Vec::new(),
            next_client: 1,
            epoch: 0,
            settled: 0,
            password: bits & 128 != 0,
        };
        driver.install(0);
        driver.open_client();
        driver.finish_turn();
        driver
    }

    fn open_client(&mut self) {
        let session = self.engine.on_client_open(self.next_client, None);
        self.next_client += 1;
        let fresh = Connection { open: true, ..Connection::default() };
        assert!(self.clients.insert(session, fresh).is_none(), "a session's index is used twice");
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 16 {
            0 => self.open_client(),
            1 => self.client_bytes(input, None),
            2..4 => {
                let request = REQUESTS[usize::from(input.byte()) % REQUESTS.len()];
                self.client_bytes(input, Some(request.as_bytes()));
            }
            4 => {
                if let Some(session) = input.pick(&self.clients)
                    && !std::mem::replace(
                        &mut self.clients.get_mut(&session).expect("picked").ended,
                        true,
                    )
                {
                    self.engine.on_client_eof(session);
                }
            }
            5 => {
                if let Some(session) = input.pick(&self.clients) {
                    if input.byte() & 3 == 0 {
                        self.engine.on_client_lost(session);
                    }
                    self.client_closed(session, input.byte() & 1 == 0);
                }
            }
            6 => self.backend_bytes(input, None),
            7..9 => {
                let reply = REPLIES[usize::from(input.byte()) % REPLIES.len()];
                self.backend_bytes(input, Some(reply.as_bytes()));
            }
            9 => {
                if let Some(backend) = input.pick(&self.backends) {
                    self.backend_event(backend, input.byte());
                }
            }
            10 => {
                self.now += u64::from(input.byte()) * 10_000;
                self.engine.set_now(self.now);
                if self.engine.next_deadline().is_some_and(|deadline| deadline <= self.now) {
                    self.engine.on_tick();
                }
            }
            11 => self.install(input.byte()),
            12 => self.send_clients(input.byte()),
            13 => self.send_backends(input.byte()),
            14 => {
                if let Some((session, client, sequence)) = self.questions.pop() {
                    self.engine.on_answer(session, client, sequence, b"$4\r\ninfo\r\n");
                }
            }
            _ => {
                if let Some(session) = input.pick(&self.clients) {
                    match input.byte() % 16 {
                        0 => self.engine.drain(),
                        1..8 => self.engine.kill(session),
                        _ => {
                            if let Some(session) = self.closing_clients.pop() {
                                self.client_closed(session, true);
                            }
                        }
                    }
                }
            }
        }
    }

    fn client_bytes(&mut self, input: &mut Input<'_>, request: Option<&[u8]>) {
        let Some(session) = input.pick(&self.clients) else {
            return;
        };
        if !self.clients[&session].ended {
            let bytes = request.unwrap_or_else(|| input.piece());
            self.engine.on_client_bytes(session, bytes);
        }
    }

    fn backend_bytes(&mut self, input: &mut Input<'_>, reply: Option<&[u8]>) {
        let Some(backend) = input.pick(&self.backends) else {
            return;
        };
        if self.backends[&backend].open {
            let bytes = reply.unwrap_or_else(|| input.piece());
            self.engine.on_backend_bytes(backend, bytes);
        }
    }

    fn backend_event(&mut self, backend: u32, what: u8) {
        let target = self.backends.get_mut(&backend).expect("it was picked");
        if what & 3 == 0 {
            self.backend_closed(backend, what & 4 == 0);
        } else if !target.open && !self.closing_backends.contains(&backend) {
            target.open = true;
            self.engine.on_backend_open(backend);
            if what & 8 == 0 {
                // Chance alone would seldom answer a handshake in full.
                let password: &[u8] = if self.password { b"+OK\r\n" } else { b"" };
                self.engine.on_backend_bytes(backend, &[password, b"+OK\r\n$-1\r\n"].concat());
            }
        }
    }

    fn client_closed(&mut self, session: u32, recycle: bool) {
        let Some(connection) = self.clients.remove(&session) else {
            return;
        };
        if let Some((segment, _)) = connection.sending
            && recycle
        {
            self.engine.recycle(segment);
        }
        self.closing_clients.retain(|closing| *closing != session);
        self.engine.on_client_closed(session);
    }

    fn backend_closed(&mut self, backend: u32, recycle: bool) {
        let Some(connection) = self.backends.remove(&backend) else {
            return;
        };
        if let Some((segment, _)) = connection.sending
            && recycle
        {
            self.engine.recycle_backend(backend, segment);
        }
        self.closing_backends.retain(|closing| *closing != backend);
        self.engine.on_backend_closed(backend, "closed");
    }

    /// Sends a part of what each client is owed.
    fn send_clients(&mut self, most: u8) {
        let sessions: Vec<u32> = self.clients.keys().copied().collect();
        for session in sessions {
            let connection = self.clients.get_mut(&session).expect("a key of the map");
            let (segment, sent) = match connection.sending.take() {
                Some(sending) => sending,
                None => match self.engine.take_client_output(session) {
                    Some(segment) => (segment, 0),
                    None => continue,
                },
            };
            let count = (segment.len() - sent).min(usize::from(most) + 1);
            self.engine.on_client_sent(session, count);
            if sent + count < segment.len() {
                connection.sending = Some((segment, sent + count));
            } else {
                self.engine.recycle(segment);
            }
        }
    }

    fn send_backends(&mut self, most: u8) {
        let backends: Vec<u32> = self.backends.keys().copied().collect();
        for backend in backends {
            let connection = self.backends.get_mut(&backend).expect("a key of the map");
            if !connection.open {
                continue;
            }
            let (segment, sent) = match connection.sending.take() {
                Some(sending) => sending,
                None => match self.engine.take_backend_output(backend) {
                    Some(segment) => (segment, 0),
                    None => continue,
                },
            };
            let count = (segment.len() - sent).min(usize::from(most) + 1);
            self.engine.on_backend_sent(backend, count);
            if sent + count < segment.len() {
                connection.sending = Some((segment, sent + count));
            } else {
                self.engine.recycle_backend(backend, segment);
            }
        }
    }

    /// Installs one of a few topologies.
    fn install(&mut self, which: u8) {
        self.epoch += 1;
        let address = |name: &str| Arc::from(name);
        let groups = vec![
            Group {
                id: 1,
                master: address(if which & 1 == 0 { "a:1" } else { "b:1" }),
                replicas: Vec::new(),
                has_replicas: which & 2 == 0,
            },
            Group {
                id: 2,
                master: address("c:1"),
                replicas: if which & 2 == 0 { Vec::new() } else { vec![vec![address("d:1")]] },
                has_replicas: which & 2 == 0,
            },
        ];
        let slots = (0..SLOT_COUNT).map(|slot| {
            let group = GroupIndex((slot % 2) as u16);
            let state = match (which >> 2) % 8 {
                1 if slot % 3 == 0 => SlotState::Offline,
                2 if slot % 3 == 0 => SlotState::Preparing { from: group, to: group },
                3 if slot % 3 == 0 => SlotState::Migrating {
                    from: group,
                    to: GroupIndex(1 - group.0),
                    since: u64::from(which),
                },
                _ => SlotState::Stable(group),
            };
            Slot { state, locked: (which >> 2) % 8 == 4 && slot % 2 == 0 }
        });
        self.engine.on_topology(&Arc::new(Topology {
            epoch: self.epoch,
            slots: slots.collect(),
            groups,
            moves: (which & 32 == 0).then_some(MoveRules {
                timeout_ms: 500,
                durability: Durability::Replica,
                big_bytes: 1 << 20,
                big_elements: 10_000,
                patience_ms: 2_000,
                big_patience_ms: 30_000,
            }),
        }));
    }

    /// What a driver does at the end of a turn, but for the sending.
    fn finish_turn(&mut self) {
        self.engine.finish_turn();
        for effect in self.engine.take_effects(Vec::new()) {
            match effect {
                Effect::Connect { backend, .. } => {
                    let known = self.backends.insert(backend, Connection::default());
                    assert!(known.is_none(), "a backend connects twice");
                }
                Effect::CloseBackend { backend } => {
                    if self.backends.contains_key(&backend) {
                        self.closing_backends.push(backend);
                    }
                }
                Effect::CloseClient { session } => {
                    if self.clients.contains_key(&session) {
                        assert!(
                            !self.closing_clients.contains(&session),
                            "a session is closed twice"
                        );
                        self.closing_clients.push(session);
                    }
                }
                Effect::Ask { session, client, sequence, .. } => {
                    self.questions.push((session, client, sequence))
                }
                Effect::Pause { .. } | Effect::Resume { .. } | Effect::Wanted { .. } => {}
                // Nobody monitors.
                Effect::Monitored { .. } | Effect::MonitorEnded { .. } => {}
                Effect::Settled { epoch } => {
                    assert!(self.settled < epoch && epoch <= self.epoch, "epoch {epoch} settles");
                    self.settled = epoch;
                }
            }
        }
        while self.engine.next_dirty_session().is_some() {}
        while self.engine.next_dirty_backend().is_some() {}
        match self.engine.audit() {
            Ok(audit) => assert_eq!(
                audit.questions,
                self.questions.len(),
                "references to sessions that nothing holds"
            ),
            Err(why) => panic!("{why}"),
        }
    }

    /// Closes everything: nothing may be left.
    fn end(&mut self) {
        while let Some((session, client, sequence)) = self.questions.pop() {
            self.engine.on_answer(session, client, sequence, b"$4\r\ninfo\r\n");
        }
        let sessions: Vec<u32> = self.clients.keys().copied().collect();
        for session in sessions {
            self.client_closed(session, true);
        }
        self.epoch += 1;
        self.engine.on_topology(&Arc::new(Topology { epoch: self.epoch, ..Topology::offline() }));
        self.finish_turn();
        let backends: Vec<u32> = self.backends.keys().copied().collect();
        for backend in backends {
            self.backend_closed(backend, true);
        }
        self.finish_turn();
        assert_eq!(self.engine.sessions(), 0, "sessions are left");
        assert_eq!(self.engine.backends(), 0, "backends are left");
    }
}

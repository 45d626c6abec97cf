//! The engine with nothing around it: bytes in, bytes out, as a shard's driver moves them.

use codis_proxy::config::ProxyConfig;
use codis_proxy::engine::{Effect, Engine, Settings};
use codis_proxy::slots::{SLOT_COUNT, slot};
use codis_proxy::topology::{Group, GroupIndex, Slot, SlotState, Topology};
use std::sync::Arc;

pub(crate) const SESSIONS: u32 = 16;
const PIPELINE: usize = 16;
const VALUE: [u8; 64] = [b'v'; 64];
const BACKENDS: usize = 2;
/// Microseconds from one turn to the next.
pub(crate) const TURN_US: u64 = 100;

/// One turn's bytes: what every session sends, and what every backend answers to all of that.
pub(crate) struct Load {
    requests: Vec<u8>,
    replies: [Vec<u8>; BACKENDS],
    pub(crate) requests_a_session: usize,
}

/// A key that the backend of this number serves.
fn key(backend: usize, number: usize) -> String {
    let mut keys = (0..).map(|salt| format!("key:{:06}", number * 1_000 + salt));
    let on = |key: &String| usize::from(slot(key.as_bytes())) % BACKENDS == backend;
    keys.find(on).unwrap_or_default()
}

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn request(out: &mut Vec<u8>, args: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    args.iter().for_each(|arg| bulk(out, arg));
}

impl Load {
    /// The load of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut requests = Vec::new();
        let mut replies = [Vec::new(), Vec::new()];
        for number in 0..PIPELINE {
            let backend = number % BACKENDS;
            let key = key(backend, number);
            match name {
                "get" => {
                    request(&mut requests, &[b"GET", key.as_bytes()]);
                    bulk(&mut replies[backend], &VALUE);
                }
                "set" => {
                    request(&mut requests, &[b"SET", key.as_bytes(), &VALUE]);
                    replies[backend].extend_from_slice(b"+OK\r\n");
                }
                "mget" => Self::mget(number, &mut requests, &mut replies),
                _ => return None,
            }
        }
        for backend in &mut replies {
            *backend = backend.repeat(SESSIONS as usize);
        }
        Some(Self { requests, replies, requests_a_session: PIPELINE })
    }

    /// Ten keys, five on each backend.
    fn mget(number: usize, requests: &mut Vec<u8>, replies: &mut [Vec<u8>; BACKENDS]) {
        let keys: Vec<String> = (0..10).map(|i| key(i % BACKENDS, number * 10 + i)).collect();
        let mut args: Vec<&[u8]> = vec![b"MGET"];
        args.extend(keys.iter().map(|key| key.as_bytes()));
        request(requests, &args);
        for backend in replies {
            backend.extend_from_slice(b"*5\r\n");
            (0..5).for_each(|_| bulk(backend, &VALUE));
        }
    }
}

/// An engine with its sessions and backends.
pub(crate) struct Driver {
    engine: Engine,
    /// By backend of the engine: its number here.
    numbers: Vec<usize>,
    effects: Vec<Effect>,
}

impl Driver {
    /// Sessions and backends, connected.
    pub(crate) fn new() -> Self {
        let mut engine = Engine::new(Settings::new(&ProxyConfig::default(), "token"), 0, 0, 1);
        let groups = (0..BACKENDS).map(|number| Group {
            id: number as u32 + 1,
            master: Arc::from(format!("127.0.0.1:{number}")),
            replicas: Vec::new(),
            has_replicas: false,
        });
        let slots = (0..SLOT_COUNT).map(|slot| Slot {
            state: SlotState::Stable(GroupIndex((slot % BACKENDS) as u16)),
            locked: false,
        });
        engine.on_topology(&Arc::new(Topology {
            epoch: 1,
            groups: groups.collect(),
            slots: slots.collect(),
            moves: None,
        }));
        engine.finish_turn();
        let mut numbers = Vec::new();
        for effect in engine.take_effects(Vec::new()) {
            if let Effect::Connect { backend, address } = effect {
                numbers.resize(numbers.len().max(backend as usize + 1), 0);
                numbers[backend as usize] = usize::from(address.ends_with(":1"));
                engine.on_backend_open(backend);
                if let Some(greeting) = engine.take_backend_output(backend) {
                    engine.on_backend_sent(backend, greeting.len());
                    engine.recycle_backend(backend, greeting);
                }
                engine.on_backend_bytes(backend, b"+OK\r\n$-1\r\n");
            }
        }
        for client in 0..SESSIONS {
            engine.on_client_open(u64::from(client), None);
        }
        Self { engine, numbers, effects: Vec::new() }
    }

    /// Requests in and out to the backends, then replies in and out to the clients; answers how many
    /// bytes of replies left.
    pub(crate) fn turn_at(&mut self, now_us: u64, load: &Load) -> usize {
        self.engine.set_now(now_us);
        for session in 0..SESSIONS {
            self.engine.on_client_bytes(session, &load.requests);
        }
        self.finish();
        while let Some(backend) = self.engine.next_dirty_backend() {
            while let Some(segment) = self.engine.take_backend_output(backend) {
                self.engine.on_backend_sent(backend, segment.len());
                self.engine.recycle_backend(backend, segment);
            }
        }
        for (backend, &number) in self.numbers.iter().enumerate() {
            self.engine.on_backend_bytes(backend as u32, &load.replies[number]);
        }
        self.finish();
        let mut bytes = 0;
        while let Some(session) = self.engine.next_dirty_session() {
            while let Some(segment) = self.engine.take_client_output(session) {
                bytes += segment.len();
                self.engine.on_client_sent(session, segment.len());
                self.engine.recycle(segment);
            }
        }
        bytes
    }

    fn finish(&mut self) {
        self.engine.finish_turn();
        let emptied = std::mem::take(&mut self.effects);
        self.effects = self.engine.take_effects(emptied);
        assert!(self.effects.is_empty(), "a steady load has no effects: {:?}", self.effects);
    }
}

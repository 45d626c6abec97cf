//! Shards without rings, for tests of the control plane: each answers from what it was given, or keeps
//! silent, or is gone.

use super::shards::Shards;
use super::state::State;
use super::{Control, Facts, Log, ShardGone, ShardMailbox, Signal};
use crate::clients::{ClientInfo, SlowEntry};
use crate::config::ProxyConfig;
use crate::logging::Level;
use crate::messages::{ControlMessage, KillFilter, ShardMessage};
use crate::stats::{
    BackendState, BackendStats, CommandStats, Histogram, MoveStats, PubsubStats, ShardStats,
};
use crate::topology::Topology;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// What a fake shard does with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Answers,
    /// Takes messages and never answers.
    Silent,
    /// Takes no messages.
    Gone,
}

/// A message that a fake shard has got, without the channels in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    Answer { session: u32, client: u64, sequence: u32, reply: String },
    Settings(Arc<ProxyConfig>),
    Topology(Arc<Topology>),
    Resolved(u32, Result<SocketAddr, String>),
    Kill { not: Option<u64> },
    Unblock { client: u64, error: bool },
    Pause { duration_us: u64, all: bool },
    Unpause,
    SlowlogReset,
    Monitoring(Vec<usize>),
    MonitorLines(String),
    StatsReset,
    Drain,
    Stop,
}

/// A shard's mailbox, and the shard behind it.
pub(super) struct FakeShard {
    number: usize,
    manner: Manner,
    clients: Arc<Mutex<Vec<ClientInfo>>>,
    /// What it has got but for questions that it answered.
    seen: mpsc::UnboundedSender<(usize, Seen)>,
    /// Senders of questions that it does not answer, so that they are not closed.
    unanswered: Mutex<Vec<ShardMessage>>,
    /// How many times it was asked for its counters.
    pub(super) stats_asked: Arc<AtomicUsize>,
}

impl ShardMailbox for FakeShard {
    fn send(&self, message: ShardMessage) -> Result<(), ShardGone> {
        match self.manner {
            Manner::Gone => Err(ShardGone),
            Manner::Answers => {
                self.act(message);
                Ok(())
            }
            Manner::Silent => {
                self.unanswered.lock().expect("no panic").push(message);
                Ok(())
            }
        }
    }
}

impl FakeShard {
    fn act(&self, message: ShardMessage) {
        let seen = match message {
            ShardMessage::Stats(answer) => {
                self.stats_asked.fetch_add(1, Ordering::Relaxed);
                let _ = answer.send(stats(self.number));
                return;
            }
            ShardMessage::Clients(answer) => {
                let _ = answer.send(self.clients.lock().expect("no panic").clone());
                return;
            }
            ShardMessage::Slowlog(answer) => {
                let _ = answer.send(slowlog(self.number));
                return;
            }
            ShardMessage::Pause { duration_us, all, done } => {
                let _ = done.send(());
                Seen::Pause { duration_us, all }
            }
            ShardMessage::Unpause(done) => {
                let _ = done.send(());
                Seen::Unpause
            }
            ShardMessage::Unblock(client, error, answer) => {
                // One client in a test blocks, on the second shard.
                let _ = answer.send(u64::from(self.number == 1 && client == 7));
                Seen::Unblock { client, error }
            }
            ShardMessage::Kill(filter, answer) => {
                let _ = answer.send(self.kill(&filter));
                Seen::Kill { not: filter.not }
            }
            ShardMessage::Answer { session, client, sequence, reply } => {
                let reply = String::from_utf8(reply).expect("replies in tests are text");
                Seen::Answer { session, client, sequence, reply }
            }
            ShardMessage::Resolved { backend, result } => Seen::Resolved(backend, result),
            ShardMessage::Settings(config) => Seen::Settings(config),
            ShardMessage::Topology(topology) => Seen::Topology(topology),
            ShardMessage::Monitoring { shards, done } => {
                let _ = done.send(());
                Seen::Monitoring(shards.iter().copied().collect())
            }
            ShardMessage::MonitorLines(lines) => {
                let lines = lines.as_ref().clone();
                Seen::MonitorLines(String::from_utf8(lines).expect("lines in tests are text"))
            }
            ShardMessage::SlowlogReset => Seen::SlowlogReset,
            ShardMessage::StatsReset => Seen::StatsReset,
            ShardMessage::Drain => Seen::Drain,
            ShardMessage::Stop => Seen::Stop,
            ShardMessage::Accepted(_) => unreachable!("the control thread accepts no clients"),
        };
        let _ = self.seen.send((self.number, seen));
    }

    fn kill(&self, filter: &KillFilter) -> u64 {
        let mut clients = self.clients.lock().expect("no panic");
        let before = clients.len();
        clients.retain(|client| !filter.matches(client));
        (before - clients.len()) as u64
    }
}

/// The counters of fake shard `shard`.
pub(super) fn stats(shard: usize) -> ShardStats {
    let mut latency = Histogram::default();
    for _ in 0..100 {
        latency.record(100);
    }
    let get = CommandStats { calls: 100, rejected: 1, errors: 2, fails: 3, latency };
    let master = BackendStats {
        address: "127.0.0.1:6380".into(),
        group: 1,
        replica: false,
        database: 0,
        state: BackendState::Ready,
        requests: 90,
        in_flight: 4,
        output_bytes: 0,
        bytes_in: 1000,
        bytes_out: 2000,
        errors: 2,
        loading: 1,
        masterdown: 0,
        readonly: 0,
        connects: 1,
        failures: 0,
        timeouts: 0,
        last_error: String::new(),
        ping_us: 150,
    };
    let replica = BackendStats {
        address: "127.0.0.1:6381".into(),
        replica: true,
        state: BackendState::Down,
        last_error: "Connection refused".into(),
        ..master.clone()
    };
    ShardStats {
        shard,
        core: shard + 2,
        epoch: 1,
        sessions_alive: 5,
        sessions_blocked: 2,
        dedicated_connections: 3,
        sessions_total: 10,
        sessions_cut: vec![("output limit", 1), (crate::clients::CUT_MAX_CLIENTS, 7)],
        client_bytes_in: 5000,
        client_bytes_out: 6000,
        client_output_bytes: 10,
        protocol_errors: 1,
        moves: MoveStats { requests_waited: 4, keys_asked: 6, keys_moved: 5, failures: 1 },
        pubsub: PubsubStats { channels: 2, patterns: 1, received: 8, ..PubsubStats::default() },
        turns: 42,
        cpu_user_us: 1_500_000,
        cpu_system_us: 500_000,
        commands: vec![("client|list", CommandStats::default()), ("get", get)],
        backends: vec![master, replica],
    }
}

fn slowlog(shard: usize) -> Vec<SlowEntry> {
    let entry = |id: u64| SlowEntry {
        id,
        unix_time_s: 1_000_000 + 10 * id + shard as u64,
        duration_us: 20_000,
        args: vec![b"get".to_vec(), format!("key{shard}{id}").into_bytes()],
        addr: "127.0.0.1:5".into(),
        name: "n".into(),
        backend: String::new(),
    };
    vec![entry(1), entry(0)]
}

/// The clients of fake shard `shard`: ids 1 and 3 on shard 0, 2 and 4 on shard 1.
fn clients(shard: usize) -> Vec<ClientInfo> {
    let client = |id: u64| ClientInfo {
        id,
        addr: Some(SocketAddr::from(([127, 0, 0, 1], 5000 + id as u16))),
        laddr: Some(SocketAddr::from(([127, 0, 0, 1], 19_000))),
        shard,
        age_s: 10 * id,
        command: "get",
        user: "default".into(),
        ..ClientInfo::default()
    };
    // Not in order, as a shard keeps them by index.
    vec![client(shard as u64 + 3), client(shard as u64 + 1)]
}

/// A log that only counts.
#[derive(Debug, Default)]
pub(super) struct FakeLog {
    pub(super) reopened: AtomicUsize,
    pub(super) level: Mutex<Option<Level>>,
}

impl Log for Arc<FakeLog> {
    fn reopen(&self) {
        self.reopened.fetch_add(1, Ordering::Relaxed);
    }

    fn set_level(&self, level: Level) {
        *self.level.lock().expect("no panic") = Some(level);
    }

    fn lost_lines(&self) -> u64 {
        3
    }
}

/// A control plane with fake shards.
pub(super) struct Fixture {
    pub(super) control: Control,
    /// Where shards speak.
    pub(super) shards: mpsc::UnboundedSender<ControlMessage>,
    /// What shards got: shard and message.
    pub(super) seen: mpsc::UnboundedReceiver<(usize, Seen)>,
    pub(super) admin: SocketAddr,
    pub(super) log: Arc<FakeLog>,
    /// How many times shard 0 was asked for its counters.
    pub(super) stats_asked: Arc<AtomicUsize>,
    pub(super) token: String,
}

/// One fake shard for each manner, and settings that `set` has changed.
pub(super) fn fixture_with(manners: &[Manner], set: impl FnOnce(&mut ProxyConfig)) -> Fixture {
    let (sender, inbox) = mpsc::unbounded_channel();
    let (seen_sender, seen) = mpsc::unbounded_channel();
    let stats_asked = Arc::new(AtomicUsize::new(0));
    let shard = |(number, &manner): (usize, &Manner)| -> Box<dyn ShardMailbox> {
        Box::new(FakeShard {
            number,
            manner,
            clients: Arc::new(Mutex::new(clients(number))),
            seen: seen_sender.clone(),
            unanswered: Mutex::default(),
            stats_asked: if number == 0 { Arc::clone(&stats_asked) } else { Arc::default() },
        })
    };
    let shards = manners.iter().enumerate().map(shard).collect();
    let mut config = ProxyConfig { product_auth: "pw-of-the-product".into(), ..Default::default() };
    set(&mut config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let admin = listener.local_addr().expect("a bound socket");
    let log = Arc::new(FakeLog::default());
    let facts = Facts::gather(admin, "127.0.0.1:19000", vec![2, 3], None);
    let token = facts.token.clone();
    let control = Control {
        shards,
        inbox,
        config: Arc::new(config),
        topology: Arc::new(topology()),
        admin: listener,
        log: Box::new(Arc::clone(&log)),
        facts,
        link: None,
    };
    Fixture { control, shards: sender, seen, admin, log, stats_asked, token }
}

/// One fake shard for each manner.
pub(super) fn fixture(manners: &[Manner]) -> Fixture {
    fixture_with(manners, |_| {})
}

/// Slots 0 and 1 in group 1, the others offline, at epoch 1.
fn topology() -> Topology {
    let json = r#"[{"id":0,"backend_addr":"127.0.0.1:6380","backend_addr_group_id":1},
                   {"id":1,"backend_addr":"127.0.0.1:6380","backend_addr_group_id":1}]"#;
    crate::topology::parse_fillslots(json).expect("a list of slots")
}

impl Fixture {
    /// The state alone, for tests of answers without the loop.
    pub(super) fn state(self) -> (Arc<State>, mpsc::UnboundedReceiver<(usize, Seen)>) {
        let Control { shards, config, topology, log, facts, .. } = self.control;
        let (signals, _) = mpsc::unbounded_channel();
        let shards = Shards::new(shards);
        (Arc::new(State::new(shards, facts, log, config, topology, signals)), self.seen)
    }

    /// Starts the loop in a task.
    pub(super) fn start(self) -> Running {
        let (signals, receiver) = mpsc::unbounded_channel();
        let exit = tokio::spawn(super::serve(self.control, signals.clone(), receiver));
        Running {
            exit,
            signals,
            shards: self.shards,
            seen: self.seen,
            admin: self.admin,
            log: self.log,
            stats_asked: self.stats_asked,
            token: self.token,
        }
    }
}

/// A control plane that runs.
pub(super) struct Running {
    pub(super) exit: tokio::task::JoinHandle<super::Exit>,
    pub(super) signals: mpsc::UnboundedSender<Signal>,
    pub(super) shards: mpsc::UnboundedSender<ControlMessage>,
    pub(super) seen: mpsc::UnboundedReceiver<(usize, Seen)>,
    pub(super) admin: SocketAddr,
    pub(super) log: Arc<FakeLog>,
    pub(super) stats_asked: Arc<AtomicUsize>,
    pub(super) token: String,
}

impl Running {
    /// The next message that a shard got.
    pub(super) async fn next(&mut self) -> (usize, Seen) {
        self.seen.recv().await.expect("the shards are there")
    }

    /// Speaks as a shard.
    pub(super) fn say(&self, message: ControlMessage) {
        self.shards.send(message).expect("the control plane runs");
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.signals.send(signal).expect("the control plane runs");
    }

    /// What proves that a caller knows the product.
    pub(super) fn xauth(&self) -> String {
        super::http::pages::xauth(&["codis-demo", "pw-of-the-product", &self.token])
    }
}

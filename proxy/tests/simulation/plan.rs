//! What a seed decides before anything runs: how many of what, which limits, which faults.

use codis_proxy::config::ProxyConfig;
use codis_proxy::engine::Settings;

/// A fault of the model itself, planted to see that the checks find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    None,
    /// A server answers two requests in the wrong order.
    SwappedReplies,
    /// A server leaves a reply out.
    MissingReply,
    /// What was sent last on a connection that was lost is sent again on the next one.
    SentTwice,
    /// The driver does not say that a backend's connection is lost.
    LossUntold,
    /// The driver sends a client's output to another client.
    WrongClient,
    /// The driver loses the last byte of a partial send.
    LostByte,
    /// The driver reads on from a session that is paused.
    PauseIgnored,
    /// The driver does not say that a client's connection is closed.
    CloseUntold,
    /// A server answers a write without running it.
    WriteNotRun,
    /// A server runs everything in database 0.
    WrongDatabase,
    /// Requests for one server reach another.
    WrongServer,
    /// A question to the control thread is never answered.
    NoAnswer,
    /// A server runs a part of a transaction.
    HalfExecuted,
    /// A server runs a transaction whatever has happened to the watched key.
    WatchForgotten,
    /// A server gives one element to two that wait.
    GivenTwice,
}

impl Bug {
    pub(crate) const ALL: [Self; 15] = [
        Self::SwappedReplies,
        Self::MissingReply,
        Self::SentTwice,
        Self::LossUntold,
        Self::WrongClient,
        Self::LostByte,
        Self::PauseIgnored,
        Self::CloseUntold,
        Self::WriteNotRun,
        Self::WrongDatabase,
        Self::WrongServer,
        Self::NoAnswer,
        Self::HalfExecuted,
        Self::WatchForgotten,
        Self::GivenTwice,
    ];
}

/// What kind of run a seed is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Anything may go wrong.
    Chaos,
    /// Nothing goes wrong, every session has keys of its own: its replies depend on nothing else.
    Calm {
        /// Whether byte streams are cut and delayed at random.
        cut: bool,
    },
}

/// The decisions.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) bug: Bug,
    pub(crate) calm: bool,
    pub(crate) cut: bool,
    pub(crate) settings: Settings,
    /// Engines.
    pub(crate) nodes: usize,
    pub(crate) clients: usize,
    /// Sets of servers that hold the same data: a master and its replicas.
    pub(crate) homes: usize,
    pub(crate) replicas: usize,
    /// How many key names there are.
    pub(crate) names: usize,
    pub(crate) requests: usize,
    pub(crate) databases: u16,
    /// The longest delay of anything, in microseconds.
    pub(crate) delay_us: u64,
    /// Times are multiples of this: things that happen at one time are one turn.
    pub(crate) quantum_us: u64,
    /// What a socket's buffer holds.
    pub(crate) socket_bytes: usize,
    /// Values may be larger than an output segment.
    pub(crate) large: bool,
    /// How long faults are injected, in microseconds.
    pub(crate) chaos_us: u64,
    pub(crate) server_faults: usize,
    pub(crate) topology_changes: usize,
    /// How often a fence is raised.
    pub(crate) fences: usize,
    /// Some clients stop reading for a while, and some for good.
    pub(crate) unread: bool,
    /// Engines are told to drain, instead of clients to leave.
    pub(crate) drain: bool,
    pub(crate) password: bool,
    /// Sessions that are killed.
    pub(crate) kills: usize,
}

/// `few` most of the time, up to `many` now and then.
fn skewed(rng: &mut fastrand::Rng, few: usize, many: usize) -> usize {
    if rng.u8(..4) == 0 { rng.usize(1..=many) } else { rng.usize(1..=few) }
}

impl Plan {
    pub(crate) fn new(seed: u64, mode: Mode, bug: Bug) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15);
        let rng = &mut rng;
        let calm = mode != Mode::Chaos;
        let large = rng.u8(..20) == 0;
        let password = rng.u8(..4) == 0;
        let mut plan = Self {
            seed,
            bug,
            calm,
            cut: mode != Mode::Calm { cut: false },
            settings: Settings::new(&ProxyConfig::default(), "token"),
            nodes: if calm { 1 } else { rng.usize(1..=2) },
            clients: skewed(rng, 4, 16),
            homes: rng.usize(1..=4),
            replicas: if rng.u8(..3) == 0 { rng.usize(1..=2) } else { 0 },
            names: rng.usize(1..=16),
            requests: skewed(rng, 40, 250),
            databases: if rng.bool() { 1 } else { 3 },
            delay_us: [0, 10, 200, 3_000][rng.usize(..4)],
            quantum_us: [1, 20, 500][rng.usize(..3)],
            socket_bytes: [300, 4_000, 70_000, 1 << 20][rng.usize(..4)],
            large,
            chaos_us: [20_000, 300_000, 3_000_000][rng.usize(..3)],
            server_faults: 0,
            topology_changes: 0,
            fences: 0,
            unread: !calm && rng.u8(..3) == 0,
            drain: !calm && rng.u8(..8) == 0,
            password,
            kills: 0,
        };
        if large {
            plan.socket_bytes = plan.socket_bytes.max(70_000);
            plan.requests = plan.requests.min(12);
            plan.clients = plan.clients.min(3);
        }
        if mode == (Mode::Calm { cut: false }) {
            plan.delay_us = 0;
            plan.socket_bytes = 1 << 24;
        }
        if !calm && rng.u8(..4) != 0 {
            plan.server_faults = skewed(rng, 4, 20);
        }
        if !calm && rng.bool() {
            plan.topology_changes = skewed(rng, 4, 16);
        }
        if plan.topology_changes > 0 && rng.bool() {
            plan.fences = skewed(rng, 3, 8);
        }
        if !calm && rng.u8(..6) == 0 {
            plan.kills = rng.usize(1..=3);
        }
        plan.choose_settings(rng);
        if bug == Bug::PauseIgnored {
            // It shows only where much waits behind a stall.
            plan.requests = 1_000;
            plan.socket_bytes = 70_000;
            plan.settings.session_requests_max = 1;
        }
        plan
    }

    fn choose_settings(&mut self, rng: &mut fastrand::Rng) {
        let (calm, large, seed) = (self.calm, self.large, self.seed);
        let settings = &mut self.settings;
        if self.password {
            settings.users = settings.users.with_default_password("sesame");
        }
        if rng.u8(..3) == 0 {
            settings.product_auth = "product".into();
        }
        settings.databases = 16;
        settings.session_requests_max = [1, 2, 7, 100, 10_000][rng.usize(..5)];
        settings.backend_requests_max = [1, 2, 9, 1000][rng.usize(..4)];
        settings.backend_output_bytes_max = [100, 5_000, 1 << 20][rng.usize(..3)];
        settings.output_bytes_soft = [50, 3_000, 1 << 20][rng.usize(..3)];
        settings.output_bytes_hard = 64 << 20;
        // More than what is read ahead of a client that blocks.
        settings.input_bytes_max = if calm || large { 64 << 20 } else { 130_000 };
        settings.limits.request_bytes_max = settings.input_bytes_max;
        settings.primary_parallel = rng.usize(1..=2);
        settings.replica_parallel = rng.usize(1..=2);
        settings.primary_only = rng.u8(..3) == 0;
        settings.slow_us = [0, 500, u32::MAX][rng.usize(..3)];
        settings.slowlog_len_max = 8;
        settings.break_on_failure = !calm && rng.u8(..6) == 0;
        settings.recv_timeout_us = [0, 250_000, 250_000][rng.usize(..3)];
        settings.send_timeout_us = [0, 150_000, 400_000][rng.usize(..3)];
        settings.connect_timeout_us = 100_000;
        settings.reconnect_us_max = [25_000, 200_000][rng.usize(..2)];
        settings.ping_us = [0, 40_000, 1_000_000][rng.usize(..3)];
        settings.session_recv_timeout_s = 0;
        settings.session_send_timeout_s = 0;
        if calm {
            // A read of a replica and a write to its master may overtake each other.
            settings.primary_only = true;
            settings.recv_timeout_us = 0;
            settings.send_timeout_us = 0;
        } else {
            settings.session_recv_timeout_s = [0, 2, 60][rng.usize(..3)];
            settings.session_send_timeout_s = if self.unread { [1, 3][rng.usize(..2)] } else { 0 };
            if rng.u8(..10) == 0 {
                settings.output_bytes_hard = 20_000;
                settings.output_bytes_soft = settings.output_bytes_soft.min(10_000);
            }
            settings.token = format!("token{}", seed % 7);
        }
    }
}

//! What a seed decides before anything runs.

use crate::server::data::Place;
use codis_proto::moves;
use codis_proxy::config::ProxyConfig;
use codis_proxy::engine::Settings;

/// A rule of the protocol that the model breaks, to see that the checks find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    None,
    /// The source wins: MIGRATE replaces what the target has.
    SourceWins,
    /// The target is not looked through before the slot prepares.
    TargetNotWalked,
    /// Proxies acknowledge a topology before what was in flight has been answered.
    NotDrained,
    /// A fence is said to be up, and is not.
    NoFence,
    /// Keys go on to move after a MIGRATE whose outcome is unknown.
    UnknownForgotten,
    /// What an earlier move has left on the target stays there.
    LeftoversKept,
    /// SCAN looks at each group once, and never again where keys have moved to meanwhile.
    OnePass,
    /// EXEC runs whatever has happened to the watched keys.
    WatchForgotten,
    /// What is queued runs at once, and not as one.
    TransactionSplit,
    /// A wait takes two elements, as if it were in two places.
    WaitDoubled,
    /// A wait takes an element and goes on.
    ElementDropped,
    /// BLMOVE takes an element and puts it nowhere.
    MovedNowhere,
    /// A stream's reader that is carried along begins at the stream's end anew.
    EndAskedAnew,
    /// Clients that track are not told that all keys may have changed: when a slot leaves, when a connection is lost.
    AllUntold,
    /// A client that tracks is told of what its own command changes before it is answered.
    ToldTooEarly,
    /// Codis's own way to move keys, which overwrites, is taken after the source has been another run as well.
    CodisForEver,
}

/// In one of so many seeds servers are those of Codis.
pub(crate) const CODIS_EVERY: u64 = 5;

/// What servers of Codis ask for.
pub(crate) const PASSWORD: &str = "secret";

impl Bug {
    pub(crate) const ALL: [Self; 16] = [
        Self::SourceWins,
        Self::TargetNotWalked,
        Self::NotDrained,
        Self::NoFence,
        Self::UnknownForgotten,
        Self::LeftoversKept,
        Self::OnePass,
        Self::WatchForgotten,
        Self::TransactionSplit,
        Self::WaitDoubled,
        Self::ElementDropped,
        Self::MovedNowhere,
        Self::EndAskedAnew,
        Self::AllUntold,
        Self::ToldTooEarly,
        Self::CodisForEver,
    ];

    /// The text of a script as a server with this bug runs it.
    pub(crate) fn in_script(self, text: Vec<u8>) -> Vec<u8> {
        if text != moves::SCRIPT.as_bytes() {
            return text;
        }
        let (from, to) = match self {
            Self::SourceWins => {
                ("if copy then command[", "command[#command + 1] = 'REPLACE' if copy then command[")
            }
            Self::UnknownForgotten => ("'HDEL'", "'HGET'"),
            Self::CodisForEver => ("' began') ~= run then", "' began') == '' then"),
            _ => return text,
        };
        let changed = moves::SCRIPT.replacen(from, to, 1);
        assert_ne!(changed, moves::SCRIPT, "the move script has other words now");
        changed.into_bytes()
    }
}

/// What kind of value clients keep under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Register,
    Counter,
    List,
    Set,
}

/// A key that clients use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
    /// Its values are large enough to be big.
    pub(crate) large: bool,
}

/// How a client's sessions speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Resp2,
    Resp3,
    /// In RESP3, and it keeps what it has read until it is told of a change.
    Tracks {
        bcast: bool,
    },
}

/// What may go wrong in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing but time.
    None,
    /// Proxies freeze and die.
    Proxies,
    /// Packets between servers are lost for longer than a MIGRATE waits.
    Network,
    /// Everything, but that servers keep what they have.
    Everything,
    /// Servers lose data as well: they restart from old snapshots, fail over to replicas and evict keys.
    Losses,
}

/// The decisions.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) bug: Bug,
    pub(crate) trouble: Trouble,
    pub(crate) settings: Settings,
    pub(crate) cut: bool,
    pub(crate) groups: usize,
    pub(crate) replicas: bool,
    pub(crate) proxies: usize,
    pub(crate) shards: usize,
    pub(crate) databases: u32,
    pub(crate) clients: usize,
    /// Further clients, which walk over the keys.
    pub(crate) walkers: usize,
    pub(crate) walk_us: u64,
    pub(crate) requests: usize,
    /// The most requests that a client leaves unanswered.
    pub(crate) window: usize,
    pub(crate) think_us: u64,
    /// Clients delete keys and let them expire.
    pub(crate) deletes: bool,
    pub(crate) keys: Vec<Key>,
    /// The hash tags of the keys; each is a slot.
    pub(crate) tags: Vec<String>,
    /// Somebody's keys are where they should not be.
    pub(crate) strays: bool,
    pub(crate) delay_us: u64,
    pub(crate) chaos_us: u64,
    pub(crate) faults: usize,
    pub(crate) operations: usize,
    pub(crate) deadline_ms: u64,
    pub(crate) durability: &'static str,
    /// Some keys are big.
    pub(crate) big: bool,
    /// Milliseconds that the migrator rests after each key; 0 where it takes many at a time and does not rest. What goes
    /// wrong then does so in the middle of a move.
    pub(crate) rest_ms: u64,
    /// By client.
    pub(crate) speaks: Vec<Speaks>,
    /// Pairs of lists of one slot each: elements go from one to the other.
    pub(crate) pairs: Vec<(Place, Place)>,
    /// Streams that clients add to.
    pub(crate) streams: Vec<Place>,
    /// Further clients, one for each stream, which read them.
    pub(crate) readers: usize,
    /// The servers are those of Codis, and ask for a password: keys move by their own command.
    pub(crate) codis: bool,
}

impl Plan {
    pub(crate) fn new(seed: u64, bug: Bug) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x51_7c_c1_b7_27_22_0a_95);
        let rng = &mut rng;
        let trouble = match rng.u8(..9) {
            0 => Trouble::None,
            1 | 2 => Trouble::Proxies,
            3..6 => Trouble::Everything,
            6 => Trouble::Network,
            _ => Trouble::Losses,
        };
        let replicas = rng.u8(..3) == 0;
        let big = rng.u8(..4) == 0;
        let databases = if rng.u8(..3) == 0 { 2 } else { 1 };
        let tags: Vec<String> = (0..rng.usize(1..=3)).map(|tag| format!("t{tag}")).collect();
        let chaos_us = [400_000, 1_500_000, 3_000_000][rng.usize(..3)];
        let requests = rng.usize(8..=24);
        let mut plan = Self {
            seed,
            bug,
            trouble,
            settings: settings(rng),
            cut: rng.bool(),
            groups: if rng.u8(..3) == 0 { 3 } else { 2 },
            replicas,
            proxies: rng.usize(1..=2),
            shards: rng.usize(1..=2),
            databases,
            clients: rng.usize(2..=5),
            requests,
            window: [1, 1, 4][rng.usize(..3)],
            think_us: 2 * chaos_us / requests as u64,
            deletes: trouble != Trouble::Losses || rng.bool(),
            keys: Vec::new(),
            tags,
            strays: rng.u8(..12) == 0,
            delay_us: [30, 300, 3_000][rng.usize(..3)],
            chaos_us,
            faults: if trouble == Trouble::None { 0 } else { rng.usize(1..=8) },
            operations: rng.usize(1..=8),
            deadline_ms: 300,
            durability: if replicas && rng.u8(..4) != 0 { "replica" } else { "none" },
            big,
            rest_ms: [0, 0, 20, 60][(seed / 3 % 4) as usize],
            walkers: rng.usize(0..=1),
            walk_us: [2_000, 20_000, 60_000][rng.usize(..3)],
            speaks: Vec::new(),
            pairs: Vec::new(),
            streams: Vec::new(),
            readers: 0,
            codis: seed.is_multiple_of(CODIS_EVERY),
        };
        if plan.codis {
            PASSWORD.clone_into(&mut plan.settings.product_auth);
            plan.durability = "none";
        }
        if trouble == Trouble::Network {
            plan.faults = 12;
            plan.operations = 8;
        }
        plan.choose_keys(rng);
        plan.speaks = vec![Speaks::Resp2; plan.all_clients()];
        // Servers of Codis know neither BLMOVE nor streams, and one protocol.
        if !plan.codis {
            plan.choose_pairs(rng);
            plan.choose_streams(rng);
            plan.choose_protocols(rng);
        }
        plan
    }

    fn choose_pairs(&mut self, rng: &mut fastrand::Rng) {
        for database in 0..self.databases {
            if rng.u8(..3) != 0 {
                continue;
            }
            let tag = &self.tags[rng.usize(..self.tags.len())];
            let place = |name: &str| (database * 5, format!("{{{tag}}}{name}").into_bytes());
            let pair = (place("from"), place("to"));
            for place in [&pair.0, &pair.1] {
                let place = place.clone();
                self.keys.push(Key { place, kind: Kind::List, large: false });
            }
            self.pairs.push(pair);
        }
    }

    /// What is read from a stream is checked against what there is in the end, so that none must be lost.
    fn choose_streams(&mut self, rng: &mut fastrand::Rng) {
        if self.trouble == Trouble::Losses || rng.u8(..3) != 0 {
            return;
        }
        self.readers = rng.usize(1..=2);
        for number in 0..self.readers {
            let tag = &self.tags[rng.usize(..self.tags.len())];
            let database = rng.u32(..self.databases) * 5;
            self.streams.push((database, format!("{{{tag}}}stream{number}").into_bytes()));
        }
    }

    fn choose_protocols(&mut self, rng: &mut fastrand::Rng) {
        let tracks = rng.bool();
        let of_client = |_| match rng.u8(..4) {
            0 => Speaks::Resp3,
            1 | 2 if tracks => Speaks::Tracks { bcast: rng.bool() },
            _ => Speaks::Resp2,
        };
        self.speaks = (0..self.all_clients()).map(of_client).collect();
    }

    /// How many clients there are, of each kind.
    pub(crate) fn all_clients(&self) -> usize {
        self.clients + self.walkers + self.readers
    }

    fn choose_keys(&mut self, rng: &mut fastrand::Rng) {
        let kinds = [Kind::Register, Kind::Counter, Kind::List, Kind::Set];
        for database in 0..self.databases {
            for number in 0..rng.usize(3..=8) {
                let tag = rng.usize(..self.tags.len());
                let tag = &self.tags[tag];
                // A name that needs care wherever it is quoted.
                let odd = if rng.u8(..4) == 0 { " \r\n\0\u{ff}\"" } else { "" };
                let name = format!("{{{tag}}}{number}{odd}").into_bytes();
                // Most are registers, so that there are several for MSET and MGET.
                let kind = if rng.bool() { Kind::Register } else { kinds[rng.usize(..4)] };
                let large = self.big && kind != Kind::Counter && rng.bool();
                self.keys.push(Key { place: (database * 5, name), kind, large });
            }
        }
    }
}

fn settings(rng: &mut fastrand::Rng) -> Settings {
    let mut settings = Settings::new(&ProxyConfig::default(), "token");
    settings.follows_group = true;
    settings.databases = 16;
    settings.primary_only = true;
    settings.primary_parallel = rng.usize(1..=2);
    settings.session_requests_max = [1, 3, 100][rng.usize(..3)];
    settings.backend_requests_max = [1, 9, 1000][rng.usize(..3)];
    settings.recv_timeout_us = [0, 400_000][rng.usize(..2)];
    settings.send_timeout_us = 400_000;
    settings.connect_timeout_us = 200_000;
    settings.reconnect_us_max = 60_000;
    settings.ping_us = 0;
    settings.session_recv_timeout_s = 0;
    settings.session_send_timeout_s = 0;
    settings
}

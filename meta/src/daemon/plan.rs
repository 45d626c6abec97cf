//! A member's configuration, as it is run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use codis_service::config::Secret;

use crate::node::NodeConfig;
use crate::raft::{Config, Identity};
use crate::server::Tls;

/// How long a proposal or a read may take before its end is unknown.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What a member is run with.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The product that the group keeps.
    pub product: String,
    /// The product's password: the token of every call, and that of its Redis servers.
    pub product_auth: Secret,
    /// Where to listen.
    pub listen: String,
    /// Where the member keeps its log.
    pub data_dir: PathBuf,
    /// Its id and where others reach it, or why that cannot be told: what its data directory says is enough for a
    /// member that has begun.
    pub own: Result<(u64, String), String>,
    /// The founding members; empty for a member that is a group by itself.
    pub founders: BTreeMap<u64, String>,
    /// The settings of a new product that differ from their defaults.
    pub settings: BTreeMap<String, String>,
    /// The times of the member.
    pub times: Times,
    /// The certificate of the port, where it is encrypted.
    pub tls: Option<Tls>,
}

/// The times of a member, counted in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// How long a tick is.
    pub tick: Duration,
    /// Ticks between heartbeats.
    pub heartbeat: usize,
    /// Ticks without a heartbeat after which a member stands for election, or up to twice as many.
    pub election: usize,
}

impl Default for Times {
    fn default() -> Self {
        Self { tick: Duration::from_millis(100), heartbeat: 2, election: 10 }
    }
}

impl Plan {
    /// How the member is run as `identity`.
    #[must_use]
    pub fn node_config(&self, identity: Identity) -> NodeConfig {
        let Times { tick, heartbeat, election } = self.times;
        let answer_ticks = ANSWER_TIMEOUT.as_nanos().div_ceil(tick.as_nanos().max(1));
        // Random: two starts with the same number would have to meet within the life of one proposal.
        let boot = fastrand::u64(1..);
        let raft = Config {
            heartbeat_ticks: heartbeat,
            election_ticks: election,
            answer_ticks: u64::try_from(answer_ticks).unwrap_or(u64::MAX),
            ..Config::new(identity.member, identity.group, boot)
        };
        NodeConfig { raft, tick }
    }
}

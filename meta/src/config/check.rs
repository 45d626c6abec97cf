//! Which values are impossible, alone or together, and the times as Raft counts them.

use super::MetaConfig;
use super::members::{self, Entry};
use crate::auth::Token;
use crate::state;
use codis_service::address::host_port;
use codis_service::config::{Configuration, Fault, Period};
use std::time::Duration;

/// The times of a member, counted in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticks {
    /// How long a tick is.
    pub tick: Duration,
    /// `election_timeout`, rounded up.
    pub election: usize,
    /// `heartbeat_interval`.
    pub heartbeat: usize,
}

/// Ticks in a heartbeat. Two, so that the chance that sets elections apart has grains finer than that.
const HEARTBEAT_TICKS: u32 = 2;
/// An election takes a round trip and a write to disk; less than this and members would depose each other
/// over a disk that is slow once.
const ELECTION_MIN: Period = Period::from_millis(100);
/// Longer than this, and a group without its leader stands still for minutes.
const ELECTION_MAX: Period = Period::from_secs(60);
const HEARTBEAT_MIN: Period = Period::from_millis(10);
/// How many heartbeats may get lost, and a few more, before an election.
const HEARTBEATS_IN_ELECTION: u32 = 3;

impl MetaConfig {
    /// The times, counted in ticks.
    #[must_use]
    pub fn ticks(&self) -> Ticks {
        let tick = self.heartbeat_interval.0 / HEARTBEAT_TICKS;
        let election = self.election_timeout.0.as_nanos().div_ceil(tick.as_nanos().max(1));
        Ticks {
            tick,
            election: usize::try_from(election).unwrap_or(usize::MAX),
            heartbeat: HEARTBEAT_TICKS as usize,
        }
    }
}

impl Configuration for MetaConfig {
    fn check(&self) -> Vec<Fault> {
        let mut found = Vec::new();
        names(self, &mut found);
        addresses(self, &mut found);
        founders(self, &mut found);
        times(self, &mut found);
        tls(self, &mut found);
        found
    }
}

fn names(config: &MetaConfig, found: &mut Vec<Fault>) {
    if let Err(refusal) = state::check_name("product's name", &config.product_name) {
        found.push(Fault::new("product_name", refusal.message));
    }
    if Token::new(config.product_auth.expose()).is_err() {
        let what = "has a control character, which no call can carry; choose another password";
        found.push(Fault::new("product_auth", what));
    }
    if config.data_dir.is_empty() {
        let what = "is empty; give the directory that this member keeps its log in";
        found.push(Fault::new("data_dir", what));
    }
}

fn addresses(config: &MetaConfig, found: &mut Vec<Fault>) {
    match host_port(&config.admin_addr) {
        Err(what) => found.push(Fault::new("admin_addr", what)),
        Ok((_, 0)) => {
            let what = format!(
                "\"{}\" has port 0; others must know the port, so give one",
                config.admin_addr
            );
            found.push(Fault::new("admin_addr", what));
        }
        Ok(_) => {}
    }
    let shown = &config.host_admin;
    if let (false, Err(what)) = (shown.is_empty(), members::reachable(shown)) {
        found.push(Fault::new("host_admin", what));
    }
}

/// What is wrong with the list of members, and with this one's place in it.
fn founders(config: &MetaConfig, found: &mut Vec<Fault>) {
    let mut entries: Vec<Entry> = Vec::new();
    for text in &config.members {
        let entry = match Entry::parse(text) {
            Ok(entry) => entry,
            Err(what) => return found.push(Fault::new("members", what)),
        };
        let twice = entries.iter().find_map(|other| {
            if other.id == entry.id {
                Some(format!("two members have the number {}; give each its own", entry.id))
            } else if other.address == entry.address {
                Some(format!("two members have the address {}; give each its own", entry.address))
            } else {
                None
            }
        });
        if let Some(what) = twice {
            return found.push(Fault::new("members", what));
        }
        entries.push(entry);
    }
    let id = u64::from(config.member_id);
    if id != 0 && !entries.is_empty() && entries.iter().all(|entry| entry.id != id) {
        let what = format!(
            "{id} is not in members; they are {}: add this one, or correct its number",
            config.members.join(", ")
        );
        found.push(Fault { keys: vec!["member_id", "members"], what });
    }
}

fn times(config: &MetaConfig, found: &mut Vec<Fault>) {
    let (election, heartbeat) = (config.election_timeout, config.heartbeat_interval);
    if !(ELECTION_MIN..=ELECTION_MAX).contains(&election) {
        let what = format!(
            "\"{election}\" is out of range: it must be between \"{ELECTION_MIN}\" and \"{ELECTION_MAX}\""
        );
        found.push(Fault::new("election_timeout", what));
    } else if heartbeat < HEARTBEAT_MIN {
        let what = format!("\"{heartbeat}\" is too short: it must be at least \"{HEARTBEAT_MIN}\"");
        found.push(Fault::new("heartbeat_interval", what));
    } else if heartbeat.0 >= election.0 / HEARTBEATS_IN_ELECTION {
        let what = format!(
            "\"{heartbeat}\" is not less than a third of election_timeout \"{election}\": one that is \
             late would start an election"
        );
        found.push(Fault { keys: vec!["heartbeat_interval", "election_timeout"], what });
    }
}

fn tls(config: &MetaConfig, found: &mut Vec<Fault>) {
    let [certificate, key, ca] =
        [&config.tls_certificate, &config.tls_key, &config.tls_ca].map(|path| !path.is_empty());
    let mut missing = |given: &'static str, missing: &'static str| {
        let what = format!("{given} needs {missing} with it: both PEM files, or neither");
        found.push(Fault { keys: vec![given, missing], what });
    };
    match (certificate, key) {
        (true, false) => missing("tls_certificate", "tls_key"),
        (false, true) => missing("tls_key", "tls_certificate"),
        (false, false) if ca => missing("tls_ca", "tls_certificate"),
        _ => {}
    }
}

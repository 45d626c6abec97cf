//! The servers, clients and faults that tests and benchmarks are made of.
//!
//! [`Redis`], [`Proxy`] and [`Member`] start the real programs on free ports of this machine and end them
//! when they are dropped, [`Client`] speaks RESP to either byte by byte, [`Admin`] does what an operator
//! would, [`CodisServer`] is what Codis 3.2 has in place of a Redis, [`Relay`] stands between two of them and cuts, delays or swallows what passes. In a [`Sandbox`] there
//! are machines ([`Host`]) whose cables can be cut and disks ([`SmallDisk`]) that can be filled. [`Seeds`] runs simulations.
//!
//! This is test equipment: where something cannot be set up it panics with a sentence, as there is
//! nobody to hand an error to. It knows nothing of the programs' code, only of their command lines.

mod admin;
mod client;
mod codis_server;
mod http;
mod limits;
mod member;
mod network;
mod ports;
mod process;
mod proxy;
mod redis;
mod relay;
mod sandbox;
mod seeds;
mod traffic;
mod value;

pub use admin::{Admin, Ran};
pub use client::{Client, encode, split_words};
pub use codis_server::CodisServer;
pub use http::{HttpAnswer, http_get, metric_by_label, metric_sum};
pub use limits::{cores, need_open_files, try_open_files};
pub use member::{Member, MemberGroup, MemberOptions};
pub use network::{Host, Network};
pub use ports::free_port;
pub use process::{CpuTime, Process, beside};
pub use proxy::{Proxy, ProxyOptions, SlotRange};
pub use redis::{Redis, RedisOptions};
pub use relay::Relay;
pub use sandbox::{Sandbox, SmallDisk};
pub use seeds::{Seeds, caught, for_each};
pub use traffic::{Told, Traffic};
pub use value::Value;

use std::time::{Duration, Instant};

/// How long anything is waited for before a test fails. Generous, as machines that run tests are
/// busy: no test passes or fails by how fast something is.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Polls `condition` until it holds.
///
/// # Panics
/// When it does not hold within [`PATIENCE`]; `what` completes the sentence "... did not happen".
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "within {PATIENCE:?} this did not happen: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

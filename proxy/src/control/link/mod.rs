//! The link to the metadata group: how a proxy follows it.
//!
//! ```text
//!             ┌─ follower ─ one stream at a time to the member that leads ─┐
//! received <──┤  addresses, failure: where to go on, and why               │
//!             │  session: register, take topologies, acknowledge           │
//!             └────────────────────────────────────────────────────────────┘
//! received ──> save     the newest goes to the disk        ──┐
//! received ──> install  the newest goes to every shard       ├──> acks ──> session
//! shards   ──> Settled                                     ──┘
//! shards   ──> Wanted   big keys that clients wait for     ────> session
//! ```
//!
//! The tasks run on the control thread and share [`Shared`]; none waits for another. What is between them holds
//! the newest value alone, so however many changes come while a disk or a shard is slow, only the last of
//! them is worked on. The follower never ends by itself but when the group refuses a proxy that serves
//! nobody yet; losing the group changes nothing for clients.
//!
//! [`Link`] is what the rest of the process holds. Nothing here knows sockets of clients or of servers.

mod acks;
mod addresses;
mod failure;
mod follower;
mod install;
mod open;
mod register;
mod save;
mod session;
mod start;
mod stats;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use start::{Begin, FIRST_WAIT};

use super::state::State;
use super::{Facts, Signals};
use crate::config::ProxyConfig;
use crate::saved::{DataDir, SavedTopology};
use crate::topology::Topology;
use acks::Acks;
use codis_meta::auth::Token;
use codis_proto::link::v1 as wire;
use codis_proto::meta::v1 as pb;
use follower::Follower;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

/// How long the group may take to be told that the proxy stops.
const STOPPING_MAX: Duration = Duration::from_secs(1);

/// How many big keys the group is told of at a time. Their names are of some kilobytes, and a message of some megabytes.
const WANTED_MAX: usize = 100;

/// Where the group is, and how to speak to it.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// Members as `host:port`, the nearest first.
    pub addresses: Vec<String>,
    /// The PEM text of the CA that signed the members' certificates; without it they are spoken to in the clear.
    pub tls_ca: Option<Vec<u8>>,
}

/// What the proxy found on its disk, and keeps there.
#[derive(Debug)]
pub struct Kept {
    /// The directory.
    pub dir: Arc<DataDir>,
    /// The topology in it, if it is there and whole.
    pub topology: Option<SavedTopology>,
}

/// How the link stands, as INFO and the pages show it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Status {
    /// Whether the stream to the group is open.
    pub(super) connected: bool,
    /// The member that leads, where the stream goes; the last one while there is none.
    pub(super) leader: String,
    /// The newest epoch that the group sent.
    pub(super) epoch: u64,
    /// The newest epoch that was acknowledged, or registered with.
    pub(super) acked_epoch: u64,
    /// Why the last attempt to reach the group came to nothing; empty while connected.
    pub(super) last_refusal: String,
}

/// A topology of the group.
#[derive(Debug, Clone)]
struct Received {
    /// The group of members that it is from.
    cluster: u64,
    /// As it was sent.
    sent: Arc<pb::Topology>,
    /// As the proxy works by it.
    topology: Arc<Topology>,
}

/// What the link's tasks share: the newest of each.
struct Shared {
    status: watch::Sender<Status>,
    received: watch::Sender<Option<Received>>,
    /// The counters to send next.
    stats: watch::Sender<Option<wire::Stats>>,
    acks: Acks,
    /// Big keys that clients wait for, to be told of next.
    wanted: watch::Sender<BTreeSet<(u16, Vec<u8>)>>,
    /// Why the group will never take this proxy.
    refused: watch::Sender<Option<String>>,
    /// The proxy ends, and holds no connection to any server.
    stopping: watch::Sender<bool>,
    /// Clients are served by the saved topology: from then on no refusal ends the process.
    serves_saved: watch::Sender<bool>,
}

/// A proxy's link to its group.
pub struct Link {
    shared: Arc<Shared>,
    follower: JoinHandle<()>,
    /// The saved topology, until it is worked by.
    saved: Option<SavedTopology>,
    datacenter: String,
}

impl Signals {
    /// Starts to follow the group on the control thread; `cores` in `facts` say how many shards there will be.
    ///
    /// # Errors
    /// A sentence: the group cannot be spoken to in the way that the configuration says.
    pub fn follow(
        &self,
        link: LinkConfig,
        config: &ProxyConfig,
        facts: &Facts,
        kept: Kept,
    ) -> Result<Link, String> {
        let _inside = self.runtime.enter();
        Link::start(link, config, facts, kept)
    }
}

impl Link {
    /// Starts the tasks that need no shard: the follower, and the saving of what it receives.
    fn start(
        link: LinkConfig,
        config: &ProxyConfig,
        facts: &Facts,
        kept: Kept,
    ) -> Result<Self, String> {
        let token = Token::new(config.product_auth.expose()).map_err(|error| error.to_string())?;
        let Kept { dir, topology: saved } = kept;
        let epoch = saved.as_ref().map_or(0, |saved| saved.topology.epoch);
        let cluster = saved.as_ref().map_or(0, |saved| saved.cluster);
        let shared = Arc::new(Shared {
            status: watch::Sender::new(Status { acked_epoch: epoch, ..Status::default() }),
            received: watch::Sender::new(None),
            stats: watch::Sender::new(None),
            acks: Acks::new(facts.cores.len(), epoch),
            wanted: watch::Sender::default(),
            refused: watch::Sender::new(None),
            stopping: watch::Sender::new(false),
            serves_saved: watch::Sender::new(false),
        });
        tokio::spawn(save::keep(dir, config.product_name.clone(), Arc::clone(&shared)));
        let dialer = open::Dialer::new(link.tls_ca.as_deref(), token);
        let registration = register::registration(config, facts);
        let datacenter = config.proxy_datacenter.clone();
        let me = session::Me { registration, saved_cluster: cluster, datacenter };
        let datacenter = me.datacenter.clone();
        let follower = Follower::new(Arc::clone(&shared), link.addresses, dialer, me);
        let follower = tokio::spawn(follower.run());
        Ok(Self { shared, follower, saved, datacenter })
    }

    /// Starts the tasks that need the shards: putting topologies in force there, and counting for the group.
    pub(super) fn attach(&self, state: &Arc<State>) {
        tokio::spawn(install::install(Arc::clone(state), self.shared.received.subscribe()));
        tokio::spawn(stats::report(Arc::clone(state), Arc::clone(&self.shared)));
    }

    /// Notes that `shard` works by `epoch`, with nothing of an older one in flight.
    pub(super) fn settled(&self, shard: usize, epoch: u64) {
        self.shared.acks.settled(shard, epoch);
    }

    /// Tells the migrator that a client waits for a big key. Where many are waited for, not of all: what it is not told of it
    /// finds by itself.
    pub(super) fn wanted(&self, database: u16, key: Vec<u8>) {
        self.shared
            .wanted
            .send_if_modified(|wanted| wanted.len() < WANTED_MAX && wanted.insert((database, key)));
    }

    /// How the link stands, now and later.
    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.shared.status.subscribe()
    }

    /// Waits until the group refuses the proxy for good; for ever where it does not.
    pub(super) async fn refused(&self) -> String {
        refused(self.shared.refused.subscribe()).await
    }

    /// Tells the group that the proxy stops and holds no connection to any server, if the group can be told soon.
    pub(super) async fn stop(self) {
        self.shared.stopping.send_replace(true);
        if tokio::time::timeout(STOPPING_MAX, self.follower).await.is_err() {
            warn!("the metadata group was not told that the proxy stops: it did not answer");
        }
    }
}

async fn refused(mut reason: watch::Receiver<Option<String>>) -> String {
    let refused = reason.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
    match refused {
        Some(reason) => reason,
        None => std::future::pending().await,
    }
}

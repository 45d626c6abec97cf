//! A member alone in its group, and proxies that follow it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use codis_proto::meta::v1 as pb;
use codis_testbed::{Client, Redis, RedisOptions, Value};
use pb::command::Change;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::drive::{DriveHandle, start};
use crate::node::{Node, NodeConfig, Stopper};
use crate::raft::Config;
use crate::raft::disk::{DiskStore, Founding, Identity};
use crate::state::State;

/// A member that leads a group of one.
pub(super) struct Meta {
    pub(super) node: Node,
    stopper: Option<Stopper>,
    folder: TempDir,
}

impl Drop for Meta {
    fn drop(&mut self) {
        if let Some(stopper) = self.stopper.take() {
            stopper.stop();
        }
    }
}

impl Meta {
    /// With the product "demo".
    pub(super) async fn start() -> Meta {
        let folder = TempDir::with_prefix("codis-drive-").expect("a temporary folder can be made");
        let (node, stopper) = member(folder.path());
        let meta = Meta { node, stopper: Some(stopper), folder };
        let product = pb::ProductCreate {
            name: "demo".to_owned(),
            cluster: 1,
            ..pb::ProductCreate::default()
        };
        meta.ok(Change::ProductCreate(product)).await;
        meta
    }

    /// Has the member begin anew, and so lead in a later term. No driver may be left.
    pub(super) async fn elect_again(&mut self) {
        if let Some(stopper) = self.stopper.take() {
            stopper.stop();
        }
        let (node, stopper) = member(self.folder.path());
        (self.node, self.stopper) = (node, Some(stopper));
        let mut standing = self.node.standing();
        standing.wait_for(|standing| standing.leads).await.expect("the member runs");
    }

    /// With group 1 of these servers, master first, and every slot on it.
    pub(super) async fn with_group(servers: &[&str]) -> Meta {
        let meta = Meta::start().await;
        meta.group(1, servers).await;
        let slots = Some(pb::SlotRange { first: 0, last: 1023 });
        meta.ok(Change::SlotsAssign(pb::SlotsAssign { slots, group: 1 })).await;
        meta
    }

    pub(super) async fn group(&self, group: u32, servers: &[&str]) {
        self.ok(Change::GroupCreate(pb::GroupCreate { group })).await;
        for server in servers {
            let address = (*server).to_owned();
            let change = pb::ServerAdd { group, address, ..pb::ServerAdd::default() };
            self.ok(Change::ServerAdd(change)).await;
        }
    }

    pub(super) fn drive(&self, password: &str) -> DriveHandle {
        start(self.node.clone(), password.to_owned())
    }

    /// Makes a change, which must be accepted; answers the epoch.
    pub(super) async fn ok(&self, change: Change) -> u64 {
        let deadline = Instant::now() + codis_testbed::PATIENCE;
        let made = self.node.change(None, 0, change.clone(), deadline).await;
        made.unwrap_or_else(|error| panic!("{change:?}: {error}")).epoch
    }

    pub(super) async fn promote(&self, target: &str) -> u64 {
        let change = pb::GroupPromoteBegin { group: 1, target: target.to_owned() };
        self.ok(Change::GroupPromoteBegin(change)).await
    }

    pub(super) async fn advance(&self, epoch: u64, step: pb::PromoteStep) {
        let change = pb::GroupPromoteAdvance { group: 1, epoch, step: step.into() };
        self.ok(Change::GroupPromoteAdvance(change)).await;
    }

    pub(super) async fn set(&self, name: &str, value: &str) {
        let values = [(name.to_owned(), value.to_owned())].into();
        self.ok(Change::SettingsSet(pb::SettingsSet { values })).await;
    }

    pub(super) async fn state(&self) -> pb::State {
        self.node.peek(|state| state.data().clone()).await.expect("the member runs")
    }

    pub(super) async fn group_1(&self) -> pb::Group {
        self.state().await.groups[&1].clone()
    }

    /// Waits until no promotion and no sync is under way in group 1; answers the group.
    pub(super) async fn settled(&self) -> pb::Group {
        let rests = |group: &pb::Group| {
            group.promotion.is_none() && group.servers.iter().all(|server| server.sync.is_none())
        };
        self.until("nothing is under way in the group", async || rests(&self.group_1().await))
            .await;
        self.group_1().await
    }

    /// Waits until `condition` holds.
    pub(super) async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        until(what, condition).await;
    }

    /// Registers a proxy that acknowledges nothing by itself.
    pub(super) async fn register(&self, token: &str) {
        let epoch = self.node.topology().borrow().epoch;
        let number = token.bytes().map(u32::from).sum::<u32>() % 10_000 + 1;
        let change = pb::ProxyRegister {
            product: "demo".to_owned(),
            protocol: 1,
            token: token.to_owned(),
            admin_addr: format!("10.0.0.1:{number}"),
            proxy_addr: format!("10.0.0.2:{number}"),
            proto_type: "tcp4".to_owned(),
            start_unix_ms: 1,
            version: "1".to_owned(),
            epoch,
            ..pb::ProxyRegister::default()
        };
        self.ok(Change::ProxyRegister(change)).await;
    }
}

/// The member alone in its group whose data is in the folder.
fn member(folder: &Path) -> (Node, Stopper) {
    let members = [(1, "127.0.0.1:1".to_owned())].into();
    let founding = Founding { members, snapshot: State::new().snapshot() };
    let identity = Identity { group: 7, member: 1 };
    let (store, loaded) =
        DiskStore::open(folder, identity, Some(&founding)).expect("it can be opened");
    let config = NodeConfig { raft: Config::new(1, 7, 1), tick: Duration::from_millis(10) };
    Node::start(config, store, loaded, Box::new(drop)).expect("it can be started")
}

/// Waits until `condition` holds.
pub(super) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + codis_testbed::PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "this did not happen: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// A server that can be a replica of another of these soon: without the usual delay before a full copy.
pub(super) fn redis() -> Redis {
    let args = ["--repl-diskless-sync-delay", "0"].map(str::to_owned).to_vec();
    Redis::start_with(RedisOptions { args, ..RedisOptions::default() })
}

/// Makes `replica` follow `master` and waits until it does.
pub(super) fn replicate(replica: &Redis, master: &Redis) {
    let port = master.port().to_string();
    let told = replica.client().call(&["REPLICAOF", "127.0.0.1", &port]);
    assert_eq!(told, Value::ok());
    codis_testbed::eventually("the replica follows", || is_linked(replica, master));
}

/// Whether `replica` follows `master` and its link is up.
pub(super) fn is_linked(replica: &Redis, master: &Redis) -> bool {
    let info = replica.client().run("INFO replication").text();
    info.contains("role:slave\r\n")
        && info.contains(&format!("master_port:{}\r\n", master.port()))
        && info.contains("master_link_status:up\r\n")
}

pub(super) fn is_master(server: &Redis) -> bool {
    server.client().run("INFO replication").text().contains("role:master\r\n")
}

/// The number under a key; 0 where there is none.
pub(super) fn number_at(server: &Redis, key: &str) -> u64 {
    match server.client().call(&["GET", key]) {
        Value::Bulk(bytes) => {
            String::from_utf8_lossy(&bytes).parse().expect("the key holds a number")
        }
        _ => 0,
    }
}

/// A proxy that writes as fast as it can, one key after the other, and acknowledges each topology.
pub(super) struct Writer {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the proxy `token`, which must have been registered.
    pub(super) fn start(node: Node, token: &'static str) -> Writer {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let body = WriterThread {
            node,
            token,
            runtime: Handle::current(),
            stop: Arc::clone(&stop),
            acknowledged: Arc::clone(&acknowledged),
        };
        let thread = std::thread::spawn(move || body.run());
        Writer { stop, acknowledged, thread: Some(thread) }
    }

    pub(super) fn count(&self) -> usize {
        self.acknowledged.lock().expect("the writer does not panic").len()
    }

    /// Ends it; answers the keys whose writes were acknowledged.
    pub(super) fn finish(mut self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is ended once");
        thread.join().expect("the writer does not panic");
        std::mem::take(&mut self.acknowledged.lock().expect("the writer does not panic"))
    }
}

struct WriterThread {
    node: Node,
    token: &'static str,
    runtime: Handle,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<String>>>,
}

impl WriterThread {
    fn run(self) {
        let mut acked = 0;
        let mut connection: Option<(String, Client)> = None;
        let topologies = self.node.topology();
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let topology = Arc::clone(&topologies.borrow());
            if topology.epoch > acked {
                // Nothing is in flight here.
                acked = topology.epoch;
                acknowledge(&self.runtime, &self.node, self.token, acked);
            }
            if topology.slots[0].locked {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            let master = &topology.groups[0].master;
            if connection.as_ref().is_none_or(|(address, _)| address != master) {
                connection = Some((master.clone(), Client::connect(master.as_str())));
            }
            let Some((_, client)) = &mut connection else { continue };
            number += 1;
            let key = format!("{}:{number}", self.token);
            if client.call(&["SET", &key, "v"]) == Value::ok() {
                self.acknowledged.lock().expect("no holder panics").push(key);
            }
        }
    }
}

/// Acknowledges an epoch for the proxy `token`.
pub(super) fn acknowledge(runtime: &Handle, node: &Node, token: &str, epoch: u64) {
    let acked = pb::proxy_ack::Acked { start_unix_ms: 1, epoch };
    let change = pb::ProxyAck { proxies: [(token.to_owned(), acked)].into() };
    runtime.block_on(node.step(Change::ProxyAck(change))).expect("it is accepted");
}

/// Those of `keys` that a server lacks.
pub(super) fn missing(server: &Redis, keys: &[String]) -> Vec<String> {
    let mut client = server.client();
    let mut lacks = |key: &str| client.call(&["EXISTS", key]).integer() == 0;
    keys.iter().filter(|key| lacks(key)).cloned().collect()
}

//! Members under test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use codis_meta::daemon::{Plan, Ready, Times, run_plan};
use codis_meta::node::{ChangeError, Node};
use codis_proto::meta::v1 as pb;
use codis_service::config::Secret;
use codis_testbed::{PATIENCE, free_port};
use pb::command::Change;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// A member that was started.
pub(crate) struct Running {
    pub(crate) node: Node,
    starting: Starting,
}

/// A group whose members are started and stopped by the test.
pub(crate) struct Group {
    pub(crate) dir: TempDir,
    pub(crate) founders: BTreeMap<u64, String>,
    pub(crate) members: BTreeMap<u64, Running>,
    /// Where a member listens, if that is not where the others reach it.
    pub(crate) listens: BTreeMap<u64, String>,
}

impl Group {
    /// A group of founders 1 to `count`, none of them started.
    pub(crate) fn of(count: u64) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            founders: (1..=count).map(|id| (id, address())).collect(),
            members: BTreeMap::new(),
            listens: BTreeMap::new(),
        }
    }

    /// Founded and led.
    pub(crate) async fn running(count: u64) -> Self {
        let mut group = Self::of(count);
        group.start_all().await;
        group.leader().await;
        group
    }

    pub(crate) async fn start_all(&mut self) {
        let ids: Vec<u64> = self.founders.keys().copied().collect();
        let starting = ids.iter().map(|id| begin(self.plan(*id))).collect::<Vec<_>>();
        for (id, starting) in ids.into_iter().zip(starting) {
            self.members.insert(id, starting.running().await.unwrap());
        }
    }

    pub(crate) fn plan(&self, id: u64) -> Plan {
        let address = self.founders[&id].clone();
        Plan {
            product: "demo".into(),
            product_auth: Secret::new("secret"),
            listen: self.listens.get(&id).unwrap_or(&address).clone(),
            data_dir: self.data_dir(id),
            own: Ok((id, address)),
            founders: self.founders.clone(),
            settings: BTreeMap::from([("sentinel_quorum".into(), "3".into())]),
            times: Times { tick: Duration::from_millis(20), heartbeat: 2, election: 15 },
            tls: None,
        }
    }

    pub(crate) fn data_dir(&self, id: u64) -> PathBuf {
        self.dir.path().join(id.to_string())
    }

    pub(crate) async fn start(&mut self, id: u64) {
        let running = begin(self.plan(id)).running().await.unwrap();
        self.members.insert(id, running);
    }

    pub(crate) async fn stop(&mut self, id: u64) {
        self.members.remove(&id).unwrap().stop().await;
    }

    /// Ends a member without a word to the others.
    pub(crate) async fn kill(&mut self, id: u64) {
        drop(self.members.remove(&id));
        // Its thread ends by and by, and only then is its directory free.
        let lock = self.data_dir(id).join("LOCK");
        eventually("the data directory is free", async || is_free(&lock)).await;
    }

    pub(crate) fn node(&self, id: u64) -> &Node {
        &self.members[&id].node
    }

    /// The leader on which a majority agrees, once there is a product.
    pub(crate) async fn leader(&self) -> u64 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for (id, member) in &self.members {
                if member.node.standing().borrow().leads && confirmed(&member.node).await {
                    return *id;
                }
            }
            assert!(Instant::now() < deadline, "no member leads");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Some member that does not lead.
    pub(crate) async fn follower(&self) -> u64 {
        let leader = self.leader().await;
        *self.members.keys().find(|id| **id != leader).unwrap()
    }

    /// Creates a group of servers through a member.
    pub(crate) async fn create(&self, through: u64, gid: u32) {
        create(self.node(through), gid).await.unwrap();
    }

    /// Waits until every running member has exactly these groups of servers.
    pub(crate) async fn all_have(&self, gids: &[u32]) {
        for (id, member) in &self.members {
            eventually(&format!("member {id} has {gids:?}"), async || {
                member
                    .node
                    .peek(|state| state.data().groups.keys().copied().collect::<Vec<_>>())
                    .await
                    == Ok(gids.to_vec())
            })
            .await;
        }
    }

    pub(crate) async fn all_are_remembered(&self, ids: &[u64]) {
        let leader = self.leader().await;
        eventually("all members are remembered", async || {
            let seen = self
                .node(leader)
                .peek(|state| state.data().members_seen.keys().copied().collect::<Vec<_>>());
            seen.await == Ok(ids.to_vec())
        })
        .await;
    }
}

impl Running {
    pub(crate) async fn stop(mut self) {
        self.starting.stop.take().unwrap().send(()).unwrap();
        self.starting.end().await.unwrap();
    }

    /// Why it ended by itself.
    pub(crate) async fn end(mut self) -> String {
        self.starting.end().await.unwrap_err()
    }
}

/// A member that has been started and may not have begun. It is killed when this is dropped.
pub(crate) struct Starting {
    ready: oneshot::Receiver<Ready>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), String>>,
    /// Its own, so that everything of it can be made to end at once.
    runtime: Option<Runtime>,
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Starting {
    /// Waits until it has begun.
    pub(crate) async fn running(mut self) -> Result<Running, String> {
        match timeout(PATIENCE, &mut self.ready).await.expect("it begins or ends") {
            Ok(ready) => Ok(Running { node: ready.node, starting: self }),
            Err(_) => Err(self.end().await.unwrap_err()),
        }
    }

    async fn end(&mut self) -> Result<(), String> {
        timeout(PATIENCE, &mut self.task).await.expect("it ends").unwrap()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    pub(crate) fn has_begun(&mut self) -> bool {
        self.ready.try_recv().is_ok()
    }
}

pub(crate) fn begin(plan: Plan) -> Starting {
    let (is_ready, ready) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let tell = |ready| drop(is_ready.send(ready));
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let task = runtime.spawn(run_plan(plan, tell, shutdown));
    Starting { ready, stop: Some(stop), task, runtime: Some(runtime) }
}

pub(crate) async fn create(node: &Node, group: u32) -> Result<pb::Outcome, ChangeError> {
    let change = Change::GroupCreate(pb::GroupCreate { group });
    node.change(None, 0, change, Instant::now() + PATIENCE).await
}

pub(crate) fn address() -> String {
    format!("127.0.0.1:{}", free_port())
}

async fn confirmed(node: &Node) -> bool {
    let read = node.read(|state| !state.data().product.is_empty());
    matches!(timeout(Duration::from_secs(1), read).await, Ok(Ok(true)))
}

fn is_free(lock: &Path) -> bool {
    let file = std::fs::File::open(lock).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Polls until it holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "within {PATIENCE:?} this did not happen: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

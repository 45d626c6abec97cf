use codis_proto::meta::v1::{self as pb, command::Change};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;
use crate::raft::{DiskStore, Founding, Identity};

/// A member that is a group by itself, with a product.
struct Alone {
    node: Node,
    stopper: Option<Stopper>,
    _dir: TempDir,
}

impl Drop for Alone {
    fn drop(&mut self) {
        if let Some(stopper) = self.stopper.take() {
            stopper.stop();
        }
    }
}

async fn alone() -> Alone {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let identity = Identity { group: 7, member: 1 };
    let founding = Founding {
        members: BTreeMap::from([(1, "a:1".to_owned())]),
        snapshot: State::new().snapshot(),
    };
    let (store, loaded) =
        DiskStore::open(dir.path(), identity, Some(&founding)).expect("an empty directory");
    let raft = Config::new(1, 7, fastrand::u64(1..));
    let config = NodeConfig { raft, tick: Duration::from_millis(10) };
    let (node, stopper) = Node::start(config, store, loaded, Box::new(|_| ())).expect("it starts");
    let create = pb::ProductCreate { name: "demo".into(), cluster: 9, ..Default::default() };
    node.change(None, 0, Change::ProductCreate(create), soon()).await.expect("the product");
    Alone { node, stopper: Some(stopper), _dir: dir }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn create(group: u32) -> Change {
    Change::GroupCreate(pb::GroupCreate { group })
}

#[tokio::test]
async fn changes_made_at_the_same_time_all_run_each_at_an_index_of_its_own() {
    let alone = alone().await;
    let mut changes = JoinSet::new();
    for group in 1..=200 {
        let node = alone.node.clone();
        changes.spawn(async move { node.change(None, 0, create(group), soon()).await });
    }
    let outcomes = changes.join_all().await;
    let indexes: std::collections::BTreeSet<u64> =
        outcomes.into_iter().map(|outcome| outcome.expect("it is accepted").index).collect();
    assert_eq!(indexes.len(), 200);
    let groups = alone.node.read(|state| state.data().groups.len()).await;
    assert_eq!(groups, Ok(200));
}

#[tokio::test]
async fn a_retry_under_the_same_id_is_given_the_first_outcome() {
    let alone = alone().await;
    let id = Some(RequestId { client: 5, request: 1 });
    let first = alone.node.change(id, 0, create(1), soon()).await.expect("it is accepted");
    assert_eq!(alone.node.change(id, 0, create(1), soon()).await, Ok(first));
    let other = alone.node.change(id, 0, create(2), soon()).await;
    assert!(matches!(other, Err(ChangeError::Refused(_))), "{other:?}");
    let unnamed = alone.node.change(None, 0, create(1), soon()).await;
    assert!(matches!(unnamed, Err(ChangeError::Refused(_))), "{unnamed:?}");
}

#[tokio::test]
async fn events_tell_each_accepted_change_once_and_in_the_logs_order() {
    let alone = alone().await;
    let mut events = alone.node.events();
    let id = Some(RequestId { client: 5, request: 1 });
    alone.node.change(id, 0, create(1), soon()).await.expect("it is accepted");
    alone.node.change(id, 0, create(1), soon()).await.expect("a retry");
    alone.node.change(None, 0, create(1), soon()).await.expect_err("it exists");
    let last = alone.node.step(create(2)).await.expect("it is accepted");
    let mut told = Vec::new();
    while told.last().is_none_or(|(index, _)| *index < last.index) {
        match events.recv().await.expect("the member lives") {
            Event::Accepted(change) => told.push((change.index, change.command.change.clone())),
            Event::Replaced => panic!("nothing was replaced"),
        }
    }
    assert!(told.is_sorted_by(|a, b| a.0 < b.0));
    let changes: Vec<_> = told.into_iter().filter_map(|(_, change)| change).collect();
    assert_eq!(changes, [create(1), create(2)]);
}

#[tokio::test]
async fn whoever_got_an_answer_finds_its_change_in_the_standing_and_the_topology() {
    let alone = alone().await;
    let address = "10.0.0.1:6379".to_owned();
    alone.node.step(create(1)).await.expect("it is accepted");
    let add = pb::ServerAdd { group: 1, address, ..Default::default() };
    let added = alone.node.step(Change::ServerAdd(add)).await.expect("it is accepted");
    assert!(alone.node.standing().borrow().applied >= added.index);
    assert_eq!(alone.node.standing().borrow().epoch, added.epoch);
    assert_eq!(alone.node.topology().borrow().epoch, added.epoch);
    assert_eq!(alone.node.members().borrow().voters, [1]);
}

#[tokio::test]
async fn a_member_that_was_stopped_says_so() {
    let mut alone = alone().await;
    alone.stopper.take().expect("it runs").stop();
    let change = alone.node.change(None, 0, create(1), soon()).await;
    assert_eq!(change, Err(ChangeError::Gone(Gone)));
    assert_eq!(alone.node.peek(|_| ()).await, Err(Gone));
}

//! Promotions with real servers.

use codis_proto::meta::v1 as pb;
use codis_proto::{FENCE_KEY, ORDER_KEY};
use codis_testbed::{Redis, RedisOptions};
use pb::PromoteStep;

use super::fixture::{
    Meta, Writer, is_linked, is_master, missing, number_at, redis, replicate, until,
};
use crate::drive::server::{Guard, Marks, ServerError, Servers};
use crate::drive::wire::RedisServers;

/// A master and a replica that follows it.
fn pair() -> (Redis, Redis) {
    let (master, replica) = (redis(), redis());
    replicate(&replica, &master);
    (master, replica)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_under_writes_loses_none_that_was_acknowledged() {
    let (master, replica) = pair();
    let third = redis();
    replicate(&third, &master);
    let meta = Meta::with_group(&[&master.address(), &replica.address(), &third.address()]).await;
    for token in ["a", "b"] {
        meta.register(token).await;
    }
    let _drive = meta.drive("");
    let writers = ["a", "b"].map(|token| Writer::start(meta.node.clone(), token));
    let written = async || writers.iter().map(Writer::count).min() > Some(200);
    until("each proxy has written", written).await;
    meta.promote(&replica.address()).await;
    let group = meta.settled().await;
    assert_eq!(group.promotion_failure, "");
    let before: usize = writers.iter().map(Writer::count).sum();
    until("writes go on", async || writers.iter().map(Writer::count).sum::<usize>() > before + 100)
        .await;
    let keys: Vec<String> = writers.into_iter().flat_map(Writer::finish).collect();
    assert_eq!(group.servers[0].address, replica.address());
    assert_eq!(missing(&replica, &keys), Vec::<String>::new());
    let follow = async || is_linked(&master, &replica) && is_linked(&third, &replica);
    until("the others follow the new master", follow).await;
    assert!(group.servers.iter().all(|server| server.sync_failure.is_empty()), "{group:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_back_and_forth_leaves_one_master_each_time() {
    let (one, two) = pair();
    let meta = Meta::with_group(&[&one.address(), &two.address()]).await;
    let _drive = meta.drive("");
    for (target, other) in [(&two, &one), (&one, &two), (&two, &one)] {
        let epoch = meta.promote(&target.address()).await;
        let group = meta.settled().await;
        assert_eq!(group.promotion_failure, "");
        assert_eq!(group.servers[0].address, target.address());
        assert!(is_master(target));
        until("the other follows", async || is_linked(other, target)).await;
        // Sealed, and as fenced as any master was.
        assert!(number_at(target, ORDER_KEY) > epoch);
        assert!(number_at(target, FENCE_KEY) >= epoch);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_full_can_be_replaced() {
    let (master, replica) = pair();
    let meta = Meta::with_group(&[&master.address(), &replica.address()]).await;
    assert!(master.client().run("CONFIG SET maxmemory 1").error().is_none());
    assert!(
        master.client().run("SET key value").error().is_some_and(|error| error.contains("OOM"))
    );
    let _drive = meta.drive("");
    meta.promote(&replica.address()).await;
    let group = meta.settled().await;
    assert_eq!(group.promotion_failure, "");
    assert_eq!(group.servers[0].address, replica.address());
}

/// Promotes the replica, which must not succeed; answers the reason.
async fn promotion_failure(meta: &Meta, master: &Redis, replica: &Redis) -> String {
    meta.promote(&replica.address()).await;
    until("the promotion ends", async || meta.group_1().await.promotion.is_none()).await;
    let group = meta.group_1().await;
    assert_eq!(group.servers[0].address, master.address());
    let slots = meta.node.topology().borrow().slots.clone();
    assert!(slots.iter().all(|slot| !slot.locked && slot.to == 1), "clients are served again");
    group.promotion_failure
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_down_is_not_promoted() {
    let (master, mut replica) = pair();
    let meta = Meta::with_group(&[&master.address(), &replica.address()]).await;
    let _drive = meta.drive("");
    replica.kill();
    let reason = promotion_failure(&meta, &master, &replica).await;
    assert!(reason.contains(&replica.address()) && reason.contains("does not answer"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_needs_the_master_that_it_replaces() {
    let (mut master, replica) = pair();
    let meta = Meta::with_group(&[&master.address(), &replica.address()]).await;
    let _drive = meta.drive("");
    master.kill();
    let reason = promotion_failure(&meta, &master, &replica).await;
    assert!(reason.contains(&master.address()) && reason.contains("does not answer"), "{reason}");
    assert!(!is_master(&replica));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_data_of_its_own_is_not_promoted_and_not_touched() {
    let (master, stranger) = (redis(), redis());
    assert!(stranger.client().run("SET own data").error().is_none());
    let meta = Meta::with_group(&[&master.address(), &stranger.address()]).await;
    let _drive = meta.drive("");
    let reason = promotion_failure(&meta, &master, &stranger).await;
    assert!(reason.contains("a master of its own with 1 keys: sync it first"), "{reason}");
    assert_eq!(stranger.client().run("GET own").text(), "data");
    assert!(is_master(&stranger));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_freezes_in_the_middle_rolls_back_and_is_synced_again() {
    let (master, replica) = pair();
    let meta = Meta::with_group(&[&master.address(), &replica.address()]).await;
    meta.register("slow").await;
    let _drive = meta.drive("");
    let epoch = meta.promote(&replica.address()).await;
    // The driver has looked at both, and now waits for the proxy.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    replica.process().freeze();
    let acked = pb::proxy_ack::Acked { start_unix_ms: 1, epoch };
    let change = pb::ProxyAck { proxies: [("slow".to_owned(), acked)].into() };
    meta.ok(pb::command::Change::ProxyAck(change)).await;
    until("it is given up", async || meta.group_1().await.promotion.is_none()).await;
    let group = meta.group_1().await;
    assert!(group.promotion_failure.contains("answer"), "{}", group.promotion_failure);
    assert_eq!(group.servers[0].address, master.address());
    replica.process().thaw();
    let group = meta.settled().await;
    assert_eq!(group.servers[1].sync_failure, "");
    assert!(is_linked(&replica, &master));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_neither_answers_nor_can_be_fenced_is_named() {
    let (master, replica) = pair();
    let mut elsewhere = redis();
    let meta = Meta::with_group(&[&master.address(), &replica.address()]).await;
    meta.group(2, &[&elsewhere.address()]).await;
    meta.register("deaf").await;
    elsewhere.kill();
    let _drive = meta.drive("");
    let reason = promotion_failure(&meta, &master, &replica).await;
    assert!(reason.contains("did not acknowledge in time: deaf"), "{reason}");
    assert!(reason.contains(&elsewhere.address()), "{reason}");
    assert!(is_linked(&replica, &master), "the replica was not touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_does_not_answer_is_fenced_and_the_promotion_goes_on() {
    let (master, replica) = pair();
    let meta = Meta::with_group(&[&master.address(), &replica.address()]).await;
    meta.register("deaf").await;
    let mut old = master.client();
    assert!(old.run("CLIENT SETNAME codis-proxy:deaf:1").error().is_none());
    let mut other = master.client();
    assert!(other.run("CLIENT SETNAME codis-proxy:other:1").error().is_none());
    let _drive = meta.drive("");
    let epoch = meta.promote(&replica.address()).await;
    let group = meta.settled().await;
    assert_eq!(group.promotion_failure, "");
    assert_eq!(group.servers[0].address, replica.address());
    assert!(old.is_closed(), "the connection of the fenced proxy was killed");
    assert!(other.run("PING").error().is_none(), "others were not");
    assert!(meta.state().await.proxies["deaf"].fenced_epoch >= epoch);
    assert!(number_at(&replica, FENCE_KEY) >= epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_leader_goes_on_from_preparing() {
    let (master, replica) = pair();
    let meta = Meta::with_group(&[&master.address(), &replica.address()]).await;
    meta.register("slow").await;
    meta.set("barrier_deadline", "1m").await;
    let epoch = meta.promote(&replica.address()).await;
    let first = meta.drive("");
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    drop(first);
    let acked = pb::proxy_ack::Acked { start_unix_ms: 1, epoch };
    let change = pb::ProxyAck { proxies: [("slow".to_owned(), acked)].into() };
    meta.ok(pb::command::Change::ProxyAck(change)).await;
    assert!(meta.group_1().await.promotion.is_some(), "no driver runs");
    let _second = meta.drive("");
    assert_eq!(meta.settled().await.servers[0].address, replica.address());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_leader_goes_on_with_a_target_that_has_stopped_following() {
    for sealed in [false, true] {
        let (master, replica) = pair();
        let meta = Meta::with_group(&[&master.address(), &replica.address()]).await;
        let epoch = meta.promote(&replica.address()).await;
        meta.advance(epoch, PromoteStep::Prepared).await;
        // What the first leader did before it died.
        let servers = RedisServers::new(String::new());
        let marks = Marks { fence: 0, order: epoch };
        servers.raise(&master.address(), marks).await.expect("the master answers");
        until("the order comes", async || number_at(&replica, ORDER_KEY) == epoch).await;
        let told = servers.follow(&replica.address(), None, Guard::Exactly(epoch)).await;
        told.expect("the replica stops following");
        if sealed {
            let marks = Marks { fence: 0, order: epoch + 1 };
            servers.raise(&replica.address(), marks).await.expect("the target answers");
        }
        let _drive = meta.drive("");
        let group = meta.settled().await;
        assert_eq!(group.promotion_failure, "");
        assert_eq!(group.servers[0].address, replica.address());
        until("the other follows", async || is_linked(&master, &replica)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_leader_has_the_others_follow_what_is_named_already() {
    let (master, replica) = pair();
    let meta = Meta::with_group(&[&master.address(), &replica.address()]).await;
    let epoch = meta.promote(&replica.address()).await;
    meta.advance(epoch, PromoteStep::Prepared).await;
    assert!(replica.client().run("REPLICAOF NO ONE").error().is_none());
    meta.advance(epoch, PromoteStep::Finished).await;
    let _drive = meta.drive("");
    let group = meta.settled().await;
    assert_eq!(group.servers[0].address, replica.address());
    until("the other follows", async || is_linked(&master, &replica)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_somebody_else_made_a_master_is_not_taken_for_one_that_caught_up() {
    let (master, replica) = pair();
    let meta = Meta::with_group(&[&master.address(), &replica.address()]).await;
    let epoch = meta.promote(&replica.address()).await;
    meta.advance(epoch, PromoteStep::Prepared).await;
    assert!(replica.client().run("REPLICAOF NO ONE").error().is_none());
    assert!(master.client().run("SET late write").error().is_none());
    let _drive = meta.drive("");
    let group = meta.settled().await;
    assert!(group.promotion_failure.contains("master of its own"), "{}", group.promotion_failure);
    assert_eq!(group.servers[0].address, master.address());
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_cannot_follow_are_listed_with_the_reason() {
    let (master, replica) = pair();
    let mut dead = redis();
    let stranger = redis();
    assert!(stranger.client().run("SET own data").error().is_none());
    let servers = [master.address(), replica.address(), dead.address(), stranger.address()];
    let meta = Meta::with_group(&servers.each_ref().map(String::as_str)).await;
    dead.kill();
    let _drive = meta.drive("");
    meta.promote(&replica.address()).await;
    let group = meta.settled().await;
    assert_eq!(group.promotion_failure, "");
    let failure = |address: &str| {
        let server = group.servers.iter().find(|server| server.address == address);
        server.expect("it is in the group").sync_failure.clone()
    };
    assert_eq!(failure(&master.address()), "");
    assert!(failure(&dead.address()).contains("does not answer"));
    assert!(failure(&stranger.address()).contains("1 keys of its own"));
    assert_eq!(stranger.client().run("GET own").text(), "data");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_of_the_past_is_refused_by_the_servers() {
    let (master, replica) = pair();
    let meta = Meta::with_group(&[&master.address(), &replica.address()]).await;
    let _drive = meta.drive("");
    let epoch = meta.promote(&replica.address()).await;
    meta.settled().await;
    until("the other follows", async || is_linked(&master, &replica)).await;
    let zombie = RedisServers::new(String::new());
    for guard in [Guard::Exactly(epoch), Guard::AtMost(epoch)] {
        // It would put the new master back, and lose what was written there since.
        let told = zombie.follow(&replica.address(), Some(&master.address()), guard).await;
        assert!(matches!(told, Err(ServerError::Outranked { .. })), "{told:?}");
        let told = zombie.follow(&master.address(), None, guard).await;
        assert!(matches!(told, Err(ServerError::Outranked { .. })), "{told:?}");
    }
    assert!(is_master(&replica) && is_linked(&master, &replica));
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_with_a_password_follow_with_it() {
    let with_password = || {
        let args = ["--repl-diskless-sync-delay", "0", "--masterauth", "wrong"];
        let args = args.map(str::to_owned).to_vec();
        Redis::start_with(RedisOptions { password: "secret", args, ..RedisOptions::default() })
    };
    let (master, replica) = (with_password(), with_password());
    assert!(replica.client().run("CONFIG SET masterauth secret").error().is_none());
    replicate(&replica, &master);
    let meta = Meta::with_group(&[&master.address(), &replica.address()]).await;
    let _drive = meta.drive("secret");
    meta.promote(&replica.address()).await;
    assert_eq!(meta.settled().await.promotion_failure, "");
    until("the other follows", async || is_linked(&master, &replica)).await;
}

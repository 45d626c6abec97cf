//! Syncs with real servers.

use codis_proto::ORDER_KEY;
use codis_proto::meta::v1 as pb;
use codis_testbed::Value;
use pb::command::Change;

use super::fixture::{Meta, is_linked, number_at, redis, until};

async fn sync(meta: &Meta, address: &str) {
    let change = pb::GroupSyncBegin { address: address.to_owned() };
    meta.ok(Change::GroupSyncBegin(change)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_replaces_a_servers_data_by_its_masters_and_shows_how_far_it_is() {
    let (master, fresh) = (redis(), redis());
    // Slow enough that the copy is seen on its way.
    for line in ["CONFIG SET rdb-key-save-delay 100", "CONFIG SET rdbcompression no"] {
        assert!(master.client().run(line).error().is_none());
    }
    let fill = "for i = 1, 20000 do redis.call('SET', 'key:' .. i, 'value') end";
    assert!(master.client().call(&["EVAL", fill, "0"]).error().is_none());
    assert!(fresh.client().run("SET own data").error().is_none());
    let meta = Meta::with_group(&[&master.address(), &fresh.address()]).await;
    let drive = meta.drive("");
    sync(&meta, &fresh.address()).await;
    let address = fresh.address();
    let copying = async || {
        drive.facts().get(&address).is_some_and(|facts| facts.sync_in_progress)
            || meta.group_1().await.servers[1].sync.is_none()
    };
    until("the copy is seen on its way", copying).await;
    assert!(drive.facts()[&address].sync_in_progress, "it ended before it was seen");
    let group = meta.settled().await;
    assert_eq!(group.servers[1].sync_failure, "");
    assert!(is_linked(&fresh, &master));
    assert_eq!(fresh.client().run("EXISTS own"), Value::Integer(0));
    assert!(number_at(&fresh, ORDER_KEY) > 0, "leaders of the past are kept off");
}

#[tokio::test(flavor = "multi_thread")]
async fn syncs_of_a_group_run_one_after_the_other_and_end() {
    let servers = [redis(), redis(), redis()];
    let addresses = servers.each_ref().map(codis_testbed::Redis::address);
    let meta = Meta::with_group(&addresses.each_ref().map(String::as_str)).await;
    for address in &addresses[1..] {
        sync(&meta, address).await;
    }
    let _drive = meta.drive("");
    meta.settled().await;
    assert!(servers[1..].iter().all(|server| is_linked(server, &servers[0])));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_leader_goes_on_with_a_sync() {
    let (master, fresh) = (redis(), redis());
    let meta = Meta::with_group(&[&master.address(), &fresh.address()]).await;
    sync(&meta, &fresh.address()).await;
    let order = meta.group_1().await.servers[1].sync.expect("it waits").order;
    let change = pb::GroupSyncAdvance { address: fresh.address(), order };
    meta.ok(Change::GroupSyncAdvance(change)).await;
    let _drive = meta.drive("");
    meta.settled().await;
    assert!(is_linked(&fresh, &master));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_refuses_ends_its_sync_with_the_servers_words() {
    let (master, fresh) = (redis(), redis());
    let meta = Meta::with_group(&[&master.address(), &fresh.address()]).await;
    let _drive = meta.drive("");
    assert!(fresh.client().run("CONFIG SET requirepass other").error().is_none());
    sync(&meta, &fresh.address()).await;
    let group = meta.settled().await;
    let failure = &group.servers[1].sync_failure;
    assert!(failure.contains(&fresh.address()) && failure.contains("NOAUTH"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_of_another_metadata_group_stop_a_sync_and_are_explained() {
    let (master, fresh) = (redis(), redis());
    let meta = Meta::with_group(&[&master.address(), &fresh.address()]).await;
    assert!(fresh.client().call(&["SET", ORDER_KEY, "1000000"]).error().is_none());
    let _drive = meta.drive("");
    sync(&meta, &fresh.address()).await;
    let group = meta.settled().await;
    let failure = &group.servers[1].sync_failure;
    assert!(failure.contains("order 1000000"), "{failure}");
    assert!(!is_linked(&fresh, &master));
}

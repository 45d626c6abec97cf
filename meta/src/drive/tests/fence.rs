//! Fences with real servers.

use codis_proto::meta::v1 as pb;
use codis_proto::{FENCE_KEY, ORDER_KEY};
use pb::command::Change;

use super::fixture::{Meta, number_at, redis, until};

async fn remove_by_force(meta: &Meta, token: &str) -> u64 {
    let change = pb::ProxyRemove { token: token.to_owned(), force: true };
    meta.ok(Change::ProxyRemove(change)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_removed_by_force_is_shut_out_of_every_master() {
    let masters = [redis(), redis()];
    let meta = Meta::with_group(&[&masters[0].address()]).await;
    meta.group(2, &[&masters[1].address()]).await;
    meta.register("gone").await;
    let named = |name: &str| {
        masters.each_ref().map(|master| {
            let mut client = master.client();
            assert!(client.run(&format!("CLIENT SETNAME {name}")).error().is_none());
            client
        })
    };
    let removed = named("codis-proxy:gone:1");
    let kept = named("codis-proxy:here:1");
    let _drive = meta.drive("");
    let epoch = remove_by_force(&meta, "gone").await;
    until("it has been fenced", async || meta.state().await.leaving.is_empty()).await;
    assert!(meta.state().await.fence_epoch >= epoch);
    assert!(masters.iter().all(|master| number_at(master, FENCE_KEY) >= epoch));
    for mut client in removed {
        assert!(client.is_closed());
    }
    for mut client in kept {
        assert!(client.run("PING").error().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_does_not_answer_is_named_until_the_proxy_is_shut_out_there_too() {
    let (one, mut two) = (redis(), redis());
    let meta = Meta::with_group(&[&one.address()]).await;
    meta.group(2, &[&two.address()]).await;
    meta.register("gone").await;
    two.kill();
    let drive = meta.drive("");
    let epoch = remove_by_force(&meta, "gone").await;
    let address = two.address();
    let named = |sentence: &String| sentence.contains("gone") && sentence.contains(&address);
    until("the trouble is told", async || drive.troubles().iter().any(named)).await;
    assert!(meta.state().await.leaving.contains_key("gone"));
    two.restart();
    until("it has been fenced", async || meta.state().await.leaving.is_empty()).await;
    until("the trouble is over", async || drive.troubles().is_empty()).await;
    assert!(number_at(&two, FENCE_KEY) >= epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_lost_its_marks_gets_them_again() {
    let master = redis();
    let meta = Meta::with_group(&[&master.address()]).await;
    meta.register("gone").await;
    let _drive = meta.drive("");
    let epoch = remove_by_force(&meta, "gone").await;
    until("it has been fenced", async || meta.state().await.leaving.is_empty()).await;
    until("it has an order", async || number_at(&master, ORDER_KEY) > 0).await;
    assert!(master.client().run("FLUSHALL").error().is_none());
    until("the marks are back", async || {
        number_at(&master, FENCE_KEY) == epoch && number_at(&master, ORDER_KEY) > 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_are_kept_of_a_server_that_stops_answering() {
    let mut master = redis();
    assert!(master.client().run("SET key value").error().is_none());
    let meta = Meta::with_group(&[&master.address()]).await;
    let drive = meta.drive("");
    let address = master.address();
    let known = async || drive.facts().get(&address).is_some_and(|facts| facts.keys > 0);
    until("it was asked", known).await;
    let facts = drive.facts()[&address].clone();
    assert_eq!((facts.role.as_str(), facts.error.as_str()), ("master", ""));
    assert!(facts.info.contains_key("maxmemory"));
    master.kill();
    let silent = async || !drive.facts()[&address].error.is_empty();
    until("it is silent", silent).await;
    assert_eq!(drive.facts()[&address].version, facts.version);
}

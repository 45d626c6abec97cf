//! What is said of servers that are to be added.

use codis_proto::{FENCE_KEY, ORDER_KEY};
use codis_testbed::{Redis, RedisOptions};

use super::fixture::{Meta, number_at, redis, replicate, until};
use crate::drive::DriveHandle;

fn redis_with(args: &[&str]) -> Redis {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Redis::start_with(RedisOptions { args, ..RedisOptions::default() })
}

async fn refusal(drive: &DriveHandle, gid: u32, server: &Redis) -> String {
    let address = server.address();
    let refusal = drive.check_new_server(gid, &address).await.expect_err("it is refused");
    assert!(refusal.contains(&address), "{refusal}");
    refusal
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_will_not_do_are_refused_with_what_to_do() {
    let meta = Meta::start().await;
    meta.group(1, &[]).await;
    let drive = meta.drive("");
    let mut dead = redis();
    dead.kill();
    let cluster = redis_with(&["--cluster-enabled", "yes"]);
    let replica = redis();
    let of = redis();
    replicate(&replica, &of);
    let locked = Redis::start_with_password("secret");
    let marked = redis();
    assert!(marked.client().call(&["SET", FENCE_KEY, "1000000"]).error().is_none());
    for (server, words) in [
        (&dead, "start the server first"),
        (&cluster, "cluster-enabled no"),
        (&replica, "REPLICAOF NO ONE"),
        (&locked, "NOAUTH"),
        (&marked, "another metadata group"),
    ] {
        let refusal = refusal(&drive, 1, server).await;
        assert!(refusal.contains(words), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_a_server_does_not_ask_for_is_found_out() {
    let meta = Meta::start().await;
    meta.group(1, &[]).await;
    let drive = meta.drive("secret");
    let (open, other) = (redis(), Redis::start_with_password("other"));
    for server in [&open, &other] {
        let refusal = refusal(&drive, 1, server).await;
        assert!(refusal.contains("requirepass"), "{refusal}");
    }
    let good = Redis::start_with_password("secret");
    assert_eq!(drive.check_new_server(1, &good.address()).await, Ok(Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_server_is_a_master_and_gets_the_fence_of_the_state() {
    let meta = Meta::start().await;
    meta.group(1, &[]).await;
    let drive = meta.drive("");
    let few = redis_with(&["--databases", "4"]);
    let notes = drive.check_new_server(1, &few.address()).await.expect("it will do");
    assert!(notes.len() == 1 && notes[0].contains("4 databases"), "{notes:?}");
    let master = redis();
    assert_eq!(drive.check_new_server(1, &master.address()).await, Ok(Vec::new()));
    let epoch = meta.state().await.epoch;
    drive.prepare_master(&master.address()).await.expect("it answers");
    assert!(number_at(&master, ORDER_KEY) >= epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_server_is_the_groups_replica_or_becomes_it() {
    let master = redis();
    let meta = Meta::with_group(&[&master.address()]).await;
    let drive = meta.drive("");
    let replica = redis();
    replicate(&replica, &master);
    assert_eq!(drive.check_new_server(1, &replica.address()).await, Ok(Vec::new()));
    let own = redis();
    assert!(own.client().run("SET own data").error().is_none());
    let notes = drive.check_new_server(1, &own.address()).await.expect("it will do");
    let note = notes.first().map_or("", String::as_str);
    assert!(note.contains("1 keys") && note.contains("group sync --addr"), "{note}");
    let (of, foreign) = (redis(), redis());
    replicate(&foreign, &of);
    let reason = refusal(&drive, 1, &foreign).await;
    assert!(reason.contains(&format!("a replica of 127.0.0.1:{}", of.port())), "{reason}");
    let few = redis_with(&["--databases", "4"]);
    let reason = refusal(&drive, 1, &few).await;
    assert!(reason.contains("databases 16"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_under_two_addresses_is_found_out() {
    let master = redis();
    let meta = Meta::with_group(&[&master.address()]).await;
    meta.group(2, &[]).await;
    let drive = meta.drive("");
    until("the master was asked", async || !drive.facts().is_empty()).await;
    let alias = format!("localhost:{}", master.port());
    for gid in [1, 2] {
        let refusal = drive.check_new_server(gid, &alias).await.expect_err("it is refused");
        assert!(refusal.contains("the same server as"), "{refusal}");
    }
}

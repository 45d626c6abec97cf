//! Commands that block, beside a plain Redis server and for many clients at a time.

use crate::cluster::{Cluster, Pair};
use codis_testbed::{Client, Redis, Value, encode};
use std::time::Duration;

/// Waits until the server has so many clients that block.
fn wait_for_blocked(server: &Redis, count: usize) {
    let mut client = server.client();
    loop {
        let info = client.run("INFO clients").text();
        let blocked = info.lines().find_map(|line| line.strip_prefix("blocked_clients:"));
        if blocked.map(str::trim) == Some(count.to_string().as_str()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ask(client: &mut Client, line: &str) {
    client.send(encode(&codis_testbed::split_words(line)));
}

#[test]
fn blocking_commands_answer_as_one_server_would_redis_too() {
    let mut pair = Pair::start();
    for line in [
        "RPUSH {b}l a b c d e f g h",
        "BLPOP {b}none {b}l 0",
        "BRPOP {b}l 0.1",
        "BLMOVE {b}l {b}m LEFT RIGHT 0",
        "BRPOPLPUSH {b}l {b}m 0",
        "BLMPOP 0 2 {b}none {b}l RIGHT COUNT 2",
        "ZADD {b}z 1 a 2 b 3 c 4 d",
        "BZPOPMIN {b}z 0",
        "BZPOPMAX {b}none {b}z 0",
        "BZMPOP 1 1 {b}z MIN COUNT 10",
        "XADD {b}s 1-1 f v",
        "XREAD BLOCK 0 STREAMS {b}s 0",
        "XREAD COUNT 1 STREAMS {b}s 0",
        "XGROUP CREATE {b}s g 0",
        "XREADGROUP GROUP g c BLOCK 0 STREAMS {b}s >",
        // Nothing comes.
        "BLPOP {b}none 0.01",
        "BRPOPLPUSH {b}none {b}m 0.01",
        "BLMOVE {b}none {b}m LEFT LEFT 0.01",
        "BLMPOP 0.01 1 {b}none LEFT",
        "BZPOPMIN {b}none 0.01",
        "BZMPOP 0.01 1 {b}none MAX",
        "XREAD BLOCK 10 STREAMS {b}s $",
        "XREAD BLOCK 10 STREAMS {b}none $",
        "XREADGROUP GROUP g c BLOCK 10 STREAMS {b}s >",
        // What cannot be.
        "BLPOP {b}l",
        "BLPOP {b}l never",
        "BLPOP {b}l -1",
        "SET {b}x text",
        "BLPOP {b}x 0",
        "BLMOVE {b}l {b}m UP DOWN 0",
        "BLMPOP 0 0 {b}l LEFT",
        "BLMPOP 0 x {b}l LEFT",
        "BZMPOP 0 1 {b}z MIDDLE",
        "XREAD BLOCK x STREAMS {b}s $",
        "XREAD BLOCK -1 STREAMS {b}s $",
        "XREAD BLOCK 0 STREAMS {b}l $",
        "XREADGROUP GROUP none c BLOCK 10 STREAMS {b}s >",
        "PING",
    ] {
        pair.same(line);
    }
}

#[test]
fn a_client_that_blocks_is_answered_in_its_order_and_holds_up_nobody() {
    let cluster = Cluster::start();
    let mut waiters: Vec<(String, Client)> = (0..2)
        .flat_map(|server| (0..10).map(move |n| (server, n)))
        .map(|(server, n)| {
            let key = cluster.key_on(server, &format!("queue{n}"));
            let mut client = cluster.client();
            // What comes before and after keeps its place.
            ask(&mut client, &format!("SET {key}:before 1"));
            ask(&mut client, &format!("BLPOP {key} 0"));
            ask(&mut client, &format!("GET {key}:before"));
            (key, client)
        })
        .collect();
    cluster.backends.iter().for_each(|server| wait_for_blocked(server, 10));
    let mut other = cluster.client();
    assert_eq!(other.run("PING"), Value::Simple(b"PONG".to_vec()));
    for (n, (key, _)) in waiters.iter().enumerate() {
        assert_eq!(other.run(&format!("RPUSH {key} {n}")), Value::Integer(1));
    }
    for (n, (key, client)) in waiters.iter_mut().enumerate() {
        assert_eq!(client.read(), Value::ok());
        let expected = vec![Value::bulk(key.as_str()), Value::bulk(n.to_string())];
        assert_eq!(client.read(), Value::Array(expected));
        assert_eq!(client.read(), Value::bulk("1"));
    }
}

#[test]
fn a_client_that_goes_away_takes_nothing() {
    let cluster = Cluster::over(vec![Redis::start()], |options| options);
    for half in [false, true] {
        let mut gone = cluster.client();
        ask(&mut gone, "BLPOP queue 0");
        wait_for_blocked(&cluster.backends[0], 1);
        if half {
            gone.finish_sending();
        } else {
            drop(gone);
        }
        wait_for_blocked(&cluster.backends[0], 0);
        let mut client = cluster.client();
        assert_eq!(client.run("RPUSH queue x"), Value::Integer(1));
        assert_eq!(client.run("LPOP queue"), Value::bulk("x"));
    }
}

#[test]
fn client_unblock_ends_a_wait_with_nothing_or_with_an_error() {
    let cluster = Cluster::with(|options| options.shards(2));
    let mut operator = cluster.client();
    for (how, expected) in [
        ("", Value::NullArray),
        ("TIMEOUT", Value::NullArray),
        ("ERROR", Value::Error("UNBLOCKED client unblocked via CLIENT UNBLOCK".into())),
    ] {
        let mut client = cluster.client();
        let id = match client.run("CLIENT ID") {
            Value::Integer(id) => id,
            other => panic!("{other:?}"),
        };
        assert_eq!(operator.run(&format!("CLIENT UNBLOCK {id} {how}")), Value::Integer(0));
        ask(&mut client, "BLPOP {a}queue 0");
        let server = usize::from(codis_proxy::slots::slot(b"a")) * 2 / 1024;
        wait_for_blocked(&cluster.backends[server], 1);
        let list = operator.run("CLIENT LIST").text();
        let line = list.lines().find(|line| line.starts_with(&format!("id={id} ")));
        assert!(line.is_some_and(|line| line.contains("flags=b ")), "{line:?}");
        assert_eq!(operator.run(&format!("CLIENT UNBLOCK {id} {how}")), Value::Integer(1));
        assert_eq!(client.read(), expected);
        assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec()));
    }
    let reply = operator.run("CLIENT UNBLOCK 1 SOMEHOW");
    assert!(reply.error().is_some_and(|text| text.contains("TIMEOUT or ERROR")), "{reply:?}");
}

#[test]
fn a_server_that_is_lost_ends_the_waits_there_with_an_error() {
    let mut cluster = Cluster::over(vec![Redis::start()], |options| options);
    let mut client = cluster.client();
    ask(&mut client, "BLPOP queue 0");
    wait_for_blocked(&cluster.backends[0], 1);
    cluster.backends[0].restart();
    let reply = client.read();
    assert!(reply.error().is_some_and(|text| text.contains("connection lost")), "{reply:?}");
    while client.run("RPUSH queue x") != Value::Integer(1) {}
    assert_eq!(
        client.run("BLPOP queue 0"),
        Value::Array(vec![Value::bulk("queue"), Value::bulk("x")])
    );
}

#[test]
fn no_more_connections_are_made_for_clients_that_block_than_allowed() {
    let over = |options: codis_testbed::ProxyOptions| options.set("backend_dedicated_max = 3");
    let cluster = Cluster::over(vec![Redis::start()], over);
    let mut waiting: Vec<Client> = (0..3).map(|_| cluster.client()).collect();
    waiting.iter_mut().for_each(|client| ask(client, "BLPOP queue 0"));
    wait_for_blocked(&cluster.backends[0], 3);
    let mut client = cluster.client();
    for line in ["BLPOP queue 0", "WATCH k"] {
        let reply = client.run(line);
        assert!(
            reply.error().is_some_and(|text| text.contains("backend_dedicated_max")),
            "{reply:?}"
        );
    }
    drop(waiting.pop());
    wait_for_blocked(&cluster.backends[0], 2);
    assert_eq!(client.run("BLPOP queue 0.01"), Value::NullArray);
    assert_eq!(client.run("RPUSH queue a b c"), Value::Integer(3));
}

#[test]
fn five_hundred_clients_that_block_at_once_each_get_one_element() {
    let cluster = Cluster::with(|options| options.shards(2));
    let mut clients: Vec<Client> = (0..500).map(|_| cluster.client()).collect();
    clients.iter_mut().for_each(|client| ask(client, "BRPOP {a}queue 0"));
    let server = usize::from(codis_proxy::slots::slot(b"a")) * 2 / 1024;
    wait_for_blocked(&cluster.backends[server], 500);
    let mut pusher = cluster.client();
    let words: Vec<String> = ["RPUSH", "{a}queue"]
        .map(str::to_owned)
        .into_iter()
        .chain((0..500).map(|n| n.to_string()))
        .collect();
    pusher.call(&words);
    let mut got: Vec<u32> = clients
        .iter_mut()
        .map(|client| client.read().items()[1].text().parse().expect("a number"))
        .collect();
    got.sort_unstable();
    assert_eq!(got, (0..500).collect::<Vec<u32>>());
    wait_for_blocked(&cluster.backends[server], 0);
}

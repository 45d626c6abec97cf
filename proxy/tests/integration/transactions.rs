//! MULTI, EXEC, DISCARD, WATCH and UNWATCH, beside a plain Redis server.

use crate::cluster::{Cluster, Pair};
use codis_testbed::{Redis, Value, encode};

fn pipelined(lines: &[&str]) -> Vec<u8> {
    let words = |line: &&str| encode(&codis_testbed::split_words(line));
    lines.iter().flat_map(words).collect()
}

#[test]
fn transactions_answer_as_one_server_would_redis_too() {
    let mut pair = Pair::start();
    for script in [
        &["MULTI", "SET {t}a 1", "INCR {t}a", "GET {t}a", "EXEC", "GET {t}a"][..],
        &["MULTI", "EXEC", "EXEC", "DISCARD", "UNWATCH"],
        &["MULTI", "MULTI", "WATCH {t}a", "SET {t}a x", "EXEC"],
        &["MULTI", "SET {t}a y", "DISCARD", "GET {t}a", "EXEC"],
        &["MULTI", "SET {t}a z", "GET", "GET {t}a", "EXEC", "GET {t}a"],
        &["MULTI", "NOSUCH {t}a", "SET {t}a 3", "EXEC", "GET {t}a"],
        &["MULTI", "SAVE", "EXEC"],
        &["MULTI", "EXEC extra", "EXEC"],
        &["EXEC extra", "DISCARD extra", "MULTI extra", "WATCH", "UNWATCH extra"],
        &["MULTI", "SET {t}s text", "LPUSH {t}s x", "INCR {t}s", "SET {t}u v", "EXEC", "GET {t}u"],
        &["MULTI", "PING", "ECHO hello", "GET {t}u", "PING again", "SELECT 99", "EXEC"],
        &["MULTI", "CLIENT SETNAME inside", "CLIENT GETNAME", "EXEC", "CLIENT GETNAME"],
        &["MULTI", "SELECT 2", "SET {t}a two", "SELECT 3", "GET {t}a", "EXEC", "GET {t}a"],
        &["SELECT 0", "GET {t}a", "SELECT 2", "GET {t}a", "SELECT 0"],
        &["WATCH {t}a", "MULTI", "SET {t}a watched", "EXEC", "GET {t}a"],
        &["WATCH {t}a", "SET {t}a own", "MULTI", "SET {t}a lost", "EXEC", "GET {t}a"],
        &["WATCH {t}a {t}b", "UNWATCH", "SET {t}b 1", "MULTI", "INCR {t}b", "EXEC"],
        &["WATCH {t}b", "DISCARD", "SET {t}b 7", "MULTI", "PING", "EXEC"],
        &["WATCH {t}b", "MULTI", "DISCARD", "SET {t}b 8", "MULTI", "INCR {t}b", "EXEC"],
        &["WATCH {t}b", "SET {t}b 9", "MULTI", "UNWATCH", "INCR {t}b", "EXEC"],
        &["WATCH {t}none", "MULTI", "SET {t}none 1", "EXEC", "DEL {t}none"],
        &["MULTI", "MGET {t}a {t}b", "MSET {t}c 1 {t}d", "DEL {t}c {t}d", "EXEC"],
        &["MULTI", "LPUSH {t}l a", "BLPOP {t}l 0", "BLPOP {t}l 0", "EXEC"],
        &["MULTI", "EVAL return{KEYS[1]} 1 {t}a", "EVAL return 1 {t}a", "EXEC"],
        &["MULTI", "SET {t}a 1", "RESET", "EXEC", "GET {t}a"],
        &["WATCH {t}a", "RESET", "SET {t}a 5", "MULTI", "GET {t}a", "EXEC"],
    ] {
        for line in script {
            pair.same(line);
        }
        // In one go, too.
        pair.same_bytes(&pipelined(script), script.len());
    }
}

#[test]
fn a_large_pipeline_of_transactions_keeps_every_place_redis_too() {
    let mut pair = Pair::start();
    let mut bytes = Vec::new();
    let mut replies = 0;
    for i in 0..300 {
        let lines = [
            format!("SET {{k{i}}} {i}"),
            "MULTI".into(),
            format!("INCR {{k{i}}}"),
            "PING".into(),
            format!("APPEND {{k{i}}}x {i}"),
            "EXEC".into(),
            format!("GET {{k{i}}}x"),
        ];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        replies += lines.len();
        bytes.extend(pipelined(&lines));
    }
    pair.same_bytes(&bytes, replies);
}

#[test]
fn a_transaction_of_two_slots_is_refused_and_runs_nothing() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    let (here, there) = (cluster.key_on(0, "here"), cluster.key_on(1, "there"));
    client.call(&["MULTI"]);
    assert_eq!(client.call(&["SET", &here, "1"]), Value::Simple(b"QUEUED".to_vec()));
    let reply = client.call(&["SET", &there, "1"]);
    assert!(reply.error().is_some_and(|text| text.starts_with("CROSSSLOT")), "{reply:?}");
    let reply = client.call(&["EXEC"]);
    assert!(reply.error().is_some_and(|text| text.starts_with("EXECABORT")), "{reply:?}");
    assert_eq!(client.call(&["GET", &here]), Value::NullBulk);

    client.call(&["WATCH", &here]);
    client.call(&["MULTI"]);
    let reply = client.call(&["SET", &there, "1"]);
    assert!(reply.error().is_some_and(|text| text.starts_with("CROSSSLOT")), "{reply:?}");
    client.call(&["DISCARD"]);
    let reply = client.call(&["WATCH", &here, &there]);
    assert!(reply.error().is_some_and(|text| text.starts_with("CROSSSLOT")), "{reply:?}");
}

#[test]
fn what_concerns_no_slot_runs_in_its_place_behind_the_rest() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    client.call(&["MULTI"]);
    for line in ["SET {a}1 x", "CLIENT LIST", "CONFIG GET product_name", "GET {a}1"] {
        assert_eq!(client.run(line), Value::Simple(b"QUEUED".to_vec()), "{line}");
    }
    let reply = client.run("EXEC");
    let [set, list, config, get] = reply.items() else { panic!("{reply:?}") };
    assert_eq!((set, get), (&Value::ok(), &Value::bulk("x")));
    assert!(list.text().contains("flags=N"), "{list:?}");
    assert_eq!(config.items()[0], Value::bulk("product_name"));
    // The session goes on as if nothing had been.
    assert_eq!(client.run("GET {a}1"), Value::bulk("x"));
}

#[test]
fn a_key_that_another_client_changes_makes_exec_answer_nothing() {
    let cluster = Cluster::start();
    let (mut one, mut other) = (cluster.client(), cluster.client());
    for (change, runs) in [("SET {a}watched 2", false), ("SET {a}unwatched 2", true)] {
        one.run("SET {a}watched 1");
        assert_eq!(one.run("WATCH {a}watched"), Value::ok());
        assert_eq!(one.run("GET {a}watched"), Value::bulk("1"));
        other.run(change);
        one.run("MULTI");
        one.run("INCR {a}watched");
        let reply = one.run("EXEC");
        match runs {
            true => assert_eq!(reply, Value::Array(vec![Value::Integer(2)])),
            false => assert_eq!(reply, Value::NullArray),
        }
    }
}

#[test]
fn connections_that_were_used_for_watching_are_clean_when_the_next_session_gets_them() {
    let cluster = Cluster::over(vec![Redis::start()], |options| options);
    let mut changer = cluster.client();
    for round in 0..20 {
        let mut client = cluster.client();
        client.run("WATCH {k}");
        match round % 4 {
            0 => _ = client.run("UNWATCH"),
            1 => _ = client.pipeline(&["MULTI", "DISCARD"]),
            2 => _ = client.pipeline(&["MULTI", "GET {k}", "EXEC"]),
            // The session ends with keys watched.
            _ => drop(client),
        }
        changer.run(&format!("SET {{k}} {round}"));
        let mut next = cluster.client();
        let replies = next.pipeline(&["WATCH {k}other", "MULTI", "GET {k}", "EXEC"]);
        assert_eq!(replies[3], Value::Array(vec![Value::bulk(round.to_string())]));
    }
    let info = changer.run("INFO clients").text();
    let connections = info.lines().find_map(|line| line.strip_prefix("dedicated_connections:"));
    let connections: u32 = connections.and_then(|text| text.trim().parse().ok()).expect("a number");
    assert!((1..=2).contains(&connections), "{connections} connections for one session at a time");
}

#[test]
fn a_server_that_is_lost_while_keys_are_watched_makes_exec_answer_nothing() {
    let mut cluster = Cluster::over(vec![Redis::start()], |options| options);
    let mut client = cluster.client();
    client.run("WATCH {k}");
    cluster.backends[0].restart();
    // The connection that everybody uses comes back by itself.
    while client.run("SET other 1") != Value::ok() {}
    client.run("MULTI");
    client.run("SET k 1");
    assert_eq!(client.run("EXEC"), Value::NullArray);
    assert_eq!(client.pipeline(&["MULTI", "SET k 2", "EXEC"])[2], Value::Array(vec![Value::ok()]));
}

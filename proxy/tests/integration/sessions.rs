//! What a client says about its own connection: who it is, which database, which replies it wants.

use crate::cluster::{Cluster, Pair};
use codis_testbed::{Redis, RedisOptions, Value, encode, eventually};
use std::time::Duration;

fn with_passwords() -> Pair {
    let cluster = Cluster::with(|options| options.set("session_auth = \"sesame\""));
    // Not Redis::client(), which would authenticate.
    let redis = Redis::start_with_password("sesame");
    let mut pair = Pair::of(cluster, redis);
    assert_eq!(pair.reference.run("RESET"), Value::Simple(b"RESET".to_vec()));
    pair
}

#[test]
fn nothing_runs_before_auth_and_the_words_are_those_of_redis() {
    let mut pair = with_passwords();
    for line in [
        "GET a",
        "PING",
        "MGET a b",
        "SELECT 1",
        "CLIENT GETNAME",
        "INFO",
        "NOPE",
        "HELLO 2",
        "HELLO",
        "AUTH wrong",
        "AUTH default wrong",
        "AUTH nobody sesame",
        "AUTH a b c",
        "AUTH",
        "GET a",
        "AUTH sesame",
        "SET a 1",
        "GET a",
        "AUTH wrong",
        "GET a",
        "AUTH default sesame",
        "GET a",
    ] {
        pair.same(line);
    }
    let hello = pair.tested.run("HELLO 2 AUTH default sesame SETNAME me");
    assert!(hello.items().contains(&Value::bulk("proto")), "{hello:?}");
    assert_eq!(pair.tested.run("CLIENT GETNAME"), Value::bulk("me"));
}

#[test]
fn hello_can_authenticate_a_fresh_session() {
    let mut pair = with_passwords();
    pair.same("HELLO 2 AUTH default wrong");
    pair.same("GET a");
    let hello = pair.tested.run("HELLO 2 AUTH default sesame");
    assert!(hello.error().is_none(), "{hello:?}");
    assert_eq!(pair.tested.run("GET a"), Value::NullBulk);
    assert_eq!(pair.tested.run("RESET"), Value::Simple(b"RESET".to_vec()));
    assert!(pair.tested.run("GET a").error().is_some_and(|text| text.starts_with("NOAUTH")));
}

#[test]
fn auth_without_a_password_set_says_so_as_redis_does_redis_too() {
    let mut pair = Pair::start();
    pair.same("AUTH some");
    pair.same("AUTH nobody some");
    pair.same("AUTH default any");
}

#[test]
fn hello_answers_the_fields_of_redis_and_refuses_other_protocols_redis_too() {
    let mut pair = Pair::start();
    let fields =
        |hello: &Value| -> Vec<Value> { hello.items().iter().step_by(2).cloned().collect() };
    let (ours, theirs) = (pair.tested.run("HELLO"), pair.reference.run("HELLO"));
    assert_eq!(fields(&ours), fields(&theirs));
    let ours = pair.tested.run("HELLO 2 SETNAME x");
    assert_eq!(fields(&ours), fields(&theirs));
    for line in [
        "HELLO 1",
        "HELLO 4",
        "HELLO x",
        "HELLO 2 NOPE",
        "HELLO 2 SETNAME \"a b\"",
        "HELLO 2 AUTH a",
    ] {
        pair.same(line);
    }
}

#[test]
fn databases_are_apart_and_select_is_checked_redis_too() {
    let mut pair = Pair::start();
    for line in [
        "SET a zero",
        "SELECT 1",
        "GET a",
        "SET a one",
        "MSET a one b one",
        "SELECT 0",
        "GET a",
        "MGET a b",
        "SELECT 15",
        "GET a",
        "SELECT 16",
        "SELECT -1",
        "SELECT abc",
        "SELECT",
        "SELECT 1 2",
        "GET a",
        "SELECT 1",
        "DEL a b",
        "RESET",
        "GET a",
    ] {
        pair.same(line);
    }
}

#[test]
fn sessions_of_different_databases_share_a_proxy_redis_too() {
    let cluster = Cluster::start();
    let mut clients: Vec<_> = (0..16).map(|_| cluster.client()).collect();
    for (db, client) in clients.iter_mut().enumerate() {
        let lines = [format!("SELECT {db}"), format!("SET which {db}"), format!("SET other {db}")];
        let replies = client.pipeline(&lines.each_ref().map(String::as_str));
        assert_eq!(replies, [Value::ok(), Value::ok(), Value::ok()]);
    }
    for (db, client) in clients.iter_mut().enumerate() {
        let db = Value::bulk(db.to_string());
        assert_eq!(client.run("MGET which other"), Value::Array(vec![db.clone(), db]));
    }
}

#[test]
fn a_client_sets_its_name_and_reads_it_back_redis_too() {
    let mut pair = Pair::start();
    for line in [
        "CLIENT GETNAME",
        "CLIENT SETNAME me",
        "CLIENT GETNAME",
        "CLIENT SETNAME \"two words\"",
        "CLIENT SETNAME \"\"",
        "CLIENT GETNAME",
        "CLIENT SETNAME me",
        "RESET",
        "CLIENT GETNAME",
        "CLIENT NO-EVICT ON",
        "CLIENT NO-EVICT OFF",
        "CLIENT NO-EVICT MAYBE",
        "CLIENT REPLY NOPE",
        "CLIENT KILL 1.2.3.4:5",
        "CLIENT KILL ID 0",
        "CLIENT KILL ID x",
        "CLIENT KILL ID 99999999 SKIPME yes",
        "CLIENT SETNAME",
        "CLIENT",
    ] {
        pair.same(line);
    }
}

#[test]
fn each_client_has_an_id_of_its_own_and_shows_in_the_list() {
    let mut cluster = Cluster::with(|options| options.shards(options_shards()));
    let proxy = cluster.proxy();
    let mut clients: Vec<_> = (0..8).map(|_| proxy.client()).collect();
    let mut ids: Vec<i64> =
        clients.iter_mut().map(|client| client.run("CLIENT ID").integer()).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.run(&format!("CLIENT SETNAME name-{i}")), Value::ok());
        assert_eq!(client.run("CLIENT SETINFO LIB-NAME a-library"), Value::ok());
    }
    let list = clients[0].run("CLIENT LIST").text();
    for (i, client) in clients.iter().enumerate() {
        let line = list.lines().find(|line| line.contains(&format!("name=name-{i} ")));
        let line = line.unwrap_or_else(|| panic!("no client name-{i} in {list}"));
        assert!(line.contains(&format!("id={} ", ids[i])), "{line}");
        assert!(line.contains(&format!("addr={} ", client.local_address())), "{line}");
        assert!(line.contains("lib-name=a-library"), "{line}");
    }
    let info = clients[3].run("CLIENT INFO").text();
    assert!(info.contains("name=name-3 "), "{info}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 8, "an id was given twice");
}

/// Two shards where there are two cores: what is asked of all shards is then asked of more than one.
fn options_shards() -> usize {
    codis_testbed::cores().min(2)
}

#[test]
fn client_kill_reaches_sessions_of_every_shard() {
    let mut cluster = Cluster::with(|options| options.shards(options_shards()));
    let proxy = cluster.proxy();
    let mut killer = proxy.client();
    let mut victims: Vec<_> = (0..6).map(|_| proxy.client()).collect();
    for victim in &mut victims[..3] {
        let id = victim.run("CLIENT ID").integer();
        assert_eq!(killer.run(&format!("CLIENT KILL ID {id}")), Value::Integer(1));
        assert!(victim.is_closed());
        assert_eq!(killer.run(&format!("CLIENT KILL ID {id}")), Value::Integer(0));
    }
    for victim in &mut victims[3..5] {
        assert_eq!(victim.run("PING"), Value::Simple(b"PONG".to_vec()));
        assert_eq!(killer.run(&format!("CLIENT KILL {}", victim.local_address())), Value::ok());
        assert!(victim.is_closed());
    }
    assert_eq!(victims[5].run("PING"), Value::Simple(b"PONG".to_vec()));
    assert_eq!(
        killer.run("CLIENT KILL TYPE normal"),
        Value::Integer(1),
        "SKIPME is yes by default"
    );
    assert!(victims[5].is_closed());
    assert_eq!(killer.run("PING"), Value::Simple(b"PONG".to_vec()));
}

#[test]
fn replies_can_be_switched_off_and_skipped_redis_too() {
    let mut pair = Pair::start();
    pair.same_bytes(b"CLIENT REPLY SKIP\r\nSET a 1\r\nGET a\r\n", 1);
    pair.same_bytes(
        b"CLIENT REPLY OFF\r\nSET b 2\r\nPING\r\nMGET a b\r\nNOPE\r\nCLIENT REPLY ON\r\nGET b\r\n",
        2,
    );
    pair.same_bytes(b"CLIENT REPLY SKIP\r\nMGET a b\r\nMGET b a\r\n", 1);
    pair.same_bytes(b"CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nPING\r\nPING x\r\n", 1);
}

#[test]
fn quit_answers_all_before_it_and_closes_redis_too() {
    let mut pair = Pair::start();
    for client in [&mut pair.tested, &mut pair.reference] {
        client.send("SET a 1\r\nGET a\r\nQUIT\r\nGET a\r\n");
        assert_eq!(client.read_to_end(), b"+OK\r\n$1\r\n1\r\n+OK\r\n");
    }
}

#[test]
fn replies_are_still_sent_to_a_client_that_has_finished_sending_redis_too() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    let bytes: Vec<u8> =
        (0..100).flat_map(|i| format!("SET k{i} {i}\r\nGET k{i}\r\n").into_bytes()).collect();
    client.send(&bytes);
    client.finish_sending();
    let expected: String =
        (0..100).map(|i: u32| format!("+OK\r\n${}\r\n{i}\r\n", i.to_string().len())).collect();
    let got = client.read_to_end();
    // Redis itself may close at once when it sees the end; what it sends is right as far as it goes.
    assert!(expected.as_bytes().starts_with(&got), "{}", String::from_utf8_lossy(&got));
}

#[test]
fn a_closed_session_leaves_the_list_of_clients() {
    let cluster = Cluster::start();
    let mut watcher = cluster.client();
    let mut leaving = cluster.client();
    assert_eq!(leaving.run("CLIENT SETNAME leaving"), Value::ok());
    assert!(watcher.run("CLIENT LIST").text().contains("name=leaving"));
    drop(leaving);
    eventually("the session leaves the list", || {
        !watcher.run("CLIENT LIST").text().contains("name=leaving")
    });
}

#[test]
fn client_pause_stops_the_clients_of_all_shards_until_it_is_over_or_ended() {
    let cluster = Cluster::with(|options| options.shards(2));
    let (mut operator, mut client, mut other) =
        (cluster.client(), cluster.client(), cluster.client());
    for wrong in ["CLIENT PAUSE x", "CLIENT PAUSE -1", "CLIENT PAUSE 1 SOME"] {
        assert!(operator.run(wrong).error().is_some(), "{wrong}");
    }
    assert_eq!(operator.run("CLIENT PAUSE 100000 WRITE"), Value::ok());
    for (client, key) in [(&mut client, "{a}"), (&mut other, "{b}")] {
        assert_eq!(client.run(&format!("GET {key}")), Value::NullBulk);
        client.send(encode(&["SET", key, "1"]));
        client.send(encode(&["GET", key]));
        assert!(!client.something_comes_within(Duration::from_millis(50)), "a write ran");
    }
    assert_eq!(operator.run("CLIENT UNPAUSE"), Value::ok());
    for client in [&mut client, &mut other] {
        assert_eq!((client.read(), client.read()), (Value::ok(), Value::bulk("1")));
    }
    assert_eq!(operator.run("CLIENT PAUSE 50"), Value::ok());
    assert_eq!(client.run("GET {a}"), Value::bulk("1"), "it ends by itself");
}

/// How often the key has been used, as a server that keeps exact counts knows it.
fn uses(client: &mut codis_testbed::Client, key: &str) -> i64 {
    client.call(&["OBJECT", "FREQ", key]).integer()
}

#[test]
fn what_a_client_with_no_touch_asks_for_counts_as_no_use_where_the_server_knows_that() {
    let servers = || {
        let args = ["--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "0"];
        let args = args.map(str::to_owned).to_vec();
        Redis::start_with(RedisOptions { args, ..RedisOptions::default() })
    };
    let cluster = Cluster::over(vec![servers(), servers()], |options| options);
    let mut plain = cluster.client();
    // Servers before 7.2 do not.
    let is_known = cluster.backends[0].client().run("CLIENT NO-TOUCH OFF") == Value::ok();
    for protocol in ["HELLO 2", "HELLO 3"] {
        let mut client = cluster.client();
        client.run(protocol);
        assert_eq!(plain.run("MSET a{1} x b{1} x list{1} x"), Value::ok());
        assert_eq!(plain.run("DEL list{1}"), Value::Integer(1));
        for (setup, asks) in [
            ("PING", &["GET a{1}", "STRLEN a{1}"][..]),
            ("PING", &["MULTI", "GET a{1}", "GET a{1}", "EXEC"]),
            // The transaction has a connection of its own.
            ("WATCH b{1}", &["MULTI", "GET a{1}", "GET a{1}", "EXEC"]),
        ] {
            for (mode, counts) in [("ON", !is_known), ("OFF", true)] {
                assert_eq!(client.run(&format!("CLIENT NO-TOUCH {mode}")), Value::ok());
                let shown = plain.run("CLIENT LIST").text();
                let shown = shown.lines().any(|line| line.contains("flags=T "));
                assert_eq!(shown, mode == "ON");
                let before = uses(&mut plain, "a{1}");
                assert!(client.run(setup).error().is_none());
                for ask in asks {
                    assert!(client.run(ask).error().is_none(), "{ask}");
                }
                let more = uses(&mut plain, "a{1}") - before;
                assert_eq!(more, if counts { 2 } else { 0 }, "{protocol} {setup} {mode} {asks:?}");
            }
        }
        assert_eq!(client.run("CLIENT NO-TOUCH ON"), Value::ok());
        assert_eq!(client.run("RESET"), Value::Simple(b"RESET".to_vec()));
        let before = uses(&mut plain, "a{1}");
        assert_eq!(client.run("GET a{1}"), Value::bulk("x"));
        assert_eq!(uses(&mut plain, "a{1}") - before, 1);
    }
    let refused = plain.run("CLIENT NO-TOUCH MAYBE");
    assert_eq!(refused, Value::Error(b"ERR syntax error".to_vec()));
    let in_transaction =
        ["MULTI", "CLIENT NO-TOUCH ON", "GET a{1}", "EXEC"].map(|ask| plain.run(ask));
    assert_eq!(in_transaction[3], Value::Array(vec![Value::ok(), Value::bulk("x")]));
}

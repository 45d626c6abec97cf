//! Commands that the proxy answers itself, and those that it does not support.

use crate::cluster::{Cluster, Pair};
use codis_proxy::slots::slot;
use codis_testbed::{Client, Redis, RedisOptions, Value, encode};

#[test]
fn ping_and_echo_answer_as_redis_redis_too() {
    let mut pair = Pair::start();
    for line in
        ["PING", "ping", "PING hello", "PING a b", "ECHO hello", "ECHO", "ECHO a b", "ECHO \"\""]
    {
        pair.same(line);
    }
}

#[test]
fn time_is_two_numbers_redis_too() {
    let cluster = Cluster::start();
    let time = cluster.client().run("TIME");
    let numbers: Vec<u64> =
        time.items().iter().map(|item| item.text().parse().expect("a number")).collect();
    assert!(
        matches!(numbers[..], [seconds, us] if seconds > 1_600_000_000 && us < 1_000_000),
        "{time:?}"
    );
}

#[test]
fn command_describes_what_the_proxy_runs_redis_too() {
    let mut pair = Pair::start();
    assert!(pair.tested.run("COMMAND COUNT").integer() > 150);
    assert!(pair.tested.run("COMMAND").items().len() > 150);
    let first_six = |value: &Value| -> Vec<Value> {
        value.items()[0].items()[..6].iter().cloned().map(Value::sorted).collect()
    };
    for name in ["get", "set", "mget", "zadd", "lrange", "hset"] {
        let line = format!("COMMAND INFO {name}");
        let (ours, theirs) = (pair.tested.run(&line), pair.reference.run(&line));
        assert_eq!(first_six(&ours), first_six(&theirs), "{name}");
    }
    for line in [
        "COMMAND INFO no-such-command",
        "COMMAND GETKEYS GET a",
        "COMMAND GETKEYS MSET a 1 b 2",
        "COMMAND GETKEYS EVAL script 2 a b c",
        "COMMAND GETKEYS ZUNIONSTORE dst 2 a b",
        "COMMAND GETKEYS XREAD COUNT 1 STREAMS a b 0 0",
        "COMMAND GETKEYS SORT l STORE d",
        "COMMAND GETKEYS PING",
    ] {
        pair.same(line);
    }
    let docs = pair.tested.run("COMMAND DOCS get");
    assert_eq!(docs.items()[0], Value::bulk("get"));
}

#[test]
fn info_has_the_sections_and_the_format_of_redis() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    let info = client.run("INFO").text();
    for part in
        ["# Server\r\n", "# Clients\r\n", "connected_clients:", "process_id:", "uptime_in_seconds:"]
    {
        assert!(info.contains(part), "no {part:?} in {info}");
    }
    for line in info.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        assert!(line.contains(':'), "a line that is no field: {line:?}");
    }
    let clients_only = client.run("INFO clients").text();
    assert!(
        clients_only.contains("# Clients") && !clients_only.contains("# Server"),
        "{clients_only}"
    );
}

fn setting(client: &mut Client, name: &str) -> String {
    let reply = client.run(&format!("CONFIG GET {name}"));
    match reply.items() {
        [key, value] if key.text() == name => value.text(),
        _ => panic!("CONFIG GET {name}: {reply:?}"),
    }
}

#[test]
fn settings_can_be_read_and_changed() {
    let cluster = Cluster::with(|options| options.set("session_max_pipeline = 77"));
    let mut client = cluster.client();
    assert_eq!(setting(&mut client, "session_max_pipeline"), "77");
    assert_eq!(client.run("CONFIG SET session_max_pipeline 5000"), Value::ok());
    assert_eq!(setting(&mut client, "session_max_pipeline"), "5000");
    assert_eq!(client.run("CONFIG GET no-such-setting"), Value::Array(vec![]));
    assert!(client.run("CONFIG GET backend_*").items().len() > 6);
    for line in
        ["CONFIG SET no-such-setting 1", "CONFIG SET session_max_pipeline many", "CONFIG NOPE"]
    {
        let reply = client.run(line);
        assert!(reply.error().is_some(), "{line}: {reply:?}");
    }
    assert_eq!(setting(&mut client, "session_max_pipeline"), "5000");
    assert_eq!(client.run("CONFIG RESETSTAT"), Value::ok());
}

#[test]
fn secrets_are_shown_nowhere() {
    let mut cluster = Cluster::with(|options| {
        options.set("session_auth = \"secret-of-sessions\"").set("product_auth = \"\"")
    });
    let mut client = cluster.client();
    assert_eq!(client.run("AUTH secret-of-sessions"), Value::ok());
    client.run("GET a");
    let shown = [
        format!("{:?}", client.run("CONFIG GET *")),
        client.run("INFO everything").text(),
        client.run("CLIENT LIST").text(),
        cluster.proxy().admin("/proxy").body,
        cluster.proxy().admin("/metrics").body,
        cluster.proxy().process().printed(),
    ];
    for text in shown {
        assert!(!text.contains("secret-of-sessions"), "{text}");
    }
}

#[test]
fn slow_requests_are_logged_with_their_arguments() {
    let cluster = Cluster::with(|options| options.set("slowlog_log_slower_than = \"0\""));
    let mut client = cluster.client();
    assert_eq!(client.run("SET slow-key value"), Value::ok());
    assert!(client.run("SLOWLOG LEN").integer() >= 1);
    let logged = |client: &mut Client| {
        let log = client.run("SLOWLOG GET 100");
        log.items().iter().any(|entry| {
            let args = Value::Array(["SET", "slow-key", "value"].map(Value::bulk).to_vec());
            entry.items()[3] == args
        })
    };
    assert!(logged(&mut client));
    assert_eq!(client.run("SLOWLOG RESET"), Value::ok());
    assert!(!logged(&mut client));
}

#[test]
fn slots_commands_show_where_a_key_lives() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    let expected =
        ["a", "{tag}b", "x{}y"].map(|key| Value::Integer(i64::from(slot(key.as_bytes()))));
    assert_eq!(client.run("SLOTSHASHKEY a {tag}b x{}y"), Value::Array(expected.to_vec()));
    assert_eq!(client.run("SLOTSMAPPING").items().len(), 1024);
    let one = format!("{:?}", client.run("SLOTSMAPPING 600"));
    assert!(one.contains(&cluster.backends[1].address()), "{one}");
}

#[test]
fn a_command_that_is_not_supported_is_named_and_the_session_goes_on() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    for name in ["NO-SUCH-COMMAND", "SHUTDOWN", "REPLICAOF", "MONITOR", "SYNC", "MIGRATE"] {
        let reply = client.call(&[name, "a", "b"]);
        let text = reply.error().unwrap_or_else(|| panic!("{name}: {reply:?}"));
        assert!(text.to_uppercase().contains(name), "{name}: {text}");
        assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec()));
    }
}

#[test]
fn a_command_that_only_the_servers_know_is_routed_by_what_they_say_of_it() {
    let renamed = || {
        let names = ["GETEX", "FETCH", "--rename-command", "MSETNX", "PUTNEW", "--rename-command"];
        let mut args = vec!["--rename-command".to_owned()];
        args.extend(names.map(str::to_owned));
        args.extend(["BLPOP", "AWAIT"].map(str::to_owned));
        Redis::start_with(RedisOptions { args, ..RedisOptions::default() })
    };
    let cluster = Cluster::over(vec![renamed(), renamed()], |options| options);
    let mut client = cluster.client();
    for index in 0..2 {
        let key = cluster.key_on(index, "key");
        assert_eq!(client.call(&["SET", &key, "value"]), Value::ok());
        // Pipelined, so that requests queue behind the one that waits for the facts.
        client.send(encode(&["fetch", &key]));
        client.send(encode(&["FETCH", &key]));
        client.send("PING\r\n");
        assert_eq!(client.read(), Value::bulk("value"));
        assert_eq!(client.read(), Value::bulk("value"));
        assert_eq!(client.read(), Value::Simple(b"PONG".to_vec()));
    }
    let (here, there) = (cluster.key_on(0, "here"), cluster.key_on(1, "there"));
    let reply = client.call(&["PUTNEW", &here, "1", &there, "2"]);
    assert!(reply.error().is_some_and(|text| text.starts_with("CROSSSLOT")), "{reply:?}");
    assert_eq!(client.call(&["PUTNEW", "{a}1", "1", "{a}2", "2"]), Value::Integer(1));
    let reply = client.call(&["AWAIT", "list", "0"]);
    assert!(reply.error().is_some_and(|text| text.contains("may block")), "{reply:?}");
    for _ in 0..2 {
        let reply = client.call(&["NOSUCH", "x"]);
        assert!(reply.error().is_some_and(|text| text.contains("unknown command")), "{reply:?}");
    }
}

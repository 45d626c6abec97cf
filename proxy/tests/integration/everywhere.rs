//! Commands that concern every server: SCAN, KEYS, DBSIZE, RANDOMKEY, FLUSHDB, FLUSHALL, scripts, functions.

use crate::cluster::{Cluster, Pair};
use codis_testbed::{Client, Redis, Value, encode};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Sets keys on both servers; answers their names.
fn fill(client: &mut Client, count: usize) -> BTreeSet<String> {
    let names: BTreeSet<String> = (0..count).map(|i| format!("key:{i}")).collect();
    for name in &names {
        client.send(encode(&["SET", name, "v"]));
    }
    for _ in &names {
        assert_eq!(client.read(), Value::ok());
    }
    names
}

/// All keys that a whole SCAN returns, in the order in which they come.
fn scan(client: &mut Client, options: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let reply = client.run(&format!("SCAN {cursor} {options}"));
        let [next, page] = reply.items() else { panic!("SCAN {cursor}: {reply:?}") };
        keys.extend(page.items().iter().map(Value::text));
        cursor = next.text();
        assert!(cursor.parse::<i64>().is_ok_and(|cursor| cursor >= 0), "{cursor}");
        if cursor == "0" {
            return keys;
        }
    }
}

/// The keys of the metadata group, as they are on a server that belongs to one.
fn reserve(cluster: &Cluster) {
    for backend in &cluster.backends {
        let mut client = backend.client();
        assert_eq!(client.run("SET __codis_fence__ 0"), Value::ok());
        assert_eq!(client.run("SET __codis_order__ 12"), Value::ok());
        client.call(&["HSET", "__codis_clean__", "10.0.0.1:6379", "run\r\n\0\u{e9}"]);
        assert_eq!(client.run("SET {__codis_big__}:1:1 part"), Value::ok());
    }
}

/// What is in a database of a server, with the time to live of each key, from its own mouth.
fn contents(client: &mut Client) -> BTreeSet<(String, Vec<u8>, i64)> {
    let keys = client.run("KEYS *");
    let mut all = BTreeSet::new();
    for key in keys.items().iter().map(Value::text) {
        let Value::Bulk(dump) = client.call(&["DUMP", &key]) else { panic!("no {key}") };
        all.insert((key.clone(), dump, client.call(&["PTTL", &key]).integer()));
    }
    all
}

#[test]
fn scan_returns_every_key_of_every_server_once_redis_too() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    assert_eq!(scan(&mut client, ""), [""; 0]);
    let names = fill(&mut client, 1000);
    for options in ["", "COUNT 1", "COUNT 7", "COUNT 100000"] {
        let keys = scan(&mut client, options);
        assert_eq!(keys.len(), names.len(), "{options}");
        assert_eq!(keys.into_iter().collect::<BTreeSet<_>>(), names, "{options}");
    }
    let some = scan(&mut client, "MATCH key:1?? COUNT 50");
    assert_eq!(some.len(), 100);
    client.run("RPUSH list a");
    assert_eq!(scan(&mut client, "TYPE list"), ["list"]);
    assert_eq!(client.run("SELECT 3"), Value::ok());
    assert_eq!(scan(&mut client, ""), [""; 0], "another database");
}

#[test]
fn a_cursor_is_good_for_another_session_and_another_shard_redis_too() {
    let cluster = Cluster::with(|options| options.shards(2));
    let names = fill(&mut cluster.client(), 300);
    let mut keys = BTreeSet::new();
    let mut cursor = "0".to_owned();
    loop {
        let reply = cluster.client().run(&format!("SCAN {cursor}"));
        keys.extend(reply.items()[1].items().iter().map(Value::text));
        cursor = reply.items()[0].text();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(keys, names);
}

#[test]
fn wrong_arguments_are_refused_as_redis_does_redis_too() {
    let mut pair = Pair::start();
    for line in [
        "SCAN",
        "SCAN x",
        "SCAN -1x",
        "SCAN 0 COUNT",
        "SCAN 0 COUNT x",
        "SCAN 0 COUNT 0",
        "SCAN 0 BOGUS 1",
        "SCAN 0 MATCH",
        "KEYS",
        "KEYS a b",
        "DBSIZE x",
        "RANDOMKEY x",
        "FLUSHDB NOW",
        "FLUSHALL ASYNC SYNC",
        "FLUSHDB 1 2",
        "SCRIPT",
        "SCRIPT LOAD",
        "SCRIPT NOPE",
        "SCRIPT EXISTS",
        "SCRIPT FLUSH NOW",
        "FUNCTION LOAD",
        "FUNCTION LOAD x",
        "FUNCTION DELETE no",
        "FUNCTION KILL",
        "SCRIPT KILL",
        "LASTSAVE x",
        "MEMORY PURGE x",
        "LATENCY RESET no-event",
        "EVALSHA x 0",
        "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0",
        "EVAL \"return 1\" -1",
        "EVAL \"return 1\" 0",
        "FCALL no 0",
    ] {
        pair.same(line);
    }
}

#[test]
fn keys_and_their_number_are_those_of_one_server_redis_too() {
    let mut pair = Pair::start();
    for line in ["DBSIZE", "KEYS *", "RANDOMKEY"] {
        pair.same(line);
    }
    for i in 0..100 {
        pair.same(&format!("SET key:{i} v"));
    }
    for line in ["DBSIZE", "?KEYS *", "?KEYS key:1*", "KEYS none", "KEYS key:77"] {
        pair.same(line);
    }
    for line in ["SELECT 1", "DBSIZE", "KEYS *", "RANDOMKEY", "SET one 1", "RANDOMKEY", "DBSIZE"] {
        pair.same(line);
    }
    let lines = ["FLUSHDB", "DBSIZE", "SELECT 0", "DBSIZE", "SET x 1", "FLUSHDB ASYNC", "DBSIZE"];
    lines.iter().for_each(|line| drop(pair.same(line)));
    let lines =
        ["SELECT 5", "SET x 1", "SELECT 2", "SET y 1", "FLUSHALL SYNC", "DBSIZE", "SELECT 5"];
    lines.iter().for_each(|line| drop(pair.same(line)));
    pair.same("DBSIZE");
}

#[test]
fn a_session_s_requests_take_effect_in_order_around_those_to_all_servers_redis_too() {
    let cluster = Cluster::with(|options| options.set("backend_primary_parallel = 4"));
    let mut client = cluster.client();
    for round in 0..50 {
        let mut bytes = Vec::new();
        for i in 0..40 {
            bytes.extend(encode(&["SET", &format!("{round}:{i}"), "v"]));
        }
        bytes.extend(encode(&["DBSIZE"]));
        bytes.extend(encode(&["FLUSHALL"]));
        bytes.extend(encode(&["SET", "after", "1"]));
        bytes.extend(encode(&["SET", "before", "1"]));
        bytes.extend(encode(&["DBSIZE"]));
        bytes.extend(encode(&["FLUSHDB"]));
        client.send(bytes);
        let replies: Vec<Value> = (0..46).map(|_| client.read()).collect();
        assert!(replies[..40].iter().all(|reply| *reply == Value::ok()), "{replies:?}");
        let rest = [
            Value::Integer(40),
            Value::ok(),
            Value::ok(),
            Value::ok(),
            Value::Integer(2),
            Value::ok(),
        ];
        assert_eq!(replies[40..], rest);
    }
}

#[test]
fn random_keys_come_from_all_servers_redis_too() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    let names = fill(&mut client, 20);
    let drawn: BTreeSet<String> = (0..1000).map(|_| client.run("RANDOMKEY").text()).collect();
    assert_eq!(drawn, names, "1000 draws of 20 keys leave none out");
}

#[test]
fn clients_do_not_meet_the_keys_of_the_metadata_group() {
    let cluster = Cluster::start();
    reserve(&cluster);
    let mut client = cluster.client();
    for line in ["KEYS *", "KEYS __codis*"] {
        assert_eq!(client.run(line), Value::Array(vec![]), "{line}");
    }
    assert_eq!(scan(&mut client, "COUNT 100"), [""; 0]);
    assert_eq!(client.run("RANDOMKEY"), Value::NullBulk);
    // Copies of big keys are hidden, but counting them would mean to look at all keys.
    assert_eq!(client.run("DBSIZE"), Value::Integer(2));
    client.run("SET mine 1");
    for _ in 0..20 {
        assert_eq!(client.run("RANDOMKEY"), Value::bulk("mine"));
    }
    assert_eq!(scan(&mut client, ""), ["mine"]);
    assert_eq!(client.run("DBSIZE"), Value::Integer(3));
}

#[test]
fn what_a_group_kept_of_a_slot_that_is_another_s_is_not_shown() {
    let cluster = Cluster::start();
    let stray = cluster.key_on(1, "stray");
    cluster.backends[0].client().call(&["SET", &stray, "1"]);
    let mut client = cluster.client();
    assert_eq!(client.run("KEYS *"), Value::Array(vec![]));
    assert_eq!(scan(&mut client, ""), [""; 0]);
    assert_eq!(client.run("RANDOMKEY"), Value::NullBulk);
}

#[test]
fn flushing_leaves_the_keys_of_the_metadata_group_as_they_are() {
    for (command, database) in
        [("FLUSHALL", 0), ("FLUSHDB", 0), ("FLUSHALL ASYNC", 7), ("FLUSHALL SYNC", 0)]
    {
        let cluster = Cluster::start();
        reserve(&cluster);
        for backend in &cluster.backends {
            backend.client().run("PEXPIREAT __codis_order__ 99999999999999");
            backend.client().run("DEL {__codis_big__}:1:1");
        }
        let before: Vec<_> = cluster.backends.iter().map(|b| contents(&mut b.client())).collect();
        let mut client = cluster.client();
        fill(&mut client, 50);
        client.run("SELECT 7");
        fill(&mut client, 50);
        client.run(&format!("SELECT {database}"));
        assert_eq!(client.run(command), Value::ok(), "{command}");
        assert_eq!(client.run("DBSIZE"), Value::Integer(0));
        for (backend, before) in cluster.backends.iter().zip(before) {
            let after = contents(&mut backend.client());
            let values = |all: &BTreeSet<(String, Vec<u8>, i64)>| -> Vec<_> {
                all.iter().map(|(key, dump, ttl)| (key.clone(), dump.clone(), *ttl >= 0)).collect()
            };
            assert_eq!(values(&after), values(&before), "{command}");
            assert_eq!(after.len(), 3);
        }
        client.run("SELECT 7");
        let left = if command.starts_with("FLUSHALL") { 0 } else { 50 };
        assert_eq!(client.run("DBSIZE"), Value::Integer(left), "{command}");
    }
}

#[test]
fn flushing_works_on_a_server_that_is_out_of_memory() {
    let cluster = Cluster::start();
    reserve(&cluster);
    let mut client = cluster.client();
    fill(&mut client, 10);
    for backend in &cluster.backends {
        backend.client().run("CONFIG SET maxmemory 1");
    }
    assert!(client.run("SET more 1").error().is_some_and(|text| text.starts_with("OOM")));
    assert_eq!(client.run("FLUSHALL"), Value::ok());
    assert_eq!(client.run("DBSIZE"), Value::Integer(0));
    for backend in &cluster.backends {
        assert_eq!(backend.client().run("GET __codis_order__"), Value::bulk("12"));
    }
}

#[test]
fn a_script_that_was_loaded_runs_on_every_server_redis_too() {
    let mut pair = Pair::start();
    let name = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
    for line in [
        &format!("SCRIPT EXISTS {name} {name}"),
        "SCRIPT LOAD \"return 1\"",
        &format!("SCRIPT EXISTS {name} 0000000000000000000000000000000000000000"),
        "SCRIPT LOAD \"return (\"",
    ] {
        pair.same(line);
    }
    for i in 0..20 {
        pair.same(&format!("EVALSHA {name} 1 key:{i}"));
    }
    pair.same(&format!("EVALSHA {} 0", name.to_uppercase()));
    for line in ["SCRIPT FLUSH", &format!("SCRIPT EXISTS {name}"), &format!("EVALSHA {name} 1 a")] {
        pair.same(line);
    }
    // EVAL leaves the script behind as well.
    pair.same("EVAL \"return 1\" 1 a");
    for i in 0..20 {
        pair.same(&format!("EVALSHA {name} 1 key:{i}"));
    }
    pair.same(&format!("SCRIPT EXISTS {name}"));
}

#[test]
fn a_server_that_lost_its_scripts_is_given_them_again() {
    let mut cluster = Cluster::start();
    let key = cluster.key_on(1, "k");
    let mut client = cluster.client();
    let name = client.run("SCRIPT LOAD \"return redis.call('INCR', KEYS[1])\"").text();
    assert_eq!(client.call(&["EVALSHA", &name, "1", &key]), Value::Integer(1));
    cluster.backends[1].restart();
    // Once the connection is back.
    while client.call(&["GET", &key]).error().is_some() {}
    let mut bytes = Vec::new();
    for _ in 0..3 {
        bytes.extend(encode(&["EVALSHA", &name, "1", &key]));
        bytes.extend(encode(&["GET", &key]));
    }
    client.send(bytes);
    let replies: Vec<String> = (0..6)
        .map(|_| match client.read() {
            Value::Integer(number) => number.to_string(),
            other => other.text(),
        })
        .collect();
    assert_eq!(replies, ["1", "1", "2", "2", "3", "3"], "in order, each once");
}

#[test]
fn a_script_that_runs_for_ever_can_be_killed_through_the_proxy() {
    let cluster = Cluster::start();
    for backend in &cluster.backends {
        backend.client().run("CONFIG SET busy-reply-threshold 10");
    }
    let mut victim = cluster.client();
    let key = cluster.key_on(1, "k");
    victim.call(&["EVAL", "return 1", "1", &key]);
    victim.send(encode(&["EVAL", "while true do end", "1", &key]));
    let mut client = cluster.client();
    let mut killed = Value::NullBulk;
    while killed != Value::ok() {
        killed = client.run("SCRIPT KILL");
        let idle = killed.error().is_some_and(|text| text.starts_with("NOTBUSY"));
        assert!(idle || killed == Value::ok(), "{killed:?}");
    }
    assert!(victim.read().error().is_some_and(|text| text.contains("killed")));
}

#[test]
fn functions_are_on_every_server_redis_too() {
    let mut pair = Pair::start();
    let library =
        "#!lua name=lib\nredis.register_function('f', function(keys, args) return args[1] end)";
    pair.same_args(&["FUNCTION", "LOAD", library]);
    pair.same_args(&["FUNCTION", "LOAD", library]);
    for i in 0..20 {
        pair.same(&format!("FCALL f 1 key:{i} hello"));
    }
    for line in ["FCALL f 0 hello", "FUNCTION LIST", "FUNCTION STATS", "FUNCTION DUMP"] {
        pair.same(line);
    }
    let Value::Bulk(dump) = pair.tested.run("FUNCTION DUMP") else { panic!("no dump") };
    pair.same("FUNCTION DELETE lib");
    pair.same("FCALL f 1 key:1 hello");
    pair.same_args(&[&b"FUNCTION"[..], b"RESTORE", &dump]);
    for i in 0..20 {
        pair.same(&format!("FCALL f 1 key:{i} hello"));
    }
    for line in ["FUNCTION FLUSH", "FUNCTION LIST", "FCALL f 1 key:1 hello"] {
        pair.same(line);
    }
}

#[test]
fn a_server_that_is_down_is_named_by_what_would_ask_it() {
    let mut cluster = Cluster::start();
    let mut client = cluster.client();
    fill(&mut client, 20);
    let address = cluster.backends[1].address();
    cluster.backends[1].kill();
    for line in
        ["DBSIZE", "KEYS *", "RANDOMKEY", "FLUSHALL", "SCRIPT LOAD \"return 1\"", "FUNCTION FLUSH"]
    {
        // The first one may find the connection lost while it waits.
        let error = client.run(line).error().unwrap_or_else(|| panic!("{line} went well"));
        assert!(error.contains(&address), "{line}: {error}");
    }
    assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec()));
}

#[test]
fn servers_are_saved_and_looked_at_all_together_redis_too() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    let saved = client.run("LASTSAVE").integer();
    assert!(saved > 1_600_000_000, "{saved}");
    assert!(client.run("BGSAVE").text().starts_with("Background saving"));
    assert!(client.run("MEMORY DOCTOR").text().len() > 10);
    assert!(client.run("MEMORY MALLOC-STATS").text().len() > 10);
    assert_eq!(client.run("MEMORY PURGE"), Value::ok());
    assert_eq!(client.run("LATENCY RESET"), Value::Integer(0));
    assert_eq!(client.run("LATENCY LATEST"), Value::Array(vec![]));
    assert_eq!(client.run("LATENCY HISTORY command"), Value::Array(vec![]));
    assert!(client.run("LATENCY DOCTOR").text().len() > 10);
}

/// Makes a server follow another one, and waits until it does.
fn follow(replica: &Redis, master: &Redis) {
    let mut client = replica.client();
    let port = master.port().to_string();
    assert_eq!(client.call(&["REPLICAOF", "127.0.0.1", &port]), Value::ok());
    while !client.run("INFO replication").text().contains("master_link_status:up") {}
}

#[test]
fn waiting_for_replicas_counts_those_of_the_group_that_has_fewest() {
    let cluster = Cluster::start();
    let replicas = [Redis::start(), Redis::start()];
    follow(&replicas[0], &cluster.backends[0]);
    let mut client = cluster.client();
    fill(&mut client, 10);
    assert_eq!(client.run("WAIT 1 200"), Value::Integer(0), "the second group has none");
    follow(&replicas[1], &cluster.backends[1]);
    fill(&mut client, 10);
    assert_eq!(client.run("WAIT 1 0"), Value::Integer(1));
    for (replica, index) in replicas.iter().zip([0, 1]) {
        let count = replica.client().run("DBSIZE").integer();
        let master = cluster.backends[index].client().run("DBSIZE").integer();
        assert_eq!(count, master, "what was waited for is there");
    }
    assert_eq!(client.run("WAIT 2 100"), Value::Integer(1));
    assert_eq!(client.run("WAIT 0 100"), Value::Integer(1));
}

#[test]
fn a_wait_that_never_ends_holds_up_nobody() {
    let cluster = Cluster::start();
    let replicas = [Redis::start(), Redis::start()];
    follow(&replicas[0], &cluster.backends[0]);
    follow(&replicas[1], &cluster.backends[1]);
    let mut patient = cluster.client();
    patient.send(encode(&["WAIT", "7", "0"]));
    patient.send(encode(&["PING"]));
    let mut client = cluster.client();
    for i in 0..20 {
        client.call(&["SET", &format!("k{i}"), "v"]);
        assert_eq!(client.run("WAIT 1 60000"), Value::Integer(1));
    }
    assert!(!patient.something_comes_within(std::time::Duration::from_millis(1)));
    drop(patient);
    assert_eq!(client.run("WAIT 1 60000"), Value::Integer(1));
}

#[test]
fn wait_reads_its_arguments_as_redis_does_redis_too() {
    let mut pair = Pair::start();
    for line in [
        "WAIT",
        "WAIT 1",
        "WAIT x 1",
        "WAIT 1 x",
        "WAIT 1 -1",
        "WAIT 0 10",
        "WAIT 1 10",
        "WAIT -1 0",
    ] {
        pair.same(line);
    }
    pair.same_bytes(&encode(&["MULTI"]), 1);
    pair.same_bytes(&[encode(&["WAIT", "0", "1"]), encode(&["EXEC"])].concat(), 2);
}

#[test]
fn waitaof_says_that_the_servers_are_too_old() {
    let cluster = Cluster::start();
    let version = cluster.backends[0].client().run("INFO server").text();
    let error = cluster.client().run("WAITAOF 1 0 100").error().unwrap_or_default();
    let address = cluster.backends.iter().any(|backend| error.contains(&backend.address()));
    // A newer server says that it keeps no append-only file.
    assert!(address || !version.contains("redis_version:7.0"), "{error}");
    assert!(error.contains("WAITAOF"), "{error}");
}

#[test]
fn one_server_is_asked_by_its_address() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    let addresses: Vec<String> = cluster.backends.iter().map(Redis::address).collect();
    for (backend, address) in cluster.backends.iter().zip(&addresses) {
        let run_id = backend.client().run("INFO server").text();
        let run_id = run_id.lines().find(|line| line.starts_with("run_id:")).expect("a run id");
        for line in ["CODIS.SERVER A INFO server", "INFO A server", "INFO A"] {
            let info = client.run(&line.replace('A', address)).text();
            assert!(info.contains(run_id), "{line}: {info}");
        }
        assert_eq!(client.call(&["PING", address]), Value::Simple(b"PONG".to_vec()));
        let slots = client.call(&["SLOTSINFO", address]);
        assert_eq!(slots.items().len(), 512);
        assert!(slots.items().iter().all(|slot| slot.items()[2].text() == *address));
        assert_eq!(client.call(&["SLOTSINFO", address, "0", "1024"]), slots);
    }
    let refused = |client: &mut Client, words: &[&str]| {
        client.call(words).error().unwrap_or_else(|| panic!("{words:?} went well"))
    };
    let address = &*addresses[0];
    let admin = "set backend_admin_commands";
    for words in [["CONFIG", "GET", "*"], ["SLOWLOG", "GET", "1"], ["DEBUG", "SLEEP", "0"]] {
        let error = refused(&mut client, &[&["CODIS.SERVER", address], &words[..]].concat());
        assert!(error.contains(admin), "{words:?}: {error}");
    }
    for words in ["GET", "SUBSCRIBE", "MULTI", "SHUTDOWN", "QUIT", "NOPE", "MONITOR", "SELECT"] {
        let error = refused(&mut client, &["CODIS.SERVER", address, words, "x"]);
        assert!(!error.contains(admin), "{words}: {error}");
    }
    let error = refused(&mut client, &["CODIS.SERVER", "127.0.0.1:1", "PING"]);
    assert!(error.contains("no server of the topology has the address 127.0.0.1:1"), "{error}");
    assert_eq!(client.run("PING 127.0.0.1:1"), Value::bulk("127.0.0.1:1"), "as in Redis");
    let error = refused(&mut client, &["DEBUG", "SLEEP", "0"]);
    assert!(error.contains(admin), "{error}");
}

#[test]
fn what_administers_servers_can_be_allowed() {
    let cluster = Cluster::with(|options| options.set("backend_admin_commands = true"));
    let mut client = cluster.client();
    let address = cluster.backends[1].address();
    let key = cluster.key_on(1, "k");
    let set = ["CODIS.SERVER", &address, "CONFIG", "SET", "maxmemory", "123mb"];
    assert_eq!(client.call(&set), Value::ok());
    let value = |index: usize| {
        cluster.backends[index].client().run("CONFIG GET maxmemory").items()[1].text()
    };
    assert_eq!((value(0), value(1)), ("0".to_owned(), "128974848".to_owned()));
    client.call(&["SET", &key, "v"]);
    assert!(client.call(&["DEBUG", "OBJECT", &key]).text().starts_with("Value at:"));
    assert_eq!(client.run("DEBUG SLEEP 0"), Value::ok());
    assert_eq!(client.run("CONFIG SET backend_admin_commands no"), Value::ok());
    assert!(client.run("DEBUG SLEEP 0").error().is_some());
}

#[test]
fn replies_of_all_servers_are_in_the_protocol_of_the_session() {
    let cluster = Cluster::start();
    fill(&mut cluster.client(), 5);
    let mut socket = TcpStream::connect(cluster.address()).expect("the proxy listens");
    socket.set_read_timeout(Some(codis_testbed::PATIENCE)).expect("an open socket");
    let mut ask = |words: &[&str], end: &[u8]| {
        socket.write_all(&encode(words)).expect("the proxy takes it");
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            let mut byte = [0];
            socket.read_exact(&mut byte).expect("more comes");
            bytes.push(byte[0]);
        }
        String::from_utf8(bytes).expect("text")
    };
    ask(&["HELLO", "3"], b"modules\r\n*0\r\n");
    let stats = ask(&["FUNCTION", "STATS"], b"functions_count\r\n:0\r\n");
    let idle = "%2\r\n$14\r\nrunning_script\r\n_\r\n$7\r\nengines\r\n%1\r\n";
    assert!(stats.starts_with(idle), "{stats:?}");
    assert_eq!(ask(&["DBSIZE"], b"\r\n"), ":5\r\n");
    assert_eq!(ask(&["FLUSHALL"], b"\r\n"), "+OK\r\n");
    assert_eq!(ask(&["RANDOMKEY"], b"\r\n"), "_\r\n");
    let doctor = ask(&["MEMORY", "DOCTOR"], b"\n\r\n");
    assert!(doctor.starts_with('='), "a verbatim string: {doctor:?}");
}

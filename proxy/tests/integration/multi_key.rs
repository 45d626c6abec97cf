//! Commands with many keys: split over the servers where that is right, refused where it is not.

use crate::cluster::{Cluster, Pair};
use codis_testbed::{SlotRange, Value};

#[test]
fn split_commands_answer_as_one_server_would_redis_too() {
    let mut pair = Pair::start();
    for line in [
        "MSET a 1 b 2 c 3 d 4 e 5 f 6 g 7 h 8",
        "MGET a b c d e f g h",
        "MGET h none a none h a",
        "MSET dup 1 x 1 dup 2 y 1 dup 3",
        "GET dup",
        "RPUSH list x",
        "MGET a list b",
        "MSET list now-a-string other 1",
        "GET list",
        "EXISTS a b c none a",
        "TOUCH a b c none a",
        "DEL a a b none",
        "UNLINK c c d none",
        "EXISTS a b c d e f",
        "MSET",
        "MSET a",
        "MSET a 1 b",
        "MGET",
        "DEL",
        "EXISTS",
        "UNLINK",
        "TOUCH",
    ] {
        pair.same(line);
    }
}

#[test]
fn ten_thousand_keys_in_one_command_come_back_in_order_redis_too() {
    let mut pair = Pair::start();
    let keys: Vec<String> = (0..10_000).map(|i| format!("key:{i}")).collect();
    let pairs = keys.iter().flat_map(|key| [key.clone(), format!("value of {key}")]);
    let with = |name: &str, rest: &[String]| [&[name.to_owned()], rest].concat();
    pair.same_args(&with("MSET", &pairs.collect::<Vec<_>>()));
    pair.same_args(&with("MGET", &keys));
    pair.same_args(&with("EXISTS", &keys));
    pair.same_args(&with("DEL", &keys[..5000]));
    pair.same_args(&with("MGET", &keys));
    pair.same_args(&with("UNLINK", &keys));
}

#[test]
fn split_commands_in_a_pipeline_keep_their_places_redis_too() {
    let mut pair = Pair::start();
    let mut bytes = Vec::new();
    for i in 0..500 {
        let keys = [format!("a{i}"), format!("b{i}"), format!("c{i}")];
        let [a, b, c] = keys.each_ref().map(String::as_str);
        bytes.extend(codis_testbed::encode(&["MSET", a, "1", b, "2", c, "3"]));
        bytes.extend(codis_testbed::encode(&["GET", b]));
        bytes.extend(codis_testbed::encode(&["MGET", c, a, b]));
        bytes.extend(codis_testbed::encode(&["DEL", a, c]));
        bytes.extend(codis_testbed::encode(&["EXISTS", a, b, c]));
    }
    pair.same_bytes(&bytes, 2500);
}

#[test]
fn keys_of_different_slots_are_refused_where_one_server_must_see_them_all() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    let (a, b) = (cluster.key_on(0, "a"), cluster.key_on(1, "b"));
    let crossslot = Value::Error(codis_proxy::command::CROSSSLOT.into());
    for line in [
        "RENAME A B",
        "COPY A B",
        "SINTER A B",
        "SUNIONSTORE A A B",
        "LMOVE A B LEFT RIGHT",
        "ZUNION 2 A B",
        "PFMERGE A B",
        "BITOP AND A A B",
        "MSETNX A 1 B 2",
        "EVAL \"return 1\" 2 A B",
        "XREAD STREAMS A B 0 0",
        "GEOSEARCHSTORE A B FROMLONLAT 0 0 BYRADIUS 1 km",
    ] {
        let line = line.replace('A', "{a}").replace('B', "{b}");
        // The letters above stand in words, too: only whole words are keys.
        let words: Vec<String> = codis_testbed::split_words(&line)
            .into_iter()
            .map(|word| match word.as_str() {
                "{a}" => a.clone(),
                "{b}" => b.clone(),
                other => other.replace("{a}", "A").replace("{b}", "B"),
            })
            .collect();
        assert_eq!(client.call(&words), crossslot, "{words:?}");
    }
    // Two slots of the same server are two slots still.
    let c = cluster.key_on(0, "c");
    assert_eq!(client.call(&["RENAME", &a, &c]), crossslot);
    assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec()), "the session goes on");
}

#[test]
fn a_key_of_an_offline_slot_is_an_error_and_other_keys_work() {
    let cluster = Cluster::with(|mut options| {
        let first: SlotRange = options.slots[0].clone();
        options.slots = vec![first];
        options
    });
    let mut client = cluster.client();
    let (served, offline) = (cluster.key_on(0, "served"), cluster.key_on(1, "offline"));
    assert_eq!(client.call(&["SET", &served, "1"]), Value::ok());
    let is_error = |value: &Value| value.error().is_some();
    for args in [
        vec!["GET", &offline],
        vec!["SET", &offline, "1"],
        vec!["MGET", &served, &offline],
        vec!["DEL", &offline, &served],
        vec!["MSET", &offline, "1", &served, "2"],
    ] {
        let reply = client.call(&args);
        assert!(is_error(&reply), "{args:?}: {reply:?}");
    }
    let reply = client.call(&["EXISTS", &served]);
    assert!(matches!(reply, Value::Integer(_)), "{reply:?}");
}

#[test]
fn one_server_down_makes_a_split_command_one_error() {
    let mut cluster = Cluster::start();
    let (up, down) = (cluster.key_on(0, "up"), cluster.key_on(1, "down"));
    let mut client = cluster.client();
    assert_eq!(client.call(&["MSET", &up, "1", &down, "2"]), Value::ok());
    cluster.backends[1].kill();
    for _ in 0..20 {
        let reply = client.call(&["MGET", &up, &down, &up]);
        assert!(reply.error().is_some(), "{reply:?}");
        assert_eq!(
            client.call(&["MGET", &up, &up]),
            Value::Array(vec![Value::bulk("1"), Value::bulk("1")])
        );
    }
}

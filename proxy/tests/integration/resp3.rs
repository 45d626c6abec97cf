//! Sessions that speak RESP3: replies in its types, byte for byte as Redis gives them, and changes of protocol.

use crate::cluster::{Cluster, Pair};
use codis_testbed::{Value, encode, split_words};

/// Two connections that have said HELLO 3.
fn speaking() -> Pair {
    let mut pair = Pair::start();
    for client in [&mut pair.tested, &mut pair.reference] {
        assert!(matches!(client.run("HELLO 3"), Value::Map(_)));
    }
    pair
}

/// The value of a key of a map.
fn field(map: &Value, key: &str) -> Value {
    let Value::Map(items) = map else { panic!("expected a map, got {map:?}") };
    let pair = items.chunks(2).find(|pair| pair[0] == Value::bulk(key));
    pair.unwrap_or_else(|| panic!("no {key} in {map:?}"))[1].clone()
}

#[test]
fn hello_3_answers_a_map_with_the_fields_of_redis_redis_too() {
    let mut pair = Pair::start();
    let shown = |hello: &Value| {
        let Value::Map(items) = hello else { panic!("expected a map, got {hello:?}") };
        items.chunks(2).filter(|pair| pair[0] != Value::bulk("id")).flatten().cloned().collect()
    };
    let (ours, theirs) = (pair.tested.run("HELLO 3"), pair.reference.run("HELLO 3"));
    let (ours_shown, theirs_shown): (Vec<Value>, Vec<Value>) = (shown(&ours), shown(&theirs));
    assert_eq!(ours_shown.len(), theirs_shown.len());
    let but_version = |fields: Vec<Value>| -> Vec<Value> {
        fields
            .chunks(2)
            .filter(|pair| pair[0] != Value::bulk("version"))
            .flatten()
            .cloned()
            .collect()
    };
    assert_eq!(but_version(ours_shown), but_version(theirs_shown));
    assert_eq!(field(&ours, "proto"), Value::Integer(3));
    assert_eq!(field(&pair.tested.run("HELLO"), "proto"), Value::Integer(3));
    for line in ["HELLO 4", "HELLO 1", "HELLO three", "HELLO 3 SETNAME", "GET none"] {
        pair.same(line);
    }
}

#[test]
fn every_type_of_reply_comes_as_redis_gives_it_redis_too() {
    let mut pair = speaking();
    for line in [
        "GET none",
        "HSET h a 1",
        "HGETALL h",
        "HGETALL none",
        "HRANDFIELD h 1 WITHVALUES",
        "SADD s a",
        "SMEMBERS s",
        "SPOP none",
        "SPOP s 1",
        "ZADD z 1.5 a 2 b inf c",
        "ZSCORE z a",
        "ZSCORE z none",
        "ZMSCORE z a none c",
        "ZADD z INCR 0.1 a",
        "ZADD z NX INCR 1 a",
        "ZRANGE z 0 -1 WITHSCORES",
        "ZPOPMIN z",
        "ZPOPMIN z 1",
        "ZRANK z none",
        "GEOADD g 13.361389 38.115556 p",
        "GEOPOS g p none",
        "GEODIST g p p",
        "LPOP none",
        "LPOP none 2",
        "LPOS none a",
        "MGET a b c d e f g h",
        "MSET a 1 b 2 c 3 d 4",
        "MGET a none b c nothing d h",
        "XADD x 1-1 f v",
        "XRANGE x - +",
        "XREAD STREAMS x 0",
        "XREAD STREAMS x 5",
        "XINFO STREAM x",
        "EVAL \"return redis.setresp(3)\" 1 k",
        "EVAL \"redis.setresp(3); return {map={a=1}}\" 1 k",
        "EVAL \"return {double=3.25}\" 1 k",
        "EVAL \"return {big_number='123456789012345678901234567890'}\" 1 k",
        "EVAL \"return {verbatim_string={format='txt',string='a b'}}\" 1 k",
        "EVAL \"return true\" 1 k",
        "EVAL \"redis.setresp(3); return true\" 1 k",
        "EVAL \"return redis.error_reply('MY error')\" 1 k",
        "INCR h",
        "NOPE",
        "GET",
        "CLIENT GETNAME",
        "COMMAND INFO nosuch get",
        "COMMAND DOCS get",
        "COMMAND GETKEYSANDFLAGS SET a b",
        "CONFIG GET nosuch",
        "OBJECT HELP",
        "SET a 1 GET",
        "GETDEL a",
        "GETDEL a",
        "MULTI",
        "ZSCORE z none",
        "ZSCORE z b",
        "EXEC",
        "WATCH a",
        "MULTI",
        "DISCARD",
        "BLPOP none 0.01",
        "BZPOPMIN z 0.01",
    ] {
        pair.same(line);
    }
    for line in ["INFO", "CLIENT LIST", "CLIENT INFO"] {
        assert!(matches!(pair.tested.run(line), Value::Verbatim(_)), "{line}");
    }
    assert!(matches!(pair.tested.run("CONFIG GET maxmemory"), Value::Map(_)));
}

#[test]
fn a_change_of_protocol_in_a_pipeline_overtakes_nothing_redis_too() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    let lines = ["INCR {k}n", "HSET {k}h f v", "HGETALL {k}h", "GET {k}none"];
    let mut bytes = Vec::new();
    let mut expected = Vec::new();
    for round in 1..=200_i64 {
        let version = if round % 2 == 0 { "2" } else { "3" };
        bytes.extend(encode(&["HELLO", version]));
        lines.iter().for_each(|line| bytes.extend(encode(&split_words(line))));
        let (pair, null) = (vec![Value::bulk("f"), Value::bulk("v")], round % 2 == 0);
        expected.push([
            Value::Integer(round),
            Value::Integer(i64::from(round == 1)),
            if null { Value::Array(pair) } else { Value::Map(pair) },
            if null { Value::NullBulk } else { Value::Null },
        ]);
    }
    client.send(bytes);
    for (round, expected) in (1..).zip(expected) {
        let hello = client.read();
        assert_eq!(matches!(hello, Value::Map(_)), round % 2 == 1, "round {round}: {hello:?}");
        for value in expected {
            assert_eq!(client.read(), value, "round {round}");
        }
    }
}

#[test]
fn reset_and_hello_2_lead_back_to_resp2_redis_too() {
    let mut pair = speaking();
    pair.same("GET none");
    pair.same("RESET");
    pair.same("GET none");
    for client in [&mut pair.tested, &mut pair.reference] {
        assert!(matches!(client.run("HELLO 3"), Value::Map(_)));
        assert!(matches!(client.run("HELLO 2"), Value::Array(_)));
    }
    assert_eq!(pair.same("GET none"), Value::NullBulk);
}

#[test]
fn each_protocol_has_connections_of_its_own_made_when_they_are_needed() {
    let cluster = Cluster::start();
    let resp3 = |cluster: &Cluster| {
        let list = cluster.backends[0].client().run("CLIENT LIST").text();
        list.lines()
            .filter(|line| line.contains("name=codis-proxy") && line.contains("resp=3"))
            .count()
    };
    let key = cluster.key_on(0, "k");
    let mut client = cluster.client();
    assert_eq!(client.run(&format!("SET {key} 1")), Value::ok());
    assert_eq!(resp3(&cluster), 0);
    client.run("HELLO 3");
    assert_eq!(client.run(&format!("GET {key}")), Value::bulk("1"));
    assert_eq!(resp3(&cluster), 1);
    let mut other = cluster.client();
    other.run("HELLO 3");
    assert_eq!(other.run(&format!("GET {key}")), Value::bulk("1"));
    assert_eq!(resp3(&cluster), 1, "sessions share them");
    other.run("SELECT 3");
    assert_eq!(other.run(&format!("GET {key}")), Value::Null);
    assert_eq!(resp3(&cluster), 2);
}

#[test]
fn large_replies_stream_through_in_resp3_redis_too() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    client.run("HELLO 3");
    let (name, value) = ("f".repeat(100), "v".repeat(10_000));
    for number in 0..300 {
        client.send(encode(&["HSET", "big", &format!("{name}{number}"), &value]));
    }
    (0..300).for_each(|_| assert_eq!(client.read(), Value::Integer(1)));
    for _ in 0..3 {
        client.send([encode(&["HGETALL", "big"]), encode(&["ECHO", "after"])].concat());
        let Value::Map(items) = client.read() else { panic!("a map is due") };
        assert_eq!(items.len(), 600);
        assert!(items.chunks(2).all(|pair| pair[1] == Value::bulk(&value)));
        assert_eq!(client.read(), Value::bulk("after"));
    }
}

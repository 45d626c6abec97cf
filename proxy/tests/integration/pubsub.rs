//! Publish and subscribe over two groups and two shards.

use crate::cluster::{Cluster, Pair};
use codis_testbed::{Client, Redis, RedisOptions, Value, eventually};
use std::time::Duration;

/// Two servers, two shards.
fn cluster() -> Cluster {
    Cluster::with(|options| options.shards(2))
}

fn words(words: &[&str]) -> Value {
    Value::Array(words.iter().map(Value::bulk).collect())
}

fn confirmation(word: &str, name: &str, count: i64) -> Value {
    Value::Array(vec![Value::bulk(word), Value::bulk(name), Value::Integer(count)])
}

/// Subscribes, and reads one confirmation for each name.
fn subscribe(client: &mut Client, command: &str, names: &[&str]) {
    client.send(codis_testbed::encode(&[&[command], names].concat()));
    for (count, name) in (1..).zip(names) {
        assert_eq!(client.read(), confirmation(&command.to_lowercase(), name, count));
    }
}

/// How many connections a server has that are subscribed to this channel.
fn counted(redis: &Redis, channel: &str) -> i64 {
    redis.client().call(&["PUBSUB", "NUMSUB", channel]).items()[1].integer()
}

#[test]
fn a_message_reaches_the_subscribers_of_its_channel_on_every_group_and_shard() {
    let cluster = cluster();
    let channels = [cluster.key_on(0, "news"), cluster.key_on(1, "news")];
    let channels = [&channels[0][..], &channels[1]];
    let mut clients: Vec<Client> = (0..8).map(|_| cluster.client()).collect();
    for client in &mut clients {
        subscribe(client, "SUBSCRIBE", &channels);
    }
    let mut publisher = cluster.client();
    for channel in channels {
        publisher.call(&["PUBLISH", channel, "hello"]);
        for client in &mut clients {
            assert_eq!(client.read(), words(&["message", channel, "hello"]));
        }
    }
}

#[test]
fn a_pattern_hears_each_message_once_whichever_group_has_the_channel() {
    let cluster = cluster();
    let mut client = cluster.client();
    let channel = cluster.key_on(1, "news");
    subscribe(&mut client, "PSUBSCRIBE", &["news*", "n*"]);
    client.send(codis_testbed::encode(&["SUBSCRIBE", &channel]));
    assert_eq!(client.read(), confirmation("subscribe", &channel, 3));
    let mut publisher = cluster.client();
    for index in 0..2 {
        let channel = cluster.key_on(index, "news");
        for number in 0..3 {
            publisher.call(&["PUBLISH", &channel, &number.to_string()]);
        }
    }
    let mut got: Vec<String> = (0..15).map(|_| format!("{:?}", client.read())).collect();
    got.sort_unstable();
    let mut expected = Vec::new();
    for index in 0..2 {
        let channel = cluster.key_on(index, "news");
        for number in 0..3 {
            let number = number.to_string();
            for pattern in ["news*", "n*"] {
                expected.push(format!("{:?}", words(&["pmessage", pattern, &channel, &number])));
            }
            if index == 1 {
                expected.push(format!("{:?}", words(&["message", &channel, &number])));
            }
        }
    }
    expected.sort_unstable();
    assert_eq!(got, expected);
    assert!(!client.something_comes_within(Duration::from_millis(50)));
}

#[test]
fn shard_channels_have_names_of_their_own() {
    let cluster = cluster();
    let mut client = cluster.client();
    subscribe(&mut client, "SSUBSCRIBE", &["a", "b"]);
    let mut publisher = cluster.client();
    publisher.call(&["PUBLISH", "a", "not for shard channels"]);
    assert_eq!(publisher.call(&["SPUBLISH", "a", "one"]), Value::Integer(1));
    assert_eq!(client.read(), words(&["smessage", "a", "one"]));
}

#[test]
fn hundreds_of_subscribers_of_a_channel_cost_a_server_one_subscription_a_shard() {
    let cluster = cluster();
    let mut clients: Vec<Client> = (0..500).map(|_| cluster.client()).collect();
    for client in &mut clients {
        subscribe(client, "SUBSCRIBE", &["crowd"]);
    }
    let total: i64 = cluster.backends.iter().map(|redis| counted(redis, "crowd")).sum();
    assert_eq!(total, 2);
    assert_eq!(cluster.client().call(&["PUBLISH", "crowd", "hello"]), Value::Integer(2));
    for client in &mut clients {
        assert_eq!(client.read(), words(&["message", "crowd", "hello"]));
    }
    drop(clients);
    eventually("the servers are told that nobody is left", || {
        cluster.backends.iter().all(|redis| counted(redis, "crowd") == 0)
    });
}

#[test]
fn a_session_that_is_subscribed_answers_as_redis_does_redis_too() {
    let mut pair = Pair::start();
    for (line, replies) in [
        ("UNSUBSCRIBE", 1),
        ("UNSUBSCRIBE x y", 2),
        ("PUNSUBSCRIBE", 1),
        ("SUNSUBSCRIBE", 1),
        ("SUNSUBSCRIBE a", 1),
        ("SUBSCRIBE", 1),
        ("SUBSCRIBE a a", 2),
        ("PING", 1),
        ("PING hi", 1),
        ("PING a b", 1),
        ("GET x", 1),
        ("GET", 1),
        ("NOPE", 1),
        ("SELECT 1", 1),
        ("CLIENT LIST", 1),
        ("MULTI", 1),
        ("PUBLISH a b", 1),
        ("PSUBSCRIBE b* a* b*", 3),
        ("SSUBSCRIBE s", 1),
        ("SUBSCRIBE b", 1),
        ("UNSUBSCRIBE c a", 2),
        ("PUNSUBSCRIBE", 2),
        ("UNSUBSCRIBE", 1),
        ("PING", 1),
        ("GET x", 1),
        ("SUNSUBSCRIBE s", 1),
        ("PING", 1),
        ("GET x", 1),
        ("SUBSCRIBE a", 1),
        ("RESET", 1),
        ("GET x", 1),
        ("PSUBSCRIBE a", 1),
        ("QUIT", 1),
    ] {
        pair.same_bytes(format!("{line}\r\n").as_bytes(), replies);
    }
}

#[test]
fn a_pipeline_around_subscriptions_is_answered_in_its_order_redis_too() {
    let mut pair = Pair::start();
    pair.same_bytes(
        b"SET {a}k v\r\nGET {a}k\r\nSUBSCRIBE a b\r\nPING x\r\nUNSUBSCRIBE a b\r\nGET {a}k\r\n",
        8,
    );
}

#[test]
fn confirmations_and_messages_come_though_replies_are_off() {
    let cluster = cluster();
    let mut client = cluster.client();
    client.send("CLIENT REPLY OFF\r\nGET x\r\nSUBSCRIBE news\r\n");
    assert_eq!(client.read(), confirmation("subscribe", "news", 1));
    cluster.client().call(&["PUBLISH", "news", "hello"]);
    assert_eq!(client.read(), words(&["message", "news", "hello"]));
}

#[test]
fn events_of_keys_come_from_every_master_and_codis_own_keys_are_not_told() {
    let notifying = || {
        let args = ["--notify-keyspace-events", "KEA"].map(str::to_owned).to_vec();
        Redis::start_with(RedisOptions { args, ..RedisOptions::default() })
    };
    let cluster = Cluster::over(vec![notifying(), notifying()], |options| options.shards(2));
    let mut client = cluster.client();
    subscribe(&mut client, "SUBSCRIBE", &["__keyevent@0__:set"]);
    let mut by_key = cluster.client();
    subscribe(&mut by_key, "PSUBSCRIBE", &["__keyspace@0__:*"]);
    let mut writer = cluster.client();
    for index in 0..2 {
        let backend = &cluster.backends[index];
        assert_eq!(backend.client().call(&["SET", "__codis_order__", "1"]), Value::ok());
        let key = cluster.key_on(index, "key");
        assert_eq!(writer.call(&["SET", &key, "v"]), Value::ok());
        assert_eq!(client.read(), words(&["message", "__keyevent@0__:set", &key]));
        let channel = format!("__keyspace@0__:{key}");
        assert_eq!(by_key.read(), words(&["pmessage", "__keyspace@0__:*", &channel, "set"]));
    }
}

#[test]
fn a_server_that_comes_back_is_subscribed_again_without_the_clients_doing() {
    let mut cluster = cluster();
    let channel = cluster.key_on(0, "news");
    let mut client = cluster.client();
    subscribe(&mut client, "SUBSCRIBE", &[&channel]);
    let mut by_pattern = cluster.client();
    subscribe(&mut by_pattern, "PSUBSCRIBE", &["news*"]);
    cluster.backends[0].restart();
    eventually("both shards are subscribed again", || {
        let redis = &cluster.backends[0];
        counted(redis, &channel) == 1 && redis.client().run("PUBSUB NUMPAT").integer() == 1
    });
    let mut publisher = cluster.client();
    eventually("the proxy is connected again", || {
        publisher.call(&["PUBLISH", &channel, "hello"]) == Value::Integer(2)
    });
    assert_eq!(client.read(), words(&["message", &channel, "hello"]));
    assert_eq!(by_pattern.read(), words(&["pmessage", "news*", &channel, "hello"]));
}

#[test]
fn subscribing_to_a_channel_of_a_server_that_is_down_is_an_error_and_to_a_pattern_is_not() {
    let mut cluster = cluster();
    let (here, there) = (cluster.key_on(0, "news"), cluster.key_on(1, "news"));
    let mut client = cluster.client();
    subscribe(&mut client, "SUBSCRIBE", &[&here, &there]);
    client.run("UNSUBSCRIBE");
    client.read();
    cluster.backends[0].kill();
    eventually("the proxy knows that the server is down", || {
        client.send(codis_testbed::encode(&["SUBSCRIBE", &here]));
        let reply = client.read();
        match reply.error() {
            Some(text) => text.contains("is down"),
            None => {
                client.run("UNSUBSCRIBE");
                false
            }
        }
    });
    assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec()));
    subscribe(&mut client, "PSUBSCRIBE", &["news*"]);
    cluster.client().call(&["PUBLISH", &there, "hello"]);
    assert_eq!(client.read(), words(&["pmessage", "news*", &there, "hello"]));
}

#[test]
fn a_subscriber_that_does_not_read_is_cut_and_the_others_hear_on() {
    let cluster = Cluster::with(|options| {
        options.shards(2).set("session_output_hard = \"4mb\"").set("session_output_soft = \"1mb\"")
    });
    let mut slow = cluster.client();
    subscribe(&mut slow, "SUBSCRIBE", &["news"]);
    let mut quick = cluster.client();
    subscribe(&mut quick, "SUBSCRIBE", &["news"]);
    let mut publisher = cluster.client();
    let large = "x".repeat(256 << 10);
    let cut = |publisher: &mut Client| {
        publisher.run("INFO proxy").text().contains("sessions_cut_output_limit:1")
    };
    let mut sent = 0;
    while !cut(&mut publisher) {
        publisher.call(&["PUBLISH", "news", &large]);
        assert_eq!(quick.read(), words(&["message", "news", &large]));
        sent += 1;
        assert!(sent < 1000, "a subscriber that does not read is not cut");
    }
    assert_eq!(publisher.call(&["PUBLISH", "news", "small"]).integer().min(1), 1);
    assert_eq!(quick.read(), words(&["message", "news", "small"]));
}

#[test]
fn a_subscriber_may_be_silent_for_longer_than_other_sessions() {
    let cluster = Cluster::with(|options| options.set("session_recv_timeout = \"500ms\""));
    let mut client = cluster.client();
    subscribe(&mut client, "SUBSCRIBE", &["news"]);
    assert!(cluster.client().is_closed());
    assert!(cluster.client().is_closed());
    cluster.client().call(&["PUBLISH", "news", "hello"]);
    assert_eq!(client.read(), words(&["message", "news", "hello"]));
}

#[test]
fn client_list_and_kill_tell_subscribers_from_others() {
    let cluster = cluster();
    let mut client = cluster.client();
    subscribe(&mut client, "SUBSCRIBE", &["a", "b"]);
    let mut other = cluster.client();
    let list = other.run("CLIENT LIST TYPE pubsub").text();
    assert_eq!(list.lines().count(), 1, "{list}");
    assert!(list.contains(" flags=P ") && list.contains(" sub=2 psub=0 ssub=0 "), "{list}");
    assert!(!other.run("CLIENT LIST TYPE normal").text().contains(" flags=P "));
    assert!(other.run("INFO stats").text().contains("pubsub_channels:2\r\n"));
    assert_eq!(other.run("CLIENT KILL TYPE pubsub"), Value::Integer(1));
    assert!(client.is_closed());
    assert_eq!(other.run("PING"), Value::Simple(b"PONG".to_vec()));
}

#[test]
fn a_resp3_session_runs_everything_while_it_is_subscribed_redis_too() {
    let mut pair = Pair::start();
    pair.same("SET {a}k v");
    for client in [&mut pair.tested, &mut pair.reference] {
        client.run("HELLO 3");
    }
    for (line, replies) in [
        ("SUBSCRIBE a a", 2),
        ("PING", 1),
        ("PING x", 1),
        ("GET {a}k", 1),
        ("PSUBSCRIBE b*", 1),
        ("SSUBSCRIBE a", 1),
        ("UNSUBSCRIBE", 1),
        ("UNSUBSCRIBE", 1),
        ("PUNSUBSCRIBE nobody", 1),
        ("PUNSUBSCRIBE", 1),
        ("SUNSUBSCRIBE", 1),
        ("SUNSUBSCRIBE", 1),
        ("SUBSCRIBE a", 1),
        ("HELLO", 1),
        ("RESET", 1),
        ("GET {a}k", 1),
    ] {
        if line == "HELLO" {
            // The ids differ.
            pair.tested.run(line);
            pair.reference.run(line);
        } else {
            pair.same_bytes(format!("{line}\r\n").as_bytes(), replies);
        }
    }
}

#[test]
fn messages_are_pushes_in_resp3_and_subscribing_is_possible_in_a_transaction_redis_too() {
    let mut pair = Pair::start();
    for client in [&mut pair.tested, &mut pair.reference] {
        client.run("HELLO 3");
    }
    let publish = |pair: &mut Pair, channel: &str| {
        let (mut tested, mut reference) = pair.others();
        for client in [&mut tested, &mut reference] {
            client.call(&["PUBLISH", channel, "hello"]);
        }
    };
    pair.same_bytes(b"SUBSCRIBE a\r\nPSUBSCRIBE a*\r\n", 2);
    publish(&mut pair, "a");
    pair.same_bytes(b"", 2);
    pair.same_bytes(b"RESET\r\n", 1);
    pair.same_bytes(b"MULTI\r\nSET {a} v\r\nSUBSCRIBE a\r\nPING\r\nEXEC\r\nPING\r\n", 6);
    publish(&mut pair, "a");
    pair.same_bytes(b"", 1);
}

#[test]
fn pubsub_tells_what_is_subscribed_over_all_groups() {
    let cluster = cluster();
    let (here, there) = (cluster.key_on(0, "news"), cluster.key_on(1, "news"));
    let mut clients: Vec<Client> = (0..4).map(|_| cluster.client()).collect();
    for client in &mut clients {
        subscribe(client, "SUBSCRIBE", &[&here, &there]);
        client.send(codis_testbed::encode(&["PSUBSCRIBE", "n*", "*"]));
        client.send(codis_testbed::encode(&["SSUBSCRIBE", &there]));
        (0..3).for_each(|_| drop(client.read()));
    }
    let mut other = cluster.client();
    let channels = Value::Array(vec![Value::bulk(&here), Value::bulk(&there)]).sorted();
    assert_eq!(other.run("PUBSUB CHANNELS").sorted(), channels);
    assert_eq!(other.run("PUBSUB CHANNELS nothing*"), Value::Array(vec![]));
    assert_eq!(other.run("PUBSUB NUMPAT"), Value::Integer(2));
    let shards = Value::Integer(2);
    let counts = [Value::bulk(&here), shards.clone(), Value::bulk("none"), Value::Integer(0)];
    let counts = Value::Array(counts.to_vec());
    assert_eq!(other.call(&["PUBSUB", "NUMSUB", &here, "none"]), counts);
    assert_eq!(other.run("PUBSUB SHARDCHANNELS"), Value::Array(vec![Value::bulk(&there)]));
    let counts = Value::Array(vec![Value::bulk(&there), shards]);
    assert_eq!(other.call(&["PUBSUB", "SHARDNUMSUB", &there]), counts);
}

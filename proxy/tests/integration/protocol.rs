//! What is and what is not the protocol: the same words as Redis for the same bytes, however they are cut.

use crate::cluster::{Cluster, Pair};
use codis_testbed::{Client, ProxyOptions, Redis, Relay, Value, encode, eventually};
use std::path::Path;

/// Sends the same bytes to both on fresh connections and compares everything that comes back until
/// each closes.
fn ends_as_redis(cluster: &Cluster, redis: &Redis, bytes: &[u8]) {
    let everything = |mut client: Client| {
        // An error means that the peer has closed before it read all of it, as it may.
        let _ = client.try_send(bytes);
        String::from_utf8_lossy(&client.read_to_end()).into_owned()
    };
    let ours = everything(cluster.client());
    let theirs = everything(Client::connect(redis.address()));
    let sent = String::from_utf8_lossy(&bytes[..bytes.len().min(100)]);
    assert_eq!(
        ours,
        theirs,
        "{} bytes sent, {sent:?}: left is the proxy, right is Redis",
        bytes.len()
    );
    assert!(
        theirs.contains("Protocol error"),
        "Redis itself finds no error in {sent:?}: {theirs:?}"
    );
}

#[test]
fn broken_requests_get_the_words_of_redis_and_are_cut_off_redis_too() {
    let (cluster, redis) = (Cluster::start(), Redis::start());
    let broken: &[&[u8]] = &[
        b"*abc\r\n",
        b"*\r\n",
        b"*1x\r\n",
        b"* 1\r\n",
        b"*+1\r\n",
        b"*01\r\n",
        b"*2147483648\r\n",
        b"*99999999999999999999\r\n",
        b"*1\r\n$abc\r\n",
        b"*1\r\n$\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$536870913\r\n",
        b"*1\r\n$99999999999999999999\r\n",
        b"*1\r\n:1\r\n",
        b"*1\r\n\r\n",
        b"*1\r\n\xff\r\n",
        b"*2\r\n$3\r\nGET\r\nfoo\r\n",
        b"*2\r\n$3\r\nGET\r\n*1\r\n",
        b"SET \"a\r\n",
        b"SET 'a\r\n",
        b"SET \"a\"b c\r\n",
        b"SET 'a'b c\r\n",
        b"PING\r\n*abc\r\nPING\r\n",
    ];
    for bytes in broken {
        ends_as_redis(&cluster, &redis, bytes);
    }
}

#[test]
fn headers_without_an_end_are_cut_off_at_64_kb_redis_too() {
    let (cluster, redis) = (Cluster::start(), Redis::start());
    let digits = vec![b'1'; 100_000];
    ends_as_redis(&cluster, &redis, &[b"*", &digits[..]].concat());
    ends_as_redis(&cluster, &redis, &[b"*1\r\n$", &digits[..]].concat());
    ends_as_redis(&cluster, &redis, &digits);
}

#[test]
fn before_auth_the_limits_are_lower_as_in_redis() {
    let cluster = Cluster::with(|options| options.set("session_auth = \"sesame\""));
    let redis = Redis::start_with_password("sesame");
    ends_as_redis(&cluster, &redis, b"*11\r\n");
    ends_as_redis(&cluster, &redis, b"*1\r\n$16385\r\n");
    let mut pair = Pair::of(cluster, redis);
    assert_eq!(pair.tested.run("AUTH sesame"), Value::ok());
    let many: Vec<String> = (0..40).map(|i| format!("k{i}")).collect();
    pair.same_args(&[vec!["DEL".to_owned()], many].concat());
    pair.same_args(&["SET", "big", &"x".repeat(20_000)]);
}

#[test]
fn what_redis_lets_pass_passes_redis_too() {
    let mut pair = Pair::start();
    pair.same_bytes(b"*0\r\n*-1\r\n*-5\r\n\r\n\n   \r\nPING\r\n", 1);
    // Redis skips the two bytes after an argument unseen.
    pair.same_bytes(b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n", 2);
    pair.same_bytes(b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", 1);
}

#[test]
fn inline_requests_are_read_with_quotes_and_escapes_redis_too() {
    let mut pair = Pair::start();
    let lines: &[&[u8]] = &[
        b"PING\n",
        b"  PING \t \r\n",
        b"SET plain value\r\n",
        b"GET plain\r\n",
        br#"SET "two words" "\x41\x0a\n\r\t\a\b\\\"q""#,
        br#"GET "two words""#,
        br"SET 'single quotes' 'it\'s \x41 \n'",
        br"GET 'single quotes'",
        br#"SET "" """#,
        br#"GET """#,
        br#"ECHO "\xzz""#,
        br#"APPEND ab"c d" e"#,
        b"get\tplain\r\n",
        b"INCR plain\r\n",
        b"LPUSH {t}l a b c\r\n",
        b"LRANGE {t}l 0 -1\r\n",
    ];
    for line in lines {
        let ended =
            if line.ends_with(b"\n") { line.to_vec() } else { [line, &b"\r\n"[..]].concat() };
        pair.same_bytes(&ended, 1);
    }
}

/// Some of everything, in one stream, with the number of replies to it.
fn mixed_stream() -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    bytes.extend(encode(&["SET", "a", "1\r\n$5"]));
    bytes.extend(b"GET a\r\n");
    bytes.extend(encode(&["MGET", "a", "b", "c", "a"]));
    bytes.extend(b"\r\nECHO 'x y'\n");
    bytes.extend(encode(&["GET"]));
    bytes.extend(encode(&["DEL", "a", "b", "c"]));
    bytes.extend(encode(&["EVAL", "return {1,{2,'x'}}", "1", "k"]));
    bytes.extend(encode(&["PING"]));
    (bytes, 8)
}

#[test]
fn a_cut_at_any_byte_changes_no_reply_redis_too() {
    let mut pair = Pair::start();
    let (bytes, replies) = mixed_stream();
    pair.reference.send(&bytes);
    let expected: Vec<Value> = (0..replies).map(|_| pair.reference.read()).collect();
    let cluster = Cluster::start();
    let (mut client, mut other) = (cluster.client(), cluster.client());
    for cut in 1..bytes.len() {
        client.send(&bytes[..cut]);
        // When this is answered, the first part has been read.
        assert_eq!(other.run("PING"), Value::Simple(b"PONG".to_vec()));
        client.send(&bytes[cut..]);
        let got: Vec<Value> = (0..replies).map(|_| client.read()).collect();
        assert_eq!(got, expected, "cut after byte {cut}");
    }
}

#[test]
fn a_stream_that_comes_byte_by_byte_gets_the_same_replies_redis_too() {
    let mut pair = Pair::start();
    let (bytes, replies) = mixed_stream();
    pair.reference.send(&bytes);
    let cluster = Cluster::start();
    let mut other = cluster.client();
    for byte in &bytes {
        pair.tested.send([*byte]);
        assert_eq!(other.run("PING"), Value::Simple(b"PONG".to_vec()));
    }
    for i in 0..replies {
        assert_eq!(pair.tested.read(), pair.reference.read(), "reply {i}");
    }
}

/// A proxy with one server, reached through a relay.
fn behind_a_relay() -> (Cluster, Relay) {
    let backend = Redis::start();
    let relay = Relay::to(&backend.address());
    let through = relay.address();
    let cluster = Cluster::over(vec![backend], |options| {
        let fresh = ProxyOptions::over(Path::new(crate::cluster::BINARY), &[through]);
        ProxyOptions { slots: fresh.slots, ..options }
    });
    (cluster, relay)
}

#[test]
fn replies_that_come_byte_by_byte_from_the_server_are_put_together() {
    let (cluster, relay) = behind_a_relay();
    relay.set_piece(1);
    let mut pair = Pair::of(cluster, Redis::start());
    let (bytes, replies) = mixed_stream();
    pair.same_bytes(&bytes, replies);
    pair.same("RPUSH l a b c \"\" d");
    pair.same("LRANGE l 0 -1");
}

#[test]
fn a_server_lost_in_the_middle_of_a_reply_gives_an_error_and_never_garbage() {
    let (cluster, relay) = behind_a_relay();
    let list = Value::Array(["one", "", "three"].map(Value::bulk).to_vec());
    assert_eq!(cluster.client().run("RPUSH l one \"\" three"), Value::Integer(3));
    let reply_bytes = "*3\r\n$3\r\none\r\n$0\r\n\r\n$5\r\nthree\r\n".len() as u64;
    for cut in 0..reply_bytes {
        let mut client = cluster.client();
        eventually("the proxy connects again", || client.run("LRANGE l 0 -1") == list);
        relay.cut_after_reply_bytes(cut);
        client.send(encode(&["LRANGE", "l", "0", "-1"]));
        // A reply whose head was passed on already can only end with the session.
        if let Ok(reply) = client.try_read() {
            assert!(
                reply.error().is_some(),
                "cut after {cut} bytes, and yet there is a reply: {reply:?}"
            );
        }
    }
}

#[test]
fn garbage_closes_its_own_session_and_no_other() {
    let cluster = Cluster::start();
    let mut well_behaved = cluster.client();
    // A generator of its own: the same bytes in every run.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..200 {
        let mut garbage: Vec<u8> = (0..500).map(|_| (random() >> 32) as u8).collect();
        let head: &[u8] = [&b"*3\r\n$"[..], b"*1\r\n$4\r\n", b"GET ", b""][round % 4];
        garbage.splice(0..0, head.iter().copied());
        let mut client = cluster.client();
        // Whatever comes back, the proxy stays.
        let _ = client.try_send(&garbage);
        client.finish_sending();
        client.read_to_end();
        assert_eq!(well_behaved.run("INCR rounds"), Value::Integer(round as i64 + 1));
    }
}

#[test]
fn an_error_reaches_a_client_that_has_much_more_to_say_behind_it() {
    let cluster = Cluster::start();
    for _ in 0..5 {
        let mut client = cluster.client();
        // A client that writes all that it has before it reads: a reset would fail the write, and
        // could take the reply with it.
        client.send(b"*abc\r\n".repeat(1_000_000));
        client.finish_sending();
        let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        assert_eq!(reply, "-ERR Protocol error: invalid multibulk length\r\n");
    }
}

#[test]
fn a_client_that_never_closes_after_its_last_reply_is_closed() {
    let mut cluster = Cluster::start();
    let mut client = cluster.client();
    assert_eq!(client.run("QUIT"), Value::ok());
    let mut other = cluster.client();
    eventually("the session is gone", || {
        let metrics = cluster.proxy().admin("/metrics").body;
        codis_testbed::metric_sum(&metrics, "codis_sessions_alive") < 1.5
    });
    assert_eq!(other.run("PING"), Value::Simple(b"PONG".to_vec()));
    assert!(client.is_closed());
}

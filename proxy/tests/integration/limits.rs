//! Much of everything, and clients that misbehave.

use crate::cluster::Cluster;
use codis_testbed::{Client, Value, encode, eventually, need_open_files};
use std::io::Write;
use std::thread;

const MB: u64 = 1 << 20;

#[test]
fn ten_thousand_connections_work_at_once_redis_too() {
    const COUNT: usize = 10_000;
    need_open_files(COUNT as u64 + 1000);
    let cluster = Cluster::with(|options| options.set("proxy_max_clients = 11000"));
    let mut clients: Vec<Client> = (0..COUNT)
        .map(|i| {
            Client::try_connect_small(cluster.address())
                .unwrap_or_else(|error| panic!("connection {i} of {COUNT}: {error}"))
        })
        .collect();
    for round in 0..2 {
        for (i, client) in clients.iter_mut().enumerate() {
            client.send(encode(&["SET", &format!("key:{i}"), &format!("{round}:{i}")]));
            client.send(encode(&["GET", &format!("key:{i}")]));
        }
        for (i, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.read(), Value::ok(), "connection {i}");
            assert_eq!(client.read(), Value::bulk(format!("{round}:{i}")), "connection {i}");
        }
    }
}

#[test]
fn a_client_beyond_the_limit_is_told_so_and_closed() {
    let cluster = Cluster::with(|options| options.set("proxy_max_clients = 5"));
    // The connection that found the proxy ready may not have been seen to close yet.
    eventually("all places are free", || {
        let clients: Vec<Client> = (0..5).map(|_| cluster.client()).collect();
        clients.into_iter().all(|mut client| client.run("PING").error().is_none())
    });
    let mut clients: Vec<Client> = Vec::new();
    eventually("five clients are in", || {
        let mut client = cluster.client();
        if client.run("PING").error().is_none() {
            clients.push(client);
        }
        clients.len() == 5
    });
    assert_eq!(cluster.client().read_to_end(), b"-ERR max number of clients reached\r\n");
    drop(clients.pop());
    eventually("a place is free again", || {
        let mut client = cluster.client();
        client.try_send("PING\r\n").is_ok()
            && client.try_read().is_ok_and(|reply| reply.error().is_none())
    });
}

#[test]
fn values_of_100_mb_pass_both_ways_redis_too() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    let pattern: Vec<u8> = (0..=255).collect();
    let value = pattern.repeat(100 * MB as usize / 256);
    assert_eq!(client.call(&[b"SET", &b"big"[..], &value]), Value::ok());
    assert_eq!(client.run("STRLEN big"), Value::Integer(100 * MB as i64));
    let reply = client.run("GET big");
    assert!(reply == Value::Bulk(value), "the value came back changed: {reply:?}");
    drop((client, reply));
    let mut other = cluster.client();
    assert_eq!(other.run("DEL big"), Value::Integer(1));
    let rss = cluster.process().resident_bytes();
    println!("resident after 100 MB both ways: {} MB", rss / MB);
}

#[test]
fn a_request_of_a_million_arguments_is_answered_redis_too() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    let mut args = vec!["RPUSH".to_owned(), "list".to_owned()];
    args.extend((0..1_000_000).map(|i| i.to_string()));
    assert_eq!(client.call(&args), Value::Integer(1_000_000));
    let list = client.run("LRANGE list 0 -1");
    assert_eq!(list.items().len(), 1_000_000);
    assert_eq!(list.items()[999_999], Value::bulk("999999"));
}

#[test]
fn a_pipeline_of_a_million_commands_is_answered_in_order_with_bounded_memory() {
    const COUNT: usize = 1_000_000;
    let mut cluster = Cluster::start();
    let mut client = cluster.client();
    let mut writer = client.writer();
    // The client writes all of it regardless of replies, from a thread of its own.
    let writing = thread::spawn(move || {
        for start in (0..COUNT).step_by(1000) {
            let batch: Vec<u8> =
                (start..start + 1000).flat_map(|i| encode(&["ECHO", &i.to_string()])).collect();
            writer.write_all(&batch).expect("the proxy takes it all in the end");
        }
    });
    let mut most = 0;
    for i in 0..COUNT {
        assert_eq!(client.read(), Value::bulk(i.to_string()));
        if i % 10_000 == 0 {
            most = most.max(cluster.proxy().process().resident_bytes());
        }
    }
    writing.join().expect("all was written");
    println!("resident at most: {} MB", most / MB);
    assert!(most < 200 * MB, "{} MB", most / MB);
}

#[test]
fn a_million_sets_sent_at_once_are_answered_with_bounded_memory() {
    const COUNT: usize = 1_000_000;
    let mut cluster = Cluster::start();
    let mut client = cluster.client();
    let mut writer = client.writer();
    let value = "x".repeat(64);
    let writing = thread::spawn(move || {
        for start in (0..COUNT).step_by(1000) {
            let set = |i: usize| encode(&["SET", &format!("key:{}", i % 5000), &value]);
            let batch: Vec<u8> = (start..start + 1000).flat_map(set).collect();
            writer.write_all(&batch).expect("the proxy takes it all in the end");
        }
    });
    // Nothing is read until the proxy has stopped taking more: its memory is then at its most.
    let mut most = 0;
    for _ in 0..100 {
        most = most.max(cluster.proxy().process().resident_bytes());
        thread::sleep(std::time::Duration::from_millis(5));
    }
    for i in 0..COUNT {
        assert_eq!(client.read(), Value::ok(), "reply {i}");
        if i % 10_000 == 0 {
            most = most.max(cluster.proxy().process().resident_bytes());
        }
    }
    writing.join().expect("all was written");
    println!("resident at most: {} MB", most / MB);
    assert!(most < 200 * MB, "{} MB", most / MB);
}

#[test]
fn a_client_that_never_reads_is_cut_off_and_others_go_on() {
    let mut cluster = Cluster::with(|options| {
        options.set("session_output_soft = \"1mb\"").set("session_output_hard = \"8mb\"")
    });
    let mut other = cluster.client();
    assert_eq!(other.call(&["SET", "big", &"x".repeat(100_000)]), Value::ok());
    let mut silent = cluster.client();
    // 100 MB of replies, asked for by requests that fit one read: all are in flight before the first
    // reply comes.
    silent.send(encode(&["GET", "big"]).repeat(1000));
    eventually("the session is gone", || {
        !other.run("CLIENT LIST").text().contains(&silent.local_address())
    });
    let got = silent.read_to_end();
    assert!(got.len() < 90 * MB as usize, "everything was sent: {}", got.len());
    assert!(cluster.proxy().process().resident_bytes() < 200 * MB);
    assert_eq!(other.run("STRLEN big"), Value::Integer(100_000));
}

#[test]
fn a_client_that_reads_late_gets_every_reply() {
    let cluster = Cluster::with(|options| options.set("session_output_soft = \"256kb\""));
    let mut client = cluster.client();
    assert_eq!(client.call(&["SET", "k", &"x".repeat(10_000)]), Value::ok());
    let mut writer = client.writer();
    let writing = thread::spawn(move || {
        for _ in 0..5000 {
            writer.write_all(&encode(&["GET", "k"])).expect("the proxy takes it in the end");
        }
    });
    thread::sleep(std::time::Duration::from_millis(200));
    for i in 0..5000 {
        assert!(matches!(client.read(), Value::Bulk(bytes) if bytes.len() == 10_000), "reply {i}");
    }
    writing.join().expect("all was written");
}

#[test]
fn slow_senders_hold_nothing_up_redis_too() {
    let cluster = Cluster::start();
    let mut slow: Vec<Client> = (0..200).map(|_| cluster.client()).collect();
    let mut fast = cluster.client();
    let request = encode(&["SET", "slow", "value"]);
    for byte in &request[..request.len() - 1] {
        for client in &mut slow {
            client.send([*byte]);
        }
        assert_eq!(fast.run("GET slow"), Value::NullBulk);
    }
    for client in &mut slow {
        client.send(&request[request.len() - 1..]);
        assert_eq!(client.read(), Value::ok());
    }
    assert_eq!(fast.run("GET slow"), Value::bulk("value"));
}

#[test]
fn a_session_that_sends_nothing_is_closed_after_its_time() {
    let cluster = Cluster::with(|options| options.set("session_recv_timeout = \"500ms\""));
    let mut half_a_request = cluster.client();
    half_a_request.send("*2\r\n$3\r\nGET");
    assert!(cluster.client().is_closed());
    assert!(half_a_request.is_closed());
}

#[test]
fn an_argument_beyond_the_configured_size_is_refused() {
    let cluster = Cluster::with(|options| options.set("proto_max_bulk = \"2mb\""));
    let mut client = cluster.client();
    client.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2097153\r\n");
    assert_eq!(client.read_to_end(), b"-ERR Protocol error: invalid bulk length\r\n");
    let mut client = cluster.client();
    assert_eq!(client.call(&["SET", "k", &"x".repeat(2 << 20)]), Value::ok());
}

#[test]
fn a_session_whose_request_never_ends_is_closed_at_its_limit() {
    let cluster = Cluster::with(|options| options.set("session_input_max = \"4mb\""));
    let mut client = cluster.client();
    client.send("*1000000\r\n");
    let argument = [b"$100000\r\n", &[b'x'; 100_000][..], b"\r\n"].concat();
    for _ in 0..100 {
        client.send(&argument);
    }
    let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
    let words = "-ERR Protocol error: request is greater than session_input_max\r\n";
    assert_eq!(reply, words);
    assert_eq!(cluster.client().run("PING"), Value::Simple(b"PONG".to_vec()));
}

//! MONITOR over two shards.

use crate::cluster::{Cluster, Pair};
use codis_testbed::{Client, Value, eventually};

/// A client that monitors.
fn monitor(cluster: &Cluster) -> Client {
    let mut client = cluster.client();
    assert_eq!(client.run("MONITOR"), Value::ok());
    client
}

/// What the next line shows: who asked, and what.
fn next(monitor: &mut Client) -> (String, String) {
    let line = monitor.read().text();
    let (time, rest) = line.split_once(" [0 ").unwrap_or_else(|| panic!("no line: {line}"));
    let (seconds, us) = time.split_once('.').expect("a time");
    assert!(seconds.parse::<u64>().expect("seconds") > 1_600_000_000 && us.len() == 6, "{line}");
    let (address, request) = rest.split_once("] ").expect("an address");
    (address.to_owned(), request.to_owned())
}

#[test]
fn requests_of_all_shards_are_shown_as_redis_shows_them() {
    let cluster = Cluster::with(|options| options.shards(2));
    let mut monitors = [monitor(&cluster), monitor(&cluster)];
    // The second MONITOR administers, and is not shown to the first.
    let list = cluster.client().run("CLIENT LIST").text();
    assert_eq!(list.matches(" flags=O ").count(), 2, "{list}");
    let mut clients: Vec<Client> = (0..4).map(|_| cluster.client()).collect();
    for client in &mut clients {
        client.call(&["SET", "k", "a \"b\"\r\n\0"]);
        client.call(&["get", "k"]);
        client.run("NOSUCH");
        client.run("CONFIG GET timeout");
        client.run("HELLO 2 AUTH default secret");
        for monitor in &mut monitors {
            for request in [
                r#""SET" "k" "a \"b\"\r\n\x00""#,
                r#""get" "k""#,
                r#""HELLO" "2" "AUTH" "(redacted)" "(redacted)""#,
            ] {
                assert_eq!(next(monitor), (client.local_address(), request.to_owned()));
            }
        }
    }
}

#[test]
fn a_client_that_monitors_sees_its_own_requests_and_may_not_touch_keys_redis_too() {
    let mut pair = Pair::start();
    for line in ["MONITOR", "GET k", "SET k v", "PUBLISH a b", "EVAL x 1 k"] {
        pair.same(line);
    }
    for client in [&mut pair.tested, &mut pair.reference] {
        assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec()));
        assert_eq!(next(client).1, r#""PING""#);
        client.send("MONITOR\r\nPING x\r\n");
        assert_eq!(client.read(), Value::bulk("x"));
        assert_eq!(next(client).1, r#""PING" "x""#);
        assert_eq!(client.run("RESET").text(), "RESET");
    }
    pair.same("GET k");
    pair.same("PING");
}

#[test]
fn only_so_many_clients_monitor_and_each_makes_room_by_its_end() {
    let cluster = Cluster::with(|options| options.shards(2).set("monitor_max_clients = 2"));
    let mut first = monitor(&cluster);
    let second = monitor(&cluster);
    let mut third = cluster.client();
    let refused = third.run("MONITOR").error().expect("there are two");
    assert!(refused.contains("monitor_max_clients"), "{refused}");
    third.run("SET k v");
    assert_eq!(next(&mut first).1, r#""SET" "k" "v""#);
    drop(second);
    eventually("there is room again", || third.run("MONITOR") == Value::ok());
    first.run("RESET");
    assert_eq!(first.run("GET k"), Value::bulk("v"));
    assert_eq!(next(&mut third).1, r#""RESET""#);
    assert_eq!(next(&mut third).1, r#""GET" "k""#);
}

#[test]
fn a_client_that_does_not_read_what_it_monitors_is_cut_and_others_go_on() {
    let cluster = Cluster::with(|options| options.shards(2).set("monitor_output_max = \"1mb\""));
    let mut slow = monitor(&cluster);
    let mut client = cluster.client();
    let value = "x".repeat(60_000);
    let mut rounds = 0;
    while !client.run("INFO proxy").text().contains("sessions_cut_output_limit:1") {
        assert_eq!(client.call(&["SET", "k", &value]), Value::ok());
        rounds += 1;
        assert!(rounds < 5000, "a monitor that does not read is not cut");
    }
    slow.read_to_end();
    assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec()));
}

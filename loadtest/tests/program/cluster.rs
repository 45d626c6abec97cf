//! `codis-loadtest cluster`.

use crate::program::start;
use codis_testbed::{Client, Value, eventually};
use serde_json::Value as Json;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command};

const PARTS: [&str; 10] =
    ["cluster", "--json", "--members", "3", "--proxies", "2", "--groups", "2", "--replicas", "1"];

/// A cluster that is up, and its addresses.
fn cluster() -> (Child, Json) {
    let mut child = start(&PARTS);
    let mut line = String::new();
    let out = child.stdout.take().expect("it is piped");
    BufReader::new(out).read_line(&mut line).expect("its output can be read");
    let addresses = serde_json::from_str(&line).unwrap_or_else(|error| {
        let _ = child.kill();
        let said = child.stderr.take().map(std::io::read_to_string);
        panic!("{error} in {line:?}: {said:?}")
    });
    (child, addresses)
}

fn texts<'a>(json: &'a Json, pointers: &[&str]) -> Vec<&'a str> {
    let found = pointers.iter().filter_map(|pointer| json.pointer(pointer)?.as_str());
    let found: Vec<&str> = found.collect();
    assert_eq!(found.len(), pointers.len(), "{pointers:?} in {json}");
    found
}

/// Nothing of it is left: no process that listens, and no file.
fn nothing_is_left(addresses: &Json) {
    let everybody = texts(
        addresses,
        &[
            "/proxies/0/address",
            "/proxies/1/address",
            "/proxies/0/admin",
            "/members/0",
            "/members/1",
            "/members/2",
            "/groups/0/servers/0",
            "/groups/0/servers/1",
            "/groups/1/servers/0",
            "/groups/1/servers/1",
        ],
    );
    for address in everybody {
        eventually("nobody listens any more", || std::net::TcpStream::connect(address).is_err());
    }
    let folder = Path::new(texts(addresses, &["/folder"])[0]);
    eventually("its folder is gone", || !folder.exists());
}

#[test]
fn a_cluster_serves_and_a_signal_ends_all_of_it() {
    let (mut child, addresses) = cluster();
    let proxies = texts(&addresses, &["/proxies/0/address", "/proxies/1/address"]);
    // Keys of both groups, written through one proxy and read through the other.
    for key in ["a", "b", "c", "d", "e", "f"] {
        assert_eq!(Client::connect(proxies[0]).run(&format!("SET {key} 1")), Value::ok());
        assert_eq!(Client::connect(proxies[1]).run(&format!("GET {key}")), Value::bulk("1"));
    }
    for replica in texts(&addresses, &["/groups/0/servers/1", "/groups/1/servers/1"]) {
        let role = Client::connect(replica).run("INFO replication").text();
        assert!(role.contains("role:slave") && role.contains("master_link_status:up"), "{role}");
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill can be run").success());
    assert!(child.wait().expect("it can be waited for").success());
    nothing_is_left(&addresses);
}

#[test]
fn a_cluster_whose_program_is_killed_leaves_nothing_behind() {
    let (mut child, addresses) = cluster();
    child.kill().expect("it can be killed");
    child.wait().expect("it can be waited for");
    nothing_is_left(&addresses);
}

#[test]
fn a_process_that_dies_is_named_and_ends_all_of_it() {
    let (child, addresses) = cluster();
    let process = addresses.pointer("/proxies/1/process").and_then(Json::as_u64);
    let process = process.expect("it has a process").to_string();
    let sent = Command::new("kill").args(["-KILL", &process]).status();
    assert!(sent.expect("kill can be run").success());
    let output = child.wait_with_output().expect("it can be waited for");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("proxy 2: it ended"), "{said}");
    nothing_is_left(&addresses);
}

//! Proxies that come and go, and the group that comes and goes without them.

use crate::bed::{Bed, IDLE, json, key_of};
use codis_testbed::{Member, Proxy, Value, eventually};

#[test]
fn proxies_serve_on_while_the_whole_group_is_gone_and_follow_it_when_it_is_back() {
    let mut bed = Bed::start(3);
    let traffic = bed.traffic();
    bed.group.members.iter_mut().for_each(Member::kill);
    let before = traffic.answered();
    eventually("clients go on without a group", || traffic.answered() > before + 200);
    bed.group.members.iter_mut().for_each(Member::relaunch);
    bed.admin.run(&format!("slots offline --beg {IDLE} --end {IDLE} --confirm"));
    let key = key_of(IDLE);
    for proxy in &bed.proxies {
        let mut client = proxy.client();
        eventually("a later change arrives", || client.call(&["GET", &key]).error().is_some());
    }
    traffic.stop();
}

#[test]
fn a_killed_proxy_starts_from_its_last_topology_while_the_group_is_gone() {
    let mut bed = Bed::start(1);
    let key = key_of(700);
    assert_eq!(bed.proxies[0].client().call(&["SET", &key, "kept"]), Value::ok());
    bed.proxies[0].process_mut().kill();
    bed.group.members[0].kill();
    bed.proxies[0].restart();
    assert_eq!(bed.proxies[0].client().call(&["GET", &key]), Value::bulk("kept"));
    // It follows the group as soon as there is one.
    bed.group.members[0].restart();
    bed.admin.run("slots offline --beg 700 --end 700 --confirm");
    let mut client = bed.proxies[0].client();
    eventually("the slot is offline", || client.call(&["GET", &key]).error().is_some());
}

#[test]
fn a_proxy_that_started_before_its_group_serves_once_there_is_one() {
    let mut bed = Bed::start(1);
    bed.group.members[0].kill();
    let mut late = Proxy::launch(&bed.proxy_options());
    bed.group.members[0].restart();
    late.wait_until_ready();
    let key = key_of(1);
    let mut client = late.client();
    eventually("it serves", || client.call(&["SET", &key, "x"]) == Value::ok());
}

#[test]
fn the_operator_sees_every_proxy_and_removes_one_that_has_stopped() {
    let mut bed = Bed::start(1);
    let list = bed.admin.run("proxy list");
    for proxy in &bed.proxies {
        assert!(list.contains(&proxy.address()), "{list}");
    }
    let mut gone = bed.proxies.pop().expect("there are two");
    let address = gone.address();
    gone.process().terminate();
    assert!(gone.process_mut().wait().success());
    let token = token_of(&json(&bed.admin, "proxy list"), &address);
    bed.admin.run(&format!("proxy remove --token {token} --confirm"));
    let list = bed.admin.run("proxy list");
    assert!(!list.contains(&address), "{list}");
}

/// The token of the proxy that clients reach at `address`.
fn token_of(list: &serde_json::Value, address: &str) -> String {
    let proxies = list["proxies"].as_array().unwrap_or_else(|| panic!("no proxies in {list}"));
    let found = proxies.iter().find(|proxy| proxy.to_string().contains(address));
    let found = found.unwrap_or_else(|| panic!("{address} is not in {list}"));
    let token = found["model"]["token"].as_str();
    token.unwrap_or_else(|| panic!("no token in {found}")).to_owned()
}

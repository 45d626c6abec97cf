//! Changes of groups and slots, from the operator's command to every shard of every proxy.

use crate::bed::{Bed, HALVES, IDLE, info, key_of};
use codis_testbed::{Redis, Value, eventually};

#[test]
fn every_slot_is_served_by_its_group_through_every_proxy() {
    let bed = Bed::start(3);
    let keys: Vec<String> = (0..1024).map(key_of).collect();
    let (mut one, mut other) = (bed.proxies[0].client(), bed.proxies[1].client());
    for key in &keys {
        assert_eq!(one.call(&["SET", key, key]), Value::ok(), "{key}");
        assert_eq!(other.call(&["GET", key]), Value::bulk(key), "{key}");
    }
    for (half, [master, _]) in HALVES.into_iter().zip(&bed.servers) {
        let mut server = master.client();
        for slot in half {
            let key = &keys[slot as usize];
            assert_eq!(server.call(&["GET", key]), Value::bulk(key), "slot {slot}");
        }
    }
}

#[test]
fn a_change_that_was_waited_for_is_on_every_shard_of_every_proxy() {
    let bed = Bed::start(3);
    let key = key_of(3);
    let mut clients = bed.clients();
    for round in 0..5 {
        bed.admin.run("slots offline --beg 0 --end 7 --confirm");
        for client in &mut clients {
            let error = client.call(&["GET", &key]).error();
            assert!(error.is_some(), "round {round}: slot 3 is offline, and yet it is served");
        }
        bed.admin.run("slots assign --beg 0 --end 7 --gid 2");
        for client in &mut clients {
            assert_eq!(client.call(&["GET", &key]).error(), None, "round {round}");
        }
    }
}

#[test]
fn changes_of_other_slots_disturb_no_client() {
    let bed = Bed::start(1);
    let range = format!("--beg {IDLE} --end 1023");
    let traffic = bed.traffic();
    for round in 0..10 {
        bed.admin.run(&format!("slots offline {range} --confirm"));
        bed.admin.run(&format!("group create --gid {}", 100 + round));
        bed.admin.run(&format!("slots assign {range} --gid {}", 1 + round % 2));
    }
    assert!(traffic.stop().done > 0);
}

#[test]
fn a_synced_server_has_its_masters_data_and_follows_it() {
    let bed = Bed::start(1);
    let mut client = bed.proxies[0].client();
    let key = key_of(0);
    assert_eq!(client.call(&["SET", &key, "before"]), Value::ok());
    bed.sync();
    let [master, replica] = &bed.servers[0];
    assert_eq!(info(replica, "role"), "slave");
    assert_eq!(info(replica, "master_port"), master.port().to_string());
    assert_eq!(info(replica, "master_link_status"), "up");
    assert_eq!(replica.client().call(&["GET", &key]), Value::bulk("before"));
    assert_eq!(client.call(&["SET", &key, "after"]), Value::ok());
    eventually("the replica is told of a later write", || {
        replica.client().call(&["GET", &key]) == Value::bulk("after")
    });
}

#[test]
fn a_server_that_does_not_answer_is_not_added() {
    let bed = Bed::start(1);
    let mut gone = Redis::start();
    gone.kill();
    let said = bed.admin.refused(&format!("group add --gid 1 --addr {}", gone.address()));
    assert!(said.contains(&gone.address()), "{said}");
    let list = bed.admin.run("group list");
    assert!(!list.contains(&gone.address()), "{list}");
}

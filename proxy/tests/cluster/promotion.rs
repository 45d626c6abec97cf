//! Changes of a group's master while clients write.

use crate::bed::{Bed, info, key_of};
use codis_testbed::{Value, eventually};

#[test]
fn a_promotion_under_load_loses_no_acknowledged_write_and_no_client_gets_an_error() {
    let bed = Bed::start(3);
    bed.sync();
    let traffic = bed.traffic();
    // There and back, so that the old master has become a good replica on the way.
    for round in 0..2 {
        let [one, other] = &bed.servers[0];
        let (master, replica) = if round == 0 { (one, other) } else { (other, one) };
        let before = traffic.answered();
        eventually("there is load", || traffic.answered() > before + 100);
        bed.admin.run(&format!("group promote --gid 1 --addr {}", replica.address()));
        assert_eq!(info(replica, "role"), "master", "round {round}");
        let follows = || {
            info(master, "role") == "slave"
                && info(master, "master_port") == replica.port().to_string()
                && info(master, "master_link_status") == "up"
        };
        eventually("the old master follows the new one", follows);
    }
    assert!(traffic.stop().done > 0);
}

#[test]
fn a_replica_that_cannot_take_over_leaves_everything_as_it_was() {
    let mut bed = Bed::start(1);
    bed.sync();
    let traffic = bed.traffic();
    let address = bed.servers[0][1].address();
    bed.servers[0][1].kill();
    let said = bed.admin.refused(&format!("group promote --gid 1 --addr {address}"));
    assert!(said.contains(&address), "{said}");
    let before = traffic.answered();
    eventually("clients go on", || traffic.answered() > before + 100);
    traffic.stop();
    assert_eq!(info(&bed.servers[0][0], "role"), "master");
}

/// As docs/meta.md says.
#[test]
fn a_replica_of_a_master_that_is_gone_serves_as_a_group_of_its_own() {
    let mut bed = Bed::start(1);
    bed.sync();
    let key = key_of(0);
    let mut client = bed.proxies[0].client();
    assert_eq!(client.call(&["SET", &key, "kept"]), Value::ok());
    let [master, replica] = &mut bed.servers[0];
    eventually("the replica has it", || {
        replica.client().call(&["GET", &key]) == Value::bulk("kept")
    });
    master.kill();
    let address = replica.address();
    bed.admin.run(&format!("group del --gid 1 --addr {address} --confirm"));
    assert_eq!(replica.client().run("REPLICAOF NO ONE"), Value::ok());
    bed.admin.run("group create --gid 7");
    bed.admin.run(&format!("group add --gid 7 --addr {address}"));
    bed.admin.run("slots offline --beg 0 --end 511 --confirm");
    bed.admin.run("slots assign --beg 0 --end 511 --gid 7");
    for proxy in &bed.proxies {
        let mut client = proxy.client();
        eventually("it serves", || client.call(&["GET", &key]) == Value::bulk("kept"));
    }
}

#[test]
fn a_frozen_proxy_is_shut_out_of_a_promotion_and_serves_the_new_master_when_it_wakes() {
    let bed = Bed::start(1);
    bed.impatient();
    bed.sync();
    let key = key_of(0);
    let mut sleeper = bed.proxies[1].client();
    assert_eq!(sleeper.call(&["SET", &key, "before"]), Value::ok());
    bed.proxies[1].process().freeze();
    // Waits in the frozen proxy, and must not reach the old master when it wakes.
    sleeper.send(codis_testbed::encode(&["SET", &key, "late"]));
    let [old, new] = &bed.servers[0];
    bed.admin.run(&format!("group promote --gid 1 --addr {}", new.address()));
    assert_eq!(info(new, "role"), "master");
    bed.proxies[1].process().thaw();
    let answer = sleeper.read();
    let kept = new.client().call(&["GET", &key]).text();
    match answer.error() {
        None => assert_eq!(kept, "late", "an acknowledged write is lost"),
        Some(_) => assert!(["before", "late"].contains(&kept.as_str()), "{kept}"),
    }
    eventually("the proxy serves again", || {
        bed.proxies[1].client().call(&["SET", &key, "again"]) == Value::ok()
    });
    assert_eq!(new.client().call(&["GET", &key]), Value::bulk("again"));
    assert_eq!(info(old, "role"), "slave");
}

use crate::changes::*;
use crate::cluster::{Cluster, address};
use codis_proto::meta::v1::RefusalCode as Code;

#[test]
fn nothing_changes_before_there_is_a_product() {
    let mut cluster = Cluster::bare();
    cluster.refused(Code::NoProduct, group(1));
    cluster.refused(Code::InvalidValue, product("no spaces"));
    assert_eq!(cluster.ok(product("demo")), 0);
    cluster.ok(group(1));
}

#[test]
fn a_product_is_created_once() {
    let mut cluster = Cluster::with_groups(0);
    cluster.ok(product("demo"));
    let sentence = cluster.refused(Code::ProductMismatch, product("other"));
    assert!(sentence.contains("\"demo\"") && sentence.contains("\"other\""), "{sentence}");
}

#[test]
fn a_group_has_an_id_of_its_own_in_range() {
    let mut cluster = Cluster::with_groups(1);
    for id in [0, 10_000] {
        cluster.refused(Code::InvalidValue, group(id));
    }
    let sentence = cluster.refused(Code::GroupExists, group(1));
    assert_eq!(sentence, "group 1 exists already: take another id");
    cluster.ok(group(9999));
}

#[test]
fn a_group_goes_when_it_is_empty_and_no_slot_needs_it() {
    let mut cluster = Cluster::with_groups(2);
    cluster.refused(Code::GroupUnknown, group_remove(3));
    cluster.refused(Code::GroupNotEmpty, group_remove(2));
    cluster.ok(assign(0, 9, 1));
    let sentence = cluster.refused(Code::GroupInUse, group_remove(1));
    assert!(sentence.contains("holds 10 slots"), "{sentence}");
    cluster.ok(action(0, 0, 2));
    cluster.refused(Code::GroupInUse, group_remove(2));
    cluster.ok(cancel(0, 0));
    for server in [2, 3, 1] {
        cluster.ok(server_remove(2, &address(2, server)));
    }
    cluster.ok(group_remove(2));
    cluster.refused(Code::GroupUnknown, assign(0, 0, 2));
}

#[test]
fn a_server_is_in_one_group_whatever_its_spelling() {
    let mut cluster = Cluster::with_groups(2);
    cluster.refused(Code::AddressTaken, server(2, &address(1, 2)));
    cluster.ok(server(1, "Redis.Example:6379"));
    let sentence = cluster.refused(Code::AddressTaken, server(2, "redis.example:6379"));
    assert!(sentence.contains("a server of group 1 already"), "{sentence}");
    cluster.ok(sentinel("10.8.0.1:26379"));
    cluster.refused(Code::AddressTaken, server(1, "10.8.0.1:26379"));
    cluster.refused(Code::InvalidValue, server(1, "10.8.0.1"));
    cluster.refused(Code::GroupUnknown, server(3, "10.8.0.2:6379"));
}

#[test]
fn the_first_server_is_the_master_and_the_order_is_kept() {
    let mut cluster = Cluster::with_groups(1);
    cluster.ok(server_remove(1, &address(1, 2)));
    cluster.ok(server(1, &address(1, 2)));
    let order: Vec<_> = cluster.group(1).servers.iter().map(|one| one.address.clone()).collect();
    assert_eq!(order, [address(1, 1), address(1, 3), address(1, 2)]);
}

#[test]
fn a_master_leaves_last_and_only_when_no_slot_needs_it() {
    let mut cluster = Cluster::with_groups(1);
    cluster.refused(Code::ServerUnknown, server_remove(1, "10.8.0.1:6379"));
    cluster.refused(Code::ServerIsMaster, server_remove(1, &address(1, 1)));
    cluster.ok(assign(0, 0, 1));
    cluster.ok(server_remove(1, &address(1, 2)));
    cluster.ok(server_remove(1, &address(1, 3)));
    cluster.refused(Code::GroupInUse, server_remove(1, &address(1, 1)));
    cluster.ok(offline(0, 0));
    cluster.ok(server_remove(1, &address(1, 1)));
}

#[test]
fn a_group_has_a_greatest_number_of_servers() {
    let mut cluster = Cluster::with_groups(1);
    for number in 4..=64 {
        cluster.ok(server(1, &address(1, number)));
    }
    cluster.refused(Code::LimitReached, server(1, &address(1, 65)));
}

#[test]
fn sentinels_come_and_go() {
    let mut cluster = Cluster::with_groups(1);
    cluster.ok(sentinel("10.8.0.1:26379"));
    cluster.refused(Code::AddressTaken, sentinel("10.8.0.1:26379"));
    cluster.refused(Code::AddressTaken, sentinel(&address(1, 1)));
    cluster.refused(Code::SentinelUnknown, sentinel_remove("10.8.0.2:26379"));
    cluster.ok(sentinel_remove("10.8.0.1:26379"));
    assert!(cluster.state.data().sentinels.is_empty());
    for number in 0..64 {
        cluster.ok(sentinel(&format!("10.8.1.{number}:26379")));
    }
    cluster.refused(Code::LimitReached, sentinel("10.8.0.1:26379"));
}

#[test]
fn settings_are_set_together_or_not_at_all() {
    let mut cluster = Cluster::with_groups(0);
    cluster.refused(
        Code::SettingInvalid,
        set(&[("barrier_deadline", "1s"), ("migration_parallel_slots", "0")]),
    );
    cluster.refused(Code::SettingUnknown, set(&[("barrier_deadline", "1s"), ("colour", "red")]));
    assert!(cluster.state.data().settings.is_empty());
    cluster.ok(set(&[("barrier_deadline", "1000ms"), ("sentinel_quorum", "3")]));
    assert_eq!(cluster.state.data().settings["barrier_deadline"], "1s");
    cluster.ok(set(&[("barrier_deadline", ""), ("sentinel_quorum", "2")]));
    assert!(cluster.state.data().settings.is_empty(), "defaults are not kept");
}

//! Members that die, come, go, and are rebuilt from a backup.

use crate::bed::{Bed, PROXY, has_group, json, meta, operator};
use codis_testbed::{Admin, Member, MemberGroup, MemberOptions, Proxy, Redis, Value, eventually};
use serde_json::Value as Json;
use std::time::Instant;

#[test]
fn a_group_whose_leader_is_killed_takes_the_next_change() {
    let mut group = MemberGroup::start(MemberOptions::founders(&meta(), 3));
    let admin = operator(&group.addresses());
    admin.run("group create --gid 1");
    let leader = leader(&admin);
    group.members[leader - 1].kill();
    let killed = Instant::now();
    admin.run("group create --gid 2");
    println!("the next change was accepted {:?} after the leader was killed", killed.elapsed());
    group.members[leader - 1].restart();
    assert!(has_group(&admin, 2));
}

#[test]
fn a_lost_member_is_replaced_by_a_new_one() {
    let mut group = MemberGroup::start(MemberOptions::founders(&meta(), 3));
    let admin = operator(&group.addresses());
    admin.run("group create --gid 1");
    let mut lost = group.members.pop().expect("there are three");
    lost.kill();
    admin.run("meta remove --id 3 --confirm");
    let mut options = MemberOptions::alone(&meta());
    options.members = group.members[0].options().members.clone();
    options.members[2] = format!("4@{}", options.address);
    let address = options.address.clone();
    let _new = Member::launch(options);
    admin.run(&format!("meta add --id 4 --addr {address}"));
    // It counts: with one of the old ones gone the group still has a majority.
    eventually("the new member has a vote", || voters(&admin) == 3);
    group.members[0].kill();
    admin.run("group create --gid 2");
    assert!(has_group(&admin, 2));
}

#[test]
fn a_member_that_was_emptied_does_not_take_its_old_place() {
    let mut group = MemberGroup::start(MemberOptions::founders(&meta(), 3));
    let admin = operator(&group.addresses());
    admin.run("group create --gid 1");
    // Every member has been seen once each has answered to a leader.
    eventually("all members take part", || active(&admin) == 3);
    let member = &mut group.members[2];
    member.kill();
    std::fs::remove_dir_all(member.data_dir()).expect("it has data");
    member.relaunch();
    assert!(!member.process_mut().wait().success());
    let said = member.process().printed();
    assert!(said.contains("meta remove"), "it does not say what to do: {said}");
}

#[test]
fn a_backup_restored_into_a_new_group_gives_the_same_topology() {
    let bed = Bed::start(3);
    bed.sync();
    bed.admin.run("config set migration_async_numkeys 321");
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let file = folder.path().join("backup").display().to_string();
    bed.admin.run(&format!("meta backup {file}"));

    let group = MemberGroup::start(MemberOptions::founders(&meta(), 3));
    let admin = operator(&group.addresses());
    admin.run(&format!("meta restore {file} --confirm"));
    // The epoch is another: no proxy of the old group may be ahead of it.
    for (what, part) in [("slots list", "slots"), ("config get", "settings")] {
        let (old, new) = (json(&bed.admin, what), json(&admin, what));
        assert!(old[part].is_array() && old[part] == new[part], "{what}: {old} and {new}");
    }
    let servers = |admin: &Admin| {
        let list = json(admin, "group list");
        let groups = list["groups"].as_array().expect("groups").clone();
        let of = |group: &Json| {
            let servers = group["servers"].as_array().expect("servers").iter();
            (group["gid"].clone(), servers.map(|server| server["addr"].clone()).collect::<Vec<_>>())
        };
        groups.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(servers(&bed.admin), servers(&admin));
    // It is a group that works.
    admin.run("group create --gid 77");
}

#[test]
fn a_group_that_holds_something_takes_no_backup() {
    let bed = Bed::start(1);
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let file = folder.path().join("backup").display().to_string();
    bed.admin.run(&format!("meta backup {file}"));
    bed.admin.refused(&format!("meta restore {file} --confirm"));
}

#[test]
fn a_proxy_with_a_member_of_its_own_needs_nothing_else() {
    let redis = Redis::start();
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let address = format!("127.0.0.1:{}", codis_testbed::free_port());
    let mut options = codis_testbed::ProxyOptions::over(PROXY.as_ref(), &[]);
    options.tables = format!(
        "[meta]\nembedded = true\ndata_dir = {:?}\nadmin_addr = \"{address}\"\n",
        folder.path().join("meta")
    );
    let mut proxy = Proxy::start(&options);
    let admin = operator(&[address]);
    admin.run("group create --gid 1");
    admin.run(&format!("group add --gid 1 --addr {}", redis.address()));
    admin.run("slots assign --beg 0 --end 1023 --gid 1");
    let mut client = proxy.client();
    eventually("it serves", || client.run("SET a b") == Value::ok());
    proxy.restart();
    let mut client = proxy.client();
    eventually("it serves after a restart", || client.run("GET a") == Value::bulk("b"));
    assert!(has_group(&admin, 1));
}

fn members(admin: &Admin) -> Vec<Json> {
    let status = json(admin, "meta status");
    status["members"].as_array().unwrap_or_else(|| panic!("no members in {status}")).clone()
}

/// The id of the leader.
fn leader(admin: &Admin) -> usize {
    let status = json(admin, "meta status");
    let id = status["leader"].as_u64().unwrap_or_else(|| panic!("no leader in {status}"));
    usize::try_from(id).expect("ids of tests are small")
}

fn voters(admin: &Admin) -> usize {
    members(admin)
        .iter()
        .filter(|member| ["leader", "follower"].iter().any(|role| member["role"] == *role))
        .count()
}

fn active(admin: &Admin) -> usize {
    members(admin).iter().filter(|member| member["active"] == true).count()
}

//! Members that reach each other through relays, which cut and swallow.

use std::collections::BTreeMap;

use codis_testbed::Relay;

use crate::running::{Group, address, eventually};

/// A group of three in which every member is reached through a relay of its own.
async fn relayed() -> (Group, BTreeMap<u64, Relay>) {
    let mut group = Group::of(3);
    let mut relays = BTreeMap::new();
    for id in 1..=3 {
        let listen = address();
        let relay = Relay::to(&listen);
        group.founders.insert(id, relay.address());
        group.listens.insert(id, listen);
        relays.insert(id, relay);
    }
    group.start_all().await;
    group.leader().await;
    (group, relays)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_again_and_again_lose_no_change() {
    let (group, relays) = relayed().await;
    let mut created = Vec::new();
    for gid in 1..=12 {
        group.create(u64::from(gid % 3) + 1, gid).await;
        created.push(gid);
        relays[&(u64::from(gid) % 3 + 1)].cut_all();
    }
    group.all_have(&created).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_hears_nothing_is_left_behind_and_catches_up() {
    let (group, relays) = relayed().await;
    let deaf = group.follower().await;
    let leader = group.leader().await;
    relays[&deaf].set_blackhole(true);
    for gid in 1..=5 {
        group.create(leader, gid).await;
    }
    let known = group.node(deaf).peek(|state| state.data().groups.len()).await.unwrap();
    assert_eq!(known, 0, "nothing came through");
    relays[&deaf].set_blackhole(false);
    group.all_have(&[1, 2, 3, 4, 5]).await;
    group.create(deaf, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_nobody_reaches_gives_up_and_another_one_leads() {
    let (group, relays) = relayed().await;
    let old = group.leader().await;
    relays[&old].set_blackhole(true);
    relays[&old].cut_all();
    let others: Vec<u64> = group.members.keys().copied().filter(|id| *id != old).collect();
    let mut standing = group.node(others[0]).standing();
    let _ =
        standing.wait_for(|standing| standing.leader != old && standing.leader != 0).await.unwrap();
    group.create(others[0], 1).await;
    eventually("the old leader notices", async || !group.node(old).standing().borrow().leads).await;
    relays[&old].set_blackhole(false);
    group.all_have(&[1]).await;
    group.create(old, 2).await;
}

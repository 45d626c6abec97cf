use codis_meta::node::{Node, Standing};
use codis_meta::raft::Change;
use tokio::time::{Duration, sleep};

use crate::running::{Group, address, begin, create, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_killed_is_replaced_and_comes_back_with_everything() {
    let mut group = Group::running(3).await;
    group.create(1, 1).await;
    let killed = group.leader().await;
    group.kill(killed).await;
    let through = *group.members.keys().next().unwrap();
    group.create(through, 2).await;
    group.start(killed).await;
    group.create(killed, 3).await;
    group.all_have(&[1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stops_hands_over_first() {
    let mut group = Group::running(3).await;
    let leader = group.leader().await;
    let term = group.node(leader).standing().borrow().term;
    group.stop(leader).await;
    // Whoever leads now was asked to, in the very next term, and nobody had to miss a heartbeat.
    let standing = group.members.values().next().unwrap().node.standing();
    let standing = standing.borrow().clone();
    assert_ne!(standing.leader, 0);
    assert_ne!(standing.leader, leader);
    assert_eq!(standing.term, term + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_members_come_back_from_their_disks() {
    let mut group = Group::running(3).await;
    group.create(2, 1).await;
    for id in [1, 2, 3] {
        group.kill(id).await;
    }
    group.start_all().await;
    group.create(3, 2).await;
    group.all_have(&[1, 2]).await;
}

/// Makes a change of members at whoever leads, until it is taken.
async fn change_members(group: &Group, change: Change) {
    let changes = vec![change];
    eventually("the change of members", async || {
        let leader = group.leader().await;
        group.node(leader).change_members(changes.clone()).await.is_ok()
    })
    .await;
}

async fn votes(node: &Node, ids: &[u64]) {
    let what = format!("member {} knows that {ids:?} vote", node.id());
    eventually(&what, async || node.members().borrow().voters == ids).await;
}

async fn stands(node: &Node, what: &str, holds: impl Fn(&Standing) -> bool) {
    eventually(what, async || holds(&node.standing().borrow())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fourth_member_joins_gets_a_vote_and_is_removed_again() {
    let mut group = Group::running(3).await;
    group.create(1, 1).await;
    group.founders.insert(4, address());
    let fourth = begin(group.plan(4)).running().await.unwrap();
    group.members.insert(4, fourth);
    let place = group.founders[&4].clone();
    change_members(&group, Change::AddLearner { id: 4, address: place }).await;
    group.all_have(&[1]).await;
    change_members(&group, Change::Promote { id: 4 }).await;
    for id in 1..=4 {
        votes(group.node(id), &[1, 2, 3, 4]).await;
    }
    group.create(4, 2).await;
    group.all_are_remembered(&[1, 2, 3, 4]).await;
    if group.leader().await == 4 {
        group.node(4).transfer_leadership(1).await.unwrap();
        stands(group.node(4), "it leads no more", |standing| !standing.leads).await;
    }
    change_members(&group, Change::Remove { id: 4 }).await;
    for id in 1..=3 {
        votes(group.node(id), &[1, 2, 3]).await;
    }
    stands(group.node(4), "it knows that it was removed", |standing| standing.removed).await;
    // It does no harm while it runs on, and its id is not to be used again.
    group.create(2, 3).await;
    let removed = group.members.remove(&4).unwrap();
    removed.stop().await;
    std::fs::remove_dir_all(group.data_dir(4)).unwrap();
    let refusal = begin(group.plan(4)).running().await.err().unwrap();
    assert!(refusal.contains("member 4 was in the group before"), "{refusal}");
    group.all_have(&[1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_joins_finds_members_that_its_list_does_not_name() {
    let mut group = Group::running(3).await;
    group.create(1, 1).await;
    // By its list it can reach only one, which does not lead.
    let known = group.follower().await;
    group.founders.insert(4, address());
    let mut plan = group.plan(4);
    plan.founders.retain(|id, _| [known, 4].contains(id));
    let fourth = begin(plan).running().await.unwrap();
    group.members.insert(4, fourth);
    let place = group.founders[&4].clone();
    change_members(&group, Change::AddLearner { id: 4, address: place }).await;
    group.all_have(&[1]).await;
    create(group.node(4), 2).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_its_disk_is_refused_whoever_answers_it() {
    let mut group = Group::running(3).await;
    group.all_are_remembered(&[1, 2, 3]).await;
    let wiped = group.follower().await;
    group.kill(wiped).await;
    std::fs::remove_dir_all(group.data_dir(wiped)).unwrap();
    let refusal = begin(group.plan(wiped)).running().await.err().unwrap();
    assert!(refusal.contains("it lost its log"), "{refusal}");
    assert!(refusal.contains(&format!("codis-admin meta remove --id {wiped}")), "{refusal}");
    assert!(!group.data_dir(wiped).exists(), "nothing was written");
    // Where nobody can speak for the group, it waits.
    let leader = group.leader().await;
    group.kill(leader).await;
    let mut waiting = begin(group.plan(wiped));
    sleep(Duration::from_millis(300)).await;
    assert!(!waiting.has_begun());
}

use std::time::Duration;

use codis_meta::raft::DiskStore;
use tokio::time::sleep;

use crate::running::{Group, begin};

#[tokio::test(flavor = "multi_thread")]
async fn three_members_found_a_group_and_every_one_of_them_takes_changes() {
    let group = Group::running(3).await;
    for (id, gid) in [(1, 1), (2, 2), (3, 3)] {
        group.create(id, gid).await;
    }
    group.all_have(&[1, 2, 3]).await;
    group.all_are_remembered(&[1, 2, 3]).await;
    let settings = group.node(2).read(|state| state.data().settings.clone()).await.unwrap();
    assert_eq!(settings["sentinel_quorum"], "3", "the configuration's first settings");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_alone_is_a_group_and_is_the_same_one_after_a_restart() {
    let mut group = Group::of(1);
    let alone = |group: &Group| {
        let mut plan = group.plan(1);
        plan.founders.clear();
        plan
    };
    let running = begin(alone(&group)).running().await.unwrap();
    group.members.insert(1, running);
    group.leader().await;
    group.create(1, 7).await;
    let before = DiskStore::identity(&group.data_dir(1)).unwrap();
    group.stop(1).await;
    let running = begin(alone(&group)).running().await.unwrap();
    group.members.insert(1, running);
    group.all_have(&[7]).await;
    assert_eq!(DiskStore::identity(&group.data_dir(1)).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_member_begins_before_all_of_the_list_have_answered() {
    let mut group = Group::of(3);
    let mut first = begin(group.plan(1));
    let mut second = begin(group.plan(2));
    sleep(Duration::from_millis(500)).await;
    assert!(!first.has_begun() && !second.has_begun());
    assert!(!group.data_dir(1).exists(), "nothing is written before");
    group.start(3).await;
    for (id, member) in [(1, first), (2, second)] {
        group.members.insert(id, member.running().await.unwrap());
    }
    group.leader().await;
    group.create(1, 1).await;
    group.all_have(&[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_list_differs_does_not_found_with_the_others() {
    let group = Group::of(2);
    let mut other = group.plan(2);
    other.founders.insert(3, "127.0.0.1:1".to_owned());
    let (mut first, mut second) = (begin(group.plan(1)), begin(other));
    sleep(Duration::from_millis(500)).await;
    assert!(!first.has_begun() && !second.has_begun());
    assert!(!first.has_ended() && !second.has_ended(), "it waits to be corrected");
}

//! The link against a member that the test plays.

use super::super::testing::*;
use super::super::*;
use super::nobody;
use tonic::Status as Rpc;
use wire::proxy_message::Body as ProxyBody;

#[tokio::test]
async fn a_proxy_registers_and_takes_the_topology_and_every_change() {
    let mut member = Member::start().await;
    let proxy = Proxy::start(&[&member.address], None);
    let (register, stream) = member.welcome(&topology(3, 1)).await;
    assert_eq!(register.token, proxy.dir.token());
    assert_eq!((register.product.as_str(), register.shards), ("codis-demo", 2));
    assert_eq!((register.epoch, register.cluster), (0, 0), "it works by nothing yet");
    assert_eq!(proxy.receives(3).await.slots[1].state, crate::topology::SlotState::Offline);
    stream.change(&topology(3, 1), &topology(4, 2)).await;
    assert_ne!(proxy.receives(4).await.slots[1].state, crate::topology::SlotState::Offline);
    let status = proxy.status(|status| status.epoch == 4).await;
    assert!(status.connected && status.leader == member.address, "{status:?}");
}

#[tokio::test]
async fn the_password_of_the_product_is_the_bearer_token() {
    let mut member = Member::start().await;
    let _proxy = Proxy::start_with(&[&member.address], None, "secret");
    let call = member.call().await;
    assert_eq!(call.metadata.get("authorization").expect("a token"), "Bearer secret");
}

#[tokio::test]
async fn an_epoch_is_acknowledged_when_every_shard_has_settled_and_it_is_on_disk() {
    let mut member = Member::start().await;
    let proxy = Proxy::start(&[&member.address], None);
    let (_, mut stream) = member.welcome(&topology(3, 1)).await;
    proxy.receives(3).await;
    proxy.settle(3);
    assert_eq!(stream.ack().await, 3);
    let on_disk = proxy.dir.load().expect("it is whole").expect("it is there");
    assert_eq!((on_disk.topology, on_disk.cluster), (topology(3, 1), CLUSTER));

    stream.change(&topology(3, 1), &topology(4, 2)).await;
    stream.change(&topology(4, 2), &topology(5, 3)).await;
    proxy.receives(5).await;
    proxy.link.settled(0, 5);
    proxy.link.settled(1, 4);
    assert_eq!(stream.ack().await, 4, "one shard is not as far as the other");
    proxy.link.settled(1, 5);
    assert_eq!(stream.ack().await, 5);
    assert_eq!(proxy.status(|status| status.acked_epoch == 5).await.epoch, 5);
}

#[tokio::test]
async fn a_topology_that_cannot_be_saved_is_worked_by_and_acknowledged_once_it_can() {
    let mut member = Member::start().await;
    let proxy = Proxy::start(&[&member.address], None);
    // A directory in the place of the file that is written first: no write gets through.
    let obstacle = proxy.path.path().join("topology.new");
    std::fs::create_dir_all(obstacle.join("full")).expect("a directory");
    let (_, mut stream) = member.welcome(&topology(3, 1)).await;
    proxy.receives(3).await;
    proxy.settle(3);
    // Two seconds' worth of counters, with no acknowledgement among them.
    for ops_total in 0..2 {
        let stats = wire::Stats { ops_total, ..Default::default() };
        proxy.link.shared.stats.send_replace(Some(stats.clone()));
        assert_eq!(stream.next().await, Some(ProxyBody::Stats(stats)));
    }
    std::fs::remove_dir_all(obstacle).expect("it goes");
    assert_eq!(stream.ack().await, 3);
    assert!(proxy.dir.load().expect("it is whole").is_some());
}

#[tokio::test]
async fn a_proxy_registers_anew_with_what_it_acknowledged() {
    let mut member = Member::start().await;
    let proxy = Proxy::start(&[&member.address], None);
    let (_, mut stream) = member.welcome(&topology(3, 1)).await;
    proxy.receives(3).await;
    proxy.settle(3);
    assert_eq!(stream.ack().await, 3);
    stream.change(&topology(3, 1), &topology(4, 2)).await;
    proxy.receives(4).await;
    proxy.link.settled(0, 4);
    stream.end(Rpc::unavailable("another member leads now")).await;
    let (register, _stream) = member.call().await.accept().await;
    assert_eq!((register.epoch, register.cluster), (3, CLUSTER));
}

#[tokio::test]
async fn the_saved_topology_is_what_a_restarted_proxy_registers_with() {
    let mut member = Member::start().await;
    let _proxy = Proxy::start(&[&member.address], Some(saved(topology(9, 1))));
    let (register, _stream) = member.call().await.accept().await;
    assert_eq!((register.epoch, register.cluster), (9, CLUSTER));
}

#[tokio::test]
async fn a_proxy_goes_where_a_member_says_that_the_leader_is() {
    let (mut follower, mut leader) = (Member::start().await, Member::start().await);
    let proxy = Proxy::start(&[&follower.address], None);
    follower.call().await.redirect(&leader.address);
    let (_, _stream) = leader.welcome(&topology(3, 1)).await;
    let status = proxy.status(|status| status.connected).await;
    assert_eq!(status.leader, leader.address);
}

#[tokio::test]
async fn a_proxy_that_is_sent_to_a_dead_leader_comes_back_to_the_list() {
    let mut member = Member::start().await;
    let proxy = Proxy::start(&[&nobody(), &member.address], None);
    member.call().await.redirect(&nobody());
    let (_, _stream) = member.welcome(&topology(3, 1)).await;
    proxy.receives(3).await;
}

#[tokio::test]
async fn members_that_the_leader_names_are_found_when_it_is_gone() {
    let (mut first, mut second) = (Member::start().await, Member::start().await);
    let proxy = Proxy::start(&[&first.address], None);
    let (_, stream) = first.call().await.accept().await;
    stream.welcome(CLUSTER, &[&first.address, &second.address]).await;
    stream.topology(&topology(3, 1)).await;
    proxy.receives(3).await;
    drop((first, stream));
    let (_, _stream) = second.welcome(&topology(4, 1)).await;
    proxy.receives(4).await;
}

#[tokio::test]
async fn a_change_to_another_topology_makes_the_proxy_register_anew() {
    let mut member = Member::start().await;
    let proxy = Proxy::start(&[&member.address], None);
    let (_, stream) = member.welcome(&topology(3, 1)).await;
    proxy.receives(3).await;
    stream.change(&topology(4, 1), &topology(5, 2)).await;
    let (_, _stream) = member.welcome(&topology(5, 2)).await;
    proxy.receives(5).await;
}

#[tokio::test]
async fn nonsense_is_never_worked_by() {
    let mut member = Member::start().await;
    let proxy = Proxy::start(&[&member.address], None);
    let (_, stream) = member.welcome(&topology(3, 1)).await;
    proxy.receives(3).await;
    let mut nonsense = topology(4, 1);
    nonsense.groups.clear();
    stream.topology(&nonsense).await;
    let (_, older) = member.welcome(&topology(2, 1)).await;
    let (_, other_group) = member.call().await.accept().await;
    drop((stream, older));
    other_group.welcome(CLUSTER + 1, &[]).await;
    other_group.topology(&topology(7, 1)).await;
    let (_, _stream) = member.call().await.accept().await;
    let received = proxy.link.shared.received.borrow().clone().expect("a topology");
    assert_eq!((received.topology.epoch, received.cluster), (3, CLUSTER));
    let status = proxy.status(|status| !status.connected).await;
    assert!(status.last_refusal.contains("it belongs to the metadata group"), "{status:?}");
}

#[tokio::test]
async fn of_changes_that_wait_only_the_newest_is_handed_on() {
    let mut member = Member::start().await;
    let proxy = Proxy::start(&[&member.address], None);
    let (_, stream) = member.welcome(&topology(1, 1)).await;
    proxy.receives(1).await;
    let mut received = proxy.link.shared.received.subscribe();
    received.mark_unchanged();
    for epoch in 1..50 {
        let slots = epoch as usize;
        stream.change(&topology(epoch, slots), &topology(epoch + 1, slots + 1)).await;
    }
    let mut installed = 0;
    while proxy.link.shared.received.borrow().as_ref().is_some_and(|r| r.topology.epoch < 50) {
        received.changed().await.expect("the link is there");
        received.mark_unchanged();
        installed += 1;
    }
    assert!(installed < 49, "each of {installed} changes was handed on by itself");
    assert_eq!(proxy.receives(50).await.slots[49], proxy.receives(50).await.slots[0]);
}

#[tokio::test]
async fn a_proxy_that_serves_nobody_ends_when_it_is_refused_for_good() {
    let mut member = Member::start().await;
    let proxy = Proxy::start(&[&member.address], None);
    member.call().await.refuse(Rpc::failed_precondition("it is of another product"));
    let reason = proxy.link.refused().await;
    let sentence = "the metadata group refuses this proxy: it is of another product";
    assert!(reason.starts_with(sentence), "{reason}");
}

#[tokio::test]
async fn a_group_without_a_product_is_asked_again_for_a_while() {
    let mut member = Member::start().await;
    let proxy = Proxy::start(&[&member.address], None);
    member.call().await.refuse(Rpc::not_found("no product has been created"));
    let (_, _stream) = member.welcome(&topology(1, 1)).await;
    proxy.receives(1).await;
}

#[tokio::test]
async fn a_proxy_that_serves_tries_on_when_it_is_refused() {
    let mut member = Member::start().await;
    let proxy = Proxy::start(&[&member.address], None);
    let (_, stream) = member.welcome(&topology(3, 1)).await;
    proxy.receives(3).await;
    stream.end(Rpc::unavailable("no leader")).await;
    member.call().await.refuse(Rpc::unauthenticated("the token is wrong"));
    member.call().await.refuse(Rpc::unauthenticated("the token is wrong"));
    let status = proxy.status(|status| status.last_refusal.contains("token is wrong")).await;
    assert!(!status.connected && status.epoch == 3, "{status:?}");
    let (_, _stream) = member.welcome(&topology(4, 1)).await;
    proxy.receives(4).await;
    assert_eq!(proxy.status(|status| status.connected).await.last_refusal, "");
}

#[tokio::test]
async fn a_member_that_never_answers_is_left_for_the_next() {
    let (mut silent, mut leader) = (Member::start().await, Member::start().await);
    let proxy = Proxy::start(&[&silent.address, &leader.address], None);
    let _never_answered = silent.call().await;
    let (_, _stream) = leader.welcome(&topology(3, 1)).await;
    proxy.receives(3).await;
}

#[tokio::test]
async fn counters_are_sent_as_they_are_made() {
    let mut member = Member::start().await;
    let proxy = Proxy::start(&[&member.address], None);
    let (_, mut stream) = member.welcome(&topology(3, 1)).await;
    proxy.status(|status| status.connected).await;
    let stats = wire::Stats { ops_total: 5, page: b"{}".to_vec(), ..Default::default() };
    proxy.link.shared.stats.send_replace(Some(stats.clone()));
    assert_eq!(stream.next().await, Some(ProxyBody::Stats(stats)));
}

#[tokio::test]
async fn stopping_is_the_last_word() {
    let mut member = Member::start().await;
    let proxy = Proxy::start(&[&member.address], None);
    let (_, mut stream) = member.welcome(&topology(3, 1)).await;
    proxy.status(|status| status.connected).await;
    let stopped = tokio::spawn(proxy.link.stop());
    assert_eq!(stream.next().await, Some(ProxyBody::Stopping(wire::Stopping {})));
    assert_eq!(stream.next().await, None);
    drop(stream);
    stopped.await.expect("no panic");
}

#[tokio::test]
async fn a_proxy_whose_group_is_away_just_ends() {
    let proxy = Proxy::start(&[&nobody()], None);
    proxy.status(|status| !status.last_refusal.is_empty()).await;
    proxy.link.stop().await;
}

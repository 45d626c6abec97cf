//! Calls that go on for a while: promotions, syncs, watching, backups.

use api::sync_progress::Phase;
use api::watch_event::Event;
use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use pb::PromoteStep;
use pb::command::Change;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_stream::iter;
use tonic::{Code, Request, Streaming};

use crate::member::{CLUSTER, Member, PRODUCT, eventually};

async fn promotion(member: &Member) -> Option<u64> {
    let look = |state: &codis_meta::state::State| {
        Some(state.data().groups.get(&1)?.promotion.as_ref()?.epoch)
    };
    member.node.peek(look).await.expect("it runs")
}

fn promote() -> api::PromoteServerRequest {
    api::PromoteServerRequest { call: None, gid: 1, addr: "b:1".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_is_answered_when_it_is_over() {
    let member = Member::alone().await;
    member.make_group(1, &["a:1", "b:1", "c:1"]).await;
    let mut admin = member.admin();
    let waiting = tokio::spawn(async move { admin.promote_server(promote()).await });
    eventually("it has begun", async || promotion(&member).await.is_some()).await;
    let epoch = promotion(&member).await.expect("it has begun");
    for step in [PromoteStep::Prepared, PromoteStep::Finished] {
        let step = step.into();
        let advance = pb::GroupPromoteAdvance { group: 1, epoch, step };
        member.make(Change::GroupPromoteAdvance(advance)).await;
    }
    assert!(!waiting.is_finished(), "the others do not follow yet");
    let not_following = BTreeMap::from([("c:1".to_owned(), "it is down".to_owned())]);
    let finish = pb::GroupPromoteFinish { group: 1, epoch, not_following };
    member.make(Change::GroupPromoteFinish(finish)).await;
    let changed = waiting.await.expect("it did not panic").expect("promoted").into_inner();
    assert_eq!(changed.epoch, member.epoch().await);
    assert!(changed.notes[0].contains("c:1 does not follow the new master (it is down)"));
    let topology = member.node.topology().borrow().clone();
    assert_eq!(topology.groups[0].master, "b:1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_is_given_up_is_an_error_with_the_reason() {
    let member = Member::alone().await;
    member.make_group(1, &["a:1", "b:1"]).await;
    let mut admin = member.admin();
    let waiting = tokio::spawn(async move { admin.promote_server(promote()).await });
    eventually("it has begun", async || promotion(&member).await.is_some()).await;
    let epoch = promotion(&member).await.expect("it has begun");
    let abort = pb::GroupPromoteAbort { group: 1, epoch, reason: "it lags".into() };
    member.make(Change::GroupPromoteAbort(abort)).await;
    let status = waiting.await.expect("it did not panic").expect_err("given up");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().ends_with("it lags"), "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_takes_longer_than_the_caller_waits_goes_on() {
    let member = Member::alone().await;
    member.make_group(1, &["a:1", "b:1"]).await;
    let mut request = Request::new(promote());
    request.set_timeout(Duration::from_secs(2));
    let status = member.admin().promote_server(request).await.expect_err("too late");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(status.message().contains("is not over yet"), "{}", status.message());
    assert!(promotion(&member).await.is_some());
    let status = member.admin().promote_server(promote()).await.expect_err("it goes on");
    assert_eq!(status.code(), Code::FailedPrecondition);
}

async fn order(member: &Member) -> u64 {
    let look = |state: &codis_meta::state::State| state.data().order_last;
    member.node.peek(look).await.expect("it runs")
}

async fn progress(stream: &mut Streaming<api::SyncProgress>) -> api::SyncProgress {
    stream.message().await.expect("it goes on").expect("it has not ended")
}

fn sync() -> api::SyncServerRequest {
    api::SyncServerRequest { call: None, addr: "B:1".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_tells_how_far_it_is_until_it_is_done() {
    let member = Member::alone().await;
    member.make_group(1, &["a:1", "b:1"]).await;
    let mut stream = member.admin().sync_server(sync()).await.expect("begun").into_inner();
    assert_eq!(progress(&mut stream).await.phase(), Phase::Waiting);
    // A second caller joins.
    let mut joined = member.admin().sync_server(sync()).await.expect("joined").into_inner();
    assert_eq!(progress(&mut joined).await.phase(), Phase::Waiting);
    let order = order(&member).await;
    let advance = pb::GroupSyncAdvance { address: "b:1".into(), order };
    member.servers.show(
        "b:1",
        api::ServerFacts {
            role: "slave".into(),
            sync_in_progress: true,
            sync_total_bytes: 100,
            sync_left_bytes: 40,
            ..Default::default()
        },
    );
    member.make(Change::GroupSyncAdvance(advance)).await;
    let copying = progress(&mut stream).await;
    assert_eq!(
        (copying.phase(), copying.total_bytes, copying.left_bytes),
        (Phase::Copying, 100, 40)
    );
    let finish = pb::GroupSyncFinish { address: "b:1".into(), order, failure: String::new() };
    member.make(Change::GroupSyncFinish(finish)).await;
    assert_eq!(progress(&mut stream).await.phase(), Phase::Done);
    assert_eq!(stream.message().await.expect("a good end"), None);
    while let Some(last) = joined.message().await.expect("a good end") {
        assert_ne!(last.phase(), Phase::Unspecified);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_ends_with_the_reason() {
    let member = Member::alone().await;
    member.make_group(1, &["a:1", "b:1"]).await;
    let mut stream = member.admin().sync_server(sync()).await.expect("begun").into_inner();
    assert_eq!(progress(&mut stream).await.phase(), Phase::Waiting);
    let order = order(&member).await;
    let address = "b:1".to_owned();
    let advance = pb::GroupSyncAdvance { address: address.clone(), order };
    member.make(Change::GroupSyncAdvance(advance)).await;
    let finish = pb::GroupSyncFinish { address, order, failure: "no room".into() };
    member.make(Change::GroupSyncFinish(finish)).await;
    let status = loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "a failure is no good end"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), "b:1 was not synced: no room");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_synced_is_refused() {
    let member = Member::alone().await;
    member.make_group(1, &["a:1"]).await;
    for (addr, code) in [
        ("a:1", Code::FailedPrecondition),
        ("z:1", Code::NotFound),
        ("nonsense", Code::InvalidArgument),
    ] {
        let request = api::SyncServerRequest { call: None, addr: addr.into() };
        let status = member.admin().sync_server(request).await.expect_err(addr);
        assert_eq!(status.code(), code, "{addr}");
    }
}

async fn event(stream: &mut Streaming<api::WatchEvent>) -> Event {
    let event = stream.message().await.expect("it goes on").expect("it has not ended");
    event.event.expect("an event says something")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_is_told_where_it_stands_and_then_each_change() {
    let member = Member::alone().await;
    let watch = |all| api::WatchRequest { all };
    let mut some = member.admin().watch(watch(false)).await.expect("watching").into_inner();
    let mut all = member.admin().watch(watch(true)).await.expect("watching").into_inner();
    for stream in [&mut some, &mut all] {
        let Event::Current(current) = event(stream).await else { panic!("where it stands") };
        assert_eq!(current.topology.expect("a topology").slots.len(), 1024);
    }
    let acks = || Change::ProxyAck(pb::ProxyAck::default());
    member.make(acks()).await;
    let created = member.make(Change::GroupCreate(pb::GroupCreate { group: 3 })).await;
    let Event::Change(change) = event(&mut some).await else { panic!("a change") };
    assert_eq!((change.index, change.epoch), (created.index, created.epoch));
    let command = change.command.expect("what was changed").change;
    assert_eq!(command, Some(Change::GroupCreate(pb::GroupCreate { group: 3 })));
    let Event::Change(change) = event(&mut all).await else { panic!("a change") };
    assert_eq!(change.command.expect("what was changed").change, Some(acks()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_is_told_that_the_port_closes() {
    let mut member = Member::alone().await;
    let request = api::WatchRequest { all: false };
    let mut stream = member.admin().watch(request).await.expect("watching").into_inner();
    event(&mut stream).await;
    member.close();
    let status = loop {
        if let Err(status) = stream.message().await {
            break status;
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
}

async fn backup(member: &Member) -> Vec<u8> {
    let request = api::BackupRequest {};
    let mut stream = member.admin().backup(request).await.expect("begun").into_inner();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.message().await.expect("it goes on") {
        bytes.extend(chunk.data);
    }
    bytes
}

async fn restore(member: &Member, bytes: &[u8]) -> Result<api::Changed, tonic::Status> {
    restore_as(member, bytes, None).await
}

async fn restore_as(
    member: &Member,
    bytes: &[u8],
    id: Option<api::RequestId>,
) -> Result<api::Changed, tonic::Status> {
    let mut chunks: Vec<_> =
        bytes.chunks(1000).map(|data| api::BackupChunk { data: data.to_vec(), id: None }).collect();
    chunks[0].id = id;
    Ok(member.admin().restore(iter(chunks)).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_restored_into_a_new_group_gives_the_same_topology() {
    let old = Member::alone().await;
    old.make_group(1, &["a:1", "b:1"]).await;
    let slots = Some(pb::SlotRange { first: 0, last: 1023 });
    old.make(Change::SlotsAssign(pb::SlotsAssign { slots, group: 1 })).await;
    let bytes = backup(&old).await;
    assert!(bytes.starts_with(b"codisbak"));

    let new = Member::alone().await;
    let restored = restore(&new, &bytes).await.expect("restored");
    assert!(restored.notes[0].contains("what was changed since is lost"), "{:?}", restored.notes);
    let topologies = [&old, &new].map(|member| {
        let topology = member.node.topology().borrow().clone();
        // These two differ on purpose: proxies of the lost group may have seen later ones.
        pb::Topology { epoch: 0, removals: 0, ..(*topology).clone() }
    });
    assert_eq!(topologies[0], topologies[1]);
    let look =
        |state: &codis_meta::state::State| (state.data().cluster, state.data().product.clone());
    assert_eq!(new.node.peek(look).await, Ok((CLUSTER, PRODUCT.to_owned())));

    let status = restore(&new, &bytes).await.expect_err("it holds something");
    assert_eq!(status.code(), Code::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_sent_again_under_its_id_runs_once() {
    let old = Member::alone().await;
    old.make_group(1, &["a:1"]).await;
    let bytes = backup(&old).await;
    let new = Member::alone().await;
    let id = Some(api::RequestId { client: 5, request: 1 });
    let first = restore_as(&new, &bytes, id).await.expect("restored");
    let again = restore_as(&new, &bytes, id).await.expect("the same answer");
    assert_eq!((again.index, again.epoch), (first.index, first.epoch));
    let another = Some(api::RequestId { client: 5, request: 2 });
    let status = restore_as(&new, &bytes, another).await.expect_err("it holds something");
    assert_eq!(status.code(), Code::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_sound_backup_is_refused() {
    let member = Member::alone().await;
    let mut bytes = backup(&member).await;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    for (file, words) in [
        (&bytes[..], "is damaged"),
        (&bytes[..20], "ends too early"),
        (b"#!/bin/sh", "not a backup"),
    ] {
        let status = restore(&member, file).await.expect_err(words);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(words), "{}", status.message());
    }
}

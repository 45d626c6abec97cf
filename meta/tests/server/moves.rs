//! Slots that move: queued, cancelled, listed, planned.

use api::rebalance_request::By;
use codis_meta::drive::SlotWeight;
use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use codis_proto::meta::v1::command::Change;
use tonic::{Code, Status};

use crate::member::Member;

/// Groups 1, 2 and 3 with masters a:1, b:1 and c:1; slots 0 to 5 are on the first, 6 and 7 on the second.
async fn product() -> Member {
    let member = Member::alone().await;
    for (gid, master) in [(1, "a:1"), (2, "b:1"), (3, "c:1")] {
        member.make_group(gid, &[master]).await;
    }
    for (first, last, group) in [(0, 5, 1), (6, 7, 2)] {
        let slots = Some(pb::SlotRange { first, last });
        member.make(Change::SlotsAssign(pb::SlotsAssign { slots, group })).await;
    }
    member
}

async fn migrate(
    member: &Member,
    request: api::MigrateSlotsRequest,
) -> Result<api::Changed, Status> {
    Ok(member.admin().migrate_slots(request).await?.into_inner())
}

fn range(beg: u32, end: u32, gid: u32) -> api::MigrateSlotsRequest {
    api::MigrateSlotsRequest { beg, end, gid, ..Default::default() }
}

async fn moves(member: &Member) -> api::Moves {
    member.admin().get_moves(api::GetMovesRequest {}).await.expect("listed").into_inner()
}

/// Slot, from and to of each queued move, in their order.
async fn queue(member: &Member) -> Vec<(u32, u32, u32)> {
    let target = |one: &api::Move| one.action.as_ref().expect("it has one").target;
    moves(member).await.moves.iter().map(|one| (one.slot, one.from, target(one))).collect()
}

async fn plan(member: &Member, by: By, drain_gid: u32) -> Result<api::RebalancePlan, Status> {
    let request = api::RebalanceRequest { by: by.into(), drain_gid };
    Ok(member.admin().rebalance(request).await?.into_inner())
}

/// Slot, from and to of each planned move.
fn planned(plan: &api::RebalancePlan) -> Vec<(u32, u32, u32)> {
    plan.moves.iter().map(|one| (one.slot, one.from, one.to)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn moves_are_queued_listed_in_their_order_and_cancelled() {
    let member = product().await;
    let changed = migrate(&member, range(4, 6, 2)).await.expect("queued");
    assert_eq!(changed.notes, ["2 slots wait to move, 0 are moving"]);
    let some = api::MigrateSlotsRequest { from_gid: 1, count: 2, ..range(0, 1023, 3) };
    migrate(&member, some).await.expect("queued");
    assert_eq!(queue(&member).await, [(4, 1, 2), (5, 1, 2), (0, 1, 3), (1, 1, 3)]);
    let cancel = api::CancelSlotsRequest { call: None, beg: 0, end: 4 };
    member.admin().cancel_slots(cancel).await.expect("cancelled");
    assert_eq!(queue(&member).await, [(5, 1, 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_sent_again_is_answered_though_its_slots_have_an_action_by_now() {
    let member = product().await;
    let id = Some(api::RequestId { client: 5, request: 1 });
    let call = Some(api::Call { id, ..Default::default() });
    let request = api::MigrateSlotsRequest { call, from_gid: 1, count: 2, ..range(0, 1023, 3) };
    let first = migrate(&member, request.clone()).await.expect("queued");
    let again = migrate(&member, request).await.expect("the same answer");
    assert_eq!(again.index, first.index);
    assert_eq!(queue(&member).await, [(0, 1, 3), (1, 1, 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn moves_that_cannot_be_are_refused() {
    let member = product().await;
    let moves = vec![api::PlannedMove { slot: 0, from: 2, to: 3 }];
    for (request, code, words) in [
        (range(6, 7, 2), Code::FailedPrecondition, "nothing to move"),
        (range(0, 9, 2), Code::FailedPrecondition, "offline slots: 8, 9"),
        (range(0, 9, 7), Code::NotFound, "no group 7"),
        (
            api::MigrateSlotsRequest { moves, ..Default::default() },
            Code::Aborted,
            "on group 1 by now",
        ),
    ] {
        let status = migrate(&member, request).await.expect_err(words);
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(words), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_moves_up_is_said() {
    let member = product().await;
    let values = [("migration_disabled".to_owned(), "true".to_owned())].into();
    member.make(Change::SettingsSet(pb::SettingsSet { values })).await;
    let add = pb::ServerAdd { group: 1, address: "a:2".into(), ..Default::default() };
    member.make(Change::ServerAdd(add)).await;
    let promote = pb::GroupPromoteBegin { group: 1, target: "a:2".into() };
    member.make(Change::GroupPromoteBegin(promote)).await;
    let figures = api::Moves { keys_moved: 9, slots_done: 3, ..Default::default() };
    *member.servers.moves.lock().expect("sound") = figures;
    let notes = migrate(&member, range(0, 0, 2)).await.expect("queued").notes;
    assert!(notes[1].starts_with("moves are paused"), "{notes:?}");
    assert!(notes[2].starts_with("group 1's master is being changed"), "{notes:?}");
    let moves = moves(&member).await;
    assert_eq!((moves.paused, moves.keys_moved, moves.slots_done), (true, 9, 3));
    let status = member.admin().get_status(api::GetStatusRequest {}).await.expect("answered");
    let status = status.into_inner();
    assert!(status.warnings.iter().any(|one| one.contains("moves are paused")), "{status:?}");
    let moves = status.moves.expect("they are there");
    assert_eq!((moves.keys_moved, moves.moves.len()), (9, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_evens_slots_and_is_made_as_it_was_shown() {
    let member = product().await;
    migrate(&member, range(5, 5, 3)).await.expect("queued");
    let shown = plan(&member, By::Slots, 0).await.expect("planned");
    assert_eq!(planned(&shown), [(0, 1, 3), (1, 1, 2)], "slot 5 counts at group 3");
    let counts: Vec<_> =
        shown.shares.iter().map(|one| (one.gid, one.slots_before, one.slots_after)).collect();
    assert_eq!(counts, [(1, 5, 3), (2, 2, 3), (3, 1, 2)]);
    assert!(shown.notes.contains(&"1016 slots are offline and not planned for".to_owned()));
    assert_eq!(queue(&member).await.len(), 1, "a plan moves nothing");
    let request = api::MigrateSlotsRequest { moves: shown.moves, ..Default::default() };
    migrate(&member, request).await.expect("queued");
    assert_eq!(queue(&member).await, [(5, 1, 3), (0, 1, 3), (1, 1, 2)]);
    assert_eq!(planned(&plan(&member, By::Slots, 0).await.expect("planned")), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_evens_what_slots_weigh() {
    let member = product().await;
    let weigh = |of: &[(usize, u64, u64)]| {
        let mut slots = vec![SlotWeight::default(); 1024];
        of.iter().for_each(|(slot, keys, bytes)| {
            slots[*slot] = SlotWeight { keys: *keys, bytes: *bytes };
        });
        slots
    };
    let heavy = weigh(&[(0, 10, 900), (1, 10, 300), (2, 10, 300), (3, 10, 1)]);
    let weights = [("a:1".to_owned(), heavy), ("b:1".to_owned(), weigh(&[(6, 1, 300)]))];
    *member.servers.weights.lock().expect("sound") = weights.into();
    let by_bytes = plan(&member, By::Bytes, 0).await.expect("planned");
    assert_eq!(planned(&by_bytes), [(2, 1, 3), (1, 1, 2)]);
    assert_eq!((by_bytes.shares[0].weight_before, by_bytes.shares[0].weight_after), (1501, 901));
    let by_keys = plan(&member, By::Keys, 0).await.expect("planned");
    assert_eq!(by_keys.moves.len(), 2);
    member.servers.weights.lock().expect("sound").remove("b:1");
    let status = plan(&member, By::Keys, 0).await.expect_err("b:1 cannot be walked");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(
        status.message().contains("group 2 cannot be weighed: b:1 does not answer"),
        "{status}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_drained_onto_the_others() {
    let member = product().await;
    let drained = plan(&member, By::Slots, 1).await.expect("planned");
    assert_eq!(drained.moves.len(), 6);
    let counts: Vec<_> = drained.shares.iter().map(|one| (one.gid, one.slots_after)).collect();
    assert_eq!(counts, [(1, 0), (2, 4), (3, 4)]);
    let status = plan(&member, By::Slots, 9).await.expect_err("there is no such group");
    assert_eq!(status.code(), Code::NotFound);
    let alone = Member::alone().await;
    alone.make_group(1, &["a:1"]).await;
    let status = plan(&alone, By::Slots, 1).await.expect_err("there is nowhere to go");
    assert_eq!(status.code(), Code::FailedPrecondition);
}

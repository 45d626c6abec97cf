use crate::changes::*;
use crate::cluster::{Cluster, address};
use codis_proto::meta::v1 as pb;
use pb::PromoteStep as Step;
use pb::RefusalCode as Code;
use pb::SlotKind::Stable;

fn master(cluster: &Cluster, group: u32) -> &str {
    &cluster.group(group).servers[0].address
}

#[test]
fn a_promotion_locks_waits_switches_and_unlocks() {
    let mut cluster = Cluster::with_groups(2);
    cluster.ok(assign(0, 0, 1));
    cluster.ok(assign(1, 1, 2));
    cluster.ok(register("a", 1, 5, 0));
    let begun = cluster.ok(promote(1, &address(1, 3)));
    assert_eq!(cluster.seen(0), (Stable, 0, 1, true));
    assert_eq!(cluster.seen(1), (Stable, 0, 2, false), "other groups go on");

    cluster.refused(Code::BarrierOpen, promote_step(1, begun, Step::Prepared));
    cluster.ok(ack(&[("a", 5, begun)]));
    assert_eq!(cluster.ok(promote_step(1, begun, Step::Prepared)), begun, "proxies wait on");
    assert_eq!(master(&cluster, 1), address(1, 1));
    assert_eq!(cluster.ok(promote_step(1, begun, Step::Finished)), begun + 1);
    assert_eq!(cluster.seen(0), (Stable, 0, 1, false));
    let order: Vec<_> = cluster.group(1).servers.iter().map(|one| one.address.clone()).collect();
    assert_eq!(order, [address(1, 3), address(1, 1), address(1, 2)]);
    cluster.ok(promote_finish(1, begun, &[(&address(1, 2), "it did not answer")]));
    assert_eq!(cluster.group(1).promotion, None);
    assert_eq!(cluster.group(1).servers[2].sync_failure, "it did not answer");
}

#[test]
fn a_promotion_may_be_given_up_until_the_master_has_changed() {
    let mut cluster = Cluster::with_groups(1);
    cluster.ok(assign(0, 0, 1));
    let first = cluster.ok(promote(1, &address(1, 2)));
    cluster.ok(promote_abort(1, first, "the replica is too far behind"));
    assert_eq!(cluster.seen(0), (Stable, 0, 1, false));
    assert_eq!(cluster.group(1).promotion_failure, "the replica is too far behind");
    let second = cluster.ok(promote(1, &address(1, 2)));
    cluster.ok(promote_step(1, second, Step::Prepared));
    cluster.ok(promote_abort(1, second, "no"));
    assert_eq!(master(&cluster, 1), address(1, 1));
    let third = cluster.ok(promote(1, &address(1, 2)));
    cluster.ok(promote_step(1, third, Step::Prepared));
    cluster.ok(promote_step(1, third, Step::Finished));
    let sentence = cluster.refused(Code::PromotionPhase, promote_abort(1, third, "no"));
    assert!(sentence.contains("then promote 10.0.1.1:6379 back"), "{sentence}");
    cluster.ok(promote_finish(1, third, &[]));
    assert_eq!(cluster.group(1).promotion_failure, "", "it succeeded in the end");
}

#[test]
fn the_steps_of_a_promotion_have_their_order_and_their_epoch() {
    let mut cluster = Cluster::with_groups(1);
    cluster.refused(Code::PromotionPhase, promote_step(1, 1, Step::Prepared));
    let begun = cluster.ok(promote(1, &address(1, 2)));
    cluster.refused(Code::Malformed, promote_step(1, begun, Step::Unspecified));
    cluster.refused(Code::PromotionPhase, promote_step(1, begun - 1, Step::Prepared));
    cluster.refused(Code::PromotionPhase, promote_step(1, begun, Step::Finished));
    cluster.refused(Code::PromotionPhase, promote_finish(1, begun, &[]));
    cluster.ok(promote_step(1, begun, Step::Prepared));
    cluster.refused(Code::PromotionPhase, promote_step(1, begun, Step::Prepared));
    cluster.ok(promote_step(1, begun, Step::Finished));
    cluster.refused(Code::PromotionPhase, promote_step(1, begun, Step::Finished));
    cluster.refused(Code::ServerUnknown, promote_finish(1, begun, &[("10.8.0.1:1", "no")]));
    cluster.refused(Code::ServerIsMaster, promote_finish(1, begun, &[(&address(1, 2), "no")]));
    cluster.ok(promote_finish(1, begun, &[]));
}

#[test]
fn a_replica_that_is_there_and_whole_is_promoted() {
    let mut cluster = Cluster::with_groups(2);
    cluster.refused(Code::GroupUnknown, promote(3, &address(1, 2)));
    cluster.refused(Code::ServerUnknown, promote(1, &address(2, 2)));
    cluster.refused(Code::ServerIsMaster, promote(1, &address(1, 1)));
    cluster.ok(sync(&address(1, 2)));
    cluster.refused(Code::SyncUnderWay, promote(1, &address(1, 2)));
    cluster.ok(sync_run(&address(1, 2), 1));
    cluster.refused(Code::SyncUnderWay, promote(1, &address(1, 3)));
    cluster.ok(sync_end(&address(1, 2), 1, ""));
    cluster.ok(promote(1, &address(1, 2)));
}

#[test]
fn a_group_keeps_its_servers_while_its_master_changes() {
    let mut cluster = Cluster::with_groups(1);
    cluster.ok(sync(&address(1, 3)));
    let begun = cluster.ok(promote(1, &address(1, 2)));
    for change in [
        promote(1, &address(1, 3)),
        server(1, "10.8.0.1:6379"),
        server_remove(1, &address(1, 3)),
        group_remove(1),
        sync(&address(1, 2)),
        sync_run(&address(1, 3), 1),
    ] {
        cluster.refused(Code::PromotionUnderWay, change);
    }
    cluster.ok(promote_abort(1, begun, ""));
    assert_eq!(cluster.group(1).promotion_failure, "no reason was given");
    cluster.ok(sync_run(&address(1, 3), 1));
}

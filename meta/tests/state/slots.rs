use crate::changes::*;
use crate::cluster::Cluster;
use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;
use pb::SlotKind::{Migrating, Offline, Preparing, Stable};
use pb::SlotStep as Step;

#[test]
fn offline_slots_are_assigned_and_owned_ones_are_not_taken() {
    let mut cluster = Cluster::with_groups(2);
    for (first, last) in [(5, 4), (0, 1024), (1024, 1024)] {
        cluster.refused(Code::InvalidValue, assign(first, last, 1));
    }
    cluster.ok(assign(0, 511, 1));
    cluster.ok(assign(0, 1023, 1));
    let sentence = cluster.refused(Code::SlotOwned, assign(0, 1023, 2));
    assert!(sentence.contains("0, 1, 2, 3, 4 and 1019 more"), "{sentence}");
    cluster.ok(offline(0, 0));
    assert_eq!(cluster.seen(0), (Offline, 0, 0, false));
    cluster.ok(assign(0, 0, 2));
    assert_eq!(cluster.seen(0), (Stable, 0, 2, false));
}

#[test]
fn slots_go_to_no_group_without_a_server_and_to_none_whose_master_changes() {
    let mut cluster = Cluster::with_groups(1);
    cluster.ok(group(2));
    cluster.refused(Code::GroupUnknown, assign(0, 0, 3));
    cluster.refused(Code::GroupEmpty, assign(0, 0, 2));
    cluster.ok(assign(0, 0, 1));
    cluster.refused(Code::GroupEmpty, action(0, 0, 2));
    cluster.ok(promote(1, "10.0.1.2:6379"));
    cluster.refused(Code::PromotionUnderWay, assign(1, 1, 1));
}

#[test]
fn an_action_is_for_a_slot_of_another_group_that_has_none() {
    let mut cluster = Cluster::with_groups(3);
    cluster.ok(assign(0, 9, 1));
    cluster.refused(Code::SlotOffline, action(5, 15, 2));
    cluster.refused(Code::ActionTarget, action(0, 0, 1));
    cluster.refused(Code::GroupUnknown, action(0, 0, 4));
    let before = cluster.state.epoch();
    assert_eq!(cluster.ok(action(0, 4, 2)), before, "proxies see nothing of a pending action");
    cluster.refused(Code::SlotBusy, action(4, 9, 3));
    cluster.refused(Code::SlotBusy, assign(0, 9, 1));
    cluster.refused(Code::SlotBusy, offline(0, 0));
    let orders: Vec<_> =
        cluster.state.data().slots.iter().filter_map(|s| Some(s.action.as_ref()?.order)).collect();
    assert_eq!(orders, [1, 2, 3, 4, 5]);
}

/// The slots that have an action, in its order, with where they go.
fn queue(cluster: &Cluster) -> Vec<(usize, u32)> {
    let slots = cluster.state.data().slots.iter().enumerate();
    let mut queue: Vec<_> =
        slots.filter_map(|(slot, one)| Some((one.action.as_ref()?, slot))).collect();
    queue.sort_by_key(|(action, _)| action.order);
    queue.into_iter().map(|(action, slot)| (slot, action.target)).collect()
}

#[test]
fn of_a_range_those_move_that_are_elsewhere() {
    let mut cluster = Cluster::with_groups(3);
    cluster.ok(assign(0, 3, 1));
    cluster.ok(assign(4, 9, 2));
    let sentence = cluster.refused(Code::SlotOffline, action(0, 15, 2));
    assert!(sentence.contains("10, 11, 12, 13, 14 and 1 more"), "{sentence}");
    cluster.ok(action(2, 2, 2));
    cluster.ok(action(0, 9, 2));
    assert_eq!(queue(&cluster), [(2, 2), (0, 2), (1, 2), (3, 2)]);
    let sentence = cluster.refused(Code::ActionTarget, action(0, 9, 2));
    assert!(sentence.contains("nothing to move"), "{sentence}");
    let sentence = cluster.refused(Code::SlotBusy, action(0, 9, 3));
    assert!(sentence.contains("0, 1, 2, 3:"), "{sentence}");
}

#[test]
fn so_many_slots_of_a_group_move_the_lowest_first() {
    let mut cluster = Cluster::with_groups(3);
    cluster.ok(assign(0, 5, 1));
    cluster.ok(assign(6, 9, 2));
    cluster.ok(action(1, 1, 3));
    cluster.ok(action_from(1, 2, 3));
    assert_eq!(queue(&cluster), [(1, 3), (0, 2), (2, 2), (3, 2)]);
    cluster.ok(action_from(1, 3, 0));
    assert_eq!(queue(&cluster)[4..], [(4, 3), (5, 3)]);
    cluster.refused(Code::ActionTarget, action_from(1, 3, 1));
    cluster.refused(Code::ActionTarget, action_from(2, 2, 1));
    cluster.refused(Code::GroupUnknown, action_from(4, 2, 1));
}

#[test]
fn a_planned_move_is_made_as_it_was_planned_or_no_move_of_the_plan_is() {
    let mut cluster = Cluster::with_groups(3);
    cluster.ok(group(4));
    cluster.ok(assign(0, 3, 1));
    cluster.ok(assign(4, 9, 2));
    cluster.ok(action(9, 9, 3));
    for (code, wrong) in [
        (Code::EpochConflict, (4, 1, 3)),
        (Code::ActionTarget, (4, 2, 2)),
        (Code::SlotBusy, (9, 2, 1)),
        (Code::SlotOffline, (10, 0, 1)),
        (Code::GroupUnknown, (4, 2, 9)),
        (Code::GroupEmpty, (4, 2, 4)),
        (Code::InvalidValue, (1024, 1, 2)),
        (Code::InvalidValue, (0, 1, 3)),
    ] {
        cluster.refused(code, planned(&[(0, 1, 2), wrong]));
    }
    cluster.ok(planned(&[(8, 2, 1), (0, 1, 2), (1, 1, 3)]));
    assert_eq!(queue(&cluster), [(9, 3), (8, 1), (0, 2), (1, 3)]);
}

/// Moves a slot all the way.
fn moved(cluster: &mut Cluster, slot: u32, target: u32) {
    cluster.ok(action(slot, slot, target));
    let prepared = cluster.ok(step(&[slot], Step::Prepare, 0, ""));
    let migrating = cluster.ok(step(&[slot], Step::Migrate, prepared, ""));
    cluster.ok(step(&[slot], Step::Done, migrating, ""));
}

#[test]
fn groups_that_gave_a_slot_away_are_known_until_they_have_it_again_or_other_servers() {
    let mut cluster = Cluster::with_groups(3);
    cluster.ok(assign(0, 0, 1));
    moved(&mut cluster, 0, 2);
    moved(&mut cluster, 0, 3);
    assert_eq!(cluster.slot(0).given_away_by, [1, 2]);
    moved(&mut cluster, 0, 1);
    assert_eq!(cluster.slot(0).given_away_by, [2, 3]);
    for server in [2, 3, 1] {
        cluster.ok(server_remove(2, &crate::cluster::address(2, server)));
    }
    assert_eq!(cluster.slot(0).given_away_by, [3], "what group 2 gets from now on is its own");
    // Whatever group 3 has of the slot is its data from now on.
    cluster.ok(offline(0, 0));
    cluster.ok(assign(0, 0, 3));
    cluster.ok(offline(0, 0));
    cluster.ok(assign(0, 0, 1));
    assert_eq!(cluster.slot(0).given_away_by, Vec::<u32>::new());
}

#[test]
fn only_the_last_groups_that_gave_a_slot_away_are_known() {
    let mut cluster = Cluster::with_groups(19);
    cluster.ok(assign(0, 0, 1));
    for target in 2..=19 {
        moved(&mut cluster, 0, target);
    }
    assert_eq!(cluster.slot(0).given_away_by, (3..=18).collect::<Vec<_>>());
}

#[test]
fn a_slot_moves_from_pending_over_its_barrier_to_its_target() {
    let mut cluster = Cluster::with_groups(2);
    cluster.ok(assign(0, 9, 1));
    cluster.ok(register("a", 1, 5, 0));
    cluster.ok(action(0, 1, 2));
    let prepared = cluster.ok(step(&[0, 1], Step::Prepare, 0, ""));
    assert_eq!(cluster.seen(0), (Preparing, 1, 2, false));
    let deadline = cluster.now + 2000;
    let barrier = pb::Barrier { epoch: prepared, deadline_unix_ms: deadline };
    let phase = cluster.slot(0).action.as_ref().and_then(|action| action.phase);
    assert_eq!(phase, Some(pb::slot_action::Phase::Preparing(barrier)));

    let sentence = cluster.refused(Code::BarrierOpen, step(&[0, 1], Step::Migrate, prepared, ""));
    assert!(sentence.contains("fenced: a:"), "{sentence}");
    cluster.ok(ack(&[("a", 5, prepared)]));
    let migrating = cluster.ok(step(&[0, 1], Step::Migrate, prepared, ""));
    assert_eq!(cluster.seen(1), (Migrating, 1, 2, false));
    cluster.ok(step(&[0], Step::Done, migrating, ""));
    assert_eq!(cluster.seen(0), (Stable, 0, 2, false));
    assert_eq!(cluster.slot(0), &pb::Slot { group: 2, action: None, given_away_by: vec![1] });
    assert_eq!(cluster.seen(1), (Migrating, 1, 2, false));
}

#[test]
fn a_barrier_that_cannot_finish_rolls_back_and_keeps_the_reason() {
    let mut cluster = Cluster::with_groups(2);
    cluster.ok(assign(0, 0, 1));
    cluster.ok(action(0, 0, 2));
    let prepared = cluster.ok(step(&[0], Step::Prepare, 0, ""));
    cluster.ok(step(&[0], Step::RollBack, prepared, "proxy a did not answer"));
    assert_eq!(cluster.seen(0), (Stable, 0, 1, false));
    let failure = |cluster: &Cluster| cluster.slot(0).action.clone().unwrap_or_default().failure;
    assert_eq!(failure(&cluster), "proxy a did not answer");
    let again = cluster.ok(step(&[0], Step::Prepare, 0, ""));
    assert_eq!(failure(&cluster), "proxy a did not answer", "kept until something new is known");
    cluster.ok(step(&[0], Step::Migrate, again, ""));
    let epoch = cluster.state.epoch();
    cluster.ok(step(&[0], Step::Note, epoch, "10.0.2.1:6379: OOM"));
    assert_eq!(failure(&cluster), "10.0.2.1:6379: OOM");
    assert_eq!(cluster.state.epoch(), epoch, "a note is for operators alone");
}

#[test]
fn a_late_step_does_not_touch_a_later_move() {
    let mut cluster = Cluster::with_groups(2);
    cluster.ok(assign(0, 0, 1));
    cluster.ok(action(0, 0, 2));
    let first = cluster.ok(step(&[0], Step::Prepare, 0, ""));
    cluster.ok(step(&[0], Step::RollBack, first, "too slow"));
    let second = cluster.ok(step(&[0], Step::Prepare, 0, ""));
    cluster.refused(Code::ActionPhase, step(&[0], Step::Migrate, first, ""));
    cluster.refused(Code::ActionPhase, step(&[0], Step::RollBack, first, ""));
    let moving = cluster.ok(step(&[0], Step::Migrate, second, ""));
    cluster.refused(Code::ActionPhase, step(&[0], Step::Done, second, ""));
    cluster.refused(Code::ActionPhase, step(&[0], Step::RollBack, moving, ""));
    cluster.refused(Code::ActionPhase, step(&[0], Step::Prepare, 0, ""));
    cluster.ok(step(&[0], Step::Done, moving, ""));
    cluster.refused(Code::ActionPhase, step(&[0], Step::Done, moving, ""));
}

#[test]
fn all_slots_of_a_step_take_it_or_none() {
    let mut cluster = Cluster::with_groups(2);
    cluster.ok(assign(0, 9, 1));
    cluster.ok(action(0, 1, 2));
    cluster.refused(Code::ActionPhase, step(&[0, 1, 2], Step::Prepare, 0, ""));
    cluster.refused(Code::InvalidValue, step(&[], Step::Prepare, 0, ""));
    cluster.refused(Code::InvalidValue, step(&[0, 0], Step::Prepare, 0, ""));
    cluster.refused(Code::InvalidValue, step(&[1024], Step::Prepare, 0, ""));
    cluster.refused(Code::Malformed, step(&[0], Step::Unspecified, 0, ""));
    cluster.ok(step(&[0, 1], Step::Prepare, 0, ""));
}

#[test]
fn an_action_is_cancelled_while_pending_or_preparing_and_not_after() {
    let mut cluster = Cluster::with_groups(2);
    cluster.ok(assign(0, 9, 1));
    cluster.refused(Code::ActionPhase, cancel(0, 9));
    cluster.ok(action(0, 2, 2));
    cluster.ok(cancel(0, 0));
    let prepared = cluster.ok(step(&[1, 2], Step::Prepare, 0, ""));
    cluster.ok(cancel(0, 1));
    assert_eq!(cluster.seen(1), (Stable, 0, 1, false));
    cluster.ok(step(&[2], Step::Migrate, prepared, ""));
    cluster.refused(Code::ActionPhase, cancel(0, 9));
}

#[test]
fn paused_actions_do_not_begin_and_only_so_many_run() {
    let mut cluster = Cluster::with_groups(2);
    cluster.ok(assign(0, 9, 1));
    cluster.ok(action(0, 9, 2));
    cluster.ok(set(&[("migration_disabled", "true"), ("migration_parallel_slots", "2")]));
    cluster.refused(Code::ActionsPaused, step(&[0], Step::Prepare, 0, ""));
    cluster.ok(set(&[("migration_disabled", "false")]));
    cluster.refused(Code::LimitReached, step(&[0, 1, 2], Step::Prepare, 0, ""));
    let prepared = cluster.ok(step(&[0, 1], Step::Prepare, 0, ""));
    cluster.ok(step(&[0], Step::Migrate, prepared, ""));
    cluster.refused(Code::LimitReached, step(&[2], Step::Prepare, 0, ""));
}

#[test]
fn a_slot_does_not_prepare_for_a_target_that_another_one_has_taken_the_place_of() {
    let prepare = |targets: &[u32]| {
        codis_proto::meta::v1::command::Change::SlotActionAdvance(
            codis_proto::meta::v1::SlotActionAdvance {
                slots: vec![1, 0],
                step: Step::Prepare.into(),
                targets: targets.to_vec(),
                ..Default::default()
            },
        )
    };
    let mut cluster = Cluster::with_groups(3);
    cluster.ok(assign(0, 9, 1));
    cluster.ok(action(0, 1, 2));
    cluster.ok(cancel(0, 0));
    cluster.ok(action(0, 0, 3));
    cluster.refused(Code::ActionPhase, prepare(&[2, 2]));
    cluster.refused(Code::ActionPhase, prepare(&[3, 2]));
    cluster.refused(Code::Malformed, prepare(&[2]));
    cluster.ok(prepare(&[2, 3]));
}

#[test]
fn no_slot_prepares_while_a_master_of_either_group_changes_and_the_other_way_round() {
    let mut cluster = Cluster::with_groups(3);
    cluster.ok(assign(0, 9, 1));
    cluster.ok(action(0, 0, 2));
    let begun = cluster.ok(promote(2, "10.0.2.2:6379"));
    cluster.refused(Code::PromotionUnderWay, step(&[0], Step::Prepare, 0, ""));
    cluster.ok(promote_abort(2, begun, "changed my mind"));
    let prepared = cluster.ok(step(&[0], Step::Prepare, 0, ""));
    for group in [1, 2] {
        cluster.refused(Code::SlotBusy, promote(group, &format!("10.0.{group}.2:6379")));
    }
    cluster.ok(promote(3, "10.0.3.2:6379"));
    cluster.ok(step(&[0], Step::Migrate, prepared, ""));
    cluster.ok(promote(1, "10.0.1.2:6379"));
    assert_eq!(cluster.seen(0), (Migrating, 1, 2, true), "moving slots wait for the master");
}

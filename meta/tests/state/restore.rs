use crate::changes::*;
use crate::cluster::{Cluster, address};
use codis_meta::state::barrier;
use codis_meta::state::restore::EPOCHS_SKIPPED;
use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;
use pb::command::Change;
use pb::slot_action::Phase;
use pb::{Presence, PromoteStep, SlotStep};
use prost::Message;

/// What a group holds that is about to be lost: also something at each kind of barrier.
fn lost() -> Cluster {
    let mut cluster = Cluster::with_groups(4);
    cluster.ok(assign(0, 99, 1));
    cluster.ok(assign(100, 199, 3));
    cluster.ok(register("running", 1, 5, 0));
    cluster.ok(register("stopped", 2, 5, 0));
    cluster.ok(gone("stopped", 5, true));
    cluster.ok(action(0, 1, 2));
    cluster.ok(step(&[0, 1], SlotStep::Prepare, 0, ""));
    let prepared = cluster.state.epoch();
    cluster.ok(ack(&[("running", 5, prepared)]));
    cluster.ok(fence(prepared, &["stopped"]));
    cluster.ok(step(&[0], SlotStep::Migrate, prepared, ""));
    let promotion = cluster.ok(promote(3, &address(3, 2)));
    cluster.ok(ack(&[("running", 5, promotion)]));
    cluster.ok(fence(promotion, &["stopped"]));
    cluster.ok(promote_step(3, promotion, PromoteStep::Prepared));
    cluster.ok(sync(&address(4, 2)));
    cluster.ok(sentinel("10.8.0.1:26379"));
    cluster.ok(set(&[("barrier_deadline", "3s")]));
    cluster.ok(member(7));
    let change = set(&[("sentinel_quorum", "5")]);
    let command = pb::Command { client: 1, request: 1, ..cluster.command(change) };
    cluster.apply(&command);
    cluster
}

/// As a backup has it: with the remembered requests.
fn backup_of(cluster: &Cluster) -> pb::State {
    pb::State::decode(cluster.state.snapshot().as_slice()).unwrap()
}

fn restored(backup: &pb::State) -> Cluster {
    let mut cluster = Cluster::bare();
    let name = "demo".into();
    let create = pb::ProductCreate { name, cluster: 1234, ..Default::default() };
    cluster.ok(Change::ProductCreate(create));
    cluster.ok(member(1));
    cluster.ok(restore(backup));
    cluster
}

#[test]
fn a_restored_backup_has_the_same_groups_slots_and_rules() {
    let backup = backup_of(&lost());
    let cluster = restored(&backup);
    let data = cluster.state.data();
    assert_eq!(data.cluster, backup.cluster);
    assert_eq!(data.settings, backup.settings);
    assert_eq!(data.sentinels, backup.sentinels);
    assert_eq!(data.groups[&1], backup.groups[&1]);
    assert_eq!(data.groups[&4], backup.groups[&4], "a sync that waited still does");
    assert_eq!(data.slots[2..], backup.slots[2..]);
    assert_eq!(data.slots[0], backup.slots[0], "what migrates goes on");
    assert!(data.members_seen.keys().eq(&[1]), "the members are the new group's own");
}

#[test]
fn after_a_restore_no_proxy_is_ahead_of_the_group() {
    let backup = backup_of(&lost());
    let mut cluster = restored(&backup);
    assert_eq!(cluster.state.epoch(), backup.epoch + EPOCHS_SKIPPED);
    // It has seen a thousand changes that are lost now, and has them in its file.
    let registration = pb::ProxyRegister {
        cluster: backup.cluster,
        ..registration("running", 1, 5, backup.epoch + 1000)
    };
    cluster.ok(Change::ProxyRegister(registration));
}

#[test]
fn after_a_restore_a_barrier_waits_for_every_proxy_and_fences_unknown_ones() {
    let cluster = restored(&backup_of(&lost()));
    let data = cluster.state.data();
    assert!(data.proxies.values().all(|proxy| proxy.presence() == Presence::Lost));
    let waiting = barrier::waiting(data, data.epoch);
    assert_eq!(waiting.tokens, ["running", "stopped"]);
    assert_eq!(waiting.fence_epoch, data.epoch, "one that registered later may run too");
}

#[test]
fn after_a_restore_nothing_is_at_a_barrier_and_the_reason_is_shown() {
    let backup = backup_of(&lost());
    assert!(matches!(backup.slots[1].action.as_ref().unwrap().phase, Some(Phase::Preparing(_))));
    let cluster = restored(&backup);
    let action = cluster.slot(1).action.as_ref().unwrap();
    assert!(matches!(action.phase, Some(Phase::Pending(_))));
    assert!(!action.failure.is_empty());
    assert_eq!(cluster.group(3).promotion, None);
    assert_eq!(cluster.group(3).servers[0].address, address(3, 1));
    assert!(!cluster.group(3).promotion_failure.is_empty());
}

#[test]
fn after_a_restore_no_group_counts_as_having_leftovers() {
    let mut cluster = lost();
    let Some(Phase::Migrating(moving)) = cluster.slot(0).action.clone().and_then(|one| one.phase)
    else {
        panic!("it migrates");
    };
    cluster.ok(step(&[0], SlotStep::Done, moving.epoch, ""));
    let backup = backup_of(&cluster);
    assert_eq!(backup.slots[0].given_away_by, [1]);
    // It may have moved back to group 1 after the backup was taken.
    assert_eq!(restored(&backup).slot(0).given_away_by, Vec::<u32>::new());
}

#[test]
fn a_backup_goes_only_into_a_group_that_holds_nothing() {
    let backup = backup_of(&lost());
    let mut cluster = restored(&backup);
    cluster.refused(Code::StateNotEmpty, restore(&backup));
    let mut cluster = Cluster::with_groups(1);
    cluster.refused(Code::StateNotEmpty, restore(&backup));
    cluster.ok(server_remove(1, &address(1, 3)));
}

#[test]
fn a_backup_that_is_damaged_newer_or_of_another_product_is_refused() {
    let backup = backup_of(&lost());
    let mut cluster = Cluster::with_groups(0);
    let other = pb::State { product: "other".into(), ..backup.clone() };
    cluster.refused(Code::ProductMismatch, restore(&other));
    let newer = pb::State { version: backup.version + 1, ..backup.clone() };
    cluster.refused(Code::UnsupportedVersion, restore(&newer));
    let mut damaged = backup.clone();
    damaged.slots[5].group = 99;
    let message = cluster.refused(Code::InvalidValue, restore(&damaged));
    assert!(message.contains("slot 5"), "{message}");
    let made_up = pb::State { epoch: (1 << 62) - 1, ..backup };
    cluster.refused(Code::InvalidValue, restore(&made_up));
    cluster.refused(Code::Malformed, Change::StateRestore(pb::StateRestore { backup: None }));
}

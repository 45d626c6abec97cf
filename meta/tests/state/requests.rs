use crate::changes::*;
use crate::cluster::{Cluster, address};
use codis_meta::state::{State, VERSION};
use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;
use pb::command::Change;
use pb::outcome::Result as Answer;
use prost::Message;

fn request(cluster: &Cluster, request: u64, change: Change) -> pb::Command {
    pb::Command { client: 9, request, ..cluster.command(change) }
}

fn code(outcome: &pb::Outcome) -> Option<Code> {
    match &outcome.result {
        Some(Answer::Refused(refused)) => Some(refused.code()),
        _ => None,
    }
}

#[test]
fn a_retry_is_given_the_first_outcome_and_does_not_run() {
    let mut cluster = Cluster::with_groups(1);
    let add = request(&cluster, 1, server(1, "10.8.0.1:6379"));
    let first = cluster.apply(&add);
    assert_eq!(code(&first), None);
    cluster.ok(server_remove(1, "10.8.0.1:6379"));
    let before = cluster.state.snapshot();
    // A leader stamps a retry with another time.
    cluster.now += 1000;
    let retry = request(&cluster, 1, server(1, "10.8.0.1:6379"));
    assert_eq!(cluster.apply(&retry), first);
    assert_eq!(cluster.state.snapshot(), before);
}

#[test]
fn a_retry_after_a_refusal_runs_as_nothing_had_run() {
    let mut cluster = Cluster::with_groups(1);
    let remove = request(&cluster, 1, server_remove(1, "10.8.0.1:6379"));
    assert_eq!(code(&cluster.apply(&remove)), Some(Code::ServerUnknown));
    cluster.ok(server(1, "10.8.0.1:6379"));
    assert_eq!(code(&cluster.apply(&remove)), None);
}

#[test]
fn a_request_id_is_for_one_change_and_for_one_client() {
    let mut cluster = Cluster::with_groups(0);
    let first = request(&cluster, 1, group(1));
    assert_eq!(code(&cluster.apply(&first)), None);
    let other = request(&cluster, 1, group(2));
    assert_eq!(code(&cluster.apply(&other)), Some(Code::RequestReused));
    let other_client = pb::Command { client: 10, ..other };
    assert_eq!(code(&cluster.apply(&other_client)), None);
    let retry_of_no_client = pb::Command { client: 0, ..first };
    assert_eq!(code(&cluster.apply(&retry_of_no_client)), Some(Code::GroupExists));
}

#[test]
fn a_retry_is_known_after_a_snapshot_and_forgotten_when_its_time_is_over() {
    let mut cluster = Cluster::with_groups(0);
    let first = request(&cluster, 1, group(1));
    let outcome = cluster.apply(&first);
    cluster.state = State::from_snapshot(&cluster.state.snapshot()).unwrap();
    assert_eq!(cluster.apply(&first), outcome);
    cluster.now += 10 * 60 * 1000 + 1;
    let later = request(&cluster, 2, group(2));
    cluster.apply(&later);
    assert_eq!(code(&cluster.apply(&first)), Some(Code::GroupExists));
}

#[test]
fn a_change_meant_for_another_epoch_is_refused() {
    let mut cluster = Cluster::with_groups(2);
    let epoch = cluster.state.epoch();
    let mut command = cluster.command(assign(0, 0, 1));
    command.expect_epoch = epoch - 1;
    assert_eq!(code(&cluster.apply(&command)), Some(Code::EpochConflict));
    command.expect_epoch = epoch;
    assert_eq!(code(&cluster.apply(&command)), None);
    assert_eq!(code(&cluster.apply(&command)), Some(Code::EpochConflict));
}

#[test]
fn commands_that_cannot_be_read_or_are_too_new_change_nothing() {
    let mut cluster = Cluster::with_groups(1);
    let before = cluster.state.snapshot();
    let mut too_long = cluster.command(group(2)).encode_to_vec();
    too_long.resize(9 << 20, 0);
    let no_version = pb::Command { version: 0, ..cluster.command(group(2)) };
    let no_change = pb::Command { change: None, ..cluster.command(group(2)) };
    let too_new = pb::Command { version: VERSION + 1, ..no_change.clone() };
    let no_slots = cluster.command(Change::SlotsOffline(pb::SlotsOffline { slots: None }));
    for (bytes, expected) in [
        (vec![0xff; 9], Code::Malformed),
        (too_long, Code::Malformed),
        (no_version.encode_to_vec(), Code::Malformed),
        (no_change.encode_to_vec(), Code::Malformed),
        (no_slots.encode_to_vec(), Code::Malformed),
        (too_new.encode_to_vec(), Code::UnsupportedVersion),
    ] {
        let outcome = pb::Outcome::decode(cluster.state.apply(99, &bytes).as_slice()).unwrap();
        assert_eq!(code(&outcome), Some(expected));
        assert_eq!(outcome.index, 99);
    }
    assert_eq!(cluster.state.snapshot(), before);
}

#[test]
fn the_time_is_the_latest_that_a_leader_stamped() {
    let mut cluster = Cluster::with_groups(1);
    let now = cluster.now;
    cluster.now -= 500;
    cluster.ok(server_remove(1, &address(1, 2)));
    assert_eq!(cluster.state.data().time_unix_ms, now);
}

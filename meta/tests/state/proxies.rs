use crate::changes::*;
use crate::cluster::Cluster;
use codis_meta::state::barrier::{self, Waiting};
use codis_proto::meta::v1 as pb;
use pb::Presence;
use pb::RefusalCode as Code;
use pb::command::Change;
use pb::outcome::Result as Answer;

fn proxy<'a>(cluster: &'a Cluster, token: &str) -> &'a pb::Proxy {
    &cluster.state.data().proxies[token]
}

/// A cluster with an epoch to wait for, and that epoch.
fn with_barrier(cluster: &mut Cluster) -> u64 {
    cluster.ok(assign(0, 0, 1));
    cluster.ok(action(0, 0, 2));
    cluster.ok(step(&[0], pb::SlotStep::Prepare, 0, ""))
}

fn migrate(epoch: u64) -> Change {
    step(&[0], pb::SlotStep::Migrate, epoch, "")
}

#[test]
fn a_proxy_keeps_its_id_over_restarts() {
    let mut cluster = Cluster::with_groups(0);
    let mut id_of = |change| match cluster.apply(&cluster.command(change)).result {
        Some(Answer::Accepted(accepted)) => accepted.proxy_id,
        other => panic!("refused: {other:?}"),
    };
    assert_eq!(id_of(register("a", 1, 5, 0)), 1);
    assert_eq!(id_of(register("b", 2, 5, 0)), 2);
    assert_eq!(id_of(register("a", 1, 9, 0)), 1);
    assert_eq!(proxy(&cluster, "a").start_unix_ms, 9);
}

#[test]
fn a_proxy_that_does_not_fit_is_refused() {
    let mut cluster = Cluster::with_groups(1);
    let fits = registration("a", 1, 5, 0);
    let change = |change: fn(&mut pb::ProxyRegister)| {
        let mut register = fits.clone();
        change(&mut register);
        Change::ProxyRegister(register)
    };
    cluster.refused(Code::ProductMismatch, change(|one| one.product = "other".into()));
    cluster.refused(Code::ProductMismatch, change(|one| one.cluster = CLUSTER + 1));
    cluster.refused(Code::ProxyTooOld, change(|one| one.protocol = 0));
    cluster.refused(Code::EpochConflict, change(|one| one.epoch = 1_000));
    cluster.refused(Code::InvalidValue, change(|one| one.token = "a:b".into()));
    cluster.refused(Code::InvalidValue, change(|one| one.token = String::new()));
    cluster.refused(Code::InvalidValue, change(|one| one.admin_addr = "/run/admin".into()));
    cluster.refused(Code::InvalidValue, change(|one| one.proxy_addr = "19000".into()));
    cluster.refused(Code::InvalidValue, change(|one| one.proto_type = "udp".into()));
    cluster.refused(Code::InvalidValue, change(|one| one.hostname = "a\nb".into()));
    cluster.refused(Code::InvalidValue, change(|one| one.system = "x".repeat(513)));
    cluster.ok(change(|one| one.cluster = CLUSTER));
}

#[test]
fn an_admin_address_belongs_to_one_proxy_and_passes_on_when_that_is_gone() {
    let mut cluster = Cluster::with_groups(0);
    cluster.ok(register("a", 1, 5, 0));
    cluster.refused(Code::AddressTaken, register("b", 1, 6, 0));
    cluster.ok(gone("a", 5, false));
    cluster.ok(register("b", 1, 6, 0));
    let data = cluster.state.data();
    assert_eq!(data.proxies.keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(data.leaving.keys().collect::<Vec<_>>(), ["a"], "it may still run");
}

#[test]
fn only_the_process_that_registered_comes_and_goes() {
    let mut cluster = Cluster::with_groups(0);
    cluster.refused(Code::ProxyUnknown, online("a", 5));
    cluster.refused(Code::ProxyUnknown, gone("a", 5, false));
    cluster.ok(register("a", 1, 5, 0));
    cluster.refused(Code::ProxyProcess, gone("a", 4, true));
    cluster.refused(Code::ProxyProcess, online("a", 4));
    cluster.ok(gone("a", 5, false));
    assert_eq!(proxy(&cluster, "a").presence(), Presence::Lost);
    cluster.ok(online("a", 5));
    assert_eq!(proxy(&cluster, "a").presence(), Presence::Online);
    cluster.ok(gone("a", 5, true));
    cluster.ok(gone("a", 5, false));
    assert_eq!(proxy(&cluster, "a").presence(), Presence::Stopped, "its stream breaks after it");
    cluster.refused(Code::ProxyProcess, online("a", 5));
    cluster.ok(register("a", 1, 6, 0));
    assert_eq!(proxy(&cluster, "a").presence(), Presence::Online);
}

#[test]
fn a_proxy_that_may_run_is_removed_by_force_alone() {
    let mut cluster = Cluster::with_groups(0);
    cluster.refused(Code::ProxyUnknown, proxy_remove("a", true));
    cluster.ok(register("a", 1, 5, 0));
    cluster.refused(Code::ProxyRunning, proxy_remove("a", false));
    cluster.ok(gone("a", 5, false));
    cluster.refused(Code::ProxyRunning, proxy_remove("a", false));
    let before = cluster.state.epoch();
    assert_eq!(cluster.ok(proxy_remove("a", true)), before + 1, "it never sees this epoch");
    assert!(cluster.state.data().leaving.contains_key("a"));
    cluster.ok(register("b", 2, 5, 0));
    cluster.ok(gone("b", 5, true));
    cluster.ok(proxy_remove("b", false));
    assert!(!cluster.state.data().leaving.contains_key("b"), "it said that it stopped");
}

#[test]
fn acknowledgements_rise_and_are_of_the_process_that_registered() {
    let mut cluster = Cluster::with_groups(1);
    let epoch = cluster.state.epoch();
    cluster.ok(register("a", 1, 5, 0));
    cluster.ok(ack(&[("a", 5, epoch), ("gone", 1, 1)]));
    cluster.ok(ack(&[("a", 5, epoch - 1)]));
    assert_eq!(proxy(&cluster, "a").acked_epoch, epoch);
    cluster.refused(Code::EpochConflict, ack(&[("a", 5, epoch + 1)]));
    cluster.ok(register("a", 1, 5, epoch - 1));
    assert_eq!(proxy(&cluster, "a").acked_epoch, epoch, "the same process has not gone back");
    cluster.ok(register("a", 1, 6, epoch - 1));
    assert_eq!(proxy(&cluster, "a").acked_epoch, epoch - 1, "another one says what it works by");
    cluster.ok(ack(&[("a", 5, epoch)]));
    assert_eq!(proxy(&cluster, "a").acked_epoch, epoch - 1);
}

#[test]
fn a_lost_proxy_holds_a_barrier_until_it_is_fenced() {
    let mut cluster = Cluster::with_groups(2);
    cluster.ok(register("a", 1, 5, 0));
    cluster.ok(register("b", 2, 5, 0));
    cluster.ok(gone("b", 5, false));
    let epoch = with_barrier(&mut cluster);
    cluster.ok(ack(&[("a", 5, epoch)]));
    let waiting = barrier::waiting(cluster.state.data(), epoch);
    assert_eq!(waiting, Waiting { tokens: vec!["b".into()], fence_epoch: 0 });
    cluster.refused(Code::BarrierOpen, migrate(epoch));
    cluster.ok(fence(epoch - 1, &["b"]));
    cluster.refused(Code::BarrierOpen, migrate(epoch));
    cluster.ok(fence(epoch, &["b"]));
    cluster.ok(migrate(epoch));
}

#[test]
fn a_stopped_proxy_needs_a_fence_that_its_old_file_cannot_pass() {
    let mut cluster = Cluster::with_groups(2);
    cluster.ok(register("a", 1, 5, 0));
    cluster.ok(gone("a", 5, true));
    let epoch = with_barrier(&mut cluster);
    let waiting = barrier::waiting(cluster.state.data(), epoch);
    assert_eq!(waiting, Waiting { tokens: vec![], fence_epoch: epoch });
    let sentence = cluster.refused(Code::BarrierOpen, migrate(epoch));
    assert!(sentence.contains(&format!("fence of epoch {epoch} on every master")), "{sentence}");
    cluster.ok(fence(epoch, &[]));
    cluster.ok(migrate(epoch));
}

#[test]
fn a_removed_proxy_is_shut_out_before_the_next_barrier_opens() {
    let mut cluster = Cluster::with_groups(2);
    for (token, place) in [("a", 1), ("b", 2)] {
        cluster.ok(register(token, place, 5, 0));
    }
    cluster.ok(gone("b", 5, true));
    let forced = cluster.ok(proxy_remove("a", true));
    let removed = cluster.ok(proxy_remove("b", false));
    let epoch = with_barrier(&mut cluster);
    cluster.refused(Code::BarrierOpen, migrate(epoch));
    cluster.ok(fence(forced - 1, &["a"]));
    assert!(cluster.state.data().leaving.contains_key("a"), "it may have the epoch before");
    cluster.ok(fence(forced, &["a"]));
    assert!(cluster.state.data().leaving.is_empty());
    let waiting = barrier::waiting(cluster.state.data(), epoch);
    assert_eq!(waiting, Waiting { tokens: vec![], fence_epoch: removed });
    cluster.ok(fence(removed, &[]));
    cluster.ok(migrate(epoch));
}

#[test]
fn a_fence_rises_and_stays_behind_the_epoch() {
    let mut cluster = Cluster::with_groups(1);
    let epoch = cluster.state.epoch();
    cluster.refused(Code::FenceEpoch, fence(epoch + 1, &[]));
    cluster.refused(Code::ProxyUnknown, fence(epoch, &["a"]));
    cluster.ok(fence(epoch, &[]));
    cluster.ok(fence(epoch, &[]));
    cluster.refused(Code::FenceEpoch, fence(epoch - 1, &[]));
}

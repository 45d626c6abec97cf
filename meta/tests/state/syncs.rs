use crate::changes::*;
use crate::cluster::{Cluster, address};
use codis_proto::meta::v1::RefusalCode as Code;

#[test]
fn a_sync_waits_runs_and_ends() {
    let mut cluster = Cluster::with_groups(1);
    let replica = address(1, 2);
    cluster.refused(Code::SyncPhase, sync_end(&replica, 1, ""));
    cluster.ok(sync(&replica));
    cluster.refused(Code::SyncUnderWay, sync(&replica));
    cluster.refused(Code::SyncPhase, sync_end(&replica, 1, ""));
    cluster.refused(Code::SyncPhase, sync_run(&replica, 2));
    cluster.ok(sync_run(&replica, 1));
    cluster.refused(Code::SyncPhase, sync_run(&replica, 1));
    cluster.refused(Code::SyncPhase, sync_end(&replica, 2, ""));
    cluster.ok(sync_end(&replica, 1, ""));
    assert_eq!(cluster.group(1).servers[1].sync, None);
}

#[test]
fn a_failed_sync_keeps_its_reason_until_a_later_one_succeeds() {
    let mut cluster = Cluster::with_groups(1);
    let replica = address(1, 2);
    cluster.ok(sync(&replica));
    cluster.ok(sync_run(&replica, 1));
    cluster.ok(sync_end(&replica, 1, "wrong masterauth"));
    assert_eq!(cluster.group(1).servers[1].sync_failure, "wrong masterauth");
    cluster.ok(sync(&replica));
    cluster.ok(sync_end(&replica, 2, "given up before its turn"));
    assert_eq!(cluster.group(1).servers[1].sync_failure, "given up before its turn");
    cluster.ok(sync(&replica));
    cluster.ok(sync_run(&replica, 3));
    cluster.ok(sync_end(&replica, 3, ""));
    assert_eq!(cluster.group(1).servers[1].sync_failure, "");
}

#[test]
fn a_master_is_not_synced_and_a_group_fills_one_replica_at_a_time() {
    let mut cluster = Cluster::with_groups(2);
    cluster.refused(Code::ServerIsMaster, sync(&address(1, 1)));
    cluster.refused(Code::ServerUnknown, sync("10.8.0.1:6379"));
    for (group, server) in [(1, 2), (1, 3), (2, 2)] {
        cluster.ok(sync(&address(group, server)));
    }
    cluster.ok(sync_run(&address(1, 2), 1));
    cluster.refused(Code::SyncUnderWay, sync_run(&address(1, 3), 2));
    cluster.ok(sync_run(&address(2, 2), 3));
    cluster.ok(server_remove(1, &address(1, 2)));
    cluster.ok(sync_run(&address(1, 3), 2));
}

use crate::changes::*;
use crate::cluster::{Cluster, address};
use codis_proto::meta::v1 as pb;

fn replicas(cluster: &Cluster) -> Vec<String> {
    let groups = &cluster.state.topology().groups;
    groups[0].replicas.iter().map(|replica| replica.address.clone()).collect()
}

#[test]
fn the_topology_has_each_group_with_a_server_and_every_slot() {
    let mut cluster = Cluster::with_groups(1);
    let before = cluster.state.epoch();
    assert_eq!(cluster.ok(group(2)), before, "no slot can be on a group without a server");
    cluster.ok(pb::command::Change::ServerAdd(pb::ServerAdd {
        group: 2,
        address: "10.0.2.1:6379".into(),
        ..Default::default()
    }));
    cluster.ok(pb::command::Change::ServerAdd(pb::ServerAdd {
        group: 2,
        address: "10.0.2.2:6379".into(),
        datacenter: "east".into(),
        replica_reads: true,
    }));
    let topology = cluster.state.topology();
    let expected = pb::TopologyGroup {
        id: 2,
        master: "10.0.2.1:6379".into(),
        replicas: vec![pb::TopologyReplica {
            address: "10.0.2.2:6379".into(),
            datacenter: "east".into(),
        }],
        promoting: false,
        has_replicas: true,
    };
    assert_eq!(topology.groups[1], expected);
    assert_eq!(topology.slots.len(), 1024);
    assert_eq!(topology.epoch, before + 2);
}

#[test]
fn replicas_serve_reads_when_they_may_and_are_whole() {
    let mut cluster = Cluster::with_groups(1);
    let replica = address(1, 2);
    assert!(replicas(&cluster).is_empty());
    cluster.ok(reads(1, &address(1, 1), true));
    assert!(replicas(&cluster).is_empty(), "a master is no replica");
    cluster.ok(reads(1, &replica, true));
    assert_eq!(replicas(&cluster), [replica.as_str()]);
    cluster.ok(sync(&replica));
    assert_eq!(replicas(&cluster), [replica.as_str()], "it has what it had while it waits");
    cluster.ok(sync_run(&replica, 1));
    assert!(replicas(&cluster).is_empty());
    cluster.ok(sync_end(&replica, 1, "no route"));
    assert!(replicas(&cluster).is_empty());
    cluster.ok(sync(&replica));
    cluster.ok(sync_run(&replica, 2));
    cluster.ok(sync_end(&replica, 2, ""));
    assert_eq!(replicas(&cluster), [replica.as_str()]);
    cluster.ok(reads(1, &replica, false));
    assert!(replicas(&cluster).is_empty());
}

#[test]
fn no_replica_serves_reads_while_a_master_changes() {
    let mut cluster = Cluster::with_groups(1);
    cluster.ok(reads(1, &address(1, 2), true));
    cluster.ok(reads(1, &address(1, 1), true));
    let begun = cluster.ok(promote(1, &address(1, 3)));
    assert!(replicas(&cluster).is_empty());
    cluster.ok(promote_step(1, begun, pb::PromoteStep::Prepared));
    cluster.ok(promote_step(1, begun, pb::PromoteStep::Finished));
    assert!(replicas(&cluster).is_empty(), "they are told to follow");
    cluster.ok(promote_finish(1, begun, &[]));
    assert_eq!(replicas(&cluster), [address(1, 1), address(1, 2)]);
}

#[test]
fn proxies_are_told_how_to_move_keys() {
    let mut cluster = Cluster::with_groups(0);
    let moves = |cluster: &Cluster| cluster.state.topology().moves.unwrap();
    let expected = pb::MoveRules {
        timeout_ms: 500,
        durability: pb::Durability::Replica.into(),
        big_bytes: 1 << 20,
        big_elements: 10_000,
        patience_ms: 2000,
        big_patience_ms: 30_000,
    };
    assert_eq!(moves(&cluster), expected);
    let before = cluster.state.epoch();
    assert_eq!(cluster.ok(set(&[("sentinel_quorum", "5")])), before, "none of a proxy's business");
    assert_eq!(cluster.ok(set(&[("migration_batch_time", "2ms")])), before, "the leader's alone");
    cluster.ok(set(&[("migration_timeout", "1500ms"), ("migration_durability", "aof")]));
    assert_eq!(cluster.state.epoch(), before + 1);
    let aof = pb::Durability::Aof.into();
    assert_eq!(
        moves(&cluster),
        pb::MoveRules { big_patience_ms: 1500, durability: aof, ..expected }
    );
    cluster.ok(set(&[("migration_big_bytes", "2kb"), ("migration_big_elements", "100")]));
    cluster.ok(set(&[("barrier_deadline", "1s"), ("migration_durability", "none")]));
    let all = moves(&cluster);
    assert_eq!((all.big_bytes, all.big_elements, all.patience_ms), (2048, 100, 1000));
    assert_eq!(all.durability(), pb::Durability::None);
}

#[test]
fn a_moving_slot_has_the_epoch_at_which_it_began() {
    let mut cluster = Cluster::with_groups(2);
    let since = |cluster: &Cluster| cluster.state.topology().slots[0].migrating_since;
    cluster.ok(assign(0, 0, 1));
    cluster.ok(action(0, 0, 2));
    let prepared = cluster.ok(step(&[0], pb::SlotStep::Prepare, 0, ""));
    assert_eq!(since(&cluster), 0);
    let began = cluster.ok(step(&[0], pb::SlotStep::Migrate, prepared, ""));
    assert_eq!(since(&cluster), began);
    cluster.ok(group(3));
    cluster.ok(server(3, &address(3, 1)));
    assert_eq!(since(&cluster), began, "it goes on as the same move");
    cluster.ok(step(&[0], pb::SlotStep::Done, began, ""));
    assert_eq!(since(&cluster), 0);
}

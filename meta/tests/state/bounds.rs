//! Sizes, and what a snapshot must be.

use crate::changes::*;
use crate::cluster::{Cluster, address};
use codis_meta::state::{SnapshotError, State, VERSION};
use codis_proto::meta::v1 as pb;
use pb::command::Change;
use prost::Message;

/// As large as the largest installations known: 500 groups of three servers and 1,000 proxies, every slot
/// moving, and the memory of requests full.
fn large() -> Cluster {
    let mut cluster = Cluster::bare();
    cluster.now = 1_800_000_000_000;
    let mut changes = vec![product("demo")];
    for number in 1..=500 {
        changes.push(group(number));
        for server in 1..=3 {
            changes.push(Change::ServerAdd(pb::ServerAdd {
                group: number,
                address: format!("redis-{number}-{server}.east.example.com:6379"),
                datacenter: "east-1".into(),
                replica_reads: true,
            }));
        }
    }
    for slot in 0..1024 {
        changes.push(assign(slot, slot, slot % 500 + 1));
        changes.push(action(slot, slot, (slot + 1) % 500 + 1));
    }
    for number in 0..1000 {
        changes.push(Change::ProxyRegister(pb::ProxyRegister {
            admin_addr: format!("proxy-{number}.east.example.com:11080"),
            proxy_addr: format!("proxy-{number}.east.example.com:19000"),
            hostname: format!("proxy-{number}.east.example.com"),
            datacenter: "east-1".into(),
            directory: "/var/lib/codis-proxy".into(),
            system: "Linux proxy 6.1.0-18-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1 x86_64".into(),
            pid: 12_345,
            ..registration(&format!("{number:032x}"), 1, cluster.now, 0)
        }));
    }
    changes.resize(10_000, set(&[("barrier_deadline", "3s")]));
    for (request, change) in changes.into_iter().enumerate() {
        // Not by Cluster::apply, whose checks take long on so large a state.
        let request = (request as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        cluster.index += 1;
        let command = pb::Command { client: u64::MAX, request, ..cluster.command(change) };
        let outcome = cluster.state.apply_command(1_000_000_000 + cluster.index, &command);
        let accepted = matches!(outcome.result, Some(pb::outcome::Result::Accepted(_)));
        assert!(accepted, "{outcome:?}");
    }
    cluster
}

#[test]
fn a_large_state_has_a_snapshot_under_one_megabyte() {
    let cluster = large();
    let snapshot = cluster.state.snapshot();
    assert_eq!(cluster.state.data().proxies.len(), 1000);
    assert!(snapshot.len() < 1_000_000, "{} bytes", snapshot.len());
    let back = State::from_snapshot(&snapshot).unwrap();
    assert!(back.snapshot() == snapshot);
    assert_eq!(back.topology(), cluster.state.topology());
}

/// A state that has something of everything.
fn rich() -> pb::State {
    let mut cluster = Cluster::with_groups(3);
    cluster.ok(assign(0, 99, 1));
    cluster.ok(action(0, 1, 2));
    cluster.ok(step(&[1], pb::SlotStep::Prepare, 0, ""));
    cluster.ok(promote(3, &address(3, 2)));
    cluster.ok(sync(&address(2, 2)));
    cluster.ok(sync_run(&address(2, 2), 3));
    cluster.ok(register("a", 1, 5, 0));
    cluster.ok(register("b", 2, 5, 0));
    cluster.ok(proxy_remove("b", true));
    cluster.ok(sentinel("10.8.0.1:26379"));
    cluster.ok(set(&[("barrier_deadline", "3s")]));
    for number in 1..3 {
        let change = set(&[("sentinel_quorum", "5")]);
        let command = pb::Command { client: 1, request: number, ..cluster.command(change) };
        cluster.apply(&command);
    }
    pb::State::decode(cluster.state.snapshot().as_slice()).unwrap()
}

fn action_of(data: &mut pb::State, slot: usize) -> &mut pb::SlotAction {
    data.slots[slot].action.as_mut().unwrap()
}

fn group_of(data: &mut pb::State, group: u32) -> &mut pb::Group {
    data.groups.get_mut(&group).unwrap()
}

fn proxy_of(data: &mut pb::State) -> &mut pb::Proxy {
    data.proxies.get_mut("a").unwrap()
}

#[test]
fn a_snapshot_that_contradicts_itself_is_refused() {
    type Damage = fn(&mut pb::State);
    let damages: [(&str, Damage); 42] = [
        ("no version", |data| data.version = 0),
        ("a slot too few", |data| drop(data.slots.pop())),
        ("no product", |data| data.product.clear()),
        ("a bad product", |data| data.product = "a b".into()),
        ("no cluster", |data| data.cluster = 0),
        ("a counter out of range", |data| data.order_last = u64::MAX),
        ("the fence ahead", |data| data.fence_epoch = 99),
        ("a removal ahead", |data| data.retired_epoch = 99),
        ("no removal", |data| data.removals = 0),
        ("a slot's group missing", |data| data.slots[5].group = 9),
        ("a slot given away by its group", |data| data.slots[5].given_away_by = vec![1]),
        ("a slot given away twice by one", |data| data.slots[5].given_away_by = vec![2, 2]),
        ("a slot given away by a group that is missing", |data| {
            data.slots[5].given_away_by = vec![9];
        }),
        ("a target missing", |data| action_of(data, 0).target = 9),
        ("a target that is the source", |data| action_of(data, 0).target = 1),
        ("an order twice", |data| action_of(data, 0).order = 2),
        ("an order that was not given", |data| action_of(data, 0).order = 99),
        ("no phase", |data| action_of(data, 0).phase = None),
        ("a phase ahead", |data| data.epoch = 1),
        ("an offline slot's action", |data| data.slots[0].group = 0),
        ("a slot prepares while a master changes", |data| action_of(data, 1).target = 3),
        ("a group's id", |data| group_of(data, 1).id = 2),
        ("a slot's group empty", |data| group_of(data, 1).servers.clear()),
        ("a server twice", |data| {
            group_of(data, 2).servers[2].address = address(1, 1);
        }),
        ("an address", |data| group_of(data, 1).servers[0].address = "x".into()),
        ("a server that is a sentinel", |data| {
            group_of(data, 2).servers[2].address = "10.8.0.1:26379".into();
        }),
        ("two syncs run", |data| {
            group_of(data, 2).servers[2].sync = Some(pb::Sync { order: 1, running: true });
        }),
        ("a master's sync", |data| group_of(data, 2).servers.swap(0, 1)),
        ("a promotion's servers", |data| group_of(data, 3).servers.swap(0, 1)),
        ("a promotion without phase", |data| {
            group_of(data, 3).promotion.as_mut().unwrap().phase = None;
        }),
        ("a promotion's epoch", |data| group_of(data, 3).promotion.as_mut().unwrap().epoch = 1),
        ("a proxy's token", |data| proxy_of(data).token = "c".into()),
        ("a proxy's id", |data| proxy_of(data).id = 9),
        ("a proxy's address", |data| proxy_of(data).proxy_addr = "x".into()),
        ("a proxy's admin address", |data| proxy_of(data).admin_addr = "/x".into()),
        ("a proxy's presence", |data| proxy_of(data).presence = 9),
        ("a proxy ahead", |data| proxy_of(data).acked_epoch = 99),
        ("a proxy's fence", |data| proxy_of(data).fenced_epoch = 1),
        ("a setting", |data| {
            data.settings.insert("barrier_deadline".into(), "3000ms".into());
        }),
        ("a member without an id", |data| {
            data.members_seen.insert(0, pb::MemberRecord::default());
        }),
        ("a request twice", |data| data.remembered[1].request = 1),
        ("a request out of order", |data| data.remembered.reverse()),
    ];
    let sound = rich();
    assert!(State::from_snapshot(&sound.encode_to_vec()).is_ok());
    for (what, damage) in damages {
        let mut data = sound.clone();
        damage(&mut data);
        let result = State::from_snapshot(&data.encode_to_vec());
        assert!(matches!(result, Err(SnapshotError::Broken(_))), "{what}");
    }
}

#[test]
fn a_snapshot_of_another_program_is_refused_and_changes_nothing() {
    let mut state = State::from_snapshot(&rich().encode_to_vec()).unwrap();
    let before = state.snapshot();
    let newer = pb::State { version: VERSION + 1, ..rich() };
    let error = state.restore(&newer.encode_to_vec()).unwrap_err();
    assert_eq!(error, SnapshotError::Version { found: VERSION + 1 });
    let error = state.restore(b"\xff\xff").unwrap_err();
    assert!(matches!(error, SnapshotError::Unreadable(_)));
    assert!(state.snapshot() == before);
    assert_eq!(state.restore(&State::new().snapshot()), Ok(()));
    assert_eq!(state.epoch(), 0);
}

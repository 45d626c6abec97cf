//! A large state: its size, and how soon a member that has it is back after kill -9.

use crate::group::{Group, PRODUCT};
use crate::ms;

use codis_meta::backup::Backup;
use codis_meta::state::{State, VERSION};
use codis_proto::admin::v1 as admin;
use codis_proto::meta::v1 as meta;
use meta::command::Change;
use std::path::Path;
use std::time::{Duration, Instant};

const GROUPS: u32 = 500;
const SERVERS_A_GROUP: u32 = 3;
const PROXIES: u32 = 1000;
const SLOTS: u32 = 1024;

/// Prints a section with a table.
pub(crate) async fn measure(binary: &Path) {
    let state = large();
    let snapshot = state.snapshot();
    println!("## {SLOTS} slots, {GROUPS} groups of {SERVERS_A_GROUP} servers, {PROXIES} proxies\n");
    println!("| | |\n|---|--:|");
    println!("| snapshot, bytes | {} |", snapshot.len());

    let mut group = Group::start(binary, 1).await;
    let (cluster, epoch) = (state.data().cluster, state.epoch());
    let product = PRODUCT.to_owned();
    let backup = Backup { product, cluster, epoch, taken_unix_ms: 1, snapshot: snapshot.into() };
    let began = Instant::now();
    let chunks =
        tokio_stream::iter(vec![admin::BackupChunk { data: backup.encode().to_vec(), id: None }]);
    group.client().await.restore(chunks).await.expect("a new group takes a backup");
    println!("| restoring it into a new group, ms | {} |", elapsed_ms(began));

    group.kill(1);
    let began = Instant::now();
    group.restart(1);
    let slots = group.until_led().await;
    println!(
        "| a member alone, from its start after kill -9 to its first answer, ms | {} |",
        elapsed_ms(began)
    );
    assert!(slots.slots.iter().all(|slot| slot.group != 0), "every slot is there again");
    println!();
}

fn elapsed_ms(began: Instant) -> String {
    let took: Duration = began.elapsed();
    ms(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))
}

fn large() -> State {
    let mut state = State::new();
    let mut changes = vec![Change::ProductCreate(meta::ProductCreate {
        name: PRODUCT.into(),
        cluster: 1,
        ..Default::default()
    })];
    for group in 1..=GROUPS {
        changes.push(Change::GroupCreate(meta::GroupCreate { group }));
        for server in 1..=SERVERS_A_GROUP {
            changes.push(Change::ServerAdd(meta::ServerAdd {
                group,
                address: format!("redis-{group}-{server}.east.example.com:6379"),
                datacenter: "east-1".into(),
                replica_reads: true,
            }));
        }
    }
    for slot in 0..SLOTS {
        let slots = Some(meta::SlotRange { first: slot, last: slot });
        changes.push(Change::SlotsAssign(meta::SlotsAssign { slots, group: slot % GROUPS + 1 }));
    }
    for number in 0..PROXIES {
        changes.push(Change::ProxyRegister(meta::ProxyRegister {
            product: PRODUCT.into(),
            protocol: 1,
            token: format!("{number:032x}"),
            admin_addr: format!("proxy-{number}.east.example.com:11080"),
            proxy_addr: format!("proxy-{number}.east.example.com:19000"),
            proto_type: "tcp4".into(),
            datacenter: "east-1".into(),
            start_unix_ms: 1,
            version: "0.1.0".into(),
            hostname: format!("proxy-{number}.east.example.com"),
            pid: 12_345,
            shards: 16,
            directory: "/var/lib/codis-proxy".into(),
            system: "Linux proxy 6.1.0-18-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1 x86_64".into(),
            ..meta::ProxyRegister::default()
        }));
    }
    for (index, change) in (1..).zip(changes) {
        let command =
            meta::Command { version: VERSION, change: Some(change), ..meta::Command::default() };
        let outcome = state.apply_command(index, &command);
        let accepted = matches!(outcome.result, Some(meta::outcome::Result::Accepted(_)));
        assert!(accepted, "{outcome:?}");
    }
    state
}

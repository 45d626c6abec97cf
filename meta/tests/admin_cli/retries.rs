//! Through elections, lost answers, members that are dead, frozen or cut off.

use codis_testbed::{Relay, free_port};

use crate::at;
use crate::fake::{Fake, Step};

#[test]
fn a_change_goes_through_an_election() {
    let fake = Fake::default();
    let served = fake.serve();
    fake.next([Step::Away; 5]);
    let ended = at(&served.address, "group create --gid 1").done();
    assert_eq!(ended.stdout, "group 1 is created (epoch 1)\n");
    assert_eq!(fake.calls("create_group"), 6);
    assert_eq!(fake.held().ran, 1);
}

#[test]
fn a_change_whose_answer_was_lost_is_not_made_twice() {
    let fake = Fake::default();
    let served = fake.serve();
    fake.next([Step::RunAndForget, Step::Away, Step::RunAndForget]);
    at(&served.address, "group create --gid 1").done();
    assert_eq!(fake.calls("create_group"), 4);
    assert_eq!(fake.held().ran, 1);
}

#[test]
fn a_change_is_finished_at_another_member_when_the_connection_is_cut() {
    let fake = Fake::default();
    let served = fake.serve();
    let relay = Relay::to(&served.address);
    let both = format!("{},{}", relay.address(), served.address);
    fake.next([Step::RunAndHang]);
    let watched = fake.clone();
    let cutter = std::thread::spawn(move || {
        codis_testbed::eventually("the change runs", || watched.held().ran == 1);
        relay.set_refuse(true);
        relay.cut_all();
        relay
    });
    at(&both, "group create --gid 1").done();
    assert_eq!(fake.calls("create_group"), 2);
    assert_eq!(fake.held().ran, 1);
    drop(cutter.join());
}

#[test]
fn dead_and_frozen_members_are_passed_over() {
    let fake = Fake::default();
    let served = fake.serve();
    let frozen = Relay::to(&served.address);
    frozen.set_blackhole(true);
    let dead = free_port();
    let all = format!("127.0.0.1:{dead},{},{}", frozen.address(), served.address);
    at(&all, "group create --gid 1").done();
    assert_eq!(fake.held().ran, 1);
}

#[test]
fn a_refusal_comes_at_once() {
    let fake = Fake::default();
    let (one, two) = (fake.serve(), fake.serve());
    fake.held().groups.insert(1, Vec::new());
    let ended = at(&format!("{},{}", one.address, two.address), "group create --gid 1").failed();
    assert_eq!(ended.stderr, "codis-admin: group 1 exists: take another id\n");
    assert_eq!(fake.calls("create_group"), 1);
}

#[test]
fn a_group_that_stays_away_is_told_from_one_that_may_have_made_the_change() {
    let fake = Fake::default();
    let served = fake.serve();
    fake.held().without_leader = true;
    let ended = at(&served.address, "--timeout=0.3 group create --gid 1").failed();
    assert!(ended.stderr.contains("no member of the metadata group answered"), "{ended:?}");
    assert!(!ended.stderr.contains("may have been made"), "{ended:?}");
    assert!(ended.stderr.contains(&format!("{}: the group has no leader", served.address)));

    fake.held().without_leader = false;
    fake.next([Step::RunAndForget; 100]);
    let ended = at(&served.address, "--timeout=0.3 --json group create --gid 1").failed();
    let error: serde_json::Value = serde_json::from_str(&ended.stderr).expect("JSON");
    assert_eq!(error["code"], "DEADLINE_EXCEEDED");
    assert!(
        error["error"].as_str().is_some_and(|text| text.contains("may have been made")),
        "{error}"
    );
    assert_eq!(fake.held().ran, 1);
}

#[test]
fn a_member_that_was_removed_by_a_lost_attempt_counts_as_removed() {
    let fake = Fake::default();
    let served = fake.serve();
    fake.held().members.insert(1, "10.0.0.1:18080".into());
    fake.held().members.insert(2, "10.0.0.2:18080".into());
    fake.next([Step::RunAndForget]);
    let ended = at(&served.address, "meta remove --id 2 --confirm").done();
    assert!(ended.stdout.contains("10.0.0.1:18080"), "{ended:?}");
    assert!(!ended.stdout.contains("10.0.0.2:18080"), "{ended:?}");
    assert_eq!(fake.calls("remove_member"), 2);

    let ended = at(&served.address, "meta remove --id 2 --confirm").failed();
    assert!(ended.stderr.contains("there is no member 2"), "{ended:?}");
}

#[test]
fn a_restore_whose_answer_was_lost_is_not_made_twice() {
    let fake = Fake::default();
    let served = fake.serve();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("backup");
    let bytes = vec![1; 700_000];
    std::fs::write(&file, &bytes).expect("written");
    fake.next([Step::Away, Step::RunAndForget]);
    let line = format!("meta restore {} --confirm", file.display());
    at(&served.address, &line).done();
    assert_eq!(fake.calls("restore"), 3);
    assert_eq!(fake.held().restored, [bytes]);
}

#[test]
fn moves_are_queued_once_and_waited_for_under_the_next_leader() {
    let fake = Fake::default();
    let (one, two) = (fake.serve(), fake.serve());
    fake.has_groups(2);
    fake.next([Step::Away, Step::RunAndForget, Step::Away, Step::Away]);
    let addresses = format!("{},{}", one.address, two.address);
    let ended = at(&addresses, "slots migrate --beg 0 --end 9 --gid 2 --wait").done();
    assert!(ended.stdout.ends_with("10 slots have moved\n"), "{ended:?}");
    assert_eq!(fake.held().ran, 1);
}

#[test]
fn a_long_call_gives_a_group_that_is_away_up_as_soon_as_a_short_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("backup");
    let fake = Fake::default();
    let served = fake.serve();
    fake.held().without_leader = true;
    // If it went on for as long as a backup may take, its calls would be thousands.
    let line = format!("--timeout=0.3 meta backup {}", file.display());
    at(&served.address, &line).failed();
    assert!((1..10).contains(&fake.calls("backup")), "{}", fake.calls("backup"));
    assert!(!file.exists());
}

#[test]
fn a_sync_goes_on_at_another_member() {
    let fake = Fake::default();
    let (one, two) = (fake.serve(), fake.serve());
    fake.add_server(1, "10.0.0.2:6379", "master", 0);
    let addresses = format!("{},{}", one.address, two.address);
    at(&addresses, "group sync --addr 10.0.0.2:6379").done();
    assert_eq!(fake.calls("sync_server"), 2);
    assert_eq!(fake.held().ran, 1);
}

//! Slots that move, and plans of which do.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use crate::fake::Fake;
use crate::{at, command};

/// A group of servers with all slots, and an empty one.
fn two_groups() -> Fake {
    let fake = Fake::default();
    fake.has_groups(2);
    fake
}

/// The slots that have an action, with their targets.
fn queued(fake: &Fake) -> Vec<(u32, u32)> {
    let held = fake.held();
    let slots = (0..).zip(&held.slots);
    slots.filter_map(|(slot, one)| Some((slot, one.action.as_ref()?.target))).collect()
}

#[test]
fn slots_are_queued_by_range_or_by_number() {
    let fake = two_groups();
    let served = fake.serve();
    let ended = at(&served.address, "slots migrate --beg 5 --end 6 --gid 2").done();
    assert_eq!(ended.stdout, "slots 5 to 6 are to move to group 2 (epoch 1)\n");
    assert_eq!(queued(&fake), [(5, 2), (6, 2)]);
    at(&served.address, "slots cancel --beg 0 --end 1023").done();
    assert_eq!(queued(&fake), []);
    at(&served.address, "slots migrate --from-gid 1 --to-gid 2 --count 3").done();
    assert_eq!(queued(&fake), [(0, 2), (1, 2), (2, 2)]);
    at(&served.address, "slots migrate --beg 5 --end 6 --gid 9").failed();
}

#[test]
fn moves_are_paused_and_resumed() {
    let fake = two_groups();
    let served = fake.serve();
    at(&served.address, "slots pause").done();
    assert_eq!(fake.held().settings["migration_disabled"], "true");
    assert!(at(&served.address, "slots status").done().stdout.contains("slots resume"));
    at(&served.address, "slots resume").done();
    assert_eq!(fake.held().settings["migration_disabled"], "false");
}

#[test]
fn the_queue_is_shown_with_what_is_in_its_way() {
    let fake = two_groups();
    let served = fake.serve();
    fake.held().moves_wait = true;
    fake.held().trouble = "10.0.0.2:6379 has 3 keys of slot 7".into();
    at(&served.address, "slots migrate --beg 0 --end 9 --gid 2").done();
    let ended = at(&served.address, "slots status").done();
    for words in ["0-9", "pending", "10.0.0.1:6379", "group 1 waits: 10.0.0.2:6379 has 3 keys"] {
        assert!(ended.stdout.contains(words), "{words}: {ended:?}");
    }
    let document = at(&served.address, "slots status --json").done().json();
    assert_eq!(document["moves"].as_array().map(Vec::len), Some(10), "{document}");
    let listed = at(&served.address, "slots list").done();
    assert!(listed.stdout.contains("slots 0-9 move from group 1 to 2: pending"), "{listed:?}");
}

#[test]
fn a_plan_is_only_shown_until_it_is_confirmed() {
    let fake = two_groups();
    let served = fake.serve();
    for line in ["slots rebalance", "slots rebalance --by keys", "group drain --gid 1"] {
        let ended = at(&served.address, line).done();
        assert!(ended.stdout.contains("group 1 gives group 2 2 slots: 0-1"), "{ended:?}");
        assert!(ended.stdout.contains("give --confirm"), "{ended:?}");
        let plan = at(&served.address, &format!("--json {line}")).done().json();
        assert_eq!(plan["moves"][1], serde_json::json!({"slot": 1, "from": 1, "to": 2}));
    }
    assert_eq!((queued(&fake), fake.held().ran), (vec![], 0));
    at(&served.address, "slots rebalance --confirm").done();
    assert_eq!(queued(&fake), [(0, 2), (1, 2)], "the moves that were shown");
    at(&served.address, "slots cancel --beg 0 --end 1023").done();
    let changed = at(&served.address, "--json group drain --gid 1 --confirm").done().json();
    assert_eq!((&changed["epoch"], queued(&fake).len()), (&3.into(), 2));
}

#[test]
fn groups_that_are_even_need_no_confirmation() {
    let fake = Fake::default();
    fake.has_groups(1);
    let served = fake.serve();
    let ended = at(&served.address, "slots rebalance").done();
    assert!(ended.stdout.ends_with("there is nothing to move\n"), "{ended:?}");
    at(&served.address, "slots rebalance --confirm --wait").done();
    assert_eq!(fake.held().ran, 0);
}

#[test]
fn whoever_waits_sees_the_slots_move_to_the_last() {
    let fake = two_groups();
    let served = fake.serve();
    let ended = at(&served.address, "slots migrate --beg 0 --end 1 --gid 2 --wait").done();
    assert!(ended.stdout.contains("of 2 slots"), "{ended:?}");
    assert!(ended.stdout.ends_with("2 slots have moved\n"), "{ended:?}");
    let ended = at(&served.address, "--json slots rebalance --confirm --wait").done();
    for line in ended.stdout.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("a document a line");
    }
    assert!(fake.held().slots.iter().take(4).all(|slot| slot.group == 2));
}

#[test]
fn whoever_waits_is_told_what_is_in_the_way_and_when_a_move_was_cancelled() {
    let fake = two_groups();
    let served = fake.serve();
    fake.held().moves_wait = true;
    fake.held().trouble = "the target is full".into();
    let meta = format!("--meta={}", served.address);
    let words = [&meta, "slots", "migrate", "--beg", "0", "--end", "1", "--gid", "2", "--wait"];
    let mut child =
        command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let told = lines.any(|line| line.expect("a line") == "waiting: group 1: the target is full");
    assert!(told, "it ended without saying why it waits");
    at(&served.address, "slots cancel --beg 0 --end 1").done();
    let mut stderr = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut stderr).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(1), "{stderr}");
    assert!(stderr.contains("slots 0-1 are not where they were to go"), "{stderr}");
}

#[test]
fn an_interrupt_ends_the_waiting_and_no_move() {
    let fake = two_groups();
    let served = fake.serve();
    fake.held().moves_wait = true;
    let meta = format!("--meta={}", served.address);
    let words = [&meta, "slots", "migrate", "--beg", "0", "--end", "1", "--gid", "2", "--wait"];
    let mut child =
        command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    assert!(lines.any(|line| line.expect("a line").starts_with("0 of 2 slots")));
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let int = rustix::process::Signal::INT;
    rustix::process::kill_process(pid.expect("a process"), int).expect("it runs");
    let mut stderr = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut stderr).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(1), "{stderr}");
    assert!(stderr.contains("the moves go on without this command"), "{stderr}");
    assert_eq!(queued(&fake).len(), 2);
}

//! Topologies that come while keys move.

use super::*;
use crate::engine::backend::Role;

const STABLE_B: SlotState = SlotState::Stable(GroupIndex(1));
const NOT_YET: [u64; 0] = [];

#[test]
fn a_slot_whose_move_is_over_waits_for_what_is_under_way_at_the_source() {
    let mut bed = Bed::ready();
    bed.ask("SET k v");
    assert_eq!(bed.moved_keys(), ["k"]);
    let topology = bed.topology(3, STABLE_B);
    assert_eq!(bed.install(topology), NOT_YET);
    bed.ask("SET l v");
    assert_eq!(bed.at_b(), NOTHING);
    let a = bed.rig.backend("a:1", 0);
    bed.rig.engine.on_backend_bytes(a, b"*3\r\n:1\r\n:0\r\n$0\r\n\r\n");
    assert_eq!(bed.settled(), [3]);
    assert_eq!(bed.at_b(), [["SET", "k", "v"], ["SET", "l", "v"]]);
    assert_eq!(bed.at_a(), NOTHING);
}

#[test]
fn a_move_that_failed_when_it_was_over_already_does_not_fail_its_request() {
    let mut bed = Bed::ready();
    bed.ask("SET k v");
    bed.at_a();
    let topology = bed.topology(3, STABLE_B);
    bed.install(topology);
    bed.a_says("-CODISUNKNOWN IOERR\r\n");
    assert_eq!(bed.at_b(), [["SET", "k", "v"]]);
}

#[test]
fn keys_that_wait_for_another_attempt_are_not_asked_for_when_the_move_is_over() {
    let mut bed = Bed::ready();
    bed.ask("SET k v");
    bed.at_a();
    bed.a_says("-CODISUNCLEAN x\r\n");
    let topology = bed.topology(3, STABLE_B);
    assert_eq!(bed.install(topology), [3]);
    assert_eq!(bed.at_b(), [["SET", "k", "v"]]);
    bed.pass(1000);
    assert_eq!(bed.at_a(), NOTHING);
}

#[test]
fn a_locked_slot_parks_its_requests_and_goes_on_with_the_same_move() {
    let mut bed = Bed::ready();
    let state = SlotState::Migrating { from: GroupIndex(0), to: GroupIndex(1), since: 2 };
    let mut topology = bed.topology(3, state);
    topology.slots.iter_mut().for_each(|slot| slot.locked = true);
    bed.ask("SET k v");
    bed.at_a();
    assert_eq!(bed.install(topology), NOT_YET);
    bed.script_says(&[1], "");
    bed.ask("SET l v");
    assert_eq!(bed.at_b(), NOTHING);
    assert_eq!(bed.at_a(), NOTHING);
    bed.migrate(4, 2);
    bed.ask("GET first");
    assert_eq!(bed.moved_keys(), ["k"], "it may not have moved");
    bed.script_says(&[0], "");
    assert_eq!(bed.moved_keys(), ["l"]);
    bed.script_says(&[0], "");
    assert_eq!(
        bed.at_b(),
        [vec!["SET", "k", "v"], vec!["SET", "l", "v"], vec!["GET", "first"]],
        "what is known stays known"
    );
}

#[test]
fn a_later_move_of_the_same_slot_knows_nothing_of_the_earlier_one() {
    let mut bed = Bed::ready();
    assert_eq!(bed.migrate(9, 7), [9], "epochs between may never be seen");
    bed.ask("GET first");
    assert_eq!(bed.moved_keys(), ["first"]);
}

#[test]
fn commands_at_a_target_that_is_replaced_are_waited_for() {
    let mut bed = Bed::ready();
    bed.ask("INCR first");
    assert_eq!(bed.at_b(), [["INCR", "first"]]);
    let state = SlotState::Migrating { from: GroupIndex(0), to: GroupIndex(1), since: 2 };
    let mut topology = bed.topology(3, state);
    topology.groups[1].master = Arc::from("c:1");
    let b = bed.rig.backend("b:1", 0);
    assert_eq!(bed.install(topology), NOT_YET);
    bed.ask("INCR first");
    let c = bed.rig.backend("c:1", 0);
    assert!(bed.rig.sent(c).is_empty());
    bed.rig.engine.on_backend_bytes(b, b":1\r\n");
    assert_eq!(bed.settled(), [3]);
    assert_eq!(requests(&bed.rig.sent(c)), [["INCR", "first"]]);
}

#[test]
fn a_source_that_is_replaced_is_waited_for_and_the_new_one_is_asked() {
    let mut bed = Bed::ready();
    bed.ask("INCR k");
    bed.at_a();
    let state = SlotState::Migrating { from: GroupIndex(0), to: GroupIndex(1), since: 2 };
    let mut topology = bed.topology(3, state);
    topology.groups[0].master = Arc::from("c:1");
    let a = bed.rig.backend("a:1", 0);
    assert_eq!(bed.install(topology), NOT_YET);
    bed.rig.engine.on_backend_bytes(a, b"*3\r\n:1\r\n:0\r\n$0\r\n\r\n");
    assert_eq!(bed.settled(), [3]);
    let c = bed.rig.backend("c:1", 0);
    assert_eq!(requests(&bed.rig.sent(c)), [["INFO", "server"]]);
    assert_eq!(bed.at_b(), NOTHING);
}

#[test]
fn an_old_copy_does_not_go_after_the_move_is_over() {
    let rules = MoveRules { durability: Durability::Replica, ..RULES };
    let mut bed = Bed::with(settings(), rules);
    bed.replicas = true;
    bed.migrate(3, 2);
    bed.learn();
    bed.ask("SET k v");
    bed.at_a();
    bed.script_says(&[1], "");
    let topology = bed.topology(4, STABLE_B);
    bed.install(topology);
    let mut waiters =
        bed.rig.engine.backends.iter().filter(|(_, backend)| backend.role == Role::Waiter);
    let waiter = waiters.next().expect("a connection that waits").0 as u32;
    bed.rig.sent(waiter);
    bed.rig.engine.on_backend_bytes(waiter, b"+OK\r\n:1\r\n$3\r\nfoo\r\n");
    assert_eq!(bed.at_a(), NOTHING);
    assert_eq!(bed.at_b(), [["SET", "k", "v"]]);
}

#[test]
fn a_slot_that_was_served_by_the_source_waits_for_it_before_its_keys_move() {
    // A proxy that never saw the slot prepare.
    let mut bed = Bed::new();
    let topology = bed.topology(3, SlotState::Stable(GroupIndex(0)));
    bed.install(topology);
    bed.ask("SET k 1");
    assert_eq!(bed.at_a(), [["SET", "k", "1"]]);
    assert_eq!(bed.migrate(5, 5), NOT_YET);
    bed.ask("SET k 2");
    assert_eq!(bed.at_a(), NOTHING);
    bed.a_says("+OK\r\n");
    assert_eq!(bed.at_a(), [["INFO", "server"]]);
}

#[test]
fn a_session_that_was_closed_while_its_key_moves_leaves_nothing() {
    let mut bed = Bed::ready();
    bed.ask("SET k v");
    bed.at_a();
    bed.rig.engine.kill(bed.rig.session);
    bed.serve();
    bed.rig.engine.on_client_closed(bed.rig.session);
    bed.script_says(&[1], "");
    assert_eq!(bed.at_b(), NOTHING);
    assert_eq!(bed.rig.engine.sessions(), 0);
}

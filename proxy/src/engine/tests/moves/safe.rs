//! Moves in three steps: the copy, the wait for the target's replicas, the end of the old copy.

use super::*;
use crate::engine::backend::Role;

fn durable(durability: Durability) -> Bed {
    let mut bed = Bed::with(settings(), MoveRules { durability, ..RULES });
    bed.replicas = true;
    // The same move, of a target that has replicas.
    bed.migrate(3, 2);
    bed.learn();
    bed
}

impl Bed {
    /// The connection that waits for the target's replicas.
    fn waiter(&self) -> u32 {
        let mut found =
            self.rig.engine.backends.iter().filter(|(_, backend)| backend.role == Role::Waiter);
        let (index, backend) = found.next().expect("a connection that waits");
        assert_eq!((&*backend.address, backend.database), ("b:1", 0));
        index as u32
    }

    fn at_waiter(&mut self) -> Vec<Sent> {
        self.serve();
        let backend = self.waiter();
        requests(&self.rig.sent(backend))
    }

    fn waiter_says(&mut self, reply: &str) {
        let backend = self.waiter();
        self.rig.engine.on_backend_bytes(backend, reply.as_bytes());
        self.serve();
    }

    /// Asks for k, which the source copies.
    fn copy(&mut self, moved: u8) {
        self.ask("SET k v");
        let sent = self.at_a();
        assert_eq!(keys_of(&sent[0]), ["k"]);
        assert_eq!(sent[0][9], "COPY");
        self.script_says(&[moved], "");
        assert_eq!(self.at_a(), NOTHING);
    }

    /// The old copy of k goes, and the request to the target.
    fn unlink(&mut self) {
        let sent = self.at_a();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0][0], "EVAL");
        assert!(sent[0][1].contains("UNLINK"));
        assert_eq!(sent[0][2..], ["1", "k", "run1", "b:1", "0"]);
        assert_eq!(self.at_b(), NOTHING, "it is on both");
        self.a_says(":1\r\n");
        assert_eq!(self.at_b(), [["SET", "k", "v"]]);
    }
}

fn connected(replicas: u32) -> String {
    bulk(&format!("# Replication\r\nrole:master\r\nconnected_slaves:{replicas}\r\n"))
}

const QUESTION: [&[&str]; 3] =
    [&["SET", "__codis_wait__", "1"], &["WAIT", "1", "100"], &["INFO", "replication"]];

#[test]
fn the_old_copy_goes_when_a_replica_of_the_target_has_the_new_one() {
    // A key that the target had before may be another mover's, whose wait is not over.
    for moved in [1, 2] {
        let mut bed = durable(Durability::Replica);
        bed.copy(moved);
        assert_eq!(bed.at_waiter(), QUESTION);
        bed.waiter_says("+OK\r\n:1\r\n");
        assert_eq!(bed.at_a(), NOTHING, "not all is said");
        bed.waiter_says(&connected(1));
        bed.unlink();
    }
}

#[test]
fn a_target_with_no_replica_connected_has_nobody_to_wait_for() {
    let mut bed = durable(Durability::Replica);
    bed.copy(1);
    bed.at_waiter();
    bed.waiter_says(&format!("+OK\r\n:0\r\n{}", connected(0)));
    bed.unlink();
}

#[test]
fn a_target_without_replicas_needs_one_step() {
    let mut bed = Bed::with(settings(), MoveRules { durability: Durability::Replica, ..RULES });
    bed.learn();
    bed.ask("GET k");
    assert_eq!(bed.at_a()[0][9], "-");
}

#[test]
fn a_slow_replica_is_waited_for_until_patience_is_over() {
    let mut bed = durable(Durability::Replica);
    bed.copy(1);
    let mut asked = 0;
    while bed.rig.engine.now_us < 1000 * RULES.patience_ms + 100_000 && !bed.at_waiter().is_empty()
    {
        asked += 1;
        bed.pass(100);
        bed.waiter_says(&format!("+OK\r\n:0\r\n{}", connected(1)));
        bed.pass(50);
    }
    assert!(asked >= 2, "it was asked {asked} times");
    let error = bed.error();
    assert!(error.contains("no replica of b:1 has acknowledged it"), "{error}");
    assert!(error.contains("migration_durability"), "{error}");
    assert_eq!(bed.at_a(), NOTHING, "the old copy stays");
}

#[test]
fn a_key_that_is_not_at_the_source_needs_no_wait() {
    let mut bed = durable(Durability::Replica);
    bed.ask("SET k v");
    bed.at_a();
    bed.script_says(&[0], "");
    assert_eq!(bed.at_b(), [["SET", "k", "v"]]);
}

#[test]
fn keys_that_are_copied_during_one_wait_share_the_next() {
    let mut bed = durable(Durability::Replica);
    bed.copy(1);
    assert_eq!(bed.at_waiter().len(), 3);
    for key in ["l", "m"] {
        bed.other_session();
        bed.ask(&format!("GET {key}"));
        bed.at_a();
        bed.script_says(&[1], "");
    }
    assert_eq!(bed.at_waiter(), NOTHING);
    bed.waiter_says(&format!("+OK\r\n:1\r\n{}", connected(1)));
    bed.unlink();
    assert_eq!(bed.at_waiter(), QUESTION);
    bed.waiter_says(&format!("+OK\r\n:1\r\n{}", connected(1)));
    assert_eq!(bed.at_a()[0][2..5], ["2", "l", "m"]);
}

#[test]
fn a_targets_append_only_file_is_waited_for() {
    let mut bed = durable(Durability::Aof);
    bed.copy(1);
    let expected: [&[&str]; 2] = [&["SET", "__codis_wait__", "1"], &["WAITAOF", "1", "0", "100"]];
    assert_eq!(bed.at_waiter(), expected);
    bed.waiter_says("+OK\r\n*2\r\n:1\r\n:0\r\n");
    bed.unlink();
}

#[test]
fn a_target_that_cannot_wait_for_its_file_is_told_of_with_what_to_do() {
    let mut bed = durable(Durability::Aof);
    bed.copy(1);
    bed.at_waiter();
    bed.waiter_says("+OK\r\n-ERR unknown command 'WAITAOF', with args beginning with: '1' \r\n");
    let error = bed.error();
    assert!(error.contains("needs Redis 7.2 at the target"), "{error}");
    let mut bed = durable(Durability::Aof);
    bed.copy(1);
    bed.at_waiter();
    bed.waiter_says("+OK\r\n-ERR WAITAOF cannot be used when appendonly is disabled\r\n");
    assert!(bed.error().contains("migration_durability asks for: ERR WAITAOF cannot"));
}

#[test]
fn a_target_that_refuses_the_marker_or_is_lost_fails_those_who_wait() {
    let mut bed = durable(Durability::Replica);
    bed.copy(1);
    bed.at_waiter();
    bed.waiter_says(&format!("-OOM command not allowed\r\n:1\r\n{}", connected(1)));
    assert!(bed.error().contains("OOM command not allowed"));
    bed.copy(2);
    bed.at_waiter();
    let waiter = bed.waiter();
    bed.rig.engine.on_backend_closed(waiter, "reset");
    assert!(bed.error().contains("the server b:1 was lost: reset"));
    assert_eq!(bed.at_a(), NOTHING);
}

#[test]
fn an_old_copy_that_cannot_go_yet_is_asked_about_from_the_beginning() {
    let mut bed = durable(Durability::Replica);
    bed.copy(1);
    bed.at_waiter();
    bed.waiter_says(&format!("+OK\r\n:1\r\n{}", connected(1)));
    bed.at_a();
    bed.a_says("-CODISUNCLEAN x\r\n");
    bed.pass(5);
    assert_eq!(bed.moved_keys(), ["k"]);
    bed.script_says(&[2], "");
    bed.at_waiter();
    bed.waiter_says(&format!("+OK\r\n:1\r\n{}", connected(1)));
    bed.unlink();
}

#[test]
fn a_source_that_came_back_during_the_wait_is_asked_from_the_beginning() {
    let mut bed = durable(Durability::Replica);
    bed.copy(1);
    bed.at_waiter();
    let a = bed.rig.backend("a:1", 0);
    bed.rig.engine.on_backend_closed(a, "reset");
    bed.pass(20);
    bed.waiter_says(&format!("+OK\r\n:1\r\n{}", connected(1)));
    assert_eq!(bed.at_a(), [["INFO", "server"]]);
    bed.say_run_id("run1");
    assert_eq!(bed.moved_keys(), ["k"]);
}

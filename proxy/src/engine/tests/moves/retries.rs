//! Keys that cannot be moved, now or at all.

use super::*;

#[test]
fn an_unclean_source_is_asked_again_more_and_more_seldom_until_patience_is_over() {
    let mut bed = Bed::ready();
    bed.ask("SET k v");
    let (mut pause, mut passed) = (5, 0);
    loop {
        assert_eq!(bed.moved_keys(), ["k"]);
        bed.a_says("-CODISUNCLEAN an earlier MIGRATE to b:1 may still be at work\r\n");
        assert_eq!(bed.at_a(), NOTHING, "not at once");
        if passed == RULES.patience_ms {
            break;
        }
        let next = pause.min(RULES.patience_ms - passed);
        bed.pass(next - 1);
        assert_eq!(bed.at_a(), NOTHING, "too early, {passed}");
        bed.pass(1);
        passed += next;
        pause = (2 * pause).min(50);
    }
    let error = bed.error();
    assert!(error.contains("from group 1 to group 2"), "{error}");
    assert!(error.contains("the command was not run: CODISUNCLEAN an earlier MIGRATE"), "{error}");
}

#[test]
fn a_source_that_is_clean_again_lets_the_request_go_on() {
    let mut bed = Bed::ready();
    bed.ask("SET k v");
    bed.at_a();
    bed.a_says("-CODISUNCLEAN x\r\n");
    bed.pass(5);
    assert_eq!(bed.moved_keys(), ["k"]);
    bed.script_says(&[1], "");
    assert_eq!(bed.at_b(), [["SET", "k", "v"]]);
}

#[test]
fn one_clients_patience_is_not_anothers() {
    let mut bed = Bed::ready();
    bed.ask("GET k");
    bed.at_a();
    bed.a_says("-CODISUNCLEAN x\r\n");
    let first = bed.other_session();
    // The second begins to wait when half of the first one's time is over.
    for round in 0..100 {
        if round == 20 {
            bed.ask("GET k");
        }
        bed.pass(5);
        if !bed.at_a().is_empty() {
            bed.a_says("-CODISUNCLEAN x\r\n");
        }
        if round == 50 {
            assert_eq!(bed.replies(), "");
            let second = std::mem::replace(&mut bed.rig.session, first);
            assert!(bed.replies().contains("CODISUNCLEAN"));
            bed.rig.session = second;
        }
    }
    assert!(bed.replies().contains("CODISUNCLEAN"));
    assert_eq!(bed.at_a(), NOTHING, "nobody waits any more");
}

#[test]
fn what_a_server_says_against_a_move_is_told_and_nothing_goes_to_the_target() {
    for reply in [
        "-CODISUNKNOWN IOERR error or timeout reading to target instance\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-READONLY You can't write against a read only replica.\r\n",
        "-NOREPLICAS Not enough good replicas to write.\r\n",
        "*3\r\n:4\r\n:0\r\n$47\r\nERR Target instance replied with error: OOM all\r\n",
        "*1\r\n:4\r\n",
    ] {
        let mut bed = Bed::ready();
        bed.ask("SET k v");
        bed.at_a();
        bed.a_says(reply);
        let error = bed.error();
        let words = reply.trim_start_matches(['-', '*']).lines().last().expect("words");
        assert!(error.contains(words) && error.contains("was not run"), "{error}");
        // The next one asks anew.
        bed.ask("SET k v");
        assert_eq!(bed.moved_keys(), ["k"]);
    }
}

#[test]
fn one_key_that_cannot_be_moved_fails_its_requests_alone() {
    let mut bed = Bed::ready();
    bed.ask("MSET k 1 l 2");
    let first = bed.other_session();
    bed.ask("GET l");
    assert_eq!(bed.moved_keys(), ["k", "l"]);
    bed.script_says(&[4, 1], "OOM no");
    assert_eq!(bed.at_b(), [["GET", "l"]]);
    bed.rig.session = first;
    assert!(bed.replies().contains("OOM no"));
    assert_eq!(bed.rig.engine.stats().moves.failures, 1);
}

#[test]
fn a_source_that_has_not_seen_the_script_is_given_its_text() {
    let mut bed = Bed::ready();
    bed.ask("GET k");
    assert_eq!(bed.moved_keys(), ["k"]);
    bed.a_says("-NOSCRIPT No matching script. Please use EVAL.\r\n");
    let sent = bed.at_a();
    assert_eq!(sent[0][..4], ["EVAL", SCRIPT, "1", "k"]);
    bed.script_says(&[1], "");
    assert_eq!(bed.at_b(), [["GET", "k"]]);
}

#[test]
fn a_lost_source_fails_those_who_wait_and_the_next_connection_says_its_run_id_anew() {
    let mut bed = Bed::ready();
    bed.ask("SET k v");
    assert_eq!(bed.moved_keys(), ["k"]);
    let a = bed.rig.backend("a:1", 0);
    bed.rig.engine.on_backend_closed(a, "reset by peer");
    let error = bed.error();
    assert!(error.contains("was not run: the server a:1 was lost: reset by peer"), "{error}");
    bed.ask("SET k v");
    let error = bed.error();
    assert!(error.contains("was not run: the server a:1 is down: reset by peer"), "{error}");
    bed.pass(20);
    bed.ask("SET k v");
    assert_eq!(bed.at_a(), [["INFO", "server"]]);
    bed.say_run_id("run2");
    let sent = bed.at_a();
    assert_eq!(sent[0][4], "run2");
}

#[test]
fn a_source_that_does_not_say_its_run_id_moves_nothing() {
    for reply in ["-LOADING Redis is loading\r\n", "$3\r\nfoo\r\n"] {
        let mut bed = Bed::new();
        bed.ask("SET k v");
        bed.at_a();
        bed.a_says(reply);
        bed.error();
        assert_eq!(bed.at_a(), NOTHING);
        bed.ask("SET k v");
        assert_eq!(bed.at_a(), [["INFO", "server"]]);
    }
}

#[test]
fn a_connection_that_is_lost_while_it_says_its_run_id_fails_those_who_wait() {
    let mut bed = Bed::new();
    bed.ask("SET k v");
    bed.at_a();
    let a = bed.rig.backend("a:1", 0);
    bed.rig.engine.on_backend_closed(a, "reset");
    assert!(bed.error().contains("the server a:1 was lost"));
}

#[test]
fn a_session_that_is_gone_leaves_nothing_to_the_next_one_of_its_index() {
    let mut bed = Bed::ready();
    bed.ask("SET k v");
    let session = bed.rig.session;
    bed.rig.engine.on_client_closed(session);
    bed.rig.session = bed.rig.engine.on_client_open(9, None);
    assert_eq!(bed.rig.session, session, "the index is used again");
    bed.ask("SET l v");
    assert_eq!(bed.at_a().len(), 2);
    // The first one's key fails.
    bed.script_says(&[4], "ERR no");
    assert_eq!(bed.replies(), "");
    bed.script_says(&[1], "");
    assert_eq!(bed.at_b(), [["SET", "l", "v"]]);
}

#[test]
fn a_target_that_is_down_answers_as_any_other_server_does() {
    let mut bed = Bed::ready();
    let b = bed.rig.backend("b:1", 0);
    bed.rig.engine.on_backend_closed(b, "reset");
    bed.ask("GET first");
    assert_eq!(bed.replies(), "-ERR backend b:1 is down: reset\r\n");
}

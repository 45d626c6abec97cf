//! Big keys: reads go on at the source, the rest waits.

use super::*;

impl Bed {
    /// Asks for the key k, which the source says is big.
    fn ask_big(&mut self, words: &str) {
        self.ask(words);
        assert_eq!(self.moved_keys(), ["k"]);
        self.script_says(&[3], "");
    }

    /// The target is asked for the key k, and has it or not.
    fn target_has(&mut self, has: bool) {
        assert_eq!(self.at_b(), [["EXISTS", "k"]]);
        self.b_says(if has { ":1\r\n" } else { ":0\r\n" });
    }
}

#[test]
fn a_read_goes_on_at_the_source_and_its_answer_waits_for_that_of_exists() {
    let mut bed = Bed::ready();
    bed.ask_big("GET k");
    bed.target_has(false);
    assert_eq!(bed.at_a(), [["GET", "k"], ["EXISTS", "k"]]);
    bed.a_says("$5\r\nvalue\r\n");
    assert_eq!(bed.replies(), "");
    bed.a_says(":1\r\n");
    assert_eq!(bed.replies(), "$5\r\nvalue\r\n");
    assert_eq!(bed.at_b(), NOTHING);
    // The next one need not ask whether it is big.
    bed.ask("STRLEN k");
    bed.target_has(false);
    assert_eq!(bed.at_a(), [["STRLEN", "k"], ["EXISTS", "k"]]);
    bed.a_says(":5\r\n:1\r\n");
    assert_eq!(bed.replies(), ":5\r\n");
}

#[test]
fn a_read_goes_to_the_target_where_that_has_the_key() {
    let mut bed = Bed::ready();
    bed.ask_big("GET k");
    // What the source has came back there.
    bed.target_has(true);
    assert_eq!(bed.at_b(), [["GET", "k"]]);
    assert_eq!(bed.at_a(), NOTHING);
    bed.b_says("$5\r\nnewer\r\n");
    assert_eq!(bed.replies(), "$5\r\nnewer\r\n");
}

#[test]
fn where_the_source_was_lost_while_the_target_was_asked_it_is_asked_again() {
    let mut bed = Bed::ready();
    bed.ask_big("GET k");
    assert_eq!(bed.at_b(), [["EXISTS", "k"]]);
    let a = bed.rig.backend("a:1", 0);
    bed.rig.engine.on_backend_closed(a, "reset");
    bed.pass(20);
    // The key may have gone, and be back since the source was started anew.
    bed.b_says(":0\r\n");
    assert_eq!(bed.at_a(), [["INFO", "server"]]);
    bed.say_run_id("run2");
    assert_eq!(bed.moved_keys(), ["k"]);
    bed.script_says(&[3], "");
    bed.target_has(false);
    assert_eq!(bed.at_a(), [["GET", "k"], ["EXISTS", "k"]]);
    bed.a_says("$5\r\nvalue\r\n:1\r\n");
    assert_eq!(bed.replies(), "$5\r\nvalue\r\n");
}

#[test]
fn the_target_is_not_asked_before_there_is_a_connection_to_the_source() {
    let mut bed = Bed::ready();
    bed.ask_big("GET k");
    bed.target_has(false);
    bed.at_a();
    bed.a_says("$5\r\nvalue\r\n:1\r\n");
    assert_eq!(bed.replies(), "$5\r\nvalue\r\n");
    // That takes connections of its own.
    bed.ask("CLIENT NO-TOUCH ON");
    bed.replies();
    let known: Vec<usize> = bed.rig.engine.backends.iter().map(|(index, _)| index).collect();
    let asked = |bed: &Bed| -> Vec<usize> {
        let new = bed.rig.engine.backends.iter().filter(|(index, _)| !known.contains(index));
        new.map(|(_, backend)| backend.in_flight.len()).collect()
    };
    bed.rig.engine.on_client_bytes(bed.rig.session, &request("GET k"));
    bed.rig.engine.finish_turn();
    assert_eq!(asked(&bed), [0, 0], "the source and the target");
    bed.serve();
    assert_eq!(asked(&bed), [0, 1]);
}

#[test]
fn a_target_that_is_lost_fails_the_read_of_a_big_key() {
    let mut bed = Bed::ready();
    bed.ask_big("GET k");
    assert_eq!(bed.at_b(), [["EXISTS", "k"]]);
    let b = bed.rig.backend("b:1", 0);
    bed.rig.engine.on_backend_closed(b, "reset");
    assert!(bed.error().contains("the server b:1 was lost"));
    assert_eq!(bed.at_a(), NOTHING);
}

#[test]
fn an_error_that_the_source_answers_is_the_answer() {
    let mut bed = Bed::ready();
    bed.ask_big("GET k");
    bed.target_has(false);
    bed.at_a();
    bed.a_says("-WRONGTYPE Operation against a key\r\n:1\r\n");
    assert_eq!(bed.replies(), "-WRONGTYPE Operation against a key\r\n");
}

#[test]
fn an_answer_to_which_exists_says_no_is_dropped_and_the_read_goes_the_common_way() {
    let mut bed = Bed::ready();
    bed.ask_big("GET k");
    bed.target_has(false);
    bed.at_a();
    bed.a_says("$-1\r\n:0\r\n");
    assert_eq!(bed.replies(), "");
    assert_eq!(bed.moved_keys(), ["k"]);
    bed.script_says(&[0], "");
    assert_eq!(bed.at_b(), [["GET", "k"]]);
    bed.b_says("$5\r\nvalue\r\n");
    assert_eq!(bed.replies(), "$5\r\nvalue\r\n");
}

#[test]
fn a_source_that_is_lost_during_the_read_fails_it() {
    let mut bed = Bed::ready();
    bed.ask_big("GET k");
    bed.target_has(false);
    bed.at_a();
    bed.a_says("$5\r\nvalue\r\n");
    let a = bed.rig.backend("a:1", 0);
    bed.rig.engine.on_backend_closed(a, "reset");
    assert!(bed.error().contains("the server a:1 was lost"));
}

#[test]
fn writes_and_requests_of_several_keys_wait_until_the_key_has_left() {
    for words in ["SET k v", "MGET k first", "APPEND k v"] {
        let mut bed = Bed::ready();
        bed.ask_big(words);
        assert_eq!(bed.at_a(), NOTHING);
        bed.pass(5);
        assert_eq!(bed.moved_keys(), ["k"]);
        bed.script_says(&[3], "");
        // A read of it does not wait.
        let writer = bed.other_session();
        bed.ask("GET k");
        bed.target_has(false);
        assert_eq!(bed.at_a(), [["GET", "k"], ["EXISTS", "k"]]);
        bed.a_says("$1\r\nx\r\n:1\r\n");
        assert_eq!(bed.replies(), "$1\r\nx\r\n");
        bed.rig.session = writer;
        bed.pass(10);
        assert_eq!(bed.moved_keys(), ["k"]);
        bed.script_says(&[0], "");
        assert_eq!(bed.at_b(), [words.split(' ').collect::<Vec<_>>()]);
    }
}

#[test]
fn the_migrator_is_told_of_big_keys_that_are_waited_for() {
    let told = |words: &str| {
        let mut bed = Bed::ready();
        bed.ask(words);
        assert_eq!(bed.moved_keys(), ["k"]);
        let backend = bed.rig.backend("a:1", 0);
        bed.rig.engine.on_backend_bytes(backend, b"*4\r\n:3\r\n:100\r\n:50\r\n$0\r\n\r\n");
        let mut effects = bed.serve();
        effects.retain(|effect| matches!(effect, Effect::Wanted { .. }));
        effects
    };
    assert_eq!(told("SET k v"), [Effect::Wanted { database: 0, key: b"k".to_vec() }]);
    assert_eq!(told("GET k"), []);
}

#[test]
fn a_write_that_has_waited_too_long_for_a_big_key_fails() {
    let mut bed = Bed::ready();
    bed.ask_big("SET k v");
    for _ in 0..RULES.big_patience_ms / 5 - 1 {
        bed.pass(5);
        if !bed.at_a().is_empty() {
            bed.script_says(&[3], "");
        }
    }
    assert_eq!(bed.replies(), "");
    bed.pass(5);
    bed.at_a();
    bed.script_says(&[3], "");
    assert!(bed.error().contains("it is big"));
}

#[test]
fn a_big_key_that_nobody_waits_for_is_not_asked_about() {
    let mut bed = Bed::ready();
    bed.ask_big("GET k");
    bed.target_has(false);
    bed.at_a();
    bed.a_says("$1\r\nx\r\n:1\r\n");
    bed.pass(1000);
    assert_eq!(bed.at_a(), NOTHING);
    assert_eq!(bed.rig.engine.next_deadline().filter(|at| *at <= bed.rig.engine.now_us), None);
}

#[test]
fn an_answer_that_comes_in_pieces_is_held_and_one_that_is_too_large_ends_the_session() {
    let mut settings = settings();
    settings.output_bytes_hard = 100_000;
    let mut bed = Bed::with(settings, RULES);
    bed.learn();
    bed.ask_big("GET k");
    bed.target_has(false);
    bed.at_a();
    bed.a_says("$50000\r\n");
    for _ in 0..5 {
        bed.a_says(&"x".repeat(10_000));
        assert_eq!(bed.replies(), "");
    }
    bed.a_says("\r\n:1\r\n");
    assert_eq!(bed.replies().len(), 50_000 + 10);
    bed.ask("GET k");
    bed.target_has(false);
    bed.at_a();
    bed.a_says("$200000\r\n");
    for _ in 0..20 {
        bed.rig.engine.on_backend_bytes(bed.rig.backend("a:1", 0), "x".repeat(10_000).as_bytes());
    }
    let effects = bed.serve();
    assert_eq!(effects.last(), Some(&Effect::CloseClient { session: bed.rig.session }));
    bed.rig.engine.on_client_closed(bed.rig.session);
    bed.a_says("\r\n:1\r\n");
    // The connection goes on.
    bed.rig.session = bed.rig.engine.on_client_open(9, None);
    bed.ask("GET m");
    assert_eq!(bed.moved_keys(), ["m"]);
}

#[test]
fn an_invalidation_goes_out_behind_the_answer_that_was_held_until_exists_said_yes() {
    let mut bed = Bed::ready();
    bed.ask("HELLO 3");
    bed.ask("CLIENT TRACKING ON");
    bed.replies();
    bed.ask_big("GET k");
    let there = bed.rig.tracker("b:1");
    assert_eq!(requests(&bed.rig.sent(there)).last(), Some(&vec!["EXISTS".into(), "k".into()]));
    bed.rig.engine.on_backend_bytes(there, b":0\r\n");
    bed.serve();
    let tracker = bed.rig.tracker("a:1");
    bed.rig.sent(tracker);
    let gone = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
    let came = format!("$5\r\nvalue\r\n:1\r\n{gone}");
    bed.rig.engine.on_backend_bytes(tracker, came.as_bytes());
    assert_eq!(bed.replies(), format!("$5\r\nvalue\r\n{gone}"));
}

//! From the request to the target.

use super::*;

#[test]
fn a_request_goes_to_the_target_once_the_source_says_that_its_key_has_left() {
    let mut bed = Bed::new();
    bed.ask("SET k v");
    assert_eq!(bed.at_a(), [["INFO", "server"]]);
    bed.say_run_id("run1");
    let expected = [
        "EVALSHA",
        SCRIPT_SHA1,
        "1",
        "k",
        "run1",
        "b",
        "1",
        "0",
        "500",
        "-",
        "1000000",
        "10000",
        "524288",
        "",
        "b:1",
    ];
    assert_eq!(bed.at_a(), [expected]);
    assert_eq!(bed.at_b(), NOTHING);
    bed.script_says(&[1], "");
    assert_eq!(bed.at_b(), [["SET", "k", "v"]]);
    bed.b_says("+OK\r\n");
    assert_eq!(bed.replies(), "+OK\r\n");
    assert_eq!(bed.at_a(), NOTHING);
}

#[test]
fn a_key_that_has_left_is_not_asked_for_again() {
    let mut bed = Bed::ready();
    for moved in [0, 1, 2] {
        let key = format!("k{moved}");
        bed.ask(&format!("GET {key}"));
        assert_eq!(bed.moved_keys(), [key.as_str()]);
        bed.script_says(&[moved], "");
        assert_eq!(bed.at_b(), [["GET", &key]]);
        bed.ask(&format!("INCR {key}"));
        assert_eq!(bed.at_b(), [["INCR", &key]]);
        assert_eq!(bed.at_a(), NOTHING);
    }
}

#[test]
fn a_key_of_another_database_is_another_key_on_another_connection() {
    let mut bed = Bed::ready();
    bed.ask("SELECT 3");
    bed.ask("GET first");
    let a3 = bed.rig.backend("a:1", 3);
    assert_eq!(requests(&bed.rig.sent(a3)), [["INFO", "server"]]);
    bed.rig.engine.on_backend_bytes(a3, bulk("run_id:run1\r\n").as_bytes());
    bed.serve();
    let sent = requests(&bed.rig.sent(a3));
    assert_eq!(keys_of(&sent[0]), ["first"]);
    assert_eq!(sent[0][7], "3");
    bed.rig.engine.on_backend_bytes(a3, b"*4\r\n:0\r\n:0\r\n:50\r\n$0\r\n\r\n");
    bed.serve();
    let b3 = bed.rig.backend("b:1", 3);
    assert_eq!(requests(&bed.rig.sent(b3)), [["GET", "first"]]);
}

#[test]
fn sessions_that_want_the_same_key_share_one_move() {
    let mut bed = Bed::ready();
    bed.ask("GET k");
    let first = bed.other_session();
    bed.ask("GET k");
    assert_eq!(bed.moved_keys(), ["k"]);
    bed.script_says(&[1], "");
    assert_eq!(bed.at_b(), [["GET", "k"], ["GET", "k"]]);
    bed.b_says("$1\r\n1\r\n$1\r\n2\r\n");
    let second = std::mem::replace(&mut bed.rig.session, first);
    let mut both = bed.replies();
    bed.rig.session = second;
    both += &bed.replies();
    assert_eq!(both, "$1\r\n1\r\n$1\r\n2\r\n", "the first comes first");
}

#[test]
fn keys_that_are_asked_for_in_one_turn_leave_in_one_call() {
    let mut bed = Bed::ready();
    for key in ["k", "l", "m"] {
        bed.rig.engine.on_client_bytes(bed.rig.session, &request(&format!("GET {key}")));
        bed.other_session();
    }
    bed.serve();
    assert_eq!(bed.moved_keys(), ["k", "l", "m"]);
    bed.script_says(&[1, 0, 2], "");
    assert_eq!(bed.at_b(), [["GET", "k"], ["GET", "l"], ["GET", "m"]]);
}

#[test]
fn a_request_of_thousands_of_keys_is_run_once_all_have_left() {
    let mut bed = Bed::ready();
    let keys: Vec<String> = (0..3000).map(|number| format!("k{number}")).collect();
    bed.ask(&format!("DEL {}", keys.join(" ")));
    let mut asked = Vec::new();
    loop {
        let calls = bed.at_a();
        if calls.is_empty() {
            break;
        }
        assert!(calls.len() <= 2, "too many at a time");
        for call in calls {
            let keys = keys_of(&call);
            assert!(keys.len() <= 64);
            assert_eq!(bed.at_b(), NOTHING, "some are missing");
            bed.script_says(&vec![1; keys.len()], "");
            asked.extend(keys);
        }
    }
    assert_eq!(asked, keys);
    assert_eq!(bed.at_b(), [[vec!["DEL".into()], keys].concat()]);
}

#[test]
fn keys_that_the_budget_left_out_are_asked_for_again() {
    let mut bed = Bed::ready();
    bed.ask("MGET k l m");
    assert_eq!(bed.moved_keys(), ["k", "l", "m"]);
    bed.script_says(&[1, 5, 5], "");
    assert_eq!(bed.moved_keys(), ["l", "m"]);
    bed.script_says(&[1, 1], "");
    assert_eq!(bed.at_b(), [["MGET", "k", "l", "m"]]);
}

#[test]
fn a_key_that_is_named_twice_is_waited_for_once() {
    let mut bed = Bed::ready();
    bed.ask("MGET k k");
    assert_eq!(bed.moved_keys(), ["k"]);
    bed.script_says(&[0], "");
    assert_eq!(bed.at_b(), [["MGET", "k", "k"]]);
}

#[test]
fn every_kind_of_request_waits_for_every_key_of_it() {
    for (words, keys) in [
        ("SUNIONSTORE {t}a {t}b {t}c", &["{t}a", "{t}b", "{t}c"][..]),
        ("EVAL x 2 {t}a {t}b arg", &["{t}a", "{t}b"]),
        ("MSET a 1 b 2", &["a", "b"]),
        ("EXISTS a b c", &["a", "b", "c"]),
        ("XREAD STREAMS {t}a {t}b 0 0", &["{t}a", "{t}b"]),
        ("BITOP AND {t}a {t}b {t}c", &["{t}a", "{t}b", "{t}c"]),
    ] {
        let mut bed = Bed::ready();
        bed.ask(words);
        assert_eq!(bed.moved_keys(), keys, "{words}");
        assert_eq!(bed.at_b(), NOTHING, "{words}");
        bed.script_says(&vec![1; keys.len()], "");
        assert_eq!(bed.at_b(), [words.split(' ').collect::<Vec<_>>()]);
    }
}

#[test]
fn a_split_request_waits_for_the_keys_that_migrate_and_goes_where_each_key_is() {
    let mut bed = Bed::ready();
    // The slot of l is on b, that of m on a; that of k migrates.
    let mut topology =
        bed.topology(3, SlotState::Migrating { from: GroupIndex(0), to: GroupIndex(1), since: 2 });
    for (key, group) in [("l", 1), ("m", 0)] {
        let slot = usize::from(crate::slots::slot(key.as_bytes()));
        topology.slots[slot].state = SlotState::Stable(GroupIndex(group));
    }
    bed.install(topology);
    bed.ask("MGET k l m");
    assert_eq!(bed.at_b(), NOTHING);
    assert_eq!(bed.moved_keys(), ["k"]);
    bed.script_says(&[1], "");
    assert_eq!(bed.at_a(), [["MGET", "m"]]);
    assert_eq!(bed.at_b(), [["MGET", "k", "l"]]);
    bed.a_says("*1\r\n$1\r\nM\r\n");
    bed.b_says("*2\r\n$1\r\nK\r\n$1\r\nL\r\n");
    assert_eq!(bed.replies(), "*3\r\n$1\r\nK\r\n$1\r\nL\r\n$1\r\nM\r\n");
}

#[test]
fn a_command_that_only_servers_know_follows_its_keys_too() {
    let mut bed = Bed::ready();
    bed.ask("mod.set k v");
    // Some master is asked what it is.
    let info = "*1\r\n*6\r\n$7\r\nmod.set\r\n:3\r\n*1\r\n+write\r\n:1\r\n:1\r\n:1\r\n";
    match bed.at_a().is_empty() {
        true => bed.b_says(info),
        false => bed.a_says(info),
    }
    bed.at_b();
    assert_eq!(bed.moved_keys(), ["k"]);
    bed.script_says(&[1], "");
    assert_eq!(bed.at_b(), [["mod.set", "k", "v"]]);
}

#[test]
fn a_sessions_requests_keep_their_order_whatever_has_to_move() {
    let mut bed = Bed::ready();
    bed.ask("SET first 1");
    for words in ["SET k 1", "SET first 2", "PING", "GET k"] {
        bed.ask(words);
    }
    assert_eq!(bed.at_b(), [["SET", "first", "1"]]);
    assert_eq!(bed.moved_keys(), ["k"]);
    bed.script_says(&[1], "");
    assert_eq!(bed.at_b(), [vec!["SET", "k", "1"], vec!["SET", "first", "2"], vec!["GET", "k"]]);
    bed.b_says("+OK\r\n+OK\r\n+OK\r\n$1\r\n1\r\n");
    assert_eq!(bed.replies(), "+OK\r\n+OK\r\n+OK\r\n+PONG\r\n$1\r\n1\r\n");
}

#[test]
fn reads_of_a_migrating_slot_never_go_to_a_replica() {
    let mut settings = settings();
    settings.primary_only = false;
    let mut bed = Bed::with(settings, RULES);
    let mut topology =
        bed.topology(3, SlotState::Migrating { from: GroupIndex(0), to: GroupIndex(1), since: 2 });
    topology.groups[1].replicas = vec![vec![Arc::from("c:1")]];
    bed.install(topology);
    bed.learn();
    for _ in 0..3 {
        bed.ask("GET first");
        assert_eq!(bed.at_b(), [["GET", "first"]]);
    }
}

#[test]
fn a_slot_that_nobody_said_how_to_follow_answers_an_error() {
    let mut bed = Bed::new();
    let state = SlotState::Migrating { from: GroupIndex(0), to: GroupIndex(1), since: 0 };
    let mut topology = bed.topology(3, state);
    topology.moves = None;
    bed.install(topology);
    bed.ask("GET k");
    assert!(bed.error().contains("this proxy was not told how to follow"));
    assert_eq!(bed.at_a(), NOTHING);
}

#[test]
fn the_servers_password_is_given_to_the_source() {
    let mut settings = settings();
    settings.product_auth = "secret".into();
    let mut bed = Bed::with(settings, RULES);
    bed.ask("GET k");
    assert_eq!(bed.at_a(), [["INFO", "server"]]);
    bed.say_run_id("run1");
    let calls = bed.at_a();
    assert_eq!(calls[0][13], "secret");
}

#[test]
fn a_client_that_wants_no_replies_gets_none_and_its_requests_are_run() {
    let mut bed = Bed::ready();
    bed.ask("CLIENT REPLY OFF");
    bed.ask("SET k v");
    assert_eq!(bed.moved_keys(), ["k"]);
    bed.script_says(&[4], "ERR no");
    bed.ask("SET l v");
    assert_eq!(bed.moved_keys(), ["l"]);
    bed.script_says(&[1], "");
    assert_eq!(bed.at_b(), [["SET", "l", "v"]]);
    bed.b_says("+OK\r\n");
    assert_eq!(bed.replies(), "");
}

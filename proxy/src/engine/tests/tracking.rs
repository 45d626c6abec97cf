//! Sessions that track: what they are told, and when.

use super::super::backend::{Role, State};
use super::settle::groups;
use super::*;

const ON_B: SlotState = SlotState::Stable(GroupIndex(1));
const ALL: &str = ">2\r\n$10\r\ninvalidate\r\n_\r\n";
const OF_K: &str = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";

fn request(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let bulks = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("*{}\r\n{}", words.len(), bulks.collect::<String>())
}

impl Rig {
    /// Two servers, the slot of `l` on the second one, and a session that tracks.
    fn tracking(options: &str) -> Self {
        let mut rig = Self::new(settings());
        rig.change(2, &[("l", ON_B)]);
        rig.run("HELLO 3");
        rig.run(&format!("CLIENT TRACKING ON{options}"));
        assert!(rig.replies().ends_with("+OK\r\n"));
        rig
    }

    /// Sends a request and lets the engine do what it leads to.
    fn run(&mut self, line: &str) {
        self.engine.on_client_bytes(self.session, request(line).as_bytes());
        self.serve();
        self.engine.audit().expect("healthy");
    }

    /// The session's own connection to a server.
    pub(super) fn tracker(&self, address: &str) -> u32 {
        let mut found = self.engine.backends.iter().filter(|(_, backend)| {
            backend.role == Role::Tracker && &*backend.address == address && !backend.retired
        });
        found.next().expect("there is one").0 as u32
    }

    fn answers(&mut self, backend: u32, bytes: &str) {
        self.sent(backend);
        self.engine.on_backend_bytes(backend, bytes.as_bytes());
        self.serve();
        self.engine.audit().expect("healthy");
    }
}

#[test]
fn all_keys_are_invalidated_behind_the_last_answer_of_the_server_that_a_slot_leaves() {
    let mut rig = Rig::tracking("");
    rig.run("GET k");
    let a = rig.tracker("a:1");
    rig.sent(a);
    rig.engine.on_topology(&Arc::new(groups(3, &["a:1", "b:1"], &[("l", ON_B), ("k", ON_B)])));
    assert!(rig.settled().is_empty());
    assert_eq!(rig.replies(), "", "an old value may still come");
    rig.engine.on_backend_bytes(a, b"$1\r\n1\r\n");
    assert_eq!(rig.settled(), [3]);
    assert_eq!(rig.replies(), format!("$1\r\n1\r\n{ALL}"));
}

#[test]
fn a_slot_that_the_session_has_not_read_may_leave_unheard() {
    let mut rig = Rig::tracking("");
    rig.run("GET k");
    let a = rig.tracker("a:1");
    rig.answers(a, "$1\r\n1\r\n");
    rig.replies();
    rig.engine.on_topology(&Arc::new(groups(3, &["a:1", "b:1"], &[])));
    rig.serve();
    assert_eq!(rig.replies(), "");
    // The one that it has read is told of, once.
    rig.engine.on_topology(&Arc::new(groups(4, &["a:1", "b:1"], &[("k", ON_B)])));
    rig.serve();
    assert_eq!(rig.replies(), ALL);
    rig.engine.on_topology(&Arc::new(groups(5, &["a:1", "b:1"], &[])));
    rig.serve();
    assert_eq!(rig.replies(), "");
}

#[test]
fn an_invalidation_goes_out_behind_the_split_reply_that_holds_the_old_value() {
    let mut rig = Rig::tracking("");
    rig.run("MGET k l");
    let (a, b) = (rig.tracker("a:1"), rig.tracker("b:1"));
    rig.answers(a, "*1\r\n$3\r\nold\r\n");
    rig.answers(a, OF_K);
    assert_eq!(rig.replies(), "");
    rig.answers(b, "*1\r\n_\r\n");
    assert_eq!(rig.replies(), format!("*2\r\n$3\r\nold\r\n_\r\n{OF_K}"));
    rig.answers(a, OF_K);
    assert_eq!(rig.replies(), OF_K);
}

#[test]
fn what_client_caching_said_is_told_right_before_the_request() {
    let mut rig = Rig::tracking(" OPTOUT");
    rig.run("GET k");
    let a = rig.tracker("a:1");
    rig.answers(a, "_\r\n");
    rig.run("CLIENT CACHING NO");
    rig.run("CLIENT TRACKINGINFO");
    rig.run("GET k");
    let sent = String::from_utf8(rig.sent(a)).expect("text");
    assert_eq!(sent, request("CLIENT CACHING NO") + &request("GET k"));
    rig.answers(a, "+OK\r\n_\r\n");
    rig.run("GET k");
    assert_eq!(String::from_utf8(rig.sent(a)).expect("text"), request("GET k"));
}

#[test]
fn a_lost_connection_invalidates_all_keys_and_tracks_again_when_it_is_back() {
    let mut rig = Rig::tracking(" NOLOOP");
    rig.run("GET k");
    let a = rig.tracker("a:1");
    rig.answers(a, "_\r\n");
    rig.replies();
    rig.engine.on_backend_closed(a, "reset by peer");
    rig.serve();
    assert_eq!(rig.replies(), ALL);
    let due = rig.engine.next_deadline().expect("it will connect again");
    rig.engine.set_now(due);
    rig.engine.on_tick();
    let effects = rig.engine.take_effects(Vec::new());
    assert!(effects.iter().any(|e| matches!(e, Effect::Connect { backend, .. } if *backend == a)));
    rig.engine.on_backend_open(a);
    let greeting = String::from_utf8(rig.sent(a)).expect("text");
    assert!(greeting.ends_with(&request("CLIENT TRACKING ON NOLOOP")), "{greeting}");
}

#[test]
fn a_slot_that_is_being_read_when_all_keys_are_invalidated_is_invalidated_again_when_it_leaves() {
    let mut rig = Rig::tracking("");
    rig.run("GET l");
    let b = rig.tracker("b:1");
    rig.answers(b, "_\r\n");
    rig.run("GET k");
    rig.replies();
    rig.engine.on_topology(&Arc::new(groups(3, &["a:1", "b:1"], &[])));
    rig.serve();
    assert_eq!(rig.replies(), ALL);
    let a = rig.tracker("a:1");
    rig.answers(a, "$3\r\nold\r\n");
    rig.replies();
    rig.engine.on_topology(&Arc::new(groups(4, &["a:1", "b:1"], &[("k", ON_B)])));
    rig.serve();
    assert_eq!(rig.replies(), ALL);
}

#[test]
fn what_a_session_that_is_gone_has_in_flight_is_waited_for_when_its_slot_leaves() {
    let mut rig = Rig::tracking("");
    rig.run("SET k 1");
    let a = rig.tracker("a:1");
    rig.sent(a);
    rig.engine.on_client_closed(rig.session);
    rig.serve();
    rig.engine.on_topology(&Arc::new(groups(3, &["a:1", "b:1"], &[("l", ON_B), ("k", ON_B)])));
    assert!(rig.settled().is_empty());
    rig.engine.on_backend_bytes(a, b"+OK\r\n");
    assert_eq!(rig.settled(), [3]);
}

#[test]
fn watch_is_refused_while_the_sessions_connection_is_down() {
    let mut rig = Rig::tracking("");
    rig.run("GET k");
    let a = rig.tracker("a:1");
    rig.answers(a, "_\r\n");
    rig.engine.on_backend_closed(a, "reset by peer");
    rig.serve();
    rig.replies();
    rig.run("WATCH k");
    assert_eq!(rig.replies(), "-ERR backend a:1 is down: reset by peer\r\n");
}

#[test]
fn an_exec_after_the_watching_connection_was_lost_runs_nothing() {
    let mut rig = Rig::tracking("");
    rig.run("WATCH k");
    let a = rig.tracker("a:1");
    rig.answers(a, "+OK\r\n");
    rig.engine.on_backend_closed(a, "reset by peer");
    let due = rig.engine.next_deadline().expect("it will connect again");
    rig.engine.set_now(due);
    rig.engine.on_tick();
    rig.serve();
    assert_eq!(rig.engine.backends[a as usize].state, State::Ready);
    rig.replies();
    rig.run("MULTI");
    rig.run("SET k 1");
    rig.run("EXEC");
    assert_eq!(rig.replies(), "+OK\r\n+QUEUED\r\n_\r\n");
}

#[test]
fn bcast_is_confirmed_also_when_a_server_leaves_that_it_waits_for() {
    let mut rig = Rig::new(settings());
    rig.change(2, &[("l", ON_B)]);
    rig.run("HELLO 3");
    rig.replies();
    rig.engine.on_client_bytes(rig.session, request("CLIENT TRACKING ON BCAST").as_bytes());
    rig.engine.finish_turn();
    rig.engine.on_topology(&Arc::new(groups(3, &["a:1"], &[])));
    rig.engine.finish_turn();
    rig.engine.audit().expect("healthy");
    rig.serve();
    assert!(rig.replies().ends_with("+OK\r\n"));
}

#[test]
fn bcast_is_confirmed_when_every_server_tracks() {
    let mut rig = Rig::new(settings());
    rig.change(2, &[("l", ON_B)]);
    rig.run("HELLO 3");
    rig.replies();
    let line = request("CLIENT TRACKING ON BCAST");
    rig.engine.on_client_bytes(rig.session, line.as_bytes());
    rig.engine.finish_turn();
    rig.engine.audit().expect("healthy");
    assert_eq!(rig.replies(), "");
    rig.serve();
    assert_eq!(rig.replies(), "+OK\r\n");
    assert_ne!(rig.tracker("a:1"), rig.tracker("b:1"));
    // A new master is one more server whose messages have been missed until now.
    rig.engine.on_topology(&Arc::new(groups(3, &["a:1", "c:1"], &[("l", ON_B)])));
    rig.serve();
    assert!(rig.replies().contains(ALL));
    rig.tracker("c:1");
    rig.engine.on_client_closed(rig.session);
    rig.serve();
    rig.engine.audit().expect("healthy");
    assert!(rig.engine.backends.iter().all(|(_, backend)| backend.role != Role::Tracker));
}

#[test]
fn a_database_that_is_selected_while_a_connection_greets_is_selected_behind_the_greeting() {
    let mut rig = Rig::tracking(" BCAST");
    let on_c = SlotState::Stable(GroupIndex(2));
    let masters = ["a:1", "b:1", "c:1"];
    rig.engine.on_topology(&Arc::new(groups(3, &masters, &[("k", on_c)])));
    let own = rig.tracker("c:1");
    rig.engine.finish_turn();
    rig.engine.take_effects(Vec::new());
    rig.engine.on_backend_open(own);
    let greeting = rig.sent(own);
    rig.replies();
    let later = request("SELECT 5") + &request("GET k");
    rig.engine.on_client_bytes(rig.session, later.as_bytes());
    let replies = rig.greet(&greeting);
    rig.engine.on_backend_bytes(own, &replies);
    rig.serve();
    assert_eq!(rig.words(own), "*2 $6 SELECT $1 5 *2 $3 GET $1 k ");
    rig.says(own, "+OK\r\n$1\r\n5\r\n");
    assert_eq!(rig.replies(), format!("+OK\r\n{ALL}$1\r\n5\r\n"));
    rig.turn();
}

#[test]
fn bcast_does_not_tell_of_codis_own_keys() {
    let mut rig = Rig::tracking(" BCAST");
    let a = rig.tracker("a:1");
    rig.replies();
    rig.answers(a, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$14\r\n__codis_wait__\r\n");
    assert_eq!(rig.replies(), "");
    rig.answers(a, OF_K);
    assert_eq!(rig.replies(), OF_K);
}

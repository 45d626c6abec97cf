//! Requests that concern every server, with servers that answer what the tests say.

use super::moves::{NOTHING, Sent, bulk, group, request, requests};
use super::*;

/// An engine whose slots are halved between `a:1` and `b:1`.
struct Pair {
    rig: Rig,
}

impl Pair {
    fn new() -> Self {
        let mut settings = settings();
        settings.primary_parallel = 2;
        let mut pair = Self { rig: Rig::new(settings) };
        pair.install(2, |slot| SlotState::Stable(GroupIndex(u16::from(slot >= 512))));
        pair
    }

    fn install(&mut self, epoch: u64, state: impl Fn(usize) -> SlotState) {
        let slots = (0..SLOT_COUNT).map(|slot| Slot { state: state(slot), locked: false });
        self.rig.engine.on_topology(&Arc::new(Topology {
            epoch,
            groups: vec![group(1, "a:1", false), group(2, "b:1", false)],
            slots: slots.collect(),
            moves: None,
        }));
        self.serve();
    }

    fn serve(&mut self) {
        self.rig.serve();
        self.rig.engine.audit().expect("healthy");
    }

    fn ask(&mut self, words: &str) {
        self.rig.engine.on_client_bytes(self.rig.session, &request(words));
        self.serve();
    }

    /// The connections to a server, and what each was sent.
    fn at(&mut self, address: &str) -> Vec<(u32, Vec<Sent>)> {
        self.serve();
        let backends = self.rig.engine.backends.iter();
        let of: Vec<u32> = backends
            .filter(|(_, backend)| &*backend.address == address && !backend.retired)
            .map(|(index, _)| index as u32)
            .collect();
        let sent = of.into_iter().map(|backend| (backend, requests(&self.rig.sent(backend))));
        sent.filter(|(_, sent)| !sent.is_empty()).collect()
    }

    /// The one connection to a server that was sent something, and that.
    fn one_at(&mut self, address: &str) -> (u32, Vec<Sent>) {
        let mut at = self.at(address);
        assert_eq!(at.len(), 1, "{at:?}");
        at.remove(0)
    }

    fn says(&mut self, backend: u32, reply: &str) {
        self.rig.engine.on_backend_bytes(backend, reply.as_bytes());
        self.serve();
    }

    /// A whole page of SCAN: which server was asked from where, and the cursor that the client was given.
    fn page(&mut self, cursor: u64, next: u64, keys: &[&str]) -> (String, String, u64) {
        self.ask(&format!("SCAN {cursor}"));
        let address = match self.rig.engine.backends.iter().find(|(_, b)| !b.in_flight.is_empty()) {
            Some((_, backend)) => backend.address.to_string(),
            None => panic!("nobody was asked: {}", self.rig.replies()),
        };
        let (backend, sent) = self.one_at(&address);
        let keys: String = keys.iter().map(|key| bulk(key)).collect();
        let count = keys.matches('$').count();
        self.says(backend, &format!("*2\r\n{}*{count}\r\n{keys}", bulk(&next.to_string())));
        let reply = self.rig.replies();
        let given = reply.lines().nth(2).and_then(|line| line.parse().ok());
        (address, sent[0][1].clone(), given.unwrap_or_else(|| panic!("no cursor: {reply:?}")))
    }
}

#[test]
fn a_request_to_all_servers_waits_for_what_was_asked_before_and_is_waited_for() {
    let mut pair = Pair::new();
    for words in ["SET k 1", "FLUSHDB", "SET k 2", "SET other 3"] {
        pair.ask(words);
    }
    let mut first = [pair.at("a:1"), pair.at("b:1")].concat();
    assert_eq!(first.len(), 1);
    let (backend, sent) = first.remove(0);
    assert_eq!(sent, [["SET", "k", "1"]]);
    pair.says(backend, "+OK\r\n");
    let (a, at_a) = pair.one_at("a:1");
    let (b, at_b) = pair.one_at("b:1");
    assert_eq!((at_a[0][0].as_str(), at_b[0][0].as_str()), ("EVAL", "EVAL"));
    pair.says(a, "+OK\r\n");
    assert!(pair.at("a:1").is_empty() && pair.at("b:1").is_empty(), "overtaken");
    pair.says(b, "+OK\r\n");
    assert_eq!(pair.rig.replies(), "+OK\r\n+OK\r\n");
    let then = [pair.at("a:1"), pair.at("b:1")].concat();
    assert_eq!(then.iter().map(|(_, sent)| sent.len()).sum::<usize>(), 2);
}

#[test]
fn a_lost_server_fails_the_whole_request_once() {
    let mut pair = Pair::new();
    pair.ask("SELECT 1");
    pair.ask("DBSIZE");
    let (a, sent) = pair.one_at("a:1");
    assert_eq!(sent, [["DBSIZE"]], "no reserved keys are in other databases");
    let (b, _) = pair.one_at("b:1");
    pair.rig.replies();
    pair.rig.engine.on_backend_closed(a, "reset");
    pair.says(b, ":1\r\n");
    let reply = pair.rig.replies();
    assert!(reply.starts_with("-ERR backend a:1: connection lost"), "{reply}");
    assert_eq!(reply.lines().count(), 1);
}

#[test]
fn a_client_that_goes_away_leaves_nothing_of_its_request() {
    let mut pair = Pair::new();
    pair.ask("KEYS *");
    let (a, _) = pair.one_at("a:1");
    let (b, _) = pair.one_at("b:1");
    pair.rig.engine.on_client_lost(pair.rig.session);
    pair.rig.engine.on_client_closed(pair.rig.session);
    pair.says(a, "*0\r\n");
    pair.says(b, "*0\r\n");
    assert_eq!(pair.rig.engine.sessions(), 0);
}

#[test]
fn flushing_is_refused_while_a_slot_moves() {
    let mut pair = Pair::new();
    let state = SlotState::Preparing { from: GroupIndex(0), to: GroupIndex(1) };
    pair.install(3, |slot| if slot == 7 { state } else { SlotState::Stable(GroupIndex(0)) });
    pair.ask("FLUSHALL");
    let reply = pair.rig.replies();
    assert!(
        reply.starts_with("-ERR flushall is refused while slots are moving: slot 7 "),
        "{reply}"
    );
    assert!(pair.at("a:1").is_empty() && pair.at("b:1").is_empty());
}

#[test]
fn a_scan_visits_each_group_once_while_nothing_changes() {
    let mut pair = Pair::new();
    let (server, from, next) = pair.page(0, 5, &[]);
    assert_eq!((server.as_str(), from.as_str()), ("a:1", "0"));
    let (server, from, next) = pair.page(next, 0, &[]);
    assert_eq!((server.as_str(), from.as_str()), ("a:1", "5"));
    let (server, from, next) = pair.page(next, 0, &[]);
    assert_eq!((server.as_str(), from.as_str()), ("b:1", "0"));
    assert_eq!(next, 0);
}

#[test]
fn a_scan_looks_again_where_slots_came_to_while_it_went_on() {
    let mut pair = Pair::new();
    let (_, _, next) = pair.page(0, 0, &[]);
    let (_, _, next) = pair.page(next, 9, &[]);
    // What group 2 had goes to group 1, which was visited before.
    pair.install(3, |_| SlotState::Stable(GroupIndex(0)));
    let (server, from, next) = pair.page(next, 0, &[]);
    assert_eq!((server.as_str(), from.as_str()), ("b:1", "9"));
    let (server, from, next) = pair.page(next, 0, &[]);
    assert_eq!((server.as_str(), from.as_str()), ("a:1", "0"), "once more");
    assert_eq!(next, 0);
}

#[test]
fn a_server_s_cursor_that_is_too_large_is_an_error() {
    let mut pair = Pair::new();
    pair.ask("SCAN 0");
    let (a, _) = pair.one_at("a:1");
    pair.says(a, &format!("*2\r\n{}*0\r\n", bulk(&(1_u64 << 40).to_string())));
    assert!(pair.rig.replies().starts_with("-ERR the cursor of the server does not fit"));
}

/// `return 1`, as Redis names it.
const NAME: &str = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";

#[test]
fn a_known_script_is_loaded_once_on_each_connection_right_before_it_is_called() {
    let mut pair = Pair::new();
    pair.rig.engine.on_client_bytes(
        pair.rig.session,
        b"*4\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n1\r\n$1\r\nk\r\n",
    );
    pair.serve();
    pair.rig.answer();
    pair.rig.replies();
    let call = format!("EVALSHA {NAME} 1 k");
    pair.ask(&call);
    pair.ask(&call);
    let sent = [pair.at("a:1"), pair.at("b:1")].concat();
    let [(backend, sent)] = &sent[..] else { panic!("not one connection: {sent:?}") };
    let names: Vec<&str> = sent.iter().map(|request| request[0].as_str()).collect();
    assert_eq!(names, ["SCRIPT", "EVALSHA", "EVALSHA"]);
    assert_eq!(sent[0], ["SCRIPT", "LOAD", "return 1"]);
    let backend = *backend;
    pair.says(backend, &format!("{}:1\r\n:1\r\n", bulk(NAME)));
    assert_eq!(pair.rig.replies(), ":1\r\n:1\r\n", "nobody is given the reply to SCRIPT LOAD");
    // Somebody else flushes the server's scripts.
    pair.ask(&call);
    pair.rig.sent(backend);
    pair.says(backend, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
    pair.ask(&call);
    assert_eq!(requests(&pair.rig.sent(backend)).len(), 2, "it is loaded anew");
}

#[test]
fn an_unknown_script_goes_to_its_server_as_it_is() {
    let mut pair = Pair::new();
    pair.ask(&format!("EVALSHA {NAME} 1 k"));
    let sent = [pair.at("a:1"), pair.at("b:1")].concat();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1.len(), 1);
}

#[test]
fn each_wait_ends_by_its_own_wish_whoever_waits_beside_it() {
    let mut pair = Pair::new();
    pair.ask("WAIT 9 0");
    let (a, at_a) = pair.one_at("a:1");
    assert_eq!(at_a, [vec!["SET", "__codis_wait__", "1"], vec!["WAIT", "9", "50"]]);
    let (b, _) = pair.one_at("b:1");
    let patient = std::mem::replace(&mut pair.rig.session, 0);
    pair.rig.session = pair.rig.engine.on_client_open(2, None);
    pair.ask("WAIT 1 70");
    assert!(pair.at("a:1").is_empty(), "a round is under way");
    for backend in [a, b] {
        pair.says(backend, "+OK\r\n:2\r\n");
    }
    assert_eq!(pair.rig.replies(), "", "that mark was older than its writes");
    let (_, at_a) = pair.one_at("a:1");
    assert_eq!(at_a[1], ["WAIT", "1", "50"], "the least that anyone wants");
    let (_, _) = pair.one_at("b:1");
    for backend in [a, b] {
        pair.says(backend, "+OK\r\n:2\r\n");
    }
    assert_eq!(pair.rig.replies(), ":2\r\n");
    // The other one goes away.
    pair.rig.engine.on_client_lost(patient);
    pair.rig.engine.on_client_closed(patient);
    for address in ["a:1", "b:1"] {
        let (backend, _) = pair.one_at(address);
        pair.says(backend, "+OK\r\n:2\r\n");
        assert_eq!(
            pair.at(address).into_iter().flat_map(|(_, sent)| sent).collect::<Vec<_>>(),
            NOTHING
        );
    }
    assert_eq!(pair.rig.engine.sessions(), 1);
}

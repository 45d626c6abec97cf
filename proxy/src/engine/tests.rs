//! The engine by hand: single situations that the simulation found or that it cannot reach.

mod everywhere;
mod fence;
mod gone;
mod moves;
mod pubsub;
mod settle;
mod tracking;
mod waits;

use super::*;
use crate::config::ProxyConfig;
use crate::slots::SLOT_COUNT;
use crate::topology::{Group, GroupIndex, Slot, SlotState, Topology};
use std::sync::Arc;

/// An engine with one session, time in hand.
struct Rig {
    engine: Engine,
    session: u32,
    epoch: u64,
    /// What servers answer to GET of the fence.
    fence: String,
}

fn settings() -> Settings {
    let mut settings = Settings::new(&ProxyConfig::default(), "token");
    settings.recv_timeout_us = 1_000_000;
    settings.send_timeout_us = 1_000_000;
    settings.ping_us = 0;
    settings
}

/// Every slot with this master and these replicas.
fn one_group(epoch: u64, master: &str, replicas: &[&str]) -> Arc<Topology> {
    let set: Vec<Arc<str>> = replicas.iter().map(|address| Arc::from(*address)).collect();
    let slot = Slot { state: SlotState::Stable(GroupIndex(0)), locked: false };
    Arc::new(Topology {
        epoch,
        groups: vec![Group {
            id: 1,
            master: Arc::from(master),
            replicas: if set.is_empty() { vec![] } else { vec![set] },
            has_replicas: false,
        }],
        slots: vec![slot; SLOT_COUNT],
        moves: None,
    })
}

impl Rig {
    fn new(settings: Settings) -> Self {
        let mut engine = Engine::new(settings, 0, 0, 1);
        engine.on_topology(&one_group(1, "a:1", &[]));
        let session = engine.on_client_open(1, None);
        let mut rig = Self { engine, session, epoch: 1, fence: "$-1\r\n".into() };
        rig.serve();
        rig
    }

    fn install(&mut self, master: &str, replicas: &[&str]) {
        self.epoch += 1;
        self.engine.on_topology(&one_group(self.epoch, master, replicas));
        self.serve();
    }

    /// Connects and closes whatever the engine asks for; answers each greeting. The effects that
    /// concern clients are answered.
    fn serve(&mut self) -> Vec<Effect> {
        let mut left = Vec::new();
        loop {
            self.engine.finish_turn();
            let effects = self.engine.take_effects(Vec::new());
            if effects.is_empty() {
                return left;
            }
            for effect in effects {
                match effect {
                    Effect::Connect { backend, .. } => {
                        self.engine.on_backend_open(backend);
                        let greeting = self.sent(backend);
                        let replies = self.greet(&greeting);
                        self.engine.on_backend_bytes(backend, &replies);
                    }
                    Effect::CloseBackend { backend } => {
                        self.engine.on_backend_closed(backend, "closed");
                    }
                    other => left.push(other),
                }
            }
        }
    }

    /// The server's replies to a handshake.
    fn greet(&self, greeting: &[u8]) -> Vec<u8> {
        let requests = greeting.split(|byte| *byte == b'*').skip(1);
        let reply = |request: &[u8]| {
            if request.ends_with(b"\r\nGET\r\n$15\r\n__codis_fence__\r\n") {
                self.fence.clone().into_bytes()
            } else if request.ends_with(b"\r\nCLIENT\r\n$2\r\nID\r\n") {
                b":7\r\n".to_vec()
            } else {
                b"+OK\r\n".to_vec()
            }
        };
        requests.flat_map(reply).collect()
    }

    fn ask(&mut self, requests: &str) {
        let bytes = requests.replace(' ', "\r\n");
        self.engine.on_client_bytes(self.session, bytes.as_bytes());
    }

    /// Takes all that a backend is to be sent, and says that it was sent.
    fn sent(&mut self, backend: u32) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(segment) = self.engine.take_backend_output(backend) {
            all.extend_from_slice(&segment);
            self.engine.on_backend_sent(backend, segment.len());
            self.engine.recycle_backend(backend, segment);
        }
        all
    }

    /// Answers everything that is in flight, with nothing.
    fn answer(&mut self) {
        let backends: Vec<u32> =
            self.engine.backends.iter().map(|(index, _)| index as u32).collect();
        for backend in backends {
            self.sent(backend);
            let count = self.engine.backends[backend as usize].in_flight.len();
            self.engine.on_backend_bytes(backend, &b"$-1\r\n".repeat(count));
        }
    }

    /// Takes all that the client is to be sent, and says that it was sent.
    fn replies(&mut self) -> String {
        let mut all = Vec::new();
        while let Some(segment) = self.engine.take_client_output(self.session) {
            all.extend_from_slice(&segment);
            self.engine.on_client_sent(self.session, segment.len());
            self.engine.recycle(segment);
        }
        String::from_utf8(all).expect("text")
    }

    fn to(&mut self, now_us: u64) {
        while let Some(at) = self.engine.next_deadline().filter(|at| *at <= now_us) {
            self.engine.set_now(at.max(self.engine.now_us));
            self.engine.on_tick();
        }
        self.engine.set_now(now_us);
    }

    /// The index of the one backend that is connected with this address and database.
    fn backend(&self, address: &str, database: u16) -> u32 {
        let mut found = self.engine.backends.iter().filter(|(_, backend)| {
            &*backend.address == address
                && backend.database == database
                && !backend.retired
                && backend.role == backend::Role::Shared
        });
        let (index, _) = found.next().expect("a backend");
        assert!(found.next().is_none(), "two backends");
        index as u32
    }
}

const GET: &str = "*2 $3 GET $1 k ";

#[test]
fn a_client_that_wants_no_replies_and_ends_has_all_its_requests_run() {
    let mut settings = settings();
    settings.session_requests_max = 1;
    let mut rig = Rig::new(settings);
    rig.ask("*3 $6 CLIENT $5 REPLY $3 OFF ");
    // What follows the first GET waits for its reply; a PING is over as soon as it runs.
    rig.ask(&format!("{GET}*1 $4 PING {GET}*1 $4 PING {GET}"));
    rig.engine.on_client_eof(rig.session);
    let backend = rig.backend("a:1", 0);
    let mut gets = 0;
    for _ in 0..3 {
        rig.serve();
        gets += usize::from(!rig.sent(backend).is_empty());
        rig.engine.on_backend_bytes(backend, b"$-1\r\n");
    }
    assert_eq!(gets, 3);
    let closed = Effect::CloseClient { session: rig.session };
    assert_eq!(rig.serve().last(), Some(&closed));
}

#[test]
fn a_replica_that_becomes_the_master_keeps_no_connection_under_another_database() {
    let mut settings = settings();
    settings.primary_parallel = 1;
    settings.replica_parallel = 2;
    settings.primary_only = false;
    let mut rig = Rig::new(settings);
    rig.install("a:1", &["b:1"]);
    rig.ask("*2 $6 SELECT $1 1 ");
    // Both connections to the replica, each on first use.
    for key in ["k", "m", "l", "n"] {
        rig.ask(&GET.replace('k', key));
        rig.serve();
    }
    rig.answer();
    rig.install("b:1", &[]);
    rig.ask(GET);
    rig.serve();
    let at = rig.backend("b:1", 1);
    assert!(!rig.sent(at).is_empty(), "the request went elsewhere");
}

#[test]
fn requests_that_go_on_coming_do_not_keep_a_frozen_server_alive() {
    let mut rig = Rig::new(settings());
    let backend = rig.backend("a:1", 0);
    for tenth in 0..20 {
        rig.to(tenth * 100_000);
        if tenth < 10 {
            assert!(rig.replies().is_empty(), "too early");
        }
        rig.ask(GET);
        rig.sent(backend);
    }
    let replies = rig.replies();
    assert!(
        replies.starts_with("-ERR backend a:1: connection lost before the reply came"),
        "{replies:?}"
    );
}

#[test]
fn a_large_request_that_is_still_being_sent_is_given_time() {
    let mut rig = Rig::new(settings());
    let backend = rig.backend("a:1", 0);
    let value = "v".repeat(100_000);
    rig.ask(&format!("*3 $3 SET $1 k $100000 {value} "));
    let segment = rig.engine.take_backend_output(backend).expect("a request");
    for tenth in 0..30 {
        rig.to(tenth * 100_000);
        rig.engine.on_backend_sent(backend, 1_000);
    }
    assert!(rig.replies().is_empty());
    rig.engine.on_backend_sent(backend, segment.len() - 30_000);
    rig.to(3_500_000);
    assert!(rig.replies().is_empty());
    rig.to(4_100_000);
    assert!(rig.replies().contains("backend_recv_timeout"));
}

#[test]
fn a_changed_timeout_counts_for_connections_that_exist() {
    let mut none = settings();
    none.recv_timeout_us = 0;
    none.send_timeout_us = 0;
    let mut rig = Rig::new(none);
    let backend = rig.backend("a:1", 0);
    rig.ask(GET);
    rig.sent(backend);
    rig.engine.on_settings(settings());
    rig.to(1_000_000);
    assert!(rig.replies().contains("backend_recv_timeout"));
}

#[test]
fn sessions_that_come_and_go_while_a_slot_is_locked_leave_nothing() {
    let mut rig = Rig::new(settings());
    let mut locked = (*one_group(2, "a:1", &[])).clone();
    locked.slots.iter_mut().for_each(|slot| slot.locked = true);
    rig.engine.on_topology(&Arc::new(locked));
    for client in 0..10_000 {
        rig.session = rig.engine.on_client_open(client, None);
        rig.ask(GET);
        rig.engine.on_client_closed(rig.session);
    }
    assert!(rig.engine.parked.len() < 100, "{}", rig.engine.parked.len());
}

#[test]
fn a_request_of_many_small_arguments_is_not_copied_with_every_piece_of_it() {
    let mut rig = Rig::new(settings());
    rig.ask("*200001 $3 DEL ");
    let piece = "$1 k ".repeat(1_000);
    let mut moves = 0;
    let mut capacity = 0;
    for _ in 0..190 {
        rig.ask(&piece);
        let now = rig.engine.sessions[rig.session as usize].input.capacity();
        moves += usize::from(now != capacity);
        capacity = now;
    }
    assert!(moves < 20, "{moves} times");
}

#[test]
fn a_session_whose_connection_is_lost_is_named_by_no_effect_any_more() {
    let mut rig = Rig::new(settings());
    rig.ask(GET);
    let backend = rig.backend("a:1", 0);
    rig.sent(backend);
    // Half of a reply is out: losing the server closes the session.
    rig.engine.on_backend_bytes(backend, b"$100\r\nhalf");
    rig.engine.on_client_lost(rig.session);
    rig.engine.on_backend_closed(backend, "gone");
    assert_eq!(rig.serve(), []);
    rig.engine.on_client_closed(rig.session);
    assert_eq!(rig.engine.sessions(), 0);
}

#[test]
fn a_session_asks_the_control_thread_one_question_at_a_time() {
    let mut rig = Rig::new(settings());
    rig.ask(&"*2 $6 CLIENT $4 LIST ".repeat(3));
    for round in 0..3_u32 {
        let effects = rig.serve();
        let asked: Vec<u32> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Ask { sequence, .. } => Some(*sequence),
                _ => None,
            })
            .collect();
        assert_eq!(asked, [round]);
        rig.engine.on_answer(rig.session, 1, round, b"+list\r\n");
    }
    rig.serve();
    assert_eq!(rig.replies(), "+list\r\n".repeat(3));
    rig.engine.audit().expect("healthy");
}

#[test]
fn a_reply_that_has_to_wait_for_its_turn_counts_as_it_comes() {
    let mut settings = settings();
    settings.output_bytes_hard = 100_000;
    settings.primary_parallel = 2;
    let mut rig = Rig::new(settings);
    let slot = |key: &str| crate::slots::slot(key.as_bytes()) % 2;
    let other = ["a", "b", "c", "d"].into_iter().find(|key| slot(key) != slot("k"));
    let other = other.expect("one of them is odd");
    rig.ask(&format!("{GET}*2 $3 GET $1 {other} "));
    // The first request stays without a reply.
    rig.serve();
    let backends: Vec<u32> = rig.engine.backends.iter().map(|(index, _)| index as u32).collect();
    let request = format!("$1\r\n{other}\r\n");
    let mut late = backends
        .into_iter()
        .filter(|backend| String::from_utf8_lossy(&rig.sent(*backend)).contains(&request));
    let late = late.next().expect("a backend has it");
    rig.engine.on_backend_bytes(late, b"$1000000\r\n");
    for _ in 0..20 {
        rig.engine.on_backend_bytes(late, &[b'x'; 10_000]);
    }
    assert_eq!(rig.serve(), [Effect::CloseClient { session: rig.session }]);
    assert!(rig.engine.backends[late as usize].partial.len() <= 110_000);
    // The rest of it is read and dropped, and the connection goes on.
    rig.engine.on_backend_bytes(late, &[b'x'; 800_000]);
    rig.engine.on_backend_bytes(late, b"\r\n");
    assert!(rig.engine.backends[late as usize].in_flight.is_empty());
    rig.engine.audit().expect("healthy");
}

#[test]
fn reads_go_on_going_to_the_replica_after_a_write_has_gone_to_the_master() {
    let mut settings = settings();
    settings.primary_only = false;
    let mut rig = Rig::new(settings);
    rig.install("a:1", &["b:1"]);
    // The first read asks for the connection to the replica.
    rig.ask(GET);
    rig.serve();
    let (master, replica) = (rig.backend("a:1", 0), rig.backend("b:1", 0));
    rig.sent(master);
    for _ in 0..3 {
        rig.ask("*3 $3 SET $1 k $1 v ");
        rig.ask(GET);
        assert!(rig.sent(master).starts_with(b"*3\r\n$3\r\nSET"));
        assert!(rig.sent(replica).starts_with(b"*2\r\n$3\r\nGET"));
    }
}

#[test]
fn a_session_that_waits_for_a_slot_is_closed_when_it_has_been_silent_for_its_time() {
    let mut settings = settings();
    settings.session_recv_timeout_s = 10;
    let mut rig = Rig::new(settings);
    let mut locked = (*one_group(2, "a:1", &[])).clone();
    locked.slots.iter_mut().for_each(|slot| slot.locked = true);
    rig.engine.on_topology(&Arc::new(locked));
    rig.serve();
    rig.ask(GET);
    assert_eq!(rig.serve(), [Effect::Pause { session: rig.session }]);
    rig.to(9_000_000);
    assert_eq!(rig.serve(), []);
    rig.to(12_000_000);
    assert_eq!(rig.serve(), [Effect::CloseClient { session: rig.session }]);
}

/// A proxy over a master and a replica that is connected.
fn with_replica(primary_only: bool) -> (Rig, u32, u32) {
    let mut settings = settings();
    settings.primary_only = primary_only;
    let mut rig = Rig::new(settings);
    rig.install("a:1", &["b:1"]);
    // The first read asks for the connection to the replica.
    rig.ask("*1 $8 READONLY ");
    rig.ask(GET);
    rig.serve();
    rig.answer();
    let (master, replica) = (rig.backend("a:1", 0), rig.backend("b:1", 0));
    assert_eq!(rig.replies(), "+OK\r\n$-1\r\n");
    (rig, master, replica)
}

#[test]
fn a_client_chooses_by_readonly_and_readwrite_where_its_reads_go() {
    for primary_only in [false, true] {
        let (mut rig, master, replica) = with_replica(primary_only);
        for (choice, to_replica) in [
            ("*1 $8 READONLY ", true),
            ("*1 $9 READWRITE ", false),
            ("*1 $8 READONLY ", true),
            ("*1 $5 RESET ", !primary_only),
        ] {
            rig.ask(choice);
            rig.ask(GET);
            let (there, here) = (rig.sent(replica), rig.sent(master));
            assert_eq!(!there.is_empty(), to_replica, "{choice}: primary_only {primary_only}");
            assert_eq!(!here.is_empty(), !to_replica, "{choice}: primary_only {primary_only}");
            rig.answer();
            // Writes never do.
            rig.ask("*3 $3 SET $1 k $1 v ");
            assert!(rig.sent(replica).is_empty() && !rig.sent(master).is_empty());
            rig.answer();
        }
        rig.engine.audit().expect("healthy");
    }
}

#[test]
fn a_read_that_a_replica_cannot_answer_goes_to_the_master() {
    let (mut rig, master, replica) = with_replica(false);
    rig.ask(GET);
    assert!(!rig.sent(replica).is_empty());
    rig.engine.on_backend_bytes(replica, b"-LOADING Redis is loading the dataset in memory\r\n");
    assert_eq!(rig.sent(master), GET.replace(' ', "\r\n").into_bytes());
    rig.engine.on_backend_bytes(master, b"$1\r\nv\r\n");
    assert_eq!(rig.replies(), "$1\r\nv\r\n");
    // It is left alone for a while.
    rig.ask(GET);
    assert!(rig.sent(replica).is_empty());
    rig.answer();
    rig.to(1_500_000);
    rig.answer();
    rig.replies();
    rig.ask(&GET.repeat(2));
    rig.sent(replica);
    // With others under way it could overtake them: the client is told what the replica says.
    rig.engine.on_backend_bytes(replica, &b"-MASTERDOWN no\r\n".repeat(2));
    assert!(rig.replies().starts_with("-MASTERDOWN no\r\n"));
    rig.engine.audit().expect("healthy");
}

#[test]
fn what_clients_ask_while_they_are_paused_runs_afterwards_in_its_order() {
    for all in [false, true] {
        let mut rig = Rig::new(settings());
        let backend = rig.backend("a:1", 0);
        rig.engine.pause_clients(500_000, all);
        rig.ask(GET);
        rig.ask("*3 $3 SET $1 k $1 v ");
        rig.ask(GET);
        rig.serve();
        let sent = String::from_utf8(rig.sent(backend)).expect("text");
        assert_eq!(sent.contains("GET"), !all, "reads wait when all do");
        assert!(!sent.contains("SET"), "writes wait");
        rig.answer();
        rig.engine.audit().expect("healthy");
        if all {
            rig.to(600_000);
        } else {
            rig.engine.unpause_clients();
        }
        rig.serve();
        let sent = String::from_utf8(rig.sent(backend)).expect("text");
        assert!(sent.contains("SET") && sent.ends_with("$3\r\nGET\r\n$1\r\nk\r\n"), "{sent}");
        rig.answer();
        assert_eq!(rig.replies(), "$-1\r\n".repeat(3));
        rig.engine.audit().expect("healthy");
    }
}

#[test]
fn a_session_with_no_touch_has_other_connections_and_an_older_server_is_no_obstacle() {
    let mut rig = Rig::new(settings());
    let plain = rig.backend("a:1", 0);
    rig.ask("*1 $4 PING *3 $6 CLIENT $8 NO-TOUCH $2 ON *2 $3 GET $1 k ");
    assert_eq!(rig.replies(), "+PONG\r\n+OK\r\n");
    let is_other = |rig: &Rig| {
        let mut all = rig.engine.backends.iter();
        all.find(|(_, backend)| backend.no_touch).map(|(index, _)| index as u32)
    };
    let other = is_other(&rig).expect("a connection of its own");
    assert_ne!(other, plain);
    rig.engine.on_backend_open(other);
    let greeting = String::from_utf8(rig.sent(other)).expect("text");
    assert!(
        greeting.ends_with("*3\r\n$6\r\nCLIENT\r\n$8\r\nNO-TOUCH\r\n$2\r\nON\r\n"),
        "{greeting}"
    );
    let refused = b"+OK\r\n$-1\r\n-ERR unknown subcommand 'NO-TOUCH'. Try CLIENT HELP.\r\n";
    rig.engine.on_backend_bytes(other, refused);
    assert_eq!(rig.sent(other), b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    rig.engine.on_backend_bytes(other, b"$1\r\n1\r\n");
    assert_eq!(rig.replies(), "$1\r\n1\r\n");
    rig.ask("*3 $6 CLIENT $8 NO-TOUCH $3 OFF *2 $3 GET $1 k ");
    assert_eq!(rig.sent(plain), b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    assert_eq!(rig.sent(other), b"");
}

//! Topologies that change while requests are in flight.

use super::*;

/// A topology of groups of one server each: the slot of a key goes to the group that is named with it,
/// every other slot to the first group.
pub(super) fn groups(epoch: u64, masters: &[&str], slots: &[(&str, SlotState)]) -> Topology {
    let group = |(index, master): (usize, &&str)| Group {
        id: index as u32 + 1,
        master: Arc::from(*master),
        replicas: Vec::new(),
        has_replicas: false,
    };
    let first = Slot { state: SlotState::Stable(GroupIndex(0)), locked: false };
    let mut topology = Topology {
        epoch,
        groups: masters.iter().enumerate().map(group).collect(),
        slots: vec![first; SLOT_COUNT],
        moves: None,
    };
    for (key, state) in slots {
        topology.slots[usize::from(crate::slots::slot(key.as_bytes()))].state = *state;
    }
    topology
}

/// No epoch.
const NOT_YET: [u64; 0] = [];

const ON_B: SlotState = SlotState::Stable(GroupIndex(1));
const MOVING_TO_B: SlotState = SlotState::Preparing { from: GroupIndex(0), to: GroupIndex(1) };

impl Rig {
    pub(super) fn change(&mut self, epoch: u64, slots: &[(&str, SlotState)]) -> Vec<u64> {
        self.epoch = epoch;
        self.engine.on_topology(&Arc::new(groups(epoch, &["a:1", "b:1"], slots)));
        self.settled()
    }

    /// The epochs that settle now.
    pub(super) fn settled(&mut self) -> Vec<u64> {
        let effects = self.serve();
        self.engine.audit().expect("healthy");
        let epoch = |effect| match effect {
            Effect::Settled { epoch } => Some(epoch),
            _ => None,
        };
        effects.into_iter().filter_map(epoch).collect()
    }
}

#[test]
fn a_moved_slots_requests_wait_until_its_old_server_has_answered() {
    let mut rig = Rig::new(settings());
    let a = rig.backend("a:1", 0);
    rig.ask(&GET.repeat(2));
    rig.sent(a);
    assert_eq!(rig.change(2, &[("k", ON_B)]), NOT_YET);
    let b = rig.backend("b:1", 0);
    rig.ask(GET);
    rig.engine.on_backend_bytes(a, b"$1\r\n1\r\n");
    assert_eq!(rig.settled(), NOT_YET, "one is missing");
    assert!(rig.sent(b).is_empty());
    rig.engine.on_backend_bytes(a, b"$1\r\n2\r\n");
    assert_eq!(rig.settled(), [2]);
    assert!(!rig.sent(b).is_empty());
    assert!(rig.sent(a).is_empty());
    rig.engine.on_backend_bytes(b, b"$1\r\n3\r\n");
    assert_eq!(rig.replies(), "$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
    assert_eq!(rig.settled(), NOT_YET, "it is said once");
}

#[test]
fn a_topology_that_changes_nothing_in_flight_settles_at_once() {
    let mut rig = Rig::new(settings());
    rig.ask(GET);
    assert_eq!(rig.change(2, &[]), [2]);
    assert_eq!(
        rig.change(3, &[("l", ON_B)]),
        NOT_YET,
        "the connection is that of k, which is in flight"
    );
    assert_eq!(rig.change(3, &[]), NOT_YET, "it is not newer");
    rig.answer();
    assert_eq!(rig.settled(), [3]);
}

#[test]
fn other_slots_go_on_while_one_waits() {
    let mut rig = Rig::new(settings());
    let a = rig.backend("a:1", 0);
    rig.ask(GET);
    rig.sent(a);
    rig.change(2, &[("k", ON_B)]);
    // More and more is in flight on the connection; only what was there counts.
    rig.ask(&GET.replace('k', "l").repeat(3));
    rig.engine.on_backend_bytes(a, b"$-1\r\n");
    assert_eq!(rig.settled(), [2]);
    assert_eq!(rig.engine.backends[a as usize].in_flight.len(), 3);
}

#[test]
fn a_lost_connection_ends_the_wait_even_if_the_next_one_has_requests() {
    let mut rig = Rig::new(settings());
    let a = rig.backend("a:1", 0);
    rig.ask(GET);
    rig.sent(a);
    rig.change(2, &[("k", ON_B)]);
    rig.engine.on_backend_closed(a, "gone");
    rig.to(100_000);
    rig.serve();
    rig.ask(&GET.replace('k', "l"));
    assert!(!rig.sent(a).is_empty(), "it is connected again");
    rig.engine.audit().expect("healthy");
    assert!(rig.replies().contains("may have run"));
}

#[test]
fn a_server_that_leaves_the_topology_is_waited_for_like_any_other() {
    let mut rig = Rig::new(settings());
    let a = rig.backend("a:1", 0);
    rig.ask(GET);
    rig.sent(a);
    rig.install("b:1", &[]);
    rig.ask(GET);
    let b = rig.backend("b:1", 0);
    assert!(rig.sent(b).is_empty());
    rig.engine.on_backend_bytes(a, b"$-1\r\n");
    assert_eq!(rig.settled(), [2]);
    assert!(!rig.sent(b).is_empty());
    assert_eq!(rig.engine.backends(), 1, "the other is closed");
}

#[test]
fn the_newest_of_several_topologies_decides_where_a_slot_goes() {
    let mut rig = Rig::new(settings());
    let a = rig.backend("a:1", 0);
    rig.ask(GET);
    rig.sent(a);
    assert_eq!(rig.change(2, &[("k", MOVING_TO_B)]), NOT_YET);
    assert_eq!(rig.change(3, &[("k", ON_B)]), NOT_YET);
    rig.ask(GET);
    rig.serve();
    let b = rig.backend("b:1", 0);
    assert!(rig.sent(b).is_empty(), "the slot waits still");
    rig.answer();
    assert_eq!(rig.settled(), [3]);
    assert!(!rig.sent(b).is_empty());
}

#[test]
fn an_epoch_settles_though_the_next_one_has_to_wait() {
    let mut rig = Rig::new(settings());
    rig.change(2, &[("k", ON_B)]);
    let (a, b) = (rig.backend("a:1", 0), rig.backend("b:1", 0));
    rig.ask(GET);
    rig.ask(&GET.replace('k', "l"));
    rig.sent(a);
    rig.sent(b);
    // First what is on b waits, then what is on a.
    assert_eq!(rig.change(3, &[]), NOT_YET);
    assert_eq!(rig.change(4, &[("l", MOVING_TO_B)]), NOT_YET);
    rig.engine.on_backend_bytes(b, b"$-1\r\n");
    assert_eq!(rig.settled(), [3]);
    rig.engine.on_backend_bytes(a, b"$-1\r\n");
    assert_eq!(rig.settled(), [4]);
}

#[test]
fn a_change_that_is_taken_back_lets_requests_go_on_at_once() {
    let mut rig = Rig::new(settings());
    let a = rig.backend("a:1", 0);
    rig.ask(GET);
    rig.sent(a);
    assert_eq!(rig.change(2, &[("k", MOVING_TO_B)]), NOT_YET);
    rig.ask(GET);
    rig.serve();
    assert!(rig.sent(a).is_empty());
    assert_eq!(rig.change(3, &[]), [3]);
    assert!(!rig.sent(a).is_empty());
}

#[test]
fn a_slot_that_comes_back_to_a_server_waits_if_the_connection_is_another() {
    let mut rig = Rig::new(settings());
    let old = rig.backend("a:1", 0);
    rig.ask(GET);
    rig.sent(old);
    rig.install("b:1", &[]);
    rig.install("a:1", &[]);
    rig.ask(GET);
    assert_eq!(rig.settled(), NOT_YET);
    let new = rig.backend("a:1", 0);
    assert_ne!(old, new);
    assert!(rig.sent(new).is_empty(), "it would overtake the first");
    rig.engine.on_backend_bytes(old, b"$-1\r\n");
    assert_eq!(rig.settled(), [3]);
    assert!(!rig.sent(new).is_empty());
}

#[test]
fn requests_of_a_slot_that_went_offline_fail_at_once_and_it_settles_later() {
    let mut rig = Rig::new(settings());
    rig.ask(GET);
    let a = rig.backend("a:1", 0);
    rig.sent(a);
    assert_eq!(rig.change(2, &[("k", SlotState::Offline)]), NOT_YET);
    let other = rig.engine.on_client_open(2, None);
    let first = std::mem::replace(&mut rig.session, other);
    rig.ask(GET);
    assert!(rig.replies().contains("is offline"));
    rig.session = first;
    // Served again while its old server has not answered.
    assert_eq!(rig.change(3, &[("k", ON_B)]), NOT_YET);
    rig.ask(GET);
    let b = rig.backend("b:1", 0);
    assert!(rig.sent(b).is_empty());
    rig.answer();
    assert_eq!(rig.settled(), [3]);
    assert!(!rig.sent(b).is_empty());
}

#[test]
fn reads_in_flight_at_a_replica_are_waited_for_when_it_becomes_the_master() {
    let mut settings = settings();
    settings.primary_only = false;
    let mut rig = Rig::new(settings);
    rig.install("a:1", &["b:1"]);
    // The first read goes to the master, and asks for the connection to the replica.
    rig.ask(GET);
    rig.serve();
    rig.answer();
    rig.ask(GET);
    let b = rig.backend("b:1", 0);
    assert!(!rig.sent(b).is_empty());
    rig.epoch += 1;
    rig.engine.on_topology(&one_group(rig.epoch, "b:1", &["a:1"]));
    assert_eq!(rig.settled(), NOT_YET);
    rig.ask("*3 $3 SET $1 k $1 v ");
    assert!(rig.sent(b).is_empty());
    rig.engine.on_backend_bytes(b, b"$-1\r\n");
    assert_eq!(rig.settled(), [3]);
    assert!(!rig.sent(b).is_empty(), "on the connection that there was");
}

#[test]
fn every_part_of_a_split_request_is_in_flight() {
    let mut rig = Rig::new(settings());
    rig.change(2, &[("k", ON_B)]);
    let (a, b) = (rig.backend("a:1", 0), rig.backend("b:1", 0));
    rig.ask("*3 $4 MGET $1 k $1 l ");
    rig.sent(a);
    rig.sent(b);
    assert_eq!(rig.change(3, &[]), NOT_YET);
    rig.engine.on_backend_bytes(a, b"*1\r\n$-1\r\n");
    assert_eq!(rig.settled(), NOT_YET, "the other part is missing");
    rig.engine.on_backend_bytes(b, b"*1\r\n");
    assert_eq!(rig.settled(), NOT_YET, "half of it is missing");
    rig.engine.on_backend_bytes(b, b"$-1\r\n");
    assert_eq!(rig.settled(), [3]);
    assert_eq!(rig.replies(), "*2\r\n$-1\r\n$-1\r\n");
}

#[test]
fn offsets_that_wrap_around_do_not_end_a_wait_early_or_late() {
    let mut rig = Rig::new(settings());
    let a = rig.backend("a:1", 0);
    rig.engine.backends[a as usize].written = u32::MAX - 10;
    rig.ask(&GET.repeat(2));
    assert!(rig.engine.backends[a as usize].written < 100, "it has wrapped");
    assert_eq!(rig.change(2, &[("k", ON_B)]), NOT_YET);
    rig.ask(&GET.replace('k', "l"));
    rig.engine.on_backend_bytes(a, b"$-1\r\n");
    assert_eq!(rig.settled(), NOT_YET);
    rig.engine.on_backend_bytes(a, b"$-1\r\n");
    assert_eq!(rig.settled(), [2]);
}

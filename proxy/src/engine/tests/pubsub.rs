//! Publish and subscribe, by hand; [`model`] has random histories.

mod model;

use super::*;
use backend::Role;

const TO_B: SlotState = SlotState::Preparing { from: GroupIndex(0), to: GroupIndex(1) };
const FROM_A: SlotState = SlotState::Migrating { from: GroupIndex(0), to: GroupIndex(1), since: 3 };

impl Rig {
    /// The connection that hears for all sessions.
    fn feed(&self, address: &str) -> u32 {
        let mut found = self.engine.backends.iter().filter(|(_, backend)| {
            &*backend.address == address && backend.role == Role::Subscriber && !backend.retired
        });
        found.next().expect("a subscriber connection").0 as u32
    }

    /// Says something on a server's subscriber connection.
    fn say(&mut self, address: &str, bytes: &str) {
        let feed = self.feed(address);
        self.engine.on_backend_bytes(feed, bytes.replace(' ', "\r\n").as_bytes());
        self.engine.finish_turn();
    }

    fn told(&mut self, address: &str) -> String {
        let feed = self.feed(address);
        String::from_utf8(self.sent(feed)).expect("text").replace("\r\n", " ")
    }

    fn heard(&mut self) -> String {
        self.replies().replace("\r\n", " ")
    }
}

const SUBSCRIBE: &str = "*2 $9 SUBSCRIBE $1 k ";
const ASKED: &str = "*2 $9 subscribe $1 k ";
const CONFIRMED: &str = "*3 $9 subscribe $1 k :1 ";
const LEFT: &str = "*2 $11 unsubscribe $1 k ";
const LEAVES: &str = "*3 $11 unsubscribe $1 k :0 ";

fn message(number: u32) -> String {
    format!("*3 $7 message $1 k $1 {number} ")
}

/// A session that is subscribed to `k`, on the server `a:1`.
fn subscribed() -> Rig {
    let mut rig = Rig::new(settings());
    rig.ask(SUBSCRIBE);
    rig.serve();
    assert_eq!(rig.told("a:1"), ASKED);
    rig.say("a:1", CONFIRMED);
    assert_eq!(rig.heard(), CONFIRMED);
    rig
}

#[test]
fn a_confirmation_goes_out_after_the_servers_and_the_next_request_waits_for_it() {
    let mut rig = Rig::new(settings());
    rig.ask(&format!("{SUBSCRIBE}*1 $4 PING "));
    rig.serve();
    assert_eq!(rig.heard(), "");
    rig.say("a:1", CONFIRMED);
    rig.serve();
    assert_eq!(rig.heard(), format!("{CONFIRMED}*2 $4 pong $0  "));
    rig.engine.audit().expect("healthy");
}

#[test]
fn a_second_session_costs_the_server_nothing_and_waits_for_nothing() {
    let mut rig = subscribed();
    rig.session = rig.engine.on_client_open(2, None);
    rig.ask(SUBSCRIBE);
    rig.serve();
    assert_eq!(rig.told("a:1"), "");
    assert_eq!(rig.heard(), CONFIRMED);
    rig.say("a:1", &message(1));
    assert_eq!(rig.heard(), message(1));
}

#[test]
fn a_server_is_told_when_the_last_session_has_gone() {
    let mut rig = subscribed();
    let first = rig.session;
    rig.session = rig.engine.on_client_open(2, None);
    rig.ask(SUBSCRIBE);
    rig.engine.on_client_closed(first);
    rig.serve();
    assert_eq!(rig.told("a:1"), "");
    rig.engine.on_client_closed(rig.session);
    assert_eq!(rig.told("a:1"), LEFT);
    rig.say("a:1", LEAVES);
    assert!(rig.engine.hub.is_idle());
    assert_eq!(rig.engine.sessions(), 0);
}

#[test]
fn a_servers_refusal_is_the_clients_and_the_session_goes_on() {
    let mut rig = Rig::new(settings());
    rig.ask(&format!("{SUBSCRIBE}*1 $4 PING "));
    rig.serve();
    rig.say("a:1", "-NOPERM\u{a0}no ");
    rig.serve();
    assert_eq!(rig.heard(), "-NOPERM\u{a0}no +PONG ");
    assert!(rig.engine.hub.is_idle());
}

#[test]
fn a_message_that_comes_in_pieces_is_told_whole_and_never_within_a_reply() {
    let mut rig = subscribed();
    let feed = rig.feed("a:1");
    let text = message(1).replace(' ', "\r\n");
    for byte in text.as_bytes() {
        rig.engine.on_backend_bytes(feed, &[*byte]);
    }
    assert_eq!(rig.heard(), message(1));
    let large = "x".repeat(100_000);
    rig.say("a:1", &format!("*3 $7 message $1 k $100000 {large} "));
    assert_eq!(rig.heard().len(), 100_000 + "*3 $7 message $1 k $100000  ".len());
}

#[test]
fn a_lost_connection_is_made_again_and_subscribed_again_unnoticed() {
    let mut rig = subscribed();
    let feed = rig.feed("a:1");
    rig.engine.on_backend_closed(feed, "gone");
    rig.to(1_000_000);
    rig.serve();
    assert_eq!(rig.told("a:1"), ASKED);
    rig.say("a:1", CONFIRMED);
    assert_eq!(rig.heard(), "");
    rig.say("a:1", &message(1));
    assert_eq!(rig.heard(), message(1));
    assert_eq!(rig.engine.stats().pubsub.reconnects, 1);
}

#[test]
fn a_frozen_servers_connection_is_given_up_by_its_pings() {
    let mut settings = settings();
    settings.ping_us = 500_000;
    let mut rig = Rig::new(settings);
    rig.ask(SUBSCRIBE);
    rig.serve();
    rig.told("a:1");
    rig.say("a:1", CONFIRMED);
    rig.to(600_000);
    assert_eq!(rig.told("a:1"), "*1 $4 PING ");
    rig.say("a:1", "*2 $4 pong $0  ");
    rig.to(1_200_000);
    assert_eq!(rig.told("a:1"), "*1 $4 PING ");
    let feed = rig.feed("a:1");
    rig.to(2_500_000);
    assert_eq!(rig.engine.backends[feed as usize].counters.timeouts, 1);
}

#[test]
fn an_epoch_settles_when_the_master_that_a_slot_moves_to_has_confirmed_its_channels() {
    let mut rig = subscribed();
    assert_eq!(rig.change(2, &[("k", TO_B)]), [0; 0]);
    assert_eq!(rig.told("b:1"), ASKED);
    rig.say("b:1", CONFIRMED);
    assert_eq!(rig.settled(), [2]);
    assert_eq!(rig.heard(), "");
}

#[test]
fn a_master_that_does_not_confirm_holds_an_epoch_up_for_a_second() {
    let mut rig = subscribed();
    assert_eq!(rig.change(2, &[("k", TO_B)]), [0; 0]);
    rig.to(900_000);
    assert_eq!(rig.settled(), [0; 0]);
    rig.to(1_000_000);
    assert_eq!(rig.settled(), [2]);
}

#[test]
fn messages_of_the_new_master_wait_for_those_of_the_old_one() {
    let mut rig = subscribed();
    rig.change(2, &[("k", TO_B)]);
    rig.say("b:1", CONFIRMED);
    // Another proxy has passed the barrier before this one has heard of it.
    rig.say("b:1", &message(2));
    assert_eq!(rig.heard(), "");
    rig.change(3, &[("k", FROM_A)]);
    assert_eq!(rig.told("a:1"), format!("{LEFT}*1 $4 PING "));
    rig.say("b:1", &message(3));
    rig.say("a:1", &message(1));
    assert_eq!(rig.heard(), message(1));
    rig.say("a:1", &format!("{LEAVES}+PONG "));
    assert_eq!(rig.heard(), format!("{}{}", message(2), message(3)));
    rig.say("b:1", &message(4));
    assert_eq!(rig.heard(), message(4));
}

#[test]
fn an_old_master_that_is_lost_is_not_waited_for() {
    let mut rig = subscribed();
    rig.change(2, &[("k", TO_B)]);
    rig.say("b:1", CONFIRMED);
    rig.change(3, &[("k", FROM_A)]);
    rig.say("b:1", &message(1));
    let feed = rig.feed("a:1");
    rig.engine.on_backend_closed(feed, "gone");
    assert_eq!(rig.heard(), message(1));
}

#[test]
fn a_master_that_becomes_a_replica_is_not_listened_to_any_more() {
    let mut rig = subscribed();
    let feed = rig.feed("a:1");
    rig.install("b:1", &["a:1"]);
    assert_eq!(rig.told("b:1"), ASKED);
    rig.say("b:1", CONFIRMED);
    rig.say("b:1", &message(1));
    // It may repeat what its new master says.
    if rig.engine.backends.contains(feed as usize) {
        let repeated = message(1).replace(' ', "\r\n");
        rig.engine.on_backend_bytes(feed, repeated.as_bytes());
    }
    assert_eq!(rig.heard(), message(1));
}

#[test]
fn a_publish_waits_with_its_slot_and_goes_to_the_master_that_it_moves_to() {
    let mut rig = Rig::new(settings());
    let publish = "*3 $7 PUBLISH $1 k $1 m ";
    rig.change(2, &[("k", TO_B)]);
    rig.ask(publish);
    rig.serve();
    let rules = crate::topology::MoveRules {
        timeout_ms: 1000,
        durability: crate::topology::Durability::None,
        big_bytes: 1,
        big_elements: 1,
        patience_ms: 1000,
        big_patience_ms: 1000,
    };
    let mut moving = settle::groups(3, &["a:1", "b:1"], &[("k", FROM_A)]);
    moving.moves = Some(rules);
    rig.engine.on_topology(&Arc::new(moving));
    rig.serve();
    let b = rig.backend("b:1", 0);
    assert_eq!(rig.sent(b), publish.replace(' ', "\r\n").as_bytes());
}

//! Sessions with connections of their own - waits, watches - where slots, servers, connections and clients go.

use super::*;

pub(super) const ON_B: SlotState = SlotState::Stable(GroupIndex(1));
pub(super) const POP: &str = "*3 $5 BLPOP $1 k $1 0 ";
pub(super) const FOUND: &str = "*2\r\n$1\r\nk\r\n$1\r\nv\r\n";
const UNBLOCK: &str = "*4 $6 CLIENT $7 UNBLOCK $1 7 $7 TIMEOUT ";

impl Rig {
    /// The dedicated connections to a server, in the order of their indexes.
    pub(super) fn dedicated(&self, address: &str) -> Vec<u32> {
        let dedicated = self.engine.backends.iter().filter(|(_, backend)| {
            &*backend.address == address && backend.role == backend::Role::Dedicated
        });
        dedicated.map(|(index, _)| index as u32).collect()
    }

    pub(super) fn only_dedicated(&self, address: &str) -> u32 {
        let [only] = self.dedicated(address)[..] else { panic!("not one connection to {address}") };
        only
    }

    /// What a backend is sent, as [`Rig::ask`] has it.
    pub(super) fn words(&mut self, backend: u32) -> String {
        String::from_utf8(self.sent(backend)).expect("text").replace("\r\n", " ")
    }

    pub(super) fn says(&mut self, backend: u32, reply: &str) {
        self.engine.on_backend_bytes(backend, reply.as_bytes());
    }

    /// Asks, and lets connections come.
    pub(super) fn asks(&mut self, requests: &str) -> Vec<Effect> {
        self.ask(requests);
        self.serve()
    }

    pub(super) fn turn(&mut self) -> Vec<Effect> {
        let effects = self.serve();
        self.engine.audit().expect("healthy");
        effects
    }
}

#[test]
fn a_wait_whose_slot_moves_ends_at_the_old_server_and_goes_on_at_the_new_one() {
    let mut rig = Rig::new(settings());
    rig.asks("*3 $5 BLPOP $1 k $2 10 ");
    let (old, shared) = (rig.only_dedicated("a:1"), rig.backend("a:1", 0));
    assert_eq!(rig.words(old), "*3 $5 BLPOP $1 k $2 10 ");
    rig.to(3_000_000);
    assert!(rig.change(2, &[("k", ON_B)]).is_empty(), "the old server has yet to let go");
    assert_eq!(rig.words(shared), UNBLOCK);
    // It was there before the wait that it is about.
    rig.says(shared, ":0\r\n");
    assert_eq!(rig.words(shared), UNBLOCK);
    rig.says(shared, ":1\r\n");
    assert_eq!(rig.words(shared), "");
    assert!(rig.settled().is_empty());
    rig.says(old, "*-1\r\n");
    assert_eq!(rig.settled(), [2]);
    let new = rig.only_dedicated("b:1");
    assert_eq!(rig.words(new), "*3 $5 BLPOP $1 k $1 7 ", "with the time that is left");
    rig.says(new, FOUND);
    rig.turn();
    assert_eq!(rig.replies(), FOUND);
}

#[test]
fn an_element_that_was_on_its_way_when_the_slot_left_goes_to_the_client() {
    let mut rig = Rig::new(settings());
    rig.asks(POP);
    let (old, shared) = (rig.only_dedicated("a:1"), rig.backend("a:1", 0));
    rig.sent(old);
    rig.change(2, &[("k", ON_B)]);
    assert_eq!(rig.words(shared), UNBLOCK);
    rig.says(old, FOUND);
    assert_eq!(rig.settled(), [2]);
    assert_eq!(rig.replies(), FOUND);
    // The question under way could end another wait on the same connection.
    rig.asks("*3 $5 BLPOP $1 l $1 0 ");
    assert_eq!(rig.words(old), "");
    assert_eq!(rig.dedicated("a:1").len(), 2);
    rig.says(shared, ":0\r\n");
    assert_eq!(rig.words(shared), "", "there is nothing to ask for again");
    rig.turn();
}

#[test]
fn a_wait_ends_with_an_error_where_its_server_cannot_be_told_to_end_it() {
    let mut rig = Rig::new(settings());
    rig.asks(POP);
    let (old, shared) = (rig.only_dedicated("a:1"), rig.backend("a:1", 0));
    rig.sent(old);
    rig.change(2, &[("k", ON_B)]);
    rig.sent(shared);
    rig.engine.on_backend_closed(shared, "reset");
    assert_eq!(rig.settled(), [2]);
    assert!(rig.replies().contains("may have run"));
    assert!(rig.dedicated("a:1").is_empty());
}

#[test]
fn a_server_that_has_left_the_topology_is_asked_again_on_the_same_connection() {
    let mut rig = Rig::new(settings());
    rig.asks(POP);
    let (old, shared) = (rig.only_dedicated("a:1"), rig.backend("a:1", 0));
    rig.sent(old);
    rig.install("b:1", &[]);
    assert_eq!(rig.words(shared), UNBLOCK);
    rig.says(shared, ":0\r\n");
    assert_eq!(rig.words(shared), UNBLOCK);
    rig.says(shared, ":1\r\n");
    rig.says(old, "*-1\r\n");
    rig.turn();
    let new = rig.only_dedicated("b:1");
    assert_eq!(rig.words(new), POP);
    assert!(rig.dedicated("a:1").is_empty());
}

#[test]
fn connections_of_servers_that_leave_the_topology_do_not_count_against_the_limit() {
    let mut settings = settings();
    settings.dedicated_max = 1;
    let mut rig = Rig::new(settings);
    rig.asks(POP);
    let old = rig.only_dedicated("a:1");
    rig.sent(old);
    rig.says(old, FOUND);
    rig.turn();
    assert_eq!(rig.replies(), FOUND);
    rig.install("b:1", &[]);
    rig.asks(POP);
    let new = rig.only_dedicated("b:1");
    assert_eq!(rig.words(new), POP);
    // It is the only one that may be.
    let session = std::mem::replace(&mut rig.session, rig.engine.on_client_open(2, None));
    rig.asks(POP);
    assert!(rig.replies().contains("backend_dedicated_max"));
    rig.session = session;
    rig.turn();
}

#[test]
fn a_client_that_was_not_read_from_is_again_when_it_blocks() {
    let mut rig = Rig::new(settings());
    let session = rig.session;
    assert_eq!(rig.asks(&format!("{GET}{POP}")), [Effect::Pause { session }]);
    rig.answer();
    assert_eq!(rig.turn(), [Effect::Resume { session }]);
    let own = rig.only_dedicated("a:1");
    assert_eq!(rig.words(own), POP);
}

#[test]
fn a_client_that_sends_no_more_is_given_what_there_is_and_let_go() {
    for (answer, replies) in [("*-1\r\n", "*-1\r\n"), (FOUND, FOUND)] {
        let mut rig = Rig::new(settings());
        rig.asks(POP);
        let (own, shared) = (rig.only_dedicated("a:1"), rig.backend("a:1", 0));
        rig.sent(own);
        rig.engine.on_client_eof(rig.session);
        assert_eq!(rig.words(shared), UNBLOCK);
        rig.says(shared, ":1\r\n");
        rig.says(own, answer);
        rig.turn();
        assert_eq!(rig.replies(), replies);
        assert_eq!(rig.turn(), [Effect::CloseClient { session: rig.session }]);
    }
}

#[test]
fn a_proxy_that_ends_has_its_waits_let_go_before_it_closes_their_clients() {
    for (answer, replies) in [("*-1\r\n", "*-1\r\n"), (FOUND, FOUND)] {
        let mut rig = Rig::new(settings());
        // What came behind the wait is answered as well, and does not wait again.
        rig.asks(&format!("{POP}*1 $4 PING {POP}"));
        let (own, shared) = (rig.only_dedicated("a:1"), rig.backend("a:1", 0));
        rig.sent(own);
        rig.engine.drain();
        assert!(rig.turn().is_empty(), "the server has yet to let go");
        assert_eq!(rig.words(shared), UNBLOCK);
        rig.says(own, answer);
        rig.turn();
        let mut others = rig.dedicated("a:1").into_iter();
        let second = others.find(|backend| rig.words(*backend) == POP).expect("it is sent");
        assert_eq!(rig.words(shared), UNBLOCK, "at once");
        rig.says(shared, ":0\r\n:1\r\n");
        rig.says(second, "*-1\r\n");
        let effects = rig.turn();
        assert_eq!(rig.replies(), format!("{replies}+PONG\r\n*-1\r\n"));
        let close = Effect::CloseClient { session: rig.session };
        assert!(effects.into_iter().chain(rig.turn()).any(|effect| effect == close));
        assert!(rig.engine.closes_in_order(rig.session));
    }
}

#[test]
fn a_proxy_that_ends_gives_a_transaction_all_its_replies() {
    let mut rig = Rig::new(settings());
    let shared = rig.backend("a:1", 0);
    rig.asks("*1 $5 MULTI *2 $3 GET $1 k *1 $4 PING *1 $4 EXEC ");
    rig.sent(shared);
    rig.engine.drain();
    assert!(rig.turn().is_empty());
    rig.says(shared, "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1\r\n");
    rig.turn();
    let queued = "+OK\r\n+QUEUED\r\n+QUEUED\r\n";
    assert_eq!(rig.replies(), format!("{queued}*2\r\n$1\r\n1\r\n+PONG\r\n"));
    assert_eq!(rig.turn(), [Effect::CloseClient { session: rig.session }]);
}

#[test]
fn an_element_that_comes_while_clients_are_paused_is_given_to_the_one_that_waited() {
    let mut rig = Rig::new(settings());
    rig.asks(&format!("{POP}{POP}"));
    let own = rig.only_dedicated("a:1");
    rig.sent(own);
    rig.engine.pause_clients(1_000_000, true);
    rig.says(own, FOUND);
    rig.turn();
    assert_eq!(rig.replies(), FOUND);
    assert_eq!(rig.words(own), "", "the next one waits for the pause's end");
    rig.engine.unpause_clients();
    rig.turn();
    assert_eq!(rig.words(own), POP);
}

#[test]
fn a_client_that_goes_away_takes_its_wait_with_it() {
    let mut rig = Rig::new(settings());
    rig.asks(POP);
    let own = rig.only_dedicated("a:1");
    rig.sent(own);
    rig.engine.on_client_lost(rig.session);
    rig.engine.on_client_closed(rig.session);
    rig.turn();
    assert!(rig.dedicated("a:1").is_empty());
    assert_eq!(rig.engine.sessions(), 0);
}

#[test]
fn client_unblock_ends_a_wait_even_before_it_is_sent() {
    for (error, reply) in
        [(false, "*-1\r\n"), (true, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")]
    {
        let mut rig = Rig::new(settings());
        rig.ask(POP);
        // The connection has yet to come.
        assert!(rig.engine.unblock(1, error));
        rig.serve();
        let (own, shared) = (rig.only_dedicated("a:1"), rig.backend("a:1", 0));
        assert_eq!(rig.words(own), POP);
        assert_eq!(rig.words(shared), UNBLOCK);
        rig.says(own, "*-1\r\n");
        rig.says(shared, ":1\r\n");
        rig.turn();
        assert_eq!(rig.replies(), reply);
        assert!(!rig.engine.unblock(1, error), "it waits no more");
    }
}

#[test]
fn a_wait_that_no_server_has_seen_in_its_time_is_looked_for_once_all_the_same() {
    const ON_ITS_WAY: SlotState = SlotState::Preparing { from: GroupIndex(0), to: GroupIndex(1) };
    let mut rig = Rig::new(settings());
    // The connection has yet to come when the slot leaves.
    rig.ask("*3 $5 BLPOP $1 k $2 10 ");
    rig.change(2, &[("k", ON_ITS_WAY)]);
    rig.turn();
    rig.to(11_000_000);
    rig.change(3, &[("k", ON_B)]);
    rig.turn();
    assert_eq!(rig.replies(), "");
    let new = rig.only_dedicated("b:1");
    assert_eq!(rig.words(new), "*3 $5 BLPOP $1 k $1 1 ");
    rig.says(new, FOUND);
    rig.turn();
    assert_eq!(rig.replies(), FOUND);
}

#[test]
fn a_stream_is_read_from_the_end_that_it_had_wherever_its_slot_goes() {
    const READ: &str = "*6 $5 XREAD $5 BLOCK $1 0 $7 STREAMS $1 k ";
    let mut rig = Rig::new(settings());
    rig.asks(&format!("{READ}$1 $ "));
    let (old, shared) = (rig.only_dedicated("a:1"), rig.backend("a:1", 0));
    assert_eq!(rig.words(old), "*3 $5 XINFO $6 STREAM $1 k ");
    rig.says(old, "*2\r\n$17\r\nlast-generated-id\r\n$3\r\n5-1\r\n");
    rig.turn();
    assert_eq!(rig.words(old), format!("{READ}$3 5-1 "));
    rig.change(2, &[("k", ON_B)]);
    rig.sent(shared);
    rig.says(shared, ":1\r\n");
    rig.says(old, "*-1\r\n");
    assert_eq!(rig.settled(), [2]);
    let new = rig.only_dedicated("b:1");
    assert_eq!(rig.words(new), format!("{READ}$3 5-1 "));
}

#[test]
fn a_stream_whose_slot_leaves_while_its_end_is_asked_for_is_asked_elsewhere() {
    let mut rig = Rig::new(settings());
    rig.asks("*6 $5 XREAD $5 BLOCK $1 0 $7 STREAMS $1 k $1 $ ");
    let old = rig.only_dedicated("a:1");
    rig.sent(old);
    assert_eq!(rig.change(2, &[("k", ON_B)]), [2]);
    assert!(rig.dedicated("a:1").is_empty());
    let new = rig.only_dedicated("b:1");
    assert_eq!(rig.words(new), "*3 $5 XINFO $6 STREAM $1 k ");
}

#[test]
fn a_watch_is_of_no_use_once_its_slot_has_gone() {
    let mut rig = Rig::new(settings());
    rig.asks("*2 $5 WATCH $1 k ");
    let own = rig.only_dedicated("a:1");
    assert_eq!(rig.words(own), "*2 $5 WATCH $1 k ");
    rig.says(own, "+OK\r\n");
    rig.turn();
    assert_eq!(rig.change(2, &[("k", ON_B)]), [2]);
    rig.asks("*1 $5 MULTI *3 $3 SET $1 k $1 v *1 $4 EXEC ");
    assert_eq!(rig.replies(), "+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n");
    assert_eq!(rig.words(own), "*1 $7 UNWATCH ");
    let b = rig.backend("b:1", 0);
    assert_eq!(rig.words(b), "");
    rig.turn();
}

#[test]
fn a_watched_transaction_runs_in_the_database_that_was_selected_last() {
    let mut rig = Rig::new(settings());
    rig.asks("*2 $5 WATCH $1 k ");
    let own = rig.only_dedicated("a:1");
    rig.sent(own);
    rig.says(own, "+OK\r\n");
    rig.turn();
    const TRANSACTION: &str = "*1 $5 MULTI *3 $3 SET $1 k $1 v *1 $4 EXEC ";
    rig.asks(&format!("*2 $6 SELECT $1 5 {TRANSACTION}"));
    assert_eq!(rig.words(own), format!("*2 $6 SELECT $1 5 {TRANSACTION}"));
    rig.says(own, "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    rig.turn();
    assert!(rig.replies().ends_with("*1\r\n+OK\r\n"));
}

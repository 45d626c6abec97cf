//! Sessions that go, in each state in which they hold or wait for something: nothing of theirs stays, and the next client
//! is not given what was theirs.

use super::waits::{FOUND, ON_B, POP};
use super::*;

/// How a session goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its client's connection is lost.
    Lost,
    /// CLIENT KILL.
    Killed,
    /// Its connection is lost, and before the driver has closed it the slot goes to the other server.
    LostAndMoved,
}

const ENDS: [End; 3] = [End::Lost, End::Killed, End::LostAndMoved];

/// What brings a session into a state.
type Bring = fn(&mut Rig);

/// A session has sent `requests`, its connections have come, and everything is on its way to the servers.
fn sends(rig: &mut Rig, requests: &str) {
    rig.asks(requests);
    all_sent(rig);
}

fn all_sent(rig: &mut Rig) {
    let backends: Vec<u32> = rig.engine.backends.iter().map(|(index, _)| index as u32).collect();
    for backend in backends {
        rig.sent(backend);
    }
}

fn watches(rig: &mut Rig) {
    sends(rig, "*2 $5 WATCH $1 k ");
    let own = rig.only_dedicated("a:1");
    rig.says(own, "+OK\r\n");
    rig.turn();
}

fn leaves(rig: &mut Rig) {
    rig.change(2, &[("k", ON_B)]);
    all_sent(rig);
}

const QUEUE: &str = "*1 $5 MULTI *3 $3 SET $1 k $1 v ";
const FROM_END: &str = "*6 $5 XREAD $5 BLOCK $1 0 $7 STREAMS $1 k $1 $ ";

const STATES: [(&str, Bring); 15] = [
    ("its connection has yet to come", |rig| rig.ask(POP)),
    ("it waits at the server", |rig| sends(rig, POP)),
    ("requests stand behind its wait", |rig| sends(rig, &format!("{POP}{GET}{POP}"))),
    ("the server was asked for a stream's end", |rig| sends(rig, FROM_END)),
    ("it is being unblocked, as its slot leaves", |rig| {
        sends(rig, POP);
        leaves(rig);
    }),
    ("it is to wait at the other server, which has yet to be connected", |rig| {
        sends(rig, POP);
        leaves(rig);
        let old = rig.only_dedicated("a:1");
        rig.says(old, "*-1\r\n");
        rig.engine.finish_turn();
    }),
    ("it waits at the other server", |rig| {
        sends(rig, POP);
        leaves(rig);
        let old = rig.only_dedicated("a:1");
        rig.says(old, "*-1\r\n");
        rig.turn();
        all_sent(rig);
    }),
    ("a client has unblocked it", |rig| {
        sends(rig, POP);
        assert!(rig.engine.unblock(1, false));
        all_sent(rig);
    }),
    ("its element has come this moment", |rig| {
        sends(rig, POP);
        let own = rig.only_dedicated("a:1");
        rig.says(own, FOUND);
    }),
    ("its WATCH has no answer", |rig| sends(rig, "*2 $5 WATCH $1 k ")),
    ("it watches", watches),
    ("it queues", |rig| sends(rig, QUEUE)),
    ("it queues what it watches", |rig| {
        watches(rig);
        sends(rig, QUEUE);
    }),
    ("its EXEC has no answer", |rig| sends(rig, &format!("{QUEUE}*1 $4 EXEC "))),
    ("its EXEC of what it watches has no answer", |rig| {
        watches(rig);
        sends(rig, &format!("{QUEUE}*1 $4 EXEC "));
    }),
];

impl Rig {
    fn goes(&mut self, end: End) {
        match end {
            End::Killed => {
                self.engine.kill(self.session);
                let effects = self.turn();
                let close = Effect::CloseClient { session: self.session };
                assert!(effects.contains(&close), "{effects:?}");
            }
            End::Lost => self.engine.on_client_lost(self.session),
            End::LostAndMoved => {
                self.engine.on_client_lost(self.session);
                self.change(9, &[("k", ON_B)]);
            }
        }
        self.engine.on_client_closed(self.session);
        self.turn();
    }

    /// The servers answer what they were sent, late.
    fn late_answers(&mut self) {
        let all = self.engine.backends.iter();
        let busy: Vec<(u32, usize)> =
            all.map(|(index, backend)| (index as u32, backend.in_flight.len())).collect();
        for (backend, count) in busy {
            // Whatever was asked, this is no answer to a request of the next client.
            self.engine.on_backend_bytes(backend, &b":1\r\n".repeat(count));
        }
        self.turn();
    }

    /// The connection that the session's request is the last on, and how many are before it.
    fn holder(&self) -> Option<(u32, usize)> {
        let is_its = |sent: &backend::InFlight| {
            sent.kind == backend::Kind::Reply && sent.session == self.session
        };
        let mut all = self.engine.backends.iter();
        let (index, backend) =
            all.find(|(_, backend)| backend.in_flight.back().is_some_and(is_its))?;
        Some((index as u32, backend.in_flight.len() - 1))
    }

    fn lent(&self) -> usize {
        let lent = self.engine.backends.iter().filter(|(_, backend)| {
            backend.role == backend::Role::Dedicated && backend.lessee != NO_INDEX
        });
        lent.count()
    }
}

#[test]
fn a_session_that_goes_in_any_state_leaves_nothing_of_it_behind() {
    for (state, bring) in STATES {
        for end in ENDS {
            let mut rig = Rig::new(settings());
            bring(&mut rig);
            rig.goes(end);
            let what = format!("{state}, {end:?}");
            assert_eq!(rig.engine.blocked_sessions(), 0, "{what}");
            assert!(rig.engine.leases.sessions.is_empty(), "{what}");
            rig.late_answers();
            assert_eq!(rig.engine.sessions(), 0, "{what}");
            assert_eq!(rig.lent(), 0, "{what}");
            let dedicated = rig.dedicated("a:1").len() + rig.dedicated("b:1").len();
            assert_eq!(rig.engine.leases.connections, dedicated, "{what}");
        }
    }
}

#[test]
fn the_client_after_one_that_went_in_any_state_gets_its_own_answers() {
    for (state, bring) in STATES {
        for end in ENDS {
            let mut rig = Rig::new(settings());
            bring(&mut rig);
            rig.goes(end);
            rig.session = rig.engine.on_client_open(2, None);
            sends(&mut rig, GET);
            if rig.holder().is_none() {
                // Its slot has left a server that has yet to answer.
                rig.late_answers();
            }
            let holder = rig.holder();
            let (index, before) = holder.unwrap_or_else(|| panic!("{state}, {end:?}: it is sent"));
            // What the one before it has asked there is answered first, and is not for this one.
            rig.says(index, &":1\r\n".repeat(before));
            assert_eq!(rig.replies(), "", "{state}, {end:?}");
            rig.says(index, "$1\r\n2\r\n");
            assert_eq!(rig.replies(), "$1\r\n2\r\n", "{state}, {end:?}");
            rig.asks(POP);
            let blocked = rig.engine.backends.iter().find(|(_, backend)| {
                backend.in_flight.back().is_some_and(|sent| sent.kind == backend::Kind::Blocked)
            });
            let own = blocked.expect("it is sent").0 as u32;
            assert!(rig.words(own).ends_with(POP), "{state}, {end:?}");
            rig.says(own, FOUND);
            rig.turn();
            assert_eq!(rig.replies(), FOUND, "{state}, {end:?}");
        }
    }
}

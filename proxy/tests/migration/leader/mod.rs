//! Leaders of the group: each runs the real migrator for its term, polled in virtual time.
//!
//! A leader may be deposed at any moment, and frozen for a while before it notices: what it had under way it goes on with until it
//! is dropped, as a process does whose steps are refused and whose commands to servers are not.

pub(crate) mod desk;
pub(crate) mod seat;

use crate::group::REFUSED_LATE;
use crate::plan::PASSWORD;
use crate::server::reply::Reply;
use crate::server::{Near, Wire};
use crate::world::{Event, World};
use codis_meta::drive::moves::{Board, Exclusion, Mover, NetError, Value, Wanted};
use desk::{Answer, Order, lock};
use seat::Seat;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

/// How long a message to or from the group takes at most, in microseconds.
const GROUP_US_MAX: u64 = 3_000;

type Working = Pin<Box<dyn Future<Output = ()>>>;

/// A leader's process.
pub(crate) struct Leader {
    working: Option<Working>,
    woken: Arc<Woken>,
    pub(crate) wanted: Arc<Wanted>,
    pub(crate) frozen: bool,
}

/// Whether something has happened that a leader waits for.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection of a leader.
pub(crate) struct Line {
    wire: usize,
    /// Who waits for it to be connected.
    connecting: Option<u64>,
    /// Who waits for replies, and for how many more.
    waiting: Option<(u64, usize)>,
    received: Vec<u8>,
    replies: Vec<Value>,
    lost: bool,
}

fn value(reply: Reply) -> Value {
    match reply {
        Reply::Nil => Value::Nil,
        Reply::Int(number) => Value::Integer(number),
        Reply::Status(text) => Value::Bytes(text.into_bytes()),
        Reply::Bulk(bytes) => Value::Bytes(bytes),
        Reply::Error(words) => Value::Error(words),
        // A leader speaks RESP2.
        Reply::Array(items) | Reply::Map(items) | Reply::Push(items) => {
            Value::Array(items.into_iter().map(value).collect())
        }
    }
}

impl World {
    /// Another leader takes over.
    pub(crate) fn elect(&mut self) {
        let leader = self.leaders.len();
        let term = {
            let mut group = lock(&self.group);
            group.elect(leader);
            group.term()
        };
        let seat = Seat {
            leader,
            desk: Arc::clone(&self.desk),
            group: Arc::clone(&self.group),
            bug: self.plan.bug,
        };
        let password = if self.plan.codis { PASSWORD } else { "" };
        let wanted = Arc::new(Wanted::default());
        let told = Arc::clone(&wanted);
        let working: Working = Box::pin(async move {
            let (exclusion, board) = (Exclusion::default(), Board::default());
            let told = (&board, &*told);
            Mover::new((&seat, &seat, &seat), &exclusion, told, password, term).run().await;
        });
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        self.leaders.push(Leader { working: Some(working), woken, wanted, frozen: false });
        self.soon(GROUP_US_MAX, Event::LeaderTurn(leader));
    }

    /// Lets a leader go on with what it waits for.
    pub(crate) fn leader_turn(&mut self, leader: usize) {
        let target = &mut self.leaders[leader];
        if target.frozen || !target.woken.0.swap(false, Ordering::Relaxed) {
            return;
        }
        let waker = Waker::from(Arc::clone(&target.woken));
        if let Some(working) = &mut target.working {
            let ended = working.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
            if ended {
                self.fail("a migrator ended by itself".into());
            }
        }
        self.take_orders();
        if self.leaders[leader].woken.0.load(Ordering::Relaxed) {
            self.at(self.now, Event::LeaderTurn(leader));
        }
    }

    /// A leader's process ends.
    pub(crate) fn drop_leader(&mut self, leader: usize) {
        self.leaders[leader].working = None;
        self.take_orders();
    }

    /// A leader goes on after it was frozen.
    pub(crate) fn thaw_leader(&mut self, leader: usize) {
        self.leaders[leader].frozen = false;
        self.leader_turn(leader);
    }

    fn take_orders(&mut self) {
        let orders = std::mem::take(&mut lock(&self.desk).orders);
        for (id, leader, order) in orders {
            self.take_order(id, leader, order);
        }
    }

    fn take_order(&mut self, id: u64, leader: usize, order: Order) {
        match order {
            Order::Connect { address } => {
                let server = self.server_at(&address);
                let wire = self.connect(Wire::new(server, Near::Leader { call: id }));
                let line = Line {
                    wire,
                    connecting: Some(id),
                    waiting: None,
                    received: Vec::new(),
                    replies: Vec::new(),
                    lost: false,
                };
                self.lines.insert(id, line);
            }
            Order::Ask { connection, bytes, replies, patience } => {
                let due = self.now + patience.as_micros() as u64;
                let Some(line) = self.lines.get_mut(&connection) else { return };
                if line.lost || line.waiting.is_some() {
                    let error = NetError("the connection is lost".into());
                    return self.reply_to(id, Answer::Replies(Err(error)));
                }
                let wire = line.wire;
                if replies == 0 {
                    self.reply_to(id, Answer::Replies(Ok(Vec::new())));
                } else {
                    line.waiting = Some((id, replies));
                    self.at(due, Event::AskLate(connection, id));
                }
                self.send(wire, &bytes);
            }
            Order::Close { connection } => {
                if let Some(line) = self.lines.remove(&connection) {
                    self.close(line.wire);
                }
            }
            Order::Sleep(length) => {
                self.at(self.now + length.as_micros() as u64, Event::Wake(leader, id));
            }
            Order::Look => self.soon(GROUP_US_MAX, Event::Look(leader, id)),
            Order::Step { change, expect_epoch } => {
                self.steps.insert(id, (*change, expect_epoch));
                self.soon(GROUP_US_MAX, Event::Step(leader, id));
            }
            Order::Beyond { index, patience } => {
                self.beyond.insert(id, (leader, index));
                self.at(self.now + patience.as_micros() as u64, Event::Wake(leader, id));
                self.tell_applied();
            }
        }
    }

    /// Answers an order, and lets whoever waits for it go on.
    fn reply_to(&mut self, id: u64, answer: Answer) {
        lock(&self.desk).answer(id, answer);
        for leader in 0..self.leaders.len() {
            if self.leaders[leader].woken.0.load(Ordering::Relaxed) {
                self.at(self.now, Event::LeaderTurn(leader));
            }
        }
    }

    pub(crate) fn wake_leader(&mut self, id: u64) {
        self.beyond.remove(&id);
        self.reply_to(id, Answer::Done);
    }

    pub(crate) fn look_at_group(&mut self, leader: usize, id: u64) {
        let leads = lock(&self.group).leads(leader);
        self.reply_to(id, if leads { Answer::Done } else { Answer::Lost });
    }

    /// A step reaches the log, or not; and so does its answer.
    pub(crate) fn step(&mut self, leader: usize, id: u64) {
        let Some((change, expect_epoch)) = self.steps.remove(&id) else { return };
        if !lock(&self.group).leads(leader) {
            return self.reply_to(id, Answer::Lost);
        }
        let outcome = self.apply(change, expect_epoch);
        let lost = self.faults_may_happen() && self.rng.u8(..=255) < REFUSED_LATE;
        self.reply_to(id, if lost { Answer::Lost } else { Answer::Outcome(outcome) });
    }

    /// Wakes those who wait for the log.
    pub(crate) fn tell_applied(&mut self) {
        let told: Vec<u64> = {
            let group = lock(&self.group);
            let is_due = |(leader, index): &(usize, u64)| group.applied_at(*leader) > *index;
            self.beyond.iter().filter(|(_, one)| is_due(one)).map(|(id, _)| *id).collect()
        };
        told.into_iter().for_each(|id| self.wake_leader(id));
    }

    pub(crate) fn line_connected(&mut self, call: u64) {
        let id = self.lines.get_mut(&call).and_then(|line| line.connecting.take());
        if let Some(id) = id {
            self.reply_to(id, Answer::Connected(Ok(call)));
        }
    }

    pub(crate) fn line_bytes(&mut self, call: u64, bytes: &[u8]) {
        let Some(line) = self.lines.get_mut(&call) else { return };
        line.received.extend_from_slice(bytes);
        while let Some((reply, length)) = Reply::parse(&line.received) {
            line.received.drain(..length);
            line.replies.push(value(reply));
        }
        if let Some((id, count)) = line.waiting
            && line.replies.len() >= count
        {
            line.waiting = None;
            let replies = std::mem::take(&mut line.replies);
            self.reply_to(id, Answer::Replies(Ok(replies)));
        }
    }

    pub(crate) fn line_lost(&mut self, call: u64) {
        let Some(line) = self.lines.get_mut(&call) else { return };
        line.lost = true;
        let error = || NetError("the connection is lost".into());
        let (connecting, waiting) = (line.connecting.take(), line.waiting.take());
        if let Some(id) = connecting {
            self.reply_to(id, Answer::Connected(Err(error())));
        }
        if let Some((id, _)) = waiting {
            self.reply_to(id, Answer::Replies(Err(error())));
        }
    }

    pub(crate) fn ask_late(&mut self, call: u64, id: u64) {
        let Some(line) = self.lines.get_mut(&call) else { return };
        if line.waiting.is_some_and(|(waiting, _)| waiting == id) {
            line.waiting = None;
            line.lost = true;
            self.reply_to(id, Answer::Replies(Err(NetError("no answer in time".into()))));
        }
    }
}

/// The connections of leaders, by their numbers.
pub(crate) type Lines = BTreeMap<u64, Line>;

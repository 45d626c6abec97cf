//! One client's connection: its input, its requests in order, its output.

use super::backend::{InFlight, Kind};
use super::blocking::Blocked;
use super::dispatch::since_us;
use super::early::Early;
use super::lane::Row;
use super::output::{Output, Pool};
use super::pubsub::Subscriptions;
use super::tracking::Tracking;
use super::transaction::{Replay, Transaction, Watch};
use crate::command::CommandId;
use crate::resp::Protocol;
use crate::resp::request::Progress;
use std::net::SocketAddr;
use std::rc::Rc;

pub(super) use super::flags::Flags;

/// Why a session's next request waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Stall {
    /// It does not.
    #[default]
    None,
    /// `session_max_pipeline` requests have no reply yet.
    Pipeline,
    /// `session_output_soft` bytes of replies are unsent.
    Output,
    /// The backend that it goes to has all it may have.
    Backend,
    /// Its slot is locked or about to move.
    Parked,
    /// Its keys are leaving their source.
    Move,
    /// A server has been asked what its command is.
    Learning,
    /// The control thread has yet to answer the last request.
    Answer,
    /// Servers have yet to confirm what it subscribed to.
    Subscribing,
    /// Everything before it must have been answered: it runs alone, or what it follows does.
    Quiet,
    /// It blocks, on a connection of its own.
    Blocked,
    /// Clients are paused.
    Held,
    /// The server has yet to answer EXEC.
    Exec,
    /// Connections of its own have yet to be made.
    Tracking,
}

/// A client that blocks is read from until so much of what it has sent waits.
const BLOCKED_INPUT_BYTES_MAX: usize = 64 * 1024;

/// What a client has said of itself. Most say nothing.
#[derive(Debug, Default, Clone)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) lib_name: String,
    pub(super) lib_ver: String,
}

/// One client's connection.
#[derive(Debug)]
pub(super) struct Session {
    /// Unique in the process.
    pub(super) client: u64,
    /// Bytes read but not run: an incomplete request, or what waits behind a stall.
    pub(super) input: Vec<u8>,
    /// How far a large incomplete request at the start of `input` has been read.
    pub(super) partial: Option<Box<Progress>>,
    /// Replies.
    pub(super) output: Output,
    early: Option<Box<Early>>,
    /// The oldest request without a reply.
    pub(super) head: u32,
    /// The next request.
    pub(super) next: u32,
    /// What outside the session names it by its index: requests in flight, questions asked.
    pub(super) references: u32,
    pub(super) database: u16,
    /// Its place among the settings' users.
    pub(super) user: u16,
    pub(super) protocol: Protocol,
    pub(super) row: Row,
    pub(super) flags: Flags,
    pub(super) stall: Stall,
    pub(super) last_command: CommandId,
    /// Seconds on the engine's clock: opened, last read from, last sent to with something left.
    pub(super) opened_s: u32,
    pub(super) active_s: u32,
    pub(super) progress_s: u32,
    pub(super) peer: Option<SocketAddr>,
    pub(super) identity: Option<Box<Identity>>,
    pub(super) own: Option<Box<Own>>,
}

/// What some sessions have beside requests in their order: a transaction, connections of their own.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub(super) transaction: Option<Transaction>,
    pub(super) replay: Replay,
    pub(super) watch: Option<Watch>,
    pub(super) blocked: Option<Blocked>,
    pub(super) tracking: Option<Box<Tracking>>,
    pub(super) subscriptions: Option<Subscriptions>,
}

impl Own {
    fn is_empty(&self) -> bool {
        self.transaction.is_none()
            && self.replay.is_empty()
            && self.watch.is_none()
            && self.blocked.is_none()
            && self.tracking.is_none()
            && self.subscriptions.is_none()
    }
}

impl Session {
    pub(super) fn new(
        client: u64,
        peer: Option<SocketAddr>,
        flags: Flags,
        now_s: u32,
        command: CommandId,
    ) -> Self {
        Self {
            client,
            input: Vec::new(),
            partial: None,
            output: Output::default(),
            early: None,
            head: 0,
            next: 0,
            references: 0,
            database: 0,
            user: 0,
            protocol: Protocol::Resp2,
            row: Row(0),
            flags,
            stall: Stall::None,
            last_command: command,
            opened_s: now_s,
            active_s: now_s,
            progress_s: now_s,
            peer,
            identity: None,
            own: None,
        }
    }

    /// Requests without a reply.
    #[inline]
    pub(super) fn in_flight(&self) -> u32 {
        self.next.wrapping_sub(self.head)
    }

    /// Whether the request of this sequence has no reply yet.
    pub(super) fn is_in_flight(&self, sequence: u32) -> bool {
        sequence.wrapping_sub(self.head) < self.in_flight()
    }

    /// Takes the next request's place.
    #[inline]
    pub(super) fn sequence(&mut self) -> u32 {
        let sequence = self.next;
        self.next = self.next.wrapping_add(1);
        sequence
    }

    /// Takes the next request's place, for a request that goes to a backend as it is.
    #[inline(always)]
    pub(super) fn entry(&mut self, session: u32, command: CommandId, now_us: u64) -> InFlight {
        let kind = if self.wants_silence() { Kind::Silent } else { Kind::Reply };
        self.references += 1;
        let sequence = self.sequence();
        InFlight { session, sequence, since_us: since_us(now_us), offset: 0, command, kind }
    }

    /// Whether the request that is being read gets no reply (CLIENT REPLY OFF or SKIP). SKIP counts
    /// for one request, so it is over after this.
    #[inline]
    pub(super) fn wants_silence(&mut self) -> bool {
        if !self.flags.has(Flags::REPLY_OFF | Flags::REPLY_SKIP) {
            return false;
        }
        self.flags.unset(Flags::REPLY_SKIP);
        true
    }

    /// Bytes of replies that are held for this session.
    #[inline]
    pub(super) fn reply_bytes(&self) -> usize {
        self.output.unsent() + self.early.as_ref().map_or(0, |early| early.bytes())
    }

    /// Takes a whole reply. In its turn it goes out, early it waits in its place.
    #[inline(always)]
    pub(super) fn reply(&mut self, pool: &mut Pool, sequence: u32, reply: &[u8]) {
        debug_assert!(sequence.wrapping_sub(self.head) < self.in_flight(), "a reply to no request");
        if sequence == self.head {
            self.output.write(pool, reply);
            self.head = self.head.wrapping_add(1);
            if self.early.is_some() {
                self.release_early(pool);
            }
        } else {
            let place = sequence.wrapping_sub(self.head) as usize;
            self.early.get_or_insert_with(|| pool.take_early()).hold(place, reply);
        }
    }

    /// Takes a piece of the reply that is in its turn; the whole has not come yet.
    pub(super) fn reply_piece(&mut self, pool: &mut Pool, piece: &[u8]) {
        self.flags.set(Flags::HALF_OUT);
        self.output.write(pool, piece);
    }

    /// Takes a push message: it goes out after the replies that have come before it, and never within one.
    pub(super) fn push(&mut self, pool: &mut Pool, bytes: &[u8]) {
        self.push_behind(pool, self.replies_before_push(), bytes);
    }

    /// [`Session::push`] without a copy, where nothing has to go before it.
    pub(super) fn push_shared(&mut self, pool: &mut Pool, bytes: &Rc<Vec<u8>>) {
        match self.replies_before_push() {
            0 => self.output.push_shared(Rc::clone(bytes)),
            replies => self.push_behind(pool, replies, bytes),
        }
    }

    /// Takes a part of the reply to the one request that is in flight; messages may follow it.
    pub(super) fn reply_element(&mut self, pool: &mut Pool, element: &[u8]) {
        self.output.write(pool, element);
    }

    /// The same, after the reply to the request of this sequence too, if that is not out yet. It may be the next one, whose
    /// reply is here though it has not been taken.
    pub(super) fn push_after(&mut self, pool: &mut Pool, sequence: u32, bytes: &[u8]) {
        let place = sequence.wrapping_sub(self.head);
        let least = if place <= self.in_flight() { place as usize + 1 } else { 0 };
        self.push_behind(pool, self.replies_before_push().max(least), bytes);
    }

    /// How many replies, from that to the oldest request on, a push message that comes now has to follow.
    fn replies_before_push(&self) -> usize {
        // EXEC's elements are replies of their own here, and one reply with its header to the client.
        let elements = self.own.as_ref().map_or(0, |own| own.replay.len());
        if elements > 0 {
            return self.in_flight() as usize + elements;
        }
        let last = self.own.as_ref().and_then(|own| own.replay.last());
        let to_last = match last.filter(|last| self.is_in_flight(*last)) {
            Some(last) => last.wrapping_sub(self.head) as usize + 1,
            None => 0,
        };
        let early = self.early.as_ref();
        let come = early.map_or(0, |early| early.replies_before_push(self.head));
        come.max(to_last).max(usize::from(self.flags.has(Flags::HALF_OUT)))
    }

    /// Takes a push message that follows so many replies.
    fn push_behind(&mut self, pool: &mut Pool, replies: usize, bytes: &[u8]) {
        match replies.checked_sub(1) {
            None => self.output.write(pool, bytes),
            Some(place) => {
                let after = self.head.wrapping_add(place as u32);
                self.early.get_or_insert_with(|| pool.take_early()).hold_push(after, bytes);
            }
        }
    }

    /// Sends out what follows the oldest request's reply, in so far as it has come. The head has just moved on by one.
    #[inline(never)]
    fn release_early(&mut self, pool: &mut Pool) {
        let Some(early) = &mut self.early else { return };
        early.pass();
        if early.has_pushes() {
            release_pushes(early, &mut self.output, pool, self.head);
        }
        while let Some(reply) = early.next() {
            self.output.write(pool, reply);
            self.head = self.head.wrapping_add(1);
            early.pass();
            if early.has_pushes() {
                release_pushes(early, &mut self.output, pool, self.head);
            }
        }
        if early.is_empty()
            && let Some(early) = self.early.take()
        {
            pool.put_early(early);
        }
    }

    /// Whether every request has been answered and every byte sent.
    #[inline]
    pub(super) fn is_drained(&self) -> bool {
        self.head == self.next && self.output.unsent() == 0
    }

    /// Whether its client is read from. One that blocks is, so that it is seen to go away.
    pub(super) fn is_read_from(&self) -> bool {
        match self.stall {
            Stall::None => true,
            Stall::Blocked => self.input.len() < BLOCKED_INPUT_BYTES_MAX,
            _ => false,
        }
    }

    pub(super) fn own_mut(&mut self) -> &mut Own {
        self.own.get_or_insert_default()
    }

    /// How many requests are queued since MULTI.
    pub(super) fn queued(&self) -> Option<usize> {
        let own = self.own.as_ref().filter(|_| self.flags.has(Flags::MULTI))?;
        own.transaction.as_ref().map(Transaction::len)
    }

    /// Gives back the memory of what it has of its own, if that is nothing.
    pub(super) fn tidy_own(&mut self) {
        if self.own.as_ref().is_some_and(|own| own.is_empty()) {
            self.own = None;
        }
    }

    pub(super) fn identity_mut(&mut self) -> &mut Identity {
        self.identity.get_or_insert_default()
    }

    /// Drops all that a session being closed holds.
    pub(super) fn release(&mut self, pool: &mut Pool) {
        self.input = Vec::new();
        self.partial = None;
        self.early = None;
        self.output.clear(pool);
    }
}

/// Sends out the push messages that no reply precedes any more.
#[cold]
fn release_pushes(early: &mut Early, output: &mut Output, pool: &mut Pool, head: u32) {
    while let Some(push) = early.next_push(head) {
        output.write(pool, &push);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session with so many requests in flight, the sequence of the first near the end of all numbers.
    fn session_with_requests(count: u32) -> Session {
        let mut session = Session::new(1, None, Flags::default(), 0, crate::command::ids::PING);
        session.head = u32::MAX - 1;
        session.next = session.head.wrapping_add(count);
        session
    }

    fn taken(session: &mut Session) -> String {
        let mut got = Vec::new();
        while let Some(segment) = session.output.take() {
            got.extend_from_slice(&segment);
        }
        String::from_utf8(got).expect("text")
    }

    #[test]
    fn a_push_message_goes_out_at_once_where_no_reply_waits() {
        let mut pool = Pool::default();
        let mut session = session_with_requests(2);
        session.push(&mut pool, b"push ");
        assert_eq!(taken(&mut session), "push ");
    }

    #[test]
    fn a_push_message_follows_the_replies_that_came_before_it() {
        let mut pool = Pool::default();
        let mut session = session_with_requests(5);
        let first = session.head;
        session.reply(&mut pool, first.wrapping_add(2), b"2 ");
        session.push(&mut pool, b"push ");
        session.reply(&mut pool, first.wrapping_add(3), b"3 ");
        session.push(&mut pool, b"another ");
        session.reply(&mut pool, first, b"0 ");
        assert_eq!(taken(&mut session), "0 ");
        assert_eq!(session.reply_bytes(), "0 ".len() + "2 push 3 another ".len());
        session.reply(&mut pool, first.wrapping_add(1), b"1 ");
        assert_eq!(taken(&mut session), "1 2 push 3 another ");
        assert!(session.early.is_none());
    }

    #[test]
    fn a_push_message_never_stands_within_a_reply() {
        let mut pool = Pool::default();
        let mut session = session_with_requests(2);
        let first = session.head;
        session.reply_piece(&mut pool, b"(");
        session.push(&mut pool, b"push ");
        session.reply_piece(&mut pool, b"...");
        assert_eq!(taken(&mut session), "(...");
        session.flags.unset(Flags::HALF_OUT);
        session.reply(&mut pool, first, b") ");
        assert_eq!(taken(&mut session), ") push ");
    }

    #[test]
    fn a_push_message_can_wait_for_a_reply_that_has_not_come() {
        let mut pool = Pool::default();
        let mut session = session_with_requests(4);
        let first = session.head;
        session.push_after(&mut pool, first.wrapping_sub(1), b"at once ");
        session.push_after(&mut pool, first.wrapping_add(2), b"push ");
        session.push(&mut pool, b"not before ");
        for number in 0..4 {
            session.reply(&mut pool, first.wrapping_add(number), format!("{number} ").as_bytes());
        }
        assert_eq!(taken(&mut session), "at once 0 1 2 push not before 3 ");
    }

    #[test]
    fn replies_leave_in_the_order_of_their_requests_whatever_order_they_come_in() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let mut pool = Pool::default();
            let mut session = Session::new(1, None, Flags::default(), 0, crate::command::ids::PING);
            // Sequences wrap around.
            session.head = u32::MAX - 3;
            session.next = session.head;
            let count = random.usize(1..30);
            let mut sequences: Vec<u32> = (0..count).map(|_| session.sequence()).collect();
            let expected: String =
                sequences.iter().map(|sequence| format!("+{sequence}\r\n")).collect();
            random.shuffle(&mut sequences);
            for sequence in sequences {
                session.reply(&mut pool, sequence, format!("+{sequence}\r\n").as_bytes());
            }
            let mut got = Vec::new();
            while let Some(segment) = session.output.take() {
                got.extend_from_slice(&segment);
            }
            assert_eq!(String::from_utf8(got).expect("text"), expected);
            assert_eq!(session.in_flight(), 0);
            assert!(session.early.is_none());
        }
    }
}

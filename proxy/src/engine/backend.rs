//! One connection to a server: its state, what is in flight on it, its counters.
//!
//! A `Backend` outlives its connections: when one is lost it waits, backs off and asks for the next.
//! The rules of failure are in [`super::failure`]; this file holds the parts.

use super::everywhere::Loaded;
use super::lane::Lane;
use super::moves::RunId;
use super::output::{Output, Pool, Segment};
use super::{NO_INDEX, Settings};
use crate::command::CommandId;
use crate::resp::Protocol;
use crate::resp::reply::Scanner;
use crate::resp::write;
use crate::stats::BackendState;
use crate::topology::Address;
use std::collections::VecDeque;
use std::rc::Rc;

/// What becomes of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It goes to the session.
    Reply,
    /// The session wants none (CLIENT REPLY): it is dropped, its place in the order kept.
    Silent,
    /// It is a part of a split request; the sequence is the gather's index.
    Part,
    /// It answers the proxy's own PING.
    Ping,
    /// It says what a command is; the sequence is its place in the list of learned ones.
    Learn,
    /// Nobody wants it; the connection is given up if it is an error that must not be.
    Swallow,
    /// It answers EXEC of a transaction whose answer the proxy completes.
    Exec,
    /// It ends a wait on a dedicated connection.
    Blocked,
    /// It answers a question about a stream that is to be waited for.
    StreamEnd,
    /// It answers CLIENT UNBLOCK; the session is the dedicated connection, the sequence tells it from a later one.
    Unblock,
    /// It is about keys that move; the sequence is the call, the session which of its replies this is.
    Move,
    /// It is about a channel or a pattern; the sequence is the topic.
    Topic,
    /// It answers a PING behind a server's last messages; the sequence is the hold that it ends.
    Flush,
    /// It is a part of a request that concerns every server; the sequence is the fan, the session which of its parts this
    /// is.
    Fan,
    /// It tells what replicas have acknowledged; the sequence is the line of those who wait, the session which of the
    /// replies this is.
    Acks,
}

/// A request that was given to a backend and has no reply yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight {
    pub(super) session: u32,
    /// The request's place in its session; for [`Kind::Part`], the gather.
    pub(super) sequence: u32,
    /// When its last byte was read, on the engine's clock (microseconds, wrapping).
    pub(super) since_us: u32,
    /// Where its bytes begin in all that was ever written to this connection (wrapping).
    pub(super) offset: u32,
    pub(super) command: CommandId,
    pub(super) kind: Kind,
}

/// Whose requests a connection takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Everyone's.
    Shared,
    /// Waits for the server's replicas, and nothing else.
    Waiter,
    /// The proxy's own: it is subscribed to what sessions are subscribed to.
    Subscriber,
    /// One session's at a time, which may block it or leave state on it.
    Dedicated,
    /// One session's, for as long as it tracks.
    Tracker,
}

/// What the connection is doing, in more detail than is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No connection, and none was asked for.
    Idle,
    /// The driver was asked to connect.
    Connecting,
    /// Connected; this many replies to the handshake are missing.
    Handshake(u8),
    /// Serving.
    Ready,
    /// The driver was asked to close.
    Closing,
    /// No connection until the timer says so.
    Down,
}

/// Bytes that were sent and whose replies have not all come; kept for the slow log.
#[derive(Debug)]
struct Sent {
    /// The offset after the last byte.
    end: u32,
    segment: Segment,
}

/// Numbers for the operator.
#[derive(Debug, Default, Clone)]
pub(super) struct Counters {
    pub(super) requests: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) errors: u64,
    pub(super) loading: u64,
    pub(super) masterdown: u64,
    pub(super) readonly: u64,
    pub(super) connects: u64,
    pub(super) failures: u64,
    pub(super) timeouts: u64,
    pub(super) ping_us: u32,
}

/// One connection to a server.
#[derive(Debug)]
pub(super) struct Backend {
    /// Unique in the engine; indexes are used again.
    pub(super) serial: u64,
    pub(super) address: Address,
    pub(super) group: u32,
    pub(super) replica: bool,
    pub(super) database: u16,
    pub(super) state: State,
    /// The topology has no more use for it; it goes when nothing is in flight.
    pub(super) retired: bool,
    pub(super) role: Role,
    pub(super) greeted: Greeted,
    /// What it sends does not count as uses of keys, where the server knows CLIENT NO-TOUCH.
    pub(super) no_touch: bool,
    pub(super) protocol: Protocol,
    /// The session that it is lent to, where it is dedicated; or none.
    pub(super) lessee: u32,
    /// The slot that it was lent for last.
    pub(super) slot: u16,
    /// What the server calls a dedicated connection.
    pub(super) client_id: i64,
    /// What the server is told of tracking at each handshake; empty where it is nothing.
    pub(super) tracking: Vec<u8>,
    /// How much longer than others a request on it may take: it blocks.
    pub(super) patience_us: u64,
    /// Questions under way, on other connections, that may end what waits on this one.
    pub(super) unblocks: u32,
    /// A replica that has said it cannot answer is not read from until then.
    pub(super) rests_until_us: u64,
    /// In the list of backends with output.
    pub(super) dirty: bool,
    pub(super) in_flight: VecDeque<InFlight>,
    /// Requests. Sent in state `Ready` only.
    pub(super) output: Output,
    /// The handshake's requests.
    pub(super) greeting: Vec<u8>,
    /// The driver is sending the greeting: what it says of bytes sent is not about `output`.
    pub(super) greeting_out: bool,
    sent: VecDeque<Sent>,
    /// All bytes ever written to `output`, wrapping.
    pub(super) written: u32,
    /// All bytes ever taken from `output`, wrapping.
    taken: u32,
    pub(super) scanner: Scanner,
    /// What has come of the reply that is not whole yet and could not be passed on.
    pub(super) partial: Vec<u8>,
    /// A part of the present reply is out already.
    pub(super) streaming: bool,
    /// Sessions that wait until less is in flight.
    pub(super) waiters: Vec<u32>,
    /// Attempts that failed since the last handshake that went well.
    pub(super) attempts: u32,
    /// The server's fence, where that is why there is no connection; 0 where it is not.
    pub(super) fenced: u64,
    /// When the present state began, in microseconds on the engine's clock.
    pub(super) since_us: u64,
    /// When bytes last came from it, or the oldest request could be sent on to it. What is sent
    /// after that request proves nothing: a frozen server's socket takes it too.
    pub(super) alive_us: u64,
    /// When bytes could last be sent to it.
    pub(super) sent_us: u64,
    /// When its timer runs out; entries of the timer heap with another time are stale.
    pub(super) timer_us: u64,
    /// When it was last asked to answer a PING.
    pub(super) pinged_us: u64,
    pub(super) last_error: String,
    /// What the server called itself on this connection.
    pub(super) run_id: RunId,
    /// The scripts that were loaded on this connection; `None` until the first one is called.
    pub(super) loaded: Option<Box<Loaded>>,
    pub(super) counters: Counters,
}

/// What of a handshake has to be told from the rest of its replies.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Greeted {
    /// How many replies are missing when that of the fence is next.
    pub(super) fence: u8,
    /// The last reply is that to CLIENT NO-TOUCH.
    pub(super) no_touch: bool,
    /// How many replies are missing when that to CLIENT ID is next; 0 where it was not asked.
    pub(super) id: u8,
}

impl Backend {
    pub(super) fn new(
        serial: u64,
        address: Address,
        group: u32,
        replica: bool,
        lane: Lane,
    ) -> Self {
        Self {
            serial,
            address,
            group,
            replica,
            database: lane.database,
            state: State::Idle,
            retired: false,
            role: Role::Shared,
            protocol: lane.protocol,
            greeted: Greeted::default(),
            no_touch: lane.no_touch,
            lessee: NO_INDEX,
            slot: 0,
            client_id: 0,
            tracking: Vec::new(),
            patience_us: 0,
            unblocks: 0,
            rests_until_us: 0,
            dirty: false,
            in_flight: VecDeque::new(),
            output: Output::default(),
            greeting: Vec::new(),
            greeting_out: false,
            sent: VecDeque::new(),
            written: 0,
            taken: 0,
            scanner: Scanner::default(),
            partial: Vec::new(),
            streaming: false,
            waiters: Vec::new(),
            attempts: 0,
            fenced: 0,
            since_us: 0,
            alive_us: 0,
            sent_us: 0,
            timer_us: 0,
            pinged_us: 0,
            last_error: String::new(),
            run_id: RunId::Unknown,
            loaded: None,
            counters: Counters::default(),
        }
    }

    /// Whether a request may be given to it: it is ready, or it is about to be for the first time.
    #[inline]
    pub(super) fn takes_requests(&self) -> bool {
        match self.state {
            State::Ready => true,
            State::Idle => true,
            State::Connecting | State::Handshake(_) => self.attempts == 0,
            State::Closing | State::Down => false,
        }
    }

    /// Whether it may have more requests.
    #[inline]
    pub(super) fn has_room(&self, settings: &Settings) -> bool {
        self.in_flight.len() < settings.backend_requests_max
            && self.output.unsent() <= settings.backend_output_bytes_max
    }

    /// [`Backend::push`] of bytes to be copied.
    #[inline(always)]
    pub(super) fn push_bytes(&mut self, pool: &mut Pool, mut entry: InFlight, bytes: &[u8]) {
        entry.offset = self.written;
        self.written = self.written.wrapping_add(bytes.len() as u32);
        self.in_flight.push_back(entry);
        self.counters.requests += 1;
        self.output.write(pool, bytes);
    }

    /// Appends a request's bytes, and remembers what its reply is for.
    pub(super) fn push(&mut self, pool: &mut Pool, mut entry: InFlight, body: Body<'_>) {
        entry.offset = self.written;
        let before = self.output.unsent();
        match body {
            Body::Copy(bytes) => return self.push_bytes(pool, entry, bytes),
            Body::Shared(bytes) => self.output.push_shared(Rc::clone(bytes)),
            Body::Header { args, name } => self.output.write_with(pool, |out| {
                write::array(out, args);
                write::bulk(out, name);
            }),
        }
        let len = self.output.unsent() - before;
        self.written = self.written.wrapping_add(len as u32);
        self.in_flight.push_back(entry);
        self.counters.requests += 1;
    }

    /// Appends arguments to the request that was pushed last.
    #[inline]
    pub(super) fn append(&mut self, pool: &mut Pool, bytes: &[u8]) {
        self.output.write(pool, bytes);
        self.written = self.written.wrapping_add(bytes.len() as u32);
    }

    /// Whether every request written before this offset has been answered.
    pub(super) fn has_answered(&self, offset: u32) -> bool {
        self.in_flight.front().is_none_or(|oldest| before_or_at(offset, oldest.offset))
    }

    /// All bytes ever sent, wrapping.
    #[inline]
    fn sent_to(&self) -> u32 {
        self.written.wrapping_sub(self.output.unsent() as u32)
    }

    /// Counts bytes as sent.
    #[inline]
    pub(super) fn count_sent(&mut self, bytes: usize, now_us: u64) {
        let end_of_oldest = self.in_flight.get(1).map_or(self.written, |next| next.offset);
        if !before_or_at(end_of_oldest, self.sent_to()) {
            self.alive_us = now_us;
        }
        self.sent_us = now_us;
        self.output.sent(bytes);
    }

    /// The oldest request of which something is unsent.
    fn oldest_unsent(&self) -> Option<&InFlight> {
        if self.output.unsent() == 0 {
            return None;
        }
        let sent = self.sent_to();
        let begun = |entry: &InFlight| before_or_at(entry.offset, sent);
        let count = self.in_flight.partition_point(begun);
        self.in_flight.get(count.checked_sub(1)?)
    }

    /// For how long the server has left the oldest request unanswered, and for how long it has taken
    /// none of the bytes that wait for it; in microseconds.
    pub(super) fn waits_us(&self, now_us: u64) -> (Option<u64>, Option<u64>) {
        let waited = |entry: &InFlight| u64::from((now_us as u32).wrapping_sub(entry.since_us));
        let answer =
            self.in_flight.front().map(|oldest| waited(oldest).min(now_us - self.alive_us));
        let taken_us = self.alive_us.max(self.sent_us);
        let send = self.oldest_unsent().map(|oldest| waited(oldest).min(now_us - taken_us));
        (answer, send)
    }

    /// Takes the next bytes to send.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Segment> {
        match self.state {
            State::Ready => {
                let segment = self.output.take()?;
                self.taken = self.taken.wrapping_add(segment.len() as u32);
                Some(segment)
            }
            State::Handshake(_) if !self.greeting.is_empty() => {
                self.greeting_out = true;
                Some(Segment::Owned(std::mem::take(&mut self.greeting)))
            }
            _ => None,
        }
    }

    /// Keeps a segment that was sent until all its replies have come.
    pub(super) fn keep_sent(&mut self, pool: &mut Pool, segment: Segment) {
        // One segment is out at a time, so this one ends where taking has come to.
        if self.in_flight.is_empty() {
            pool.put(segment);
        } else {
            self.sent.push_back(Sent { end: self.taken, segment });
        }
    }

    /// Gives back the segments all of whose requests were answered.
    #[inline]
    pub(super) fn release_sent(&mut self, pool: &mut Pool) {
        let oldest = self.in_flight.front().map(|entry| entry.offset);
        while let Some(first) = self.sent.front() {
            if oldest.is_some_and(|oldest| !before_or_at(first.end, oldest)) {
                break;
            }
            if let Some(first) = self.sent.pop_front() {
                pool.put(first.segment);
            }
        }
    }

    /// The bytes of a request in flight, from its first byte on, if they are still here.
    pub(super) fn sent_bytes(&self, offset: u32) -> Option<&[u8]> {
        for sent in &self.sent {
            let start = sent.end.wrapping_sub(sent.segment.len() as u32);
            let inside = offset.wrapping_sub(start);
            if (inside as usize) < sent.segment.len() {
                return Some(&sent.segment[inside as usize..]);
            }
        }
        None
    }

    /// Forgets all that belonged to the connection that was lost.
    pub(super) fn reset(&mut self, pool: &mut Pool) -> VecDeque<InFlight> {
        self.output.clear(pool);
        for sent in std::mem::take(&mut self.sent) {
            pool.put(sent.segment);
        }
        self.taken = self.written;
        self.greeting = Vec::new();
        self.greeting_out = false;
        self.scanner = Scanner::default();
        self.partial = Vec::new();
        self.streaming = false;
        self.run_id = RunId::Unknown;
        if let Some(loaded) = &mut self.loaded {
            loaded.clear();
        }
        std::mem::take(&mut self.in_flight)
    }

    /// Whether no piece of the present reply has come before.
    #[inline]
    pub(super) fn is_between_pieces(&self) -> bool {
        self.partial.is_empty() && !self.streaming
    }

    /// The state as it is shown.
    pub(super) fn shown_state(&self) -> BackendState {
        match self.state {
            State::Idle => BackendState::Idle,
            State::Connecting | State::Handshake(_) => BackendState::Connecting,
            State::Ready => BackendState::Ready,
            State::Closing | State::Down => BackendState::Down,
        }
    }
}

/// Whether offset `a` is not after offset `b`, both wrapping.
#[inline]
fn before_or_at(a: u32, b: u32) -> bool {
    b.wrapping_sub(a) < u32::MAX / 2
}

/// A request's bytes, in the three forms they come in.
pub(super) enum Body<'a> {
    /// To be copied.
    Copy(&'a [u8]),
    /// Large, and already alone in a buffer.
    Shared(&'a Rc<Vec<u8>>),
    /// The head of a request whose other arguments follow by [`Backend::append`].
    Header {
        /// How many arguments the request has, its name included.
        args: usize,
        /// The command's name.
        name: &'a [u8],
    },
}

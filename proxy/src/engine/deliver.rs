//! From a backend's bytes to replies, and from each reply to its session, in the session's order.

use super::backend::{InFlight, Kind, Role, State};
use super::dispatch::since_us;
use super::handshake::REPLY_BYTES_MAX;
use super::session::{Flags, Stall};
use super::{CutReason, Effect, Engine};
use crate::command::{CommandId, ids};
use crate::resp::reply::Scan;
use crate::resp::write;

impl Engine {
    /// Bytes have come from a backend.
    pub fn on_backend_bytes(&mut self, backend: u32, bytes: &[u8]) {
        let source = &mut self.backends[backend as usize];
        source.counters.bytes_in += bytes.len() as u64;
        source.alive_us = self.now_us;
        let mut position = 0;
        while position < bytes.len() {
            let source = &mut self.backends[backend as usize];
            if !matches!(source.state, State::Ready | State::Handshake(_)) {
                return;
            }
            if let Some(len) = source.scanner.scan_short(&bytes[position..]) {
                self.on_reply(backend, &bytes[position..position + len]);
                position += len;
            } else {
                match self.on_long_reply(backend, &bytes[position..]) {
                    Some(len) => position += len,
                    None => return,
                }
            }
        }
        self.after_replies(backend);
    }

    /// Takes what is no short reply from the start of `bytes`; answers how much that was, or nothing if the connection
    /// has failed.
    #[inline(never)]
    fn on_long_reply(&mut self, backend: u32, bytes: &[u8]) -> Option<usize> {
        match self.backends[backend as usize].scanner.scan(bytes) {
            Ok(Scan::End(len)) => {
                self.on_reply(backend, &bytes[..len]);
                Some(len)
            }
            Ok(Scan::EndOfPush(len)) => {
                self.on_push_end(backend, &bytes[..len]);
                Some(len)
            }
            Ok(Scan::More) => {
                self.on_piece(backend, bytes);
                Some(bytes.len())
            }
            Err(error) => {
                self.fail_backend(backend, &error.to_string());
                None
            }
        }
    }

    /// A whole reply, or the end of one whose beginning came before.
    #[inline(always)]
    fn on_reply(&mut self, backend: u32, bytes: &[u8]) {
        let source = &mut self.backends[backend as usize];
        // Nearly all: a request's whole reply that is no error.
        if source.state == State::Ready
            && source.is_between_pieces()
            && bytes[0] != b'-'
            && let Some(entry) = source.in_flight.front()
            && entry.kind == Kind::Reply
        {
            let entry = *entry;
            #[cfg(feature = "planted-faults")]
            self.planted.saw(&source.address, source.sent_bytes(entry.offset), bytes);
            source.in_flight.pop_front();
            self.record_latency(entry.command, entry.since_us, backend, &entry);
            return self.deliver_inline(entry.session, entry.sequence, bytes);
        }
        self.on_other_reply(backend, bytes);
    }

    #[inline(never)]
    fn on_other_reply(&mut self, backend: u32, bytes: &[u8]) {
        let source = &mut self.backends[backend as usize];
        if let State::Handshake(missing) = source.state {
            return self.on_handshake_reply(backend, missing, bytes);
        }
        if source.role == Role::Subscriber {
            return self.on_feed_reply(backend, bytes);
        }
        let Some(entry) = source.in_flight.pop_front() else {
            return self.fail_backend(backend, "a reply came to no request");
        };
        if source.is_between_pieces() {
            self.complete(backend, &entry, bytes);
        } else {
            self.complete_pieces(backend, &entry, bytes);
        }
    }

    /// A reply whose first pieces were kept, or have already been passed on.
    #[cold]
    fn complete_pieces(&mut self, backend: u32, entry: &InFlight, end: &[u8]) {
        let source = &mut self.backends[backend as usize];
        let mut whole = std::mem::take(&mut source.partial);
        whole.extend_from_slice(end);
        let streamed = std::mem::take(&mut source.streaming);
        // The first byte, which tells an error, is long gone when pieces were passed on; no error
        // is that long.
        if streamed && entry.kind == Kind::Move {
            self.on_move_reply(entry.sequence, entry.session, b"");
        } else if streamed && entry.kind == Kind::Part {
            // Its session was cut, and nobody will read what it is put together to.
            self.on_part(entry.sequence, entry.session as u16, b"");
        } else if streamed && entry.kind == Kind::Fan {
            self.on_fan_part(entry.sequence, entry.session, b"");
        } else if streamed && matches!(entry.kind, Kind::Blocked | Kind::StreamEnd) {
            // Its session is gone or about to be, and so is its wait.
        } else if streamed {
            self.record_latency(entry.command, entry.since_us, backend, entry);
            if entry.kind == Kind::Silent {
                return self.deliver(entry.session, entry.sequence, b"");
            }
            self.sessions[entry.session as usize].flags.unset(Flags::HALF_OUT);
            self.deliver(entry.session, entry.sequence, &whole);
        } else {
            self.complete(backend, entry, &whole);
        }
    }

    /// A piece of a reply that has not ended. At the head of its session's queue it goes straight
    /// through, so that a large reply is never held whole.
    #[inline(never)]
    fn on_piece(&mut self, backend: u32, piece: &[u8]) {
        let source = &mut self.backends[backend as usize];
        if source.role == Role::Subscriber && source.state == State::Ready {
            return source.partial.extend_from_slice(piece);
        }
        if source.scanner.is_in_push() {
            return self.on_push_piece(backend, piece);
        }
        let entry = match (source.state, source.in_flight.front()) {
            (State::Ready, Some(entry)) => *entry,
            _ => {
                source.partial.extend_from_slice(piece);
                if source.partial.len() > REPLY_BYTES_MAX {
                    self.fail_backend(backend, "a reply of the handshake does not end");
                }
                return;
            }
        };
        if entry.kind == Kind::Silent {
            // Nobody wants it: only its end matters.
            source.streaming = true;
            return;
        }
        let wanted = match entry.kind {
            Kind::Blocked | Kind::StreamEnd => source.lessee == entry.session,
            _ => true,
        };
        if !wanted {
            source.streaming = true;
            return;
        }
        let (session, held) = match entry.kind {
            Kind::Part => {
                let gather = &self.gathers[entry.sequence as usize];
                (gather.session, gather.held())
            }
            Kind::Fan => self.fans.holder(entry.sequence),
            Kind::Ping
            | Kind::Learn
            | Kind::Swallow
            | Kind::Unblock
            | Kind::Topic
            | Kind::Flush
            | Kind::Acks => {
                return source.partial.extend_from_slice(piece);
            }
            Kind::Exec | Kind::Blocked | Kind::StreamEnd => (entry.session, 0),
            Kind::Move => return self.on_move_piece(backend, &entry, piece),
            Kind::Reply | Kind::Silent => (entry.session, 0),
        };
        let target = &mut self.sessions[session as usize];
        if target.flags.has(Flags::DEAD | Flags::GONE) {
            source.partial = Vec::new();
            source.streaming = true;
            return;
        }
        let first = *source.partial.first().unwrap_or(&piece[0]);
        let is_error = first == b'-' && !source.streaming;
        let at_head = entry.kind == Kind::Reply && target.head == entry.sequence;
        if is_error || !at_head {
            source.partial.extend_from_slice(piece);
            let held = held + source.partial.len() + target.reply_bytes();
            if held > self.settings.output_bytes_hard {
                self.cut(session, CutReason::Output);
            }
            return;
        }
        source.streaming = true;
        let held = std::mem::take(&mut source.partial);
        target.reply_piece(&mut self.pool, &held);
        target.reply_piece(&mut self.pool, piece);
        self.after_output(session);
    }

    /// A piece of a reply about keys that move: held until its end has come, where it is still wanted.
    #[cold]
    fn on_move_piece(&mut self, backend: u32, entry: &InFlight, piece: &[u8]) {
        let source = &mut self.backends[backend as usize];
        if source.streaming {
            return;
        }
        source.partial.extend_from_slice(piece);
        let held = source.partial.len();
        if !self.holds_piece(entry.sequence, held) {
            let source = &mut self.backends[backend as usize];
            source.partial = Vec::new();
            source.streaming = true;
        }
    }

    /// Takes a whole reply to where it belongs.
    #[inline(never)]
    fn complete(&mut self, backend: u32, entry: &InFlight, reply: &[u8]) {
        if reply[0] == b'-' {
            self.on_error_reply(backend, entry, reply);
            if self.goes_on_at_master(backend, entry, reply) {
                return;
            }
        }
        match entry.kind {
            Kind::Reply => {
                self.record_latency(entry.command, entry.since_us, backend, entry);
                self.deliver(entry.session, entry.sequence, reply);
            }
            Kind::Silent => {
                self.record_latency(entry.command, entry.since_us, backend, entry);
                self.deliver(entry.session, entry.sequence, b"");
            }
            Kind::Part => self.on_part(entry.sequence, entry.session as u16, reply),
            Kind::Ping => self.on_pong(backend, entry),
            Kind::Swallow => self.on_swallowed(backend, entry, reply),
            Kind::Exec => self.on_exec(entry, reply),
            Kind::Blocked => self.on_unblocked(backend, entry, reply),
            Kind::StreamEnd => self.on_stream_end(entry, reply),
            Kind::Unblock => self.on_unblock_reply(backend, entry, reply),
            Kind::Learn => self.on_facts(entry.sequence, reply),
            Kind::Move => self.on_move_reply(entry.sequence, entry.session, reply),
            Kind::Topic | Kind::Flush => debug_assert!(false, "only a subscriber has them"),
            Kind::Fan => self.on_fan_part(entry.sequence, entry.session, reply),
            Kind::Acks => self.on_acks(entry.sequence, entry.session, reply),
        }
    }

    #[cold]
    fn on_error_reply(&mut self, backend: u32, entry: &InFlight, reply: &[u8]) {
        let counters = &mut self.backends[backend as usize].counters;
        counters.errors += 1;
        match reply {
            [b'-', b'L', b'O', b'A', b'D', b'I', b'N', b'G', ..] => counters.loading += 1,
            [b'-', b'M', b'A', b'S', b'T', b'E', b'R', b'D', b'O', b'W', b'N', ..] => {
                counters.masterdown += 1;
            }
            [b'-', b'R', b'E', b'A', b'D', b'O', b'N', b'L', b'Y', ..] => counters.readonly += 1,
            [b'-', b'N', b'O', b'S', b'C', b'R', b'I', b'P', b'T', ..] => {
                self.forget_loaded(backend);
            }
            _ if entry.command == ids::SCRIPT_LOAD => self.forget_loaded(backend),
            _ => {}
        }
        if matches!(entry.kind, Kind::Reply | Kind::Silent) {
            self.commands[usize::from(entry.command.0)].errors += 1;
        }
    }

    /// What replies free: bytes kept for the slow log, the waiters' turn.
    #[inline]
    fn after_replies(&mut self, backend: u32) {
        let source = &mut self.backends[backend as usize];
        source.release_sent(&mut self.pool);
        if !source.waiters.is_empty()
            && source.in_flight.len() <= self.settings.backend_requests_max / 2
        {
            self.wake_waiters(backend);
        }
        if self.backends[backend as usize].retired {
            self.close_if_retired(backend);
        }
    }

    /// Lets the sessions that wait for this backend try again.
    #[cold]
    pub(super) fn wake_waiters(&mut self, backend: u32) {
        for session in std::mem::take(&mut self.backends[backend as usize].waiters) {
            self.make_resumable(session);
        }
    }

    /// Counts a request that was answered, and logs it where it was slow.
    #[inline(always)]
    fn record_latency(&mut self, command: CommandId, since: u32, backend: u32, entry: &InFlight) {
        let elapsed_us = since_us(self.now_us).wrapping_sub(since);
        let stats = &mut self.commands[usize::from(command.0)];
        stats.calls += 1;
        stats.latency.record(elapsed_us);
        if elapsed_us >= self.settings.slow_us {
            self.log_slow(backend, entry, elapsed_us);
        }
    }

    /// The same for a split request; its arguments are gone.
    pub(super) fn record(&mut self, command: CommandId, since: u32, reply: &[u8]) {
        let elapsed_us = since_us(self.now_us).wrapping_sub(since);
        let stats = &mut self.commands[usize::from(command.0)];
        stats.calls += 1;
        stats.errors += u64::from(reply.first() == Some(&b'-'));
        stats.latency.record(elapsed_us);
    }

    /// Gives a reply to its session. Whoever calls this held a reference to the session, which ends
    /// here.
    #[inline(always)]
    fn deliver_inline(&mut self, session: u32, sequence: u32, reply: &[u8]) {
        let target = &mut self.sessions[session as usize];
        target.references -= 1;
        if target.flags.has(Flags::DEAD | Flags::GONE) {
            return self.release_if_gone(session);
        }
        target.reply(&mut self.pool, sequence, reply);
        self.after_output(session);
    }

    /// [`Engine::deliver_inline`], for all who do it seldom.
    #[inline(never)]
    pub(super) fn deliver(&mut self, session: u32, sequence: u32, reply: &[u8]) {
        self.deliver_inline(session, sequence, reply);
    }

    /// What follows from new output of a session that is open, or from a request that is no longer
    /// in flight.
    #[inline(always)]
    pub(super) fn after_output(&mut self, session: u32) {
        let target = &mut self.sessions[session as usize];
        if target.flags.raise(Flags::DIRTY) {
            self.dirty_sessions.push(session);
        }
        if target.stall != Stall::None
            || target.flags.has(Flags::EOF | Flags::CLOSING)
            || target.reply_bytes() > self.settings.output_bytes_hard
        {
            self.after_output_slow(session);
        }
    }

    #[cold]
    fn after_output_slow(&mut self, session: u32) {
        let target = &self.sessions[session as usize];
        if target.reply_bytes() > self.settings.output_bytes_hard {
            return self.cut(session, CutReason::Output);
        }
        let goes_on = match target.stall {
            Stall::Pipeline => target.in_flight() <= self.settings.session_requests_max / 2,
            Stall::Output => target.reply_bytes() <= self.settings.output_bytes_soft / 2,
            Stall::Quiet => target.in_flight() == 0,
            _ => false,
        };
        if goes_on {
            self.make_resumable(session);
        }
        self.finish_if_drained(session);
    }

    pub(super) fn make_resumable(&mut self, session: u32) {
        if let Some(target) = self.sessions.get_mut(session as usize)
            && target.stall != Stall::None
            && target.flags.raise(Flags::RESUMABLE)
        {
            self.resumable.push_back(session);
        }
    }

    /// The driver has sent bytes of a session's output.
    pub fn on_client_sent(&mut self, session: u32, bytes: usize) {
        self.counters.client_bytes_out += bytes as u64;
        let now_s = self.now_s();
        let target = &mut self.sessions[session as usize];
        if target.flags.has(Flags::DEAD | Flags::GONE) {
            return;
        }
        target.output.sent(bytes);
        target.progress_s = now_s;
        // What gathered while this was being sent goes next.
        if target.output.unsent() > 0 && target.flags.raise(Flags::DIRTY) {
            self.dirty_sessions.push(session);
        }
        let target = &self.sessions[session as usize];
        if target.stall == Stall::Output
            && target.reply_bytes() <= self.settings.output_bytes_soft / 2
        {
            self.make_resumable(session);
        }
        if self.sessions[session as usize].flags.has(Flags::EOF | Flags::CLOSING) {
            self.finish_if_drained(session);
        }
    }

    /// Answers a request of this session with what the proxy itself has to say.
    #[inline]
    pub(super) fn reply(&mut self, session: u32, reply: &[u8]) {
        let target = &mut self.sessions[session as usize];
        if target.flags.has(Flags::DEAD | Flags::GONE) {
            return;
        }
        let sequence = target.sequence();
        let reply = if target.wants_silence() { b"" } else { reply };
        target.references += 1;
        self.deliver(session, sequence, reply);
    }

    /// Answers a request of this session with an error.
    pub(super) fn reply_error(&mut self, session: u32, text: &str) {
        let mut reply = Vec::with_capacity(text.len() + 3);
        write::error(&mut reply, text);
        self.reply(session, &reply);
    }

    /// Reads no more requests; closes the session when all replies are out.
    pub(super) fn close_when_drained(&mut self, session: u32) {
        let target = &mut self.sessions[session as usize];
        target.flags.set(Flags::CLOSING);
        target.stall = Stall::None;
        target.input = Vec::new();
        target.partial = None;
        self.finish_if_drained(session);
    }

    /// Closes a session that wants no more and has been given everything.
    pub(super) fn finish_if_drained(&mut self, session: u32) {
        let target = &mut self.sessions[session as usize];
        if target.flags.has(Flags::EOF | Flags::CLOSING)
            && !target.flags.has(Flags::DEAD | Flags::GONE | Flags::RUNNING)
            && target.stall == Stall::None
            && target.is_drained()
        {
            target.flags.set(Flags::DEAD);
            if self.draining {
                // Its client has not said that it sends no more.
                target.flags.set(Flags::CLOSING);
            }
            target.release(&mut self.pool);
            self.effects.push(Effect::CloseClient { session });
        }
    }

    /// Closes a session at once; what it was owed is dropped.
    #[cold]
    pub(super) fn cut(&mut self, session: u32, reason: CutReason) {
        let target = &mut self.sessions[session as usize];
        if target.flags.has(Flags::GONE) || !target.flags.raise(Flags::DEAD) {
            return;
        }
        target.flags.unset(Flags::CLOSING);
        target.release(&mut self.pool);
        self.counters.cut[reason as usize] += 1;
        self.effects.push(Effect::CloseClient { session });
    }

    /// Frees a session that the driver has closed, once nothing names it any more.
    pub(super) fn release_if_gone(&mut self, session: u32) {
        let target = &self.sessions[session as usize];
        if target.flags.has(Flags::GONE) && target.references == 0 {
            self.sessions.remove(session as usize);
        }
    }
}

//! From a session's bytes to requests, each handed to [`super::dispatch`]; and what waits meanwhile.

use super::dispatch::Flow;
use super::session::{Flags, Stall};
use super::{CutReason, Effect, Engine};
use crate::resp::request::{self, Limits, Parsed, Progress, ProtocolError};
use crate::resp::{Request, Span, inline, write};
use std::rc::Rc;

/// A request of at least this many bytes is moved to its backend, not copied.
const LARGE_BYTES: usize = 64 * 1024;

/// What was read of an incomplete request is kept from this size on; less is read again.
const KEEP_PROGRESS_BYTES: usize = 1024;

/// The scratch list of arguments keeps no more memory than this between requests.
const SCRATCH_ARGS_MAX: usize = 4096;

impl Engine {
    /// Bytes have come from a client.
    pub fn on_client_bytes(&mut self, session: u32, bytes: &[u8]) {
        self.counters.client_bytes_in += bytes.len() as u64;
        let now_s = self.now_s();
        let target = &mut self.sessions[session as usize];
        if target.flags.has(Flags::DEAD | Flags::CLOSING) {
            return;
        }
        target.active_s = now_s;
        if target.input.is_empty() && target.stall == Stall::None {
            let used = self.consume(session, bytes, None);
            if used < bytes.len() {
                self.keep_input(session, &bytes[used..]);
            }
        } else {
            // The end of a large argument is taken by itself: if it ends its request, the buffer
            // holds that request alone and moves to the backend as it is.
            let (end, rest) = bytes.split_at(self.end_of_large(session).min(bytes.len()));
            for piece in [end, rest] {
                self.keep_input(session, piece);
                if self.sessions[session as usize].stall == Stall::None {
                    self.consume_input(session);
                }
            }
        }
        self.pause_if_stalled(session);
    }

    /// How many bytes of the large argument that is being read have yet to come; 0 if there is none.
    fn end_of_large(&self, session: u32) -> usize {
        let target = &self.sessions[session as usize];
        match &target.partial {
            Some(progress) if target.input.len() >= LARGE_BYTES => {
                let expected = progress.bytes_expected(&target.input, &self.limits(session));
                expected.saturating_sub(target.input.len())
            }
            _ => 0,
        }
    }

    /// Goes on with what waits in the session's input.
    pub(super) fn resume(&mut self, session: u32) {
        let Some(target) = self.sessions.get_mut(session as usize) else {
            return;
        };
        target.flags.unset(Flags::RESUMABLE);
        if target.flags.has(Flags::DEAD | Flags::GONE) {
            return;
        }
        target.stall = Stall::None;
        target.flags.set(Flags::RUNNING);
        self.replay(session);
        if self.sessions[session as usize].stall == Stall::None {
            self.consume_input(session);
        }
        let target = &mut self.sessions[session as usize];
        target.flags.unset(Flags::RUNNING);
        self.end_wait_unless_stalled(session);
        let target = &mut self.sessions[session as usize];
        if target.is_read_from() && target.flags.has(Flags::PAUSED) {
            target.flags.unset(Flags::PAUSED);
            if !target.flags.has(Flags::EOF | Flags::CLOSING) {
                self.effects.push(Effect::Resume { session });
            }
        }
        self.pause_if_stalled(session);
        self.finish_if_drained(session);
    }

    fn pause_if_stalled(&mut self, session: u32) {
        let target = &mut self.sessions[session as usize];
        if !target.is_read_from()
            && !target.flags.has(Flags::EOF | Flags::DEAD)
            && target.flags.raise(Flags::PAUSED)
        {
            self.effects.push(Effect::Pause { session });
        }
    }

    /// Appends to the session's input, and makes room at once for a large request that has said
    /// how large it is.
    fn keep_input(&mut self, session: u32, bytes: &[u8]) {
        let limits = self.limits(session);
        let target = &mut self.sessions[session as usize];
        if bytes.is_empty() || target.flags.has(Flags::DEAD | Flags::CLOSING) {
            return;
        }
        if target.input.len() + bytes.len() > self.settings.input_bytes_max {
            return self.cut(session, CutReason::Input);
        }
        let input = &mut target.input;
        if input.capacity() - input.len() < bytes.len() {
            let progress = target.partial.as_ref();
            let expected = progress.map_or(0, |progress| progress.bytes_expected(input, &limits));
            let missing = expected.saturating_sub(input.len());
            // Exactly what one large argument needs; but never so little that a request of many
            // arguments is moved again and again.
            if missing >= input.len().max(bytes.len()) {
                input.reserve_exact(missing);
            } else {
                input.reserve(missing.max(bytes.len()));
            }
        }
        input.extend_from_slice(bytes);
    }

    fn consume_input(&mut self, session: u32) {
        let input = std::mem::take(&mut self.sessions[session as usize].input);
        if input.is_empty() {
            return;
        }
        if input.len() < LARGE_BYTES {
            let used = self.consume(session, &input, None);
            self.put_back(session, input, used);
        } else {
            let shared = Rc::new(input);
            let used = self.consume(session, &shared, Some(&shared));
            if used < shared.len() {
                // Nobody else holds a buffer that is not used up: only whole ones are shared.
                let input = Rc::try_unwrap(shared).unwrap_or_else(|shared| shared.to_vec());
                self.put_back(session, input, used);
            }
        }
    }

    fn put_back(&mut self, session: u32, mut input: Vec<u8>, used: usize) {
        let target = &mut self.sessions[session as usize];
        if used == input.len() || target.flags.has(Flags::DEAD | Flags::CLOSING) {
            return;
        }
        input.drain(..used);
        if used > 0 && input.capacity() / 4 > input.len() {
            input.shrink_to(input.len() + 1024);
        }
        target.input = input;
    }

    #[inline]
    fn limits(&self, session: u32) -> Limits {
        if self.sessions[session as usize].flags.has(Flags::AUTHENTICATED) {
            self.settings.limits
        } else {
            Limits {
                args_max: Limits::UNAUTHENTICATED_ARGS_MAX,
                bulk_bytes_max: Limits::UNAUTHENTICATED_BULK_BYTES_MAX,
                unauthenticated: true,
                ..self.settings.limits
            }
        }
    }

    /// Runs the whole requests at the start of `bytes`; answers how many bytes they were. `whole` is
    /// the buffer of `bytes` where it may be passed on.
    fn consume(&mut self, session: u32, bytes: &[u8], whole: Option<&Rc<Vec<u8>>>) -> usize {
        let mut progress = match self.sessions[session as usize].partial.take() {
            Some(progress) => *progress,
            None => std::mem::take(&mut self.progress),
        };
        let mut position = 0;
        while position < bytes.len() && self.may_run(session) {
            let rest = &bytes[position..];
            let unauthenticated;
            let limits = if self.sessions[session as usize].flags.has(Flags::AUTHENTICATED) {
                &self.settings.limits
            } else {
                unauthenticated = self.limits(session);
                &unauthenticated
            };
            match request::parse(rest, &mut progress, limits) {
                Parsed::Complete(len) => {
                    let request = Request { bytes: &rest[..len], args: &progress.args };
                    let flow = match whole {
                        Some(whole) if whole.len() == len => {
                            self.dispatch_whole(session, &request, whole)
                        }
                        _ => self.dispatch(session, &request),
                    };
                    if flow == Flow::Wait {
                        break;
                    }
                    position += len;
                }
                Parsed::Empty(len) => position += len,
                Parsed::Inline(len) => {
                    if self.inline(session, &rest[..len]) == Flow::Wait {
                        break;
                    }
                    position += len;
                }
                Parsed::Incomplete => break,
                Parsed::Invalid(error) => {
                    self.protocol_error(session, error);
                    progress.clear();
                    position = bytes.len();
                    break;
                }
            }
            progress.clear();
        }
        self.keep_progress(session, progress, bytes.len() - position);
        position
    }

    /// Keeps what was read of a large request; a small one is read again when more has come.
    #[inline]
    fn keep_progress(&mut self, session: u32, mut progress: Progress, left: usize) {
        if left >= KEEP_PROGRESS_BYTES && progress.is_started() {
            self.sessions[session as usize].partial = Some(Box::new(progress));
        } else {
            progress.clear();
            if progress.args.capacity() <= SCRATCH_ARGS_MAX {
                self.progress = progress;
            }
        }
    }

    /// Whether the session may run one more request now.
    #[inline(always)]
    fn may_run(&mut self, session: u32) -> bool {
        let target = &mut self.sessions[session as usize];
        if target.stall != Stall::None || target.flags.has(Flags::DEAD | Flags::CLOSING) {
            return false;
        }
        if target.in_flight() >= self.settings.session_requests_max {
            target.stall = Stall::Pipeline;
            return false;
        }
        if target.reply_bytes() > self.settings.output_bytes_soft {
            target.stall = Stall::Output;
            return false;
        }
        true
    }

    #[inline(never)]
    fn inline(&mut self, session: u32, line: &[u8]) -> Flow {
        let words = match inline::split(line) {
            Ok(words) => words,
            Err(error) => {
                self.protocol_error(session, error);
                return Flow::Next;
            }
        };
        if words.is_empty() {
            return Flow::Next;
        }
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let mut bytes = Vec::new();
        write::array(&mut bytes, words.len());
        let mut args = Vec::with_capacity(words.len());
        for word in words {
            write::bulk(&mut bytes, word);
            let start = (bytes.len() - 2 - word.len()) as u32;
            args.push(Span { start, len: word.len() as u32 });
        }
        self.dispatch(session, &Request { bytes: &bytes, args: &args })
    }

    #[cold]
    fn protocol_error(&mut self, session: u32, error: ProtocolError) {
        self.counters.protocol_errors += 1;
        let reply = [b"-ERR ", error.text().as_slice(), b"\r\n"].concat();
        self.reply(session, &reply);
        self.close_when_drained(session);
    }

    /// [`Engine::dispatch`] of a large request that fills its buffer: the buffer may go to the backend.
    #[inline(never)]
    fn dispatch_whole(&mut self, session: u32, request: &Request<'_>, whole: &Rc<Vec<u8>>) -> Flow {
        self.large = Some(Rc::clone(whole));
        let flow = self.dispatch(session, request);
        self.large = None;
        flow
    }
}

//! Client-side caching: CLIENT TRACKING and what belongs to it.
//!
//! The servers do the tracking. A session that tracks has a connection of its own to each master it reads from, in RESP3,
//! on which CLIENT TRACKING was said with the session's own options ([`connections`]); its requests go there, and
//! what each server pushes on it goes to the session. So the options mean exactly what they mean at a server. In
//! RESP2, tracking without REDIRECT is accepted and tells nothing, as in Redis.
//!
//! Where nobody has watched a key for a while, the session is told that all keys have changed: when a slot that it may
//! have read leaves its server - after the last answer from there, before the slot is served elsewhere - and when
//! one of its connections is lost.

mod connections;
mod invalidation;
mod options;

use super::dispatch::Flow;
use super::session::{Flags, Stall};
use super::{Engine, NO_INDEX};
use crate::command::{CommandId, Local, ids};
use crate::resp::{Protocol, Request, write};
use crate::slots::SLOT_COUNT;
use connections::Connection;
use options::{Asked, Options};
use std::collections::BTreeSet;
use std::rc::Rc;

/// What tells a client that any key may have changed.
const INVALIDATE_ALL: &[u8] = b">2\r\n$10\r\ninvalidate\r\n_\r\n";

/// What a session that tracks has.
#[derive(Debug)]
pub(super) struct Tracking {
    /// The session's index.
    session: u32,
    options: Options,
    /// At most one a server.
    connections: Vec<Connection>,
    /// The slots that it may have read from since it was last told that all keys have changed.
    slots: Box<[bool; SLOT_COUNT]>,
    /// Its newest request that was split: parts of the reply may be here.
    last_split: u32,
    /// CLIENT TRACKING has not been answered: with BCAST it is when every server tracks.
    opening: bool,
}

/// What a shard knows of all sessions that track.
#[derive(Debug, Default)]
pub(super) struct Trackers {
    sessions: BTreeSet<u32>,
}

impl Tracking {
    /// The session, for the lane of its requests.
    pub(super) fn session(&self) -> u32 {
        self.session
    }

    /// The session has sent a request that is split.
    pub(super) fn splits(&mut self, sequence: u32) {
        self.last_split = sequence;
    }

    pub(super) fn is_bcast(&self) -> bool {
        self.options.bcast
    }
}

impl Engine {
    /// Runs the four commands of tracking.
    pub(super) fn track(
        &mut self,
        session: u32,
        id: CommandId,
        local: Local,
        request: &Request<'_>,
    ) -> Flow {
        match local {
            Local::ClientTracking => self.client_tracking(session, id, request),
            Local::ClientCaching => {
                let answer = self.client_caching(session, request);
                self.answer(session, id, answer)
            }
            Local::ClientGetRedir => {
                let on = self.tracking(session).is_some();
                let answer = if on { b":0\r\n".to_vec() } else { b":-1\r\n".to_vec() };
                self.answer(session, id, Ok(answer))
            }
            _ => {
                let info = self.tracking_info(session);
                self.answer(session, id, Ok(info))
            }
        }
    }

    pub(super) fn tracking(&self, session: u32) -> Option<&Tracking> {
        self.sessions.get(session as usize)?.own.as_ref()?.tracking.as_deref()
    }

    fn tracking_mut(&mut self, session: u32) -> Option<&mut Tracking> {
        self.sessions.get_mut(session as usize)?.own.as_mut()?.tracking.as_deref_mut()
    }

    fn client_tracking(&mut self, session: u32, id: CommandId, request: &Request<'_>) -> Flow {
        if self.tracking(session).is_some_and(|tracking| tracking.opening) {
            return self.finish_opening(session, id);
        }
        let present = self.tracking(session).map(|tracking| &tracking.options);
        let asked = match Options::read(request, present) {
            Ok(asked) => asked,
            Err(text) => return self.reject(session, id, &text),
        };
        // Requests go another way from now on.
        if let Some(flow) = self.wait_until_quiet(session) {
            return flow;
        }
        match asked {
            None => self.end_tracking(session),
            Some(asked) => {
                if let Err(text) = self.begin_tracking(session, asked) {
                    return self.fail(session, id, &text);
                }
            }
        }
        self.finish_opening(session, id)
    }

    fn begin_tracking(&mut self, session: u32, asked: Asked) -> Result<(), String> {
        let Asked { options, request } = asked;
        if let Some(tracking) = self.tracking_mut(session) {
            tracking.options = options;
            self.tell_options(session, &request);
        } else {
            self.may_open_connections()?;
            let target = &mut self.sessions[session as usize];
            target.own_mut().tracking = Some(Box::new(Tracking {
                session,
                options,
                connections: Vec::new(),
                slots: Box::new([false; SLOT_COUNT]),
                last_split: target.next.wrapping_sub(1),
                opening: false,
            }));
            self.trackers.sessions.insert(session);
        }
        self.sessions[session as usize].choose_row();
        if let Some(tracking) = self.tracking_mut(session) {
            tracking.opening = tracking.options.bcast;
        }
        self.open_for_bcast(session);
        Ok(())
    }

    /// Answers CLIENT TRACKING, once all connections that it opens are there or are known not to be.
    fn finish_opening(&mut self, session: u32, id: CommandId) -> Flow {
        if self.is_opening(session) {
            self.sessions[session as usize].stall = Stall::Tracking;
            return Flow::Wait;
        }
        if let Some(tracking) = self.tracking_mut(session) {
            tracking.opening = false;
        }
        self.answer(session, id, Ok(b"+OK\r\n".to_vec()))
    }

    /// The session tracks no more.
    pub(super) fn end_tracking(&mut self, session: u32) {
        self.close_trackers(session);
        let target = &mut self.sessions[session as usize];
        target.flags.unset(Flags::CACHING);
        if let Some(own) = &mut target.own {
            own.tracking = None;
            target.tidy_own();
        }
        target.choose_row();
        self.trackers.sessions.remove(&session);
    }

    fn client_caching(&mut self, session: u32, request: &Request<'_>) -> Result<Vec<u8>, String> {
        let none = Options::default();
        let options = self.tracking(session).map_or(&none, |tracking| &tracking.options);
        if self.tracking(session).is_none() {
            return Err(
                "ERR CLIENT CACHING can be called only when the client is in tracking mode with \
                        OPTIN or OPTOUT mode enabled"
                    .into(),
            );
        }
        match &request.arg(2).to_ascii_lowercase()[..] {
            b"yes" if options.optin => {}
            b"no" if options.optout => {}
            b"yes" => {
                return Err(
                    "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
                        .into(),
                );
            }
            b"no" => {
                return Err(
                    "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
                        .into(),
                );
            }
            _ => return Err("ERR syntax error".into()),
        }
        self.sessions[session as usize].flags.set(Flags::CACHING);
        Ok(b"+OK\r\n".to_vec())
    }

    fn tracking_info(&self, session: u32) -> Vec<u8> {
        let Self { sessions, .. } = self;
        let target = &sessions[session as usize];
        let protocol = target.protocol;
        let caching = target.flags.has(Flags::CACHING);
        let options = self.tracking(session).map(|tracking| &tracking.options);
        let mut flags = vec![if options.is_some() { "on" } else { "off" }];
        let none = Options::default();
        let shown = options.unwrap_or(&none);
        for (set, flag) in [
            (shown.bcast, "bcast"),
            (shown.optin, "optin"),
            (shown.optin && caching, "caching-yes"),
            (shown.optout, "optout"),
            (shown.optout && caching, "caching-no"),
            (shown.noloop, "noloop"),
        ] {
            if set {
                flags.push(flag);
            }
        }
        let mut out = Vec::new();
        write::map(&mut out, protocol, 3);
        write::bulk(&mut out, b"flags");
        write::set(&mut out, protocol, flags.len());
        flags.iter().for_each(|flag| write::bulk(&mut out, flag.as_bytes()));
        write::bulk(&mut out, b"redirect");
        write::integer(&mut out, if options.is_some() { 0 } else { -1 });
        write::bulk(&mut out, b"prefixes");
        write::array(&mut out, shown.prefixes.len());
        shown.prefixes.iter().for_each(|prefix| write::bulk(&mut out, prefix));
        out
    }

    /// Runs a request that CLIENT CACHING was said for: each server that it is sent to is told first. A transaction
    /// is one request here.
    #[cold]
    pub(super) fn run_with_caching(
        &mut self,
        session: u32,
        id: CommandId,
        request: &Request<'_>,
    ) -> Flow {
        self.caching = self.tracking(session).map(|tracking| tracking.options.optin);
        // What is in a buffer of its own takes the way on which this is looked at.
        self.large.get_or_insert_with(|| Rc::new(request.bytes.to_vec()));
        let flow = self.dispatch_other(session, id, request);
        self.large = None;
        self.caching = None;
        let flags = &mut self.sessions[session as usize].flags;
        if flow == Flow::Next && !flags.has(Flags::MULTI) {
            flags.unset(Flags::CACHING);
        }
        flow
    }

    /// Tells a server what CLIENT CACHING said, right before the request.
    #[cold]
    pub(super) fn push_caching(&mut self, backend: u32) {
        if let Some(yes) = self.caching {
            let word: &[u8] = if yes { b"YES" } else { b"NO" };
            self.push_swallowed(backend, ids::CLIENT_CACHING, &[b"CLIENT", b"CACHING", word]);
        }
    }

    /// Slots have left their servers, and all that was in flight for them there has been answered.
    pub(super) fn slots_left(&mut self, slots: &[u16]) {
        let sessions: Vec<u32> = self.trackers.sessions.iter().copied().collect();
        for session in sessions {
            let reads = |tracking: &Tracking| {
                tracking.is_bcast() || slots.iter().any(|slot| tracking.slots[usize::from(*slot)])
            };
            if self.tracking(session).is_some_and(reads) {
                self.invalidate_all(session);
            }
        }
    }

    /// Tells a session that any key may have changed, if it may have one.
    fn invalidate_all(&mut self, session: u32) {
        let target = &self.sessions[session as usize];
        let in_resp3 = target.protocol == Protocol::Resp3;
        // What is still to be answered is read after this was said.
        let reads_on = target.in_flight() > 0 || target.stall != Stall::None;
        let Some(tracking) = self.tracking_mut(session) else { return };
        let has_read = tracking.is_bcast() || tracking.slots.contains(&true);
        if has_read && in_resp3 {
            if !reads_on {
                tracking.slots.fill(false);
            }
            self.push_to_tracker(session, INVALIDATE_ALL);
        }
    }

    /// Sends a session that tracks a push message, behind all replies whose contents may be older.
    fn push_to_tracker(&mut self, session: u32, bytes: &[u8]) {
        if session != NO_INDEX
            && let Some(tracking) = self.tracking(session)
        {
            let after = match self.moves.holds_answer(session) {
                true => self.sessions[session as usize].next,
                false => tracking.last_split,
            };
            self.push_to_session_after(session, after, bytes);
        }
    }
}

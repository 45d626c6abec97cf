//! Commands that concern every server, not the one that owns a key.
//!
//! Such a request is a [`Fan`]: its parts go to the masters of all groups that serve slots, or to some of them, on the
//! connections that the session's other requests use, and when all parts are answered their replies become one
//! ([`Work`] says how), or the next parts are sent. A session's fan runs alone: it begins when nothing of the session is in
//! flight, and what follows it waits for its end ([`Stall::Quiet`]), so it sees all that was asked before and nothing
//! that was asked later, whatever connections those requests take.
//!
//! [`scan`] walks over the groups with a cursor ([`cursor`]) that finds its way while slots move ([`history`]); [`keys`] is
//! what counts, lists and draws keys; [`flush`] removes them, but for those of the metadata group; [`scripts`] keeps scripts
//! alike on all masters; [`acks`] waits for replicas; [`one`] is for one server that is named; [`merge`] is all that needs no more than putting replies together.

mod acks;
mod cursor;
mod flush;
mod history;
mod keys;
mod merge;
mod one;
mod read;
mod scan;
mod scripts;

use super::backend::{Body, InFlight, Kind};
use super::dispatch::{Flow, since_us};
use super::lane::Lane;
use super::session::Stall;
use super::{CutReason, Engine};
use crate::command::{CommandId, Everywhere};
use crate::resp::{Request, write};
use crate::topology::GroupIndex;
use cursor::Cursor;
pub(super) use history::History;
use keys::{Draw, Sizes};
use merge::Rule;
use scripts::Scripts;
pub(super) use scripts::{Loaded, runs_script};
use slab::Slab;

/// Parts of at least this many bytes are counted against the session's limit as they come.
const LARGE_PART_BYTES: usize = 16 * 1024;

/// Groups without a number of their own are numbered from here on, by their place in the topology. Numbers end at 9999.
const NUMBERS_OF_NAMELESS: u16 = 10_000;

/// All that a shard knows of requests that concern every server.
#[derive(Debug, Default)]
pub(super) struct Fans {
    fans: Slab<Fan>,
    pub(super) history: History,
    pub(super) scripts: Scripts,
    lines: Slab<acks::Line>,
}

/// One request that waits for the replies to its parts.
#[derive(Debug)]
struct Fan {
    session: u32,
    sequence: u32,
    silent: bool,
    lane: Lane,
    command: CommandId,
    since_us: u32,
    /// Parts without a reply.
    missing: u16,
    parts: Vec<Part>,
    work: Work,
}

/// What was asked of one master.
#[derive(Debug)]
struct Part {
    /// The group's number.
    group: u16,
    reply: Vec<u8>,
}

/// What becomes of the replies to the present parts.
#[derive(Debug)]
enum Work {
    /// They are merged.
    Merge(Rule),
    Scan(Cursor),
    Keys,
    Size(Sizes),
    Draw(Draw),
    ScriptLoad(Vec<u8>),
    ScriptExists(Vec<Vec<u8>>),
    Acks,
}

/// The master of a group that serves slots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Master {
    number: u16,
    group: GroupIndex,
    server: u16,
}

/// An error as a reply.
fn error(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 3);
    write::error(&mut out, text);
    out
}

impl Fan {
    /// Adds a part; answers its place.
    fn expect(&mut self, group: u16) -> u32 {
        self.parts.push(Part { group, reply: Vec::new() });
        self.missing += 1;
        (self.parts.len() - 1) as u32
    }

    /// Bytes of replies that wait for others.
    fn held(&self) -> usize {
        self.parts.iter().map(|part| part.reply.len()).sum()
    }
}

impl Fans {
    /// The session of a fan, and the bytes of replies that are held for it.
    pub(super) fn holder(&self, fan: u32) -> (u32, usize) {
        let fan = &self.fans[fan as usize];
        (fan.session, fan.held())
    }

    /// For the engine's own audit: each fan with its session and how many of its parts are in flight.
    pub(super) fn each(&self) -> impl Iterator<Item = (usize, u32, u16)> {
        self.fans
            .iter()
            .map(|(index, fan)| (index, fan.session, fan.missing - self.waits_of(index)))
    }

    pub(super) fn capacity(&self) -> usize {
        self.fans.capacity()
    }
}

impl Engine {
    /// Runs a command that concerns every server.
    pub(super) fn everywhere(
        &mut self,
        session: u32,
        id: CommandId,
        what: Everywhere,
        request: &Request<'_>,
    ) -> Flow {
        if let Some(flow) = self.wait_until_quiet(session) {
            return flow;
        }
        match what {
            Everywhere::Scan => self.scan(session, id, request),
            Everywhere::Keys => self.to_all(session, id, Work::Keys, request.bytes),
            Everywhere::DbSize => self.size(session, id, Work::Size(Sizes::default())),
            Everywhere::RandomKey => self.size(session, id, Work::Draw(Draw::default())),
            Everywhere::FlushDb | Everywhere::FlushAll => self.flush(session, id, what, request),
            Everywhere::ScriptLoad => {
                let work = Work::ScriptLoad(request.arg(2).to_vec());
                self.to_all(session, id, work, request.bytes)
            }
            Everywhere::ScriptExists => {
                let names = (2..request.len()).map(|i| request.arg(i).to_ascii_lowercase());
                let work = Work::ScriptExists(names.collect());
                self.to_all(session, id, work, request.bytes)
            }
            Everywhere::ScriptFlush => {
                self.forget_scripts();
                self.to_all(session, id, Work::Merge(Rule::Alike), request.bytes)
            }
            Everywhere::Kill => self.kill_scripts(session, id, request),
            Everywhere::Running => self.ask_controllers(session, id, Rule::Running, request),
            Everywhere::Alike => self.to_all(session, id, Work::Merge(Rule::Alike), request.bytes),
            Everywhere::Sum => self.to_all(session, id, Work::Merge(Rule::Sum), request.bytes),
            Everywhere::Least => self.to_all(session, id, Work::Merge(Rule::Least), request.bytes),
            Everywhere::Text => self.to_all(session, id, Work::Merge(Rule::Text), request.bytes),
            Everywhere::List => self.to_all(session, id, Work::Merge(Rule::List), request.bytes),
            Everywhere::Names => self.to_all(session, id, Work::Merge(Rule::Names), request.bytes),
            Everywhere::Counts => {
                self.to_all(session, id, Work::Merge(Rule::Counts), request.bytes)
            }
            Everywhere::Most => self.to_all(session, id, Work::Merge(Rule::Most), request.bytes),
            Everywhere::First => self.to_first(session, id, request),
            Everywhere::Single => self.to_single(session, id, request),
            Everywhere::Acks => self.wait_for_acks(session, id, request),
            Everywhere::Server => self.on_server(session, id, request),
            Everywhere::Debug => self.debug(session, id, request),
        }
    }

    /// The masters of all groups that serve slots, by rising number.
    pub(super) fn masters(&self) -> Vec<Master> {
        let groups = self.routes.topology.groups.iter().enumerate();
        let mut masters: Vec<Master> = groups
            .filter_map(|(index, group)| {
                let index = index as u16;
                let number = match group.id {
                    0 => NUMBERS_OF_NAMELESS + index,
                    id => id as u16,
                };
                let group = GroupIndex(index);
                Some(Master { number, group, server: self.routes.master(group)? })
            })
            .collect();
        masters.sort_unstable_by_key(|master| master.number);
        masters
    }

    /// The group of a number, if the topology still has it.
    fn group_of(&self, number: u16) -> Option<GroupIndex> {
        let of = |master: &Master| master.number == number;
        self.masters().into_iter().find(of).map(|master| master.group)
    }

    /// The connection to a server that fans of this lane take: the first of the server's parallel ones.
    fn lane_to(&mut self, server: u16, lane: Lane) -> u32 {
        self.backend_at(server, lane, 0)
    }

    /// Whether requests can be given to all of these connections now.
    fn check(&mut self, session: u32, id: CommandId, backends: &[u32]) -> Result<(), Flow> {
        for &backend in backends {
            if !self.backends[backend as usize].takes_requests() {
                return Err(self.refuse_down(session, id, backend));
            }
        }
        match backends.iter().find(|backend| self.is_full(**backend)) {
            Some(&backend) => Err(self.wait_for(session, backend)),
            None => Ok(()),
        }
    }

    /// Each master's number with the connection to it; or why the request cannot be sent to all of them.
    fn all_lanes(&mut self, session: u32, id: CommandId) -> Result<Vec<(u16, u32)>, Flow> {
        let masters = self.masters();
        if masters.is_empty() {
            return Err(self.refuse_nowhere(session, id));
        }
        let lane = self.sessions[session as usize].lane();
        let to = |master: &Master| (master.number, self.lane_to(master.server, lane));
        let lanes: Vec<(u16, u32)> = masters.iter().map(to).collect();
        let backends: Vec<u32> = lanes.iter().map(|(_, backend)| *backend).collect();
        self.check(session, id, &backends)?;
        Ok(lanes)
    }

    fn refuse_nowhere(&mut self, session: u32, id: CommandId) -> Flow {
        self.fail(session, id, "ERR no group serves a slot")
    }

    /// Begins a fan: takes the request's place in its session.
    fn begin(&mut self, session: u32, command: CommandId, work: Work) -> u32 {
        let target = &mut self.sessions[session as usize];
        let silent = target.wants_silence();
        target.references += 1;
        target.stall = Stall::Quiet;
        let fan = Fan {
            session,
            sequence: target.sequence(),
            silent,
            lane: target.lane(),
            command,
            since_us: since_us(self.now_us),
            missing: 0,
            parts: Vec::new(),
            work,
        };
        self.fans.fans.insert(fan) as u32
    }

    /// Sends one part of a fan.
    fn put(&mut self, fan: u32, group: u16, backend: u32, request: &[u8]) {
        let target = &mut self.fans.fans[fan as usize];
        let entry = InFlight {
            // A part's reply finds its fan, which knows the session.
            session: target.expect(group),
            sequence: fan,
            since_us: since_us(self.now_us),
            offset: 0,
            command: target.command,
            kind: Kind::Fan,
        };
        self.push(backend, entry, Body::Copy(request));
    }

    /// Sends the same bytes to all masters.
    fn to_all(&mut self, session: u32, id: CommandId, work: Work, bytes: &[u8]) -> Flow {
        let lanes = match self.all_lanes(session, id) {
            Ok(lanes) => lanes,
            Err(flow) => return flow,
        };
        let fan = self.begin(session, id, work);
        for (group, backend) in lanes {
            self.put(fan, group, backend, bytes);
        }
        Flow::Next
    }

    /// Sends a request to the master of the group with the lowest number, for all of them answer alike.
    fn to_first(&mut self, session: u32, id: CommandId, request: &Request<'_>) -> Flow {
        match self.first_lane(session) {
            Some(backend) => self.send(session, backend, id, request),
            None => self.refuse_nowhere(session, id),
        }
    }

    /// The connection to the master of the group with the lowest number.
    pub(super) fn first_lane(&mut self, session: u32) -> Option<u32> {
        let first = self.masters().first()?.server;
        let lane = self.sessions[session as usize].lane();
        Some(self.lane_to(first, lane))
    }

    /// Sends a request whose replies cannot be merged, where there is one group.
    fn to_single(&mut self, session: u32, id: CommandId, request: &Request<'_>) -> Flow {
        if self.routes.topology.groups.len() > 1 {
            let text = format!(
                "ERR '{}' concerns one server, and there are several: CODIS.SERVER host:port {}",
                id.command().name,
                id.command().name.replace('|', " ").to_ascii_uppercase()
            );
            return self.reject(session, id, &text);
        }
        self.to_first(session, id, request)
    }

    /// Answers at once.
    fn answer_now(&mut self, session: u32, id: CommandId, reply: &[u8]) -> Flow {
        self.record(id, since_us(self.now_us), reply);
        self.reply(session, reply);
        Flow::Next
    }

    /// Takes a part's reply, or the error in its stead.
    pub(super) fn on_fan_part(&mut self, index: u32, part: u32, reply: &[u8]) {
        let fan = &mut self.fans.fans[index as usize];
        fan.missing -= 1;
        fan.parts[part as usize].reply.extend_from_slice(reply);
        if fan.missing == 0 {
            return self.on_fan_answered(index);
        }
        let (session, held) = (fan.session, fan.held());
        if reply.len() >= LARGE_PART_BYTES && held > self.settings.output_bytes_hard {
            self.cut(session, CutReason::Output);
        }
    }

    /// All parts that were sent are answered.
    fn on_fan_answered(&mut self, index: u32) {
        let fan = &mut self.fans.fans[index as usize];
        let parts = std::mem::take(&mut fan.parts);
        let protocol = fan.lane.protocol;
        let reply = match &mut fan.work {
            Work::Merge(rule) => rule.merge(&parts, protocol),
            Work::Scan(cursor) => {
                let cursor = *cursor;
                self.on_scanned(cursor, &parts[0].reply)
            }
            Work::Keys => self.on_keys(&parts),
            Work::Acks => acks::merge(&parts),
            Work::Size(sizes) => match sizes.take(&parts) {
                Ok(()) => sizes.total(),
                Err(error) => error,
            },
            Work::Draw(draw) => {
                let draw = std::mem::take(draw);
                match self.on_drawn(index, draw, &parts) {
                    Some(reply) => reply,
                    None => return,
                }
            }
            Work::ScriptLoad(body) => {
                let body = std::mem::take(body);
                self.on_script_loaded(&body, &parts, protocol)
            }
            Work::ScriptExists(names) => {
                let names = std::mem::take(names);
                self.on_scripts_exist(&names, &parts)
            }
        };
        self.end_fan(index, &reply);
    }

    /// Answers a fan's request.
    fn end_fan(&mut self, index: u32, reply: &[u8]) {
        let fan = self.fans.fans.remove(index as usize);
        self.record(fan.command, fan.since_us, reply);
        self.deliver(fan.session, fan.sequence, if fan.silent { b"" } else { reply });
    }
}

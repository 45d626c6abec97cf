//! SCAN over all groups, one after the other.
//!
//! The cursor says which group's master is asked, and where in its table ([`super::cursor`]). Keys that move meanwhile
//! may be missed where they come from and where they go to: [`super::history`] tells after each walk over the groups
//! whether there are such, and then another walk visits the groups that have them now.

use super::super::Engine;
use super::super::dispatch::Flow;
use super::super::route::is_reserved;
use super::cursor::{Cursor, Pass};
use super::{Master, Work, read};
use crate::command::CommandId;
use crate::resp::{Request, write};
use crate::slots::{self, SLOT_COUNT};
use crate::topology::{GroupIndex, SlotState};

impl Engine {
    /// Runs `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`.
    pub(super) fn scan(&mut self, session: u32, id: CommandId, request: &Request<'_>) -> Flow {
        let epoch = self.routes.topology.epoch;
        let cursor = match decimal(request.arg(1)) {
            None => return self.reject(session, id, "ERR invalid cursor"),
            Some(0) => self.next_group(Pass::first(epoch), 0),
            Some(value) => match Cursor::decode(value, epoch) {
                None => return self.reject(session, id, "ERR invalid cursor"),
                Some(cursor) => self.group_at(cursor),
            },
        };
        let Some((cursor, master)) = cursor else {
            if self.routes.topology.groups.is_empty() {
                return self.refuse_nowhere(session, id);
            }
            return self.answer_now(session, id, &page(0, &[]));
        };
        let lane = self.sessions[session as usize].lane();
        let backend = self.lane_to(master.server, lane);
        if let Err(flow) = self.check(session, id, &[backend]) {
            return flow;
        }
        let fan = self.begin(session, id, Work::Scan(cursor));
        let mut bytes = Vec::with_capacity(request.bytes.len() + 20);
        write::array(&mut bytes, request.len());
        write::bulk(&mut bytes, b"SCAN");
        write::bulk(&mut bytes, cursor.server.to_string().as_bytes());
        bytes.extend_from_slice(request.raw(2, request.len() - 2));
        self.put(fan, master.number, backend, &bytes);
        Flow::Next
    }

    /// Where a SCAN goes on: at the group of its cursor, or where that is no more, at the one after it.
    fn group_at(&self, cursor: Cursor) -> Option<(Cursor, Master)> {
        let masters = self.masters();
        match masters.into_iter().find(|master| master.number == cursor.group) {
            Some(master) => Some((cursor, master)),
            None => self.next_group(cursor.pass, cursor.group),
        }
    }

    /// The beginning of the next group that a pass visits after this one, or of the next pass.
    fn next_group(&self, pass: Pass, after: u16) -> Option<(Cursor, Master)> {
        let next = self.group_in(pass, after);
        next.or_else(|| self.group_in(self.pass_after(pass)?, 0))
    }

    fn group_in(&self, pass: Pass, after: u16) -> Option<(Cursor, Master)> {
        let masters = self.masters().into_iter();
        let mut later = masters.filter(|master| master.number > after);
        let master = later.find(|master| self.visits(pass, master.group))?;
        Some((Cursor { pass, group: master.number, server: 0 }, master))
    }

    /// Whether a pass visits a group: the first one visits all, a later one those that keys of slots which were busy since
    /// the pass before it began may be at.
    fn visits(&self, pass: Pass, group: GroupIndex) -> bool {
        let Some(since) = pass.since() else { return true };
        let history = &self.fans.history;
        let mut slots = self.routes.topology.slots.iter().enumerate();
        slots.any(|(slot, entry)| {
            history.was_busy(slot, since)
                && match entry.state {
                    SlotState::Offline => false,
                    SlotState::Stable(at) => at == group,
                    // What had not left the source when this pass began was found there by the one before.
                    SlotState::Preparing { from, to } | SlotState::Migrating { from, to, .. } => {
                        to == group || (from == group && history.began(slot, pass.epoch))
                    }
                }
        })
    }

    /// The pass that has to follow one, if keys may have been missed.
    fn pass_after(&self, pass: Pass) -> Option<Pass> {
        let history = &self.fans.history;
        let now = self.routes.topology.epoch;
        if pass.epoch > now || !history.reaches(pass.epoch) {
            return Some(Pass::after(now, None));
        }
        let missed = |slot| match pass.since() {
            Some(since) => history.changed_again(slot, pass.epoch, since),
            None => history.was_busy(slot, pass.epoch),
        };
        (0..SLOT_COUNT).any(missed).then(|| Pass::after(now, Some(pass.epoch)))
    }

    /// A group's master has answered.
    pub(super) fn on_scanned(&self, cursor: Cursor, reply: &[u8]) -> Vec<u8> {
        if read::error(reply).is_some() {
            return reply.to_vec();
        }
        let Some((next, keys)) = scanned(reply) else {
            return super::error("ERR a server answered SCAN with something else");
        };
        let group = self.group_of(cursor.group);
        let keys: Vec<&[u8]> = keys.filter(|element| self.is_shown(group, element)).collect();
        let next = match next {
            0 => self.next_group(cursor.pass, cursor.group).map(|(next, _)| next),
            server => Some(Cursor { server, ..cursor }),
        };
        match next.map_or(Some(0), Cursor::encode) {
            Some(next) => page(next, &keys),
            None => super::error(
                "ERR the cursor of the server does not fit into the proxy's: it has more than 2^31 keys",
            ),
        }
    }

    /// Whether a key that a group's master names, a bulk string, is a client's: not a reserved one, nor what was left
    /// behind of a slot that is another group's.
    pub(super) fn is_shown(&self, group: Option<GroupIndex>, element: &[u8]) -> bool {
        let (Some(key), Some(group)) = (read::text(element), group) else { return false };
        if is_reserved(key) {
            return false;
        }
        match self.routes.topology.slots[usize::from(slots::slot(key))].state {
            SlotState::Offline => false,
            SlotState::Stable(at) => at == group,
            SlotState::Preparing { from, to } | SlotState::Migrating { from, to, .. } => {
                from == group || to == group
            }
        }
    }
}

/// The number in an argument: digits alone.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.iter().all(u8::is_ascii_digit) {
        std::str::from_utf8(text).ok()?.parse().ok()
    } else {
        None
    }
}

/// What a server says to SCAN: its next cursor, and the keys as bulk strings.
pub(super) fn scanned(reply: &[u8]) -> Option<(u64, read::Elements<'_>)> {
    let mut parts = read::elements(reply)?;
    let next = decimal(read::text(parts.next()?)?)?;
    Some((next, read::elements(parts.next()?)?))
}

/// The reply to SCAN.
fn page(next: u64, keys: &[&[u8]]) -> Vec<u8> {
    let bytes: usize = keys.iter().map(|key| key.len()).sum();
    let mut out = Vec::with_capacity(bytes + 48);
    write::array(&mut out, 2);
    write::bulk(&mut out, next.to_string().as_bytes());
    write::array(&mut out, keys.len());
    keys.iter().for_each(|key| out.extend_from_slice(key));
    out
}

//! KEYS, DBSIZE and RANDOMKEY: the keys of all groups, without those of the metadata group.

use super::super::Engine;
use super::super::dispatch::Flow;
use super::scan::scanned;
use super::{Part, Work, read};
use crate::command::CommandId;
use crate::resp::write;
use crate::slots;
use crate::topology::SlotState;
use ahash::AHashSet;
use codis_proto::RESERVED_KEYS;

/// How many keys a master is asked to draw at once, where the first one it drew was not a client's.
const DRAWS: usize = 16;

/// How many keys are looked at in the end, where it drew none.
const SCANNED: &[u8] = b"1000";

/// How many keys each group has in a database, those of clients.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    /// By number of the group.
    groups: Vec<(u16, i64)>,
}

impl Sizes {
    /// Takes what masters say to DBSIZE, and to EXISTS of the reserved keys where that was asked.
    pub(super) fn take(&mut self, parts: &[Part]) -> Result<(), Vec<u8>> {
        for part in parts {
            let Some(count) = read::integer(&part.reply) else { return Err(part.reply.clone()) };
            match self.groups.iter_mut().find(|(group, _)| *group == part.group) {
                Some((_, size)) => *size = (*size - count).max(0),
                None => self.groups.push((part.group, count)),
            }
        }
        Ok(())
    }

    /// The reply to DBSIZE.
    pub(super) fn total(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write::integer(&mut out, self.groups.iter().map(|(_, size)| size).sum());
        out
    }
}

/// How a random key is found.
#[derive(Debug, Default)]
pub(super) struct Draw {
    sizes: Sizes,
    step: DrawStep,
}

/// What is asked.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum DrawStep {
    /// How many keys there are.
    #[default]
    Sizes,
    /// A group for a key: one was drawn by its size.
    One,
    /// The same group for some more.
    Some,
    /// The same group for the first keys that it has.
    First,
}

impl Engine {
    /// Asks all masters how many keys they have.
    pub(super) fn size(&mut self, session: u32, id: CommandId, work: Work) -> Flow {
        let lanes = match self.all_lanes(session, id) {
            Ok(lanes) => lanes,
            Err(flow) => return flow,
        };
        let reserved = self.sessions[session as usize].database == 0;
        let fan = self.begin(session, id, work);
        for (group, backend) in lanes {
            self.put(fan, group, backend, b"*1\r\n$6\r\nDBSIZE\r\n");
            if reserved {
                let mut exists: Vec<&[u8]> = vec![b"EXISTS"];
                exists.extend(RESERVED_KEYS.iter().map(|key| key.as_bytes()));
                let mut bytes = Vec::new();
                write::request(&mut bytes, &exists);
                self.put(fan, group, backend, &bytes);
            }
        }
        Flow::Next
    }

    /// The reply to KEYS.
    pub(super) fn on_keys(&self, parts: &[Part]) -> Vec<u8> {
        // A key that is on its way may be at both ends.
        let mut moving: AHashSet<&[u8]> = AHashSet::new();
        let mut keys = Vec::new();
        for part in parts {
            let Some(elements) = read::elements(&part.reply) else { return part.reply.clone() };
            let group = self.group_of(part.group);
            for element in elements.filter(|element| self.is_shown(group, element)) {
                if !self.is_moving(element) || moving.insert(element) {
                    keys.push(element);
                }
            }
        }
        let bytes: usize = keys.iter().map(|key| key.len()).sum();
        let mut out = Vec::with_capacity(bytes + 16);
        write::array(&mut out, keys.len());
        keys.iter().for_each(|key| out.extend_from_slice(key));
        out
    }

    /// Whether a key, a bulk string, is of a slot that moves.
    fn is_moving(&self, element: &[u8]) -> bool {
        let slot = slots::slot(read::text(element).unwrap_or_default());
        matches!(
            self.routes.topology.slots[usize::from(slot)].state,
            SlotState::Preparing { .. } | SlotState::Migrating { .. }
        )
    }

    /// Goes on with RANDOMKEY; answers its reply in the end.
    pub(super) fn on_drawn(&mut self, fan: u32, mut draw: Draw, parts: &[Part]) -> Option<Vec<u8>> {
        if draw.step == DrawStep::Sizes {
            if let Err(error) = draw.sizes.take(parts) {
                return Some(error);
            }
            return self.draw_from(fan, draw, DrawStep::One);
        }
        let number = parts[0].group;
        let group = self.group_of(number);
        let mut error = None;
        for part in parts {
            if read::error(&part.reply).is_some() {
                error = Some(part.reply.clone());
            } else if draw.step == DrawStep::First {
                let keys = scanned(&part.reply).map(|(_, keys)| keys);
                let keys = keys.into_iter().flatten();
                let keys: Vec<&[u8]> = keys.filter(|key| self.is_shown(group, key)).collect();
                if !keys.is_empty() {
                    return Some(keys[self.random.usize(..keys.len())].to_vec());
                }
            } else if self.is_shown(group, &part.reply) {
                return Some(part.reply.clone());
            }
        }
        if error.is_some() {
            return error;
        }
        match draw.step {
            DrawStep::Sizes | DrawStep::One => self.ask_to_draw(fan, draw, number, DrawStep::Some),
            DrawStep::Some => self.ask_to_draw(fan, draw, number, DrawStep::First),
            DrawStep::First => {
                // Nothing is there that a client may see: the other groups have the key.
                draw.sizes.groups.retain(|(group, _)| *group != number);
                self.draw_from(fan, draw, DrawStep::One)
            }
        }
    }

    /// Draws a group, each as likely as it has keys, and asks it.
    fn draw_from(&mut self, fan: u32, draw: Draw, step: DrawStep) -> Option<Vec<u8>> {
        let total: i64 = draw.sizes.groups.iter().map(|(_, size)| size).sum();
        if total <= 0 {
            let mut out = Vec::new();
            write::null(&mut out, self.fans.fans[fan as usize].lane.protocol);
            return Some(out);
        }
        let mut place = self.random.i64(..total);
        let drawn = draw.sizes.groups.iter().find(|(_, size)| {
            place -= size;
            place < 0
        });
        let number = drawn.map_or(0, |(group, _)| *group);
        self.ask_to_draw(fan, draw, number, step)
    }

    /// Asks a group's master for keys.
    fn ask_to_draw(
        &mut self,
        fan: u32,
        draw: Draw,
        number: u16,
        step: DrawStep,
    ) -> Option<Vec<u8>> {
        let master = self.masters().into_iter().find(|master| master.number == number);
        let Some(master) = master else {
            return Some(super::error("ERR the groups changed meanwhile: ask again"));
        };
        let lane = self.fans.fans[fan as usize].lane;
        let backend = self.lane_to(master.server, lane);
        let target = &self.backends[backend as usize];
        if !target.takes_requests() {
            let text = format!("ERR backend {} is down: {}", target.address, target.last_error);
            return Some(super::error(&text));
        }
        self.fans.fans[fan as usize].work = Work::Draw(Draw { step, ..draw });
        let mut bytes = Vec::new();
        let count = match step {
            DrawStep::First => {
                write::request(&mut bytes, &[b"SCAN", b"0", b"COUNT", SCANNED]);
                1
            }
            DrawStep::Some => DRAWS,
            DrawStep::Sizes | DrawStep::One => 1,
        };
        if bytes.is_empty() {
            write::request(&mut bytes, &[b"RANDOMKEY"]);
        }
        for _ in 0..count {
            self.put(fan, number, backend, &bytes);
        }
        None
    }
}

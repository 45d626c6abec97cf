//! Settling: what a topology takes from a server is answered there before it goes to the next one.
//!
//! When a new topology gives a slot other servers, requests for it may still be in flight at the old
//! ones. Were the next request sent to the new servers at once, it could overtake those, and the old
//! servers would go on serving a slot that is no longer theirs. So the slot waits: a [`Drain`] marks how
//! far its old servers' connections had been written to, the slot's requests are parked, and once
//! everything before the marks has been answered - or its connection is lost, and so answered by an
//! error - the slot's newest route is installed. Other slots never notice.
//!
//! A slot that waits sends nothing, so topologies that come meanwhile need no marks for it: they only
//! change where it goes in the end. Nothing of this is on a request's path; marks are looked at once a
//! turn, and only while there are any.

use super::backend::{Backend, Role};
use super::route::Route;
use super::{Effect, Engine};
use crate::slots::SLOT_COUNT;
use crate::topology::{Address, Group, SlotState, Topology};
use ahash::AHashMap;
use slab::Slab;

/// No drain.
const NONE: u32 = u32::MAX;

/// How far a connection had been written to.
#[derive(Debug, Clone, Copy)]
struct Mark {
    backend: u32,
    /// Tells the backend from a later one of the same index.
    serial: u64,
    /// The offset after the last byte, wrapping.
    offset: u32,
}

impl Mark {
    fn backend<'a>(&self, backends: &'a Slab<Backend>) -> Option<&'a Backend> {
        let backend = backends.get(self.backend as usize)?;
        (backend.serial == self.serial).then_some(backend)
    }

    /// Whether everything that was written before it has been answered.
    fn is_met(&self, backends: &Slab<Backend>) -> bool {
        self.backend(backends).is_none_or(|backend| backend.has_answered(self.offset))
    }
}

/// What some slots wait for.
#[derive(Debug)]
struct Drain {
    /// The epoch by which the requests before the marks were sent, or a later one.
    before: u64,
    /// The group whose servers they were sent to.
    group: Group,
    /// See [`Serving::from`].
    from: Option<(Address, u64)>,
    /// Those that are not met.
    marks: Vec<Mark>,
}

/// What an epoch waits for besides drains: answers of the proxy's own connections.
#[derive(Debug)]
struct Answers {
    /// The epoch before.
    before: u64,
    /// Those that are not met.
    marks: Vec<Mark>,
    /// When it waits no longer, in microseconds on the engine's clock.
    due_us: u64,
}

/// The slots that wait for their old servers. At most one drain for each slot.
#[derive(Debug)]
pub(super) struct Settling {
    waits: Box<[u32; SLOT_COUNT]>,
    drains: Slab<Drain>,
    answers: Vec<Answers>,
    /// The newest epoch that was said to have settled.
    settled: u64,
    /// Whether there is something to look at: a drain, answers, or an epoch that was not said to have settled.
    pub(super) pending: bool,
}

impl Settling {
    pub(super) fn new() -> Self {
        Self {
            waits: Box::new([NONE; SLOT_COUNT]),
            drains: Slab::new(),
            answers: Vec::new(),
            settled: 0,
            pending: false,
        }
    }

    /// Whether a slot waits for its old servers.
    pub(super) fn waits(&self, slot: usize) -> bool {
        self.waits[slot] != NONE
    }

    /// When [`Settling::end_late_answers`] has something to do.
    pub(super) fn due_us(&self) -> u64 {
        self.answers.iter().map(|answers| answers.due_us).min().unwrap_or(u64::MAX)
    }

    /// Waits no longer for what has not come in its time.
    pub(super) fn end_late_answers(&mut self, now_us: u64) {
        self.answers.retain(|answers| answers.due_us > now_us);
    }

    /// The oldest epoch that something waits to leave behind; `None` if nothing does.
    fn unsettled(&self) -> Option<u64> {
        let drains = self.drains.iter().map(|(_, drain)| drain.before);
        drains.chain(self.answers.iter().map(|answers| answers.before)).min()
    }
}

impl Drain {
    fn serving(&self) -> Serving<'_> {
        let from = self.from.as_ref().map(|(master, since)| (master, *since));
        Serving { group: &self.group, from }
    }
}

/// The servers that a slot's requests are sent to.
#[derive(Debug, Clone, Copy)]
struct Serving<'a> {
    group: &'a Group,
    /// Where the slot migrates: the master that its keys leave, and which move it is.
    from: Option<(&'a Address, u64)>,
}

impl<'a> Serving<'a> {
    /// By a topology; `None` where requests go nowhere.
    fn of(topology: &'a Topology, slot: usize) -> Option<Self> {
        let slot = topology.slots[slot];
        match slot.state {
            _ if slot.locked => None,
            SlotState::Stable(group) => Some(Self { group: topology.group(group), from: None }),
            SlotState::Migrating { from, to, since } if topology.moves.is_some() => Some(Self {
                group: topology.group(to),
                from: Some((&topology.group(from).master, since)),
            }),
            _ => None,
        }
    }

    /// Whether a slot that goes from the one to the other stays where it is.
    fn same(self, other: Serving<'_>, primary_only: bool) -> bool {
        // The keys of a slot that migrates are never looked for at replicas.
        let no_replicas = primary_only || self.from.is_some();
        self.group.master == other.group.master
            && self.from == other.from
            && (no_replicas || self.group.replicas == other.group.replicas)
    }
}

impl Engine {
    /// Lets every slot that `next` takes from its servers wait for them. The routes are those of the
    /// present topology still.
    pub(super) fn begin_drains(&mut self, next: &Topology) {
        let present = std::sync::Arc::clone(&self.routes.topology);
        let leaving = self.leaving(&present, next);
        let mut leaves = Box::new([false; SLOT_COUNT]);
        for (route, slots) in leaving {
            slots.iter().for_each(|slot| leaves[usize::from(*slot)] = true);
            let serving = slots.first().and_then(|slot| Serving::of(&present, usize::from(*slot)));
            let Some(serving) = serving else { continue };
            let drain = self.begin_drain(serving, route, &slots);
            for slot in &slots {
                self.settling.waits[usize::from(*slot)] = drain;
            }
            if drain == NONE {
                self.slots_left(&slots);
            }
        }
        self.settling.pending = true;
        self.leave_slots(&leaves, next);
    }

    /// The slots that leave their servers, together with those of the same route and the same move.
    fn leaving(&self, present: &Topology, next: &Topology) -> Vec<(Route, Vec<u16>)> {
        let mut places: AHashMap<(Route, u64), usize> = AHashMap::new();
        let mut leaving: Vec<(Route, Vec<u16>)> = Vec::new();
        for slot in 0..SLOT_COUNT {
            let route = self.routes.slots[slot];
            if !matches!(route, Route::Server { .. } | Route::Migrating { .. }) {
                continue;
            }
            let Some(serving) = Serving::of(present, slot) else { continue };
            let stays = Serving::of(next, slot)
                .is_some_and(|then| serving.same(then, self.settings.primary_only));
            if !stays {
                let since = serving.from.map_or(0, |(_, since)| since);
                let place = *places.entry((route, since)).or_insert_with(|| {
                    leaving.push((route, Vec::new()));
                    leaving.len() - 1
                });
                leaving[place].1.push(slot as u16);
            }
        }
        leaving
    }

    /// What sessions have on connections of their own ends where its slot leaves.
    fn leave_slots(&mut self, leaves: &[bool; SLOT_COUNT], next: &Topology) {
        let sessions: Vec<u32> = self.leases.sessions.iter().copied().collect();
        for session in sessions {
            self.carry(session, |slot| leaves[usize::from(slot)]);
            // A slot that waits already has no route to leave, and may be given yet another.
            let slot = self.watched_slot(session).map_or(0, usize::from);
            let then = Serving::of(next, slot).map(|then| &then.group.master);
            let stays = !leaves[slot] && !self.settling.waits(slot);
            self.break_watch(session, |server| stays || then == Some(server));
        }
    }

    /// Marks what is in flight for these slots at the servers of their route; `NONE` if nothing is.
    fn begin_drain(&mut self, serving: Serving<'_>, route: Route, slots: &[u16]) -> u32 {
        let servers: Vec<u16> = match route {
            Route::Server { master, replicas } => {
                let replicas = self.routes.replicas[usize::from(replicas)].iter().flatten();
                replicas.copied().chain([master]).collect()
            }
            Route::Migrating { from, to } => vec![from, to],
            Route::Offline | Route::Moving | Route::Parked => Vec::new(),
        };
        let servers = servers.iter().map(|server| &self.routes.servers[usize::from(*server)]);
        let connections = servers.flat_map(|server| server.connections());
        // On a dedicated connection, a request may stay for as long as its slot does.
        let concerns =
            |target: &Backend| target.role != Role::Dedicated || slots.contains(&target.slot);
        let marks = self.marks(connections, concerns);
        if marks.is_empty() {
            return NONE;
        }
        let before = self.routes.topology.epoch;
        let group = serving.group.clone();
        let from = serving.from.map(|(master, since)| (Address::clone(master), since));
        self.settling.drains.insert(Drain { before, group, from, marks }) as u32
    }

    /// Marks what is in flight on those of the connections that matter.
    fn marks(
        &self,
        connections: impl Iterator<Item = u32>,
        matters: impl Fn(&Backend) -> bool,
    ) -> Vec<Mark> {
        let marks = connections.filter_map(|backend| {
            let target = &self.backends[backend as usize];
            let in_flight = matters(target) && !target.in_flight.is_empty();
            in_flight.then_some(Mark { backend, serial: target.serial, offset: target.written })
        });
        marks.collect()
    }

    /// Lets the present epoch settle only when what is in flight on these connections has been answered, or lost,
    /// or is late.
    pub(super) fn await_answers(&mut self, connections: Vec<u32>, before: u64, due_us: u64) {
        let marks = self.marks(connections.into_iter(), |_| true);
        if !marks.is_empty() {
            self.settling.answers.push(Answers { before, marks, due_us });
        }
    }

    /// Lets slots go on that have come back to the servers that they waited for: requests meet on the
    /// same connections, whose order is enough. Not so where a connection is about to be closed.
    pub(super) fn release_returned(&mut self) {
        let Self { settling, backends, routes, settings, .. } = self;
        for slot in 0..SLOT_COUNT {
            let Some(drain) = settling.drains.get(settling.waits[slot] as usize) else { continue };
            let goes_on = |mark: &Mark| mark.backend(backends).is_none_or(|kept| !kept.retired);
            let returned = Serving::of(&routes.topology, slot)
                .is_some_and(|now| drain.serving().same(now, settings.primary_only));
            if returned && drain.marks.iter().all(goes_on) {
                settling.waits[slot] = NONE;
            }
        }
        let waits = &settling.waits;
        settling.drains.retain(|drain, _| waits.contains(&(drain as u32)));
    }

    /// Ends the drains whose marks are met, and says which epoch has settled.
    #[cold]
    pub(super) fn settle(&mut self) {
        let Self { settling, backends, routes, .. } = self;
        let before = settling.drains.len();
        let mut left = Vec::new();
        settling.drains.retain(|drain, Drain { marks, .. }| {
            marks.retain(|mark| !mark.is_met(backends));
            if marks.is_empty() {
                for (slot, waits) in settling.waits.iter_mut().enumerate() {
                    if *waits == drain as u32 {
                        *waits = NONE;
                        routes.slots[slot] = routes.newest(slot);
                        left.push(slot as u16);
                    }
                }
            }
            !marks.is_empty()
        });
        settling.answers.retain_mut(|Answers { marks, .. }| {
            marks.retain(|mark| !mark.is_met(backends));
            !marks.is_empty()
        });
        let unsettled = settling.unsettled();
        settling.pending = unsettled.is_some();
        let epoch = unsettled.unwrap_or(routes.topology.epoch);
        if epoch > settling.settled {
            settling.settled = epoch;
            self.effects.push(Effect::Settled { epoch });
        }
        if self.settling.drains.len() < before {
            self.slots_left(&left);
            self.wake_parked();
        }
    }

    /// The oldest epoch by which a request in flight on this connection may have been routed there, in so
    /// far as newer ones would have it go elsewhere.
    pub(super) fn routed_by(&self, backend: u32) -> u64 {
        let holds = |drain: &&Drain| {
            let mut marks = drain.marks.iter().filter(|mark| mark.backend == backend);
            marks.any(|mark| !mark.is_met(&self.backends))
        };
        let drains = self.settling.drains.iter().map(|(_, drain)| drain);
        drains.filter(holds).map(|drain| drain.before).min().unwrap_or(self.routes.topology.epoch)
    }

    /// For the engine's own audit: each slot has the newest route, or waits for something.
    pub(super) fn audit_settling(&self) -> Result<(), String> {
        let settling = &self.settling;
        for slot in 0..SLOT_COUNT {
            let newest = self.routes.newest(slot);
            let expected = match newest {
                Route::Server { .. } | Route::Migrating { .. } if settling.waits(slot) => {
                    Route::Parked
                }
                route => route,
            };
            if self.routes.slots[slot] != expected {
                return Err(format!("slot {slot} has a route of an older topology"));
            }
            if settling.waits(slot) && !settling.drains.contains(settling.waits[slot] as usize) {
                return Err(format!("slot {slot} waits for nothing"));
            }
        }
        for (index, drain) in &settling.drains {
            if !settling.waits.contains(&(index as u32)) {
                return Err("no slot waits for a drain".into());
            }
            if drain.marks.is_empty() || drain.marks.iter().any(|mark| mark.is_met(&self.backends))
            {
                return Err("a drain goes on when everything is answered".into());
            }
        }
        let epoch = self.routes.topology.epoch;
        match settling.unsettled().is_none() {
            true if settling.settled != epoch => Err(format!("epoch {epoch} has settled, unsaid")),
            false if settling.settled >= epoch => Err(format!("epoch {epoch} has not settled")),
            _ => Ok(()),
        }
    }
}

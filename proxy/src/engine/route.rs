//! From a slot to the backend connection that its requests go to.

use super::backend::{Backend, Role, State};
use super::lane::{Lane, Row};
use super::session::Flags;
use super::{Engine, NO_INDEX, dedicated};
use crate::slots::{self, SLOT_COUNT};
use crate::topology::{Address, GroupIndex, SlotState, Topology};
use ahash::AHashMap;
use codis_proto::{BIG_KEY_PREFIX, RESERVED_KEYS};
use std::sync::Arc;

/// No backend yet.
pub(super) const NONE: u32 = u32::MAX;

/// What each of the reserved keys begins with; hardly any other key does.
const RESERVED_START: &[u8] = b"__codis_";

/// Whether a key is the metadata group's own, or a mover's. Clients must not touch it.
#[inline]
pub(super) fn is_reserved(key: &[u8]) -> bool {
    if key.starts_with(RESERVED_START) {
        RESERVED_KEYS.iter().any(|reserved| reserved.as_bytes() == key)
    } else {
        key.starts_with(BIG_KEY_PREFIX.as_bytes())
    }
}

/// The slots of all reserved keys: the prefix of the hidden keys is a tag.
fn reserved_slots() -> [u16; RESERVED_KEYS.len() + 1] {
    let mut slots = [slots::slot(BIG_KEY_PREFIX.as_bytes()); RESERVED_KEYS.len() + 1];
    for (slot, key) in slots.iter_mut().zip(RESERVED_KEYS) {
        *slot = slots::slot(key.as_bytes());
    }
    slots
}

/// What a slot's requests meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Route {
    /// No group serves the slot.
    Offline,
    /// The slot's keys are on their way; this proxy cannot follow them.
    Moving,
    /// Requests go to the one master, once their keys have left the other: indexes in `servers`.
    Migrating { from: u16, to: u16 },
    /// Requests wait.
    Parked,
    /// The index of the master in `servers`, and of the group's replicas in `replicas`.
    Server { master: u16, replicas: u16 },
}

/// A server that the topology names, with the connections to it.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: Address,
    group: u32,
    pub(super) replica: bool,
    /// By protocol; then by database and place: `database * parallel + slot % parallel`.
    backends: [Vec<u32>; Lane::TABLES],
    /// The connection that waits for the server's replicas, and does nothing else.
    waiter: u32,
    /// The connection that hears for all sessions; masters have one once it is needed.
    pub(super) subscriber: u32,
    pub(super) dedicated: dedicated::Pool,
}

impl Server {
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// The connections for requests that there are.
    pub(super) fn connections(&self) -> impl Iterator<Item = u32> {
        self.shared().chain(self.dedicated.all.iter().copied())
    }

    /// Those that are nobody's own.
    pub(super) fn shared(&self) -> impl Iterator<Item = u32> {
        let all = self.backends.iter().flatten().chain([&self.waiter]).copied();
        all.filter(|backend| *backend != NONE)
    }

    /// All connections that there are.
    fn all_connections(&self) -> impl Iterator<Item = u32> {
        let subscriber = (self.subscriber != NONE).then_some(self.subscriber);
        self.connections().chain(subscriber)
    }
}

/// The slot table of a shard.
#[derive(Debug)]
pub(super) struct Routes {
    /// What is in force: the newest topology's routes, but that slots which wait for their old servers
    /// are parked ([`super::settle`]).
    pub(super) slots: Box<[Route; SLOT_COUNT]>,
    pub(super) servers: Vec<Server>,
    /// Replicas of a group, in sets of falling preference; entry 0 is empty.
    pub(super) replicas: Vec<Vec<Vec<u16>>>,
    /// By group of the newest topology: the route of the slots that it serves.
    groups: Vec<Route>,
    /// By row and slot: the backend of every request for it, once one has found it. The slots of
    /// reserved keys never have one: whoever takes it does not look at the key.
    shortcuts: Box<[u32; Row::COUNT * SLOT_COUNT]>,
    /// The slots of the reserved keys.
    reserved: [u16; RESERVED_KEYS.len() + 1],
    pub(super) topology: Arc<Topology>,
}

/// Where a request of a slot goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To this backend.
    To(u32),
    /// To wherever its keys are: the slot migrates.
    Follow,
    /// Nowhere.
    Nowhere(NoRoute),
}

/// Why a request cannot be sent to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoute {
    /// No group serves the slot.
    Offline,
    /// The slot's keys are moving between groups.
    Moving,
    /// The request waits until the slot is unlocked.
    Parked,
}

impl Routes {
    pub(super) fn new() -> Self {
        Self {
            slots: Box::new([Route::Offline; SLOT_COUNT]),
            servers: Vec::new(),
            replicas: vec![Vec::new()],
            groups: Vec::new(),
            shortcuts: Box::new([NONE; Row::COUNT * SLOT_COUNT]),
            reserved: reserved_slots(),
            topology: Arc::new(Topology::offline()),
        }
    }
}

impl Routes {
    /// The backend of every request for this slot by sessions of this row, where that is known.
    #[inline(always)]
    pub(super) fn shortcut(&self, slot: u16, row: Row) -> Option<u32> {
        let backend = self.shortcuts.get(usize::from(row.0) + usize::from(slot));
        backend.copied().filter(|backend| *backend != NONE)
    }

    /// Forgets them: they depend on the topology and on whether replicas are read.
    pub(super) fn forget_shortcuts(&mut self) {
        self.shortcuts.fill(NONE);
    }

    /// A slot's route by the newest topology.
    pub(super) fn newest(&self, slot: usize) -> Route {
        let slot = self.topology.slots[slot];
        match slot.state {
            _ if slot.locked => Route::Parked,
            SlotState::Offline => Route::Offline,
            SlotState::Preparing { .. } => Route::Parked,
            SlotState::Migrating { from, to, .. } => {
                let groups = (self.groups[usize::from(from.0)], self.groups[usize::from(to.0)]);
                match (self.topology.moves, groups) {
                    (
                        Some(_),
                        (Route::Server { master: from, .. }, Route::Server { master: to, .. }),
                    ) => Route::Migrating { from, to },
                    _ => Route::Moving,
                }
            }
            SlotState::Stable(group) => self.groups[usize::from(group.0)],
        }
    }

    /// The master of a group of the newest topology.
    pub(super) fn master(&self, group: GroupIndex) -> Option<u16> {
        match self.groups.get(usize::from(group.0))? {
            Route::Server { master, .. } => Some(*master),
            _ => None,
        }
    }

    /// A server's address.
    pub(super) fn address(&self, server: u16) -> Address {
        Arc::clone(&self.servers[usize::from(server)].address)
    }
}

/// The servers of a new topology, each once, with the connections that the old one had.
struct ServerList {
    servers: Vec<Server>,
    by_address: AHashMap<Address, u16>,
    old: AHashMap<Address, Server>,
    /// Whether masters and replicas have as many connections: a place in `Server::backends` means
    /// the same for both then.
    same_places: bool,
}

impl ServerList {
    fn index(&mut self, address: &Address, group: u32, replica: bool) -> u16 {
        if let Some(index) = self.by_address.get(address) {
            return *index;
        }
        let index = self.servers.len() as u16;
        let mut old = self.old.get_mut(address);
        let waiter = old.as_ref().map_or(NONE, |old| old.waiter);
        let subscriber =
            old.as_mut().map_or(NONE, |old| std::mem::replace(&mut old.subscriber, NONE));
        let dedicated = old.as_mut().map(|old| std::mem::take(&mut old.dedicated));
        let backends = match old {
            Some(old) if old.replica == replica || self.same_places => {
                old.waiter = NONE;
                std::mem::take(&mut old.backends)
            }
            // What is left behind is retired.
            Some(old) => {
                old.waiter = NONE;
                Default::default()
            }
            None => Default::default(),
        };
        self.servers.push(Server {
            address: Arc::clone(address),
            group,
            replica,
            backends,
            waiter,
            subscriber,
            dedicated: dedicated.unwrap_or_default(),
        });
        self.by_address.insert(Arc::clone(address), index);
        index
    }
}

impl Engine {
    /// Installs a topology, if it is newer than the present one. Slots that it takes from their servers
    /// wait until what is in flight there has been answered; when all that is done, the effect
    /// [`super::Effect::Settled`] says so. Connections to servers that it no longer names are closed once
    /// everything in flight on them is answered.
    pub fn on_topology(&mut self, topology: &Arc<Topology>) {
        if topology.epoch <= self.routes.topology.epoch {
            return;
        }
        self.begin_drains(topology);
        let before = self.routes.topology.epoch;
        let leaving = self.slots_that_leave(topology);
        self.fans.history.pass(&self.routes.topology, topology);
        let left = self.install_servers(topology);
        self.routes.topology = Arc::clone(topology);
        self.keep_facts_true();
        for backend in left {
            self.retire(backend);
        }
        self.release_returned();
        self.install_routes();
        self.keep_moves_true();
        self.keep_trackers_true();
        self.keep_subscriptions_true(before, leaving);
        self.connect_masters();
        self.connect_fenced();
        self.wake_parked();
    }

    /// Makes the list of the topology's servers; answers the connections that none of them has any more.
    fn install_servers(&mut self, topology: &Topology) -> Vec<u32> {
        let old = std::mem::take(&mut self.routes.servers);
        let mut list = ServerList {
            servers: Vec::new(),
            by_address: AHashMap::new(),
            old: old.into_iter().map(|server| (Arc::clone(&server.address), server)).collect(),
            same_places: self.settings.primary_parallel == self.settings.replica_parallel,
        };
        let mut replicas = vec![Vec::new()];
        let mut groups = Vec::new();
        for group in &topology.groups {
            let master = list.index(&group.master, group.id, false);
            let sets: Vec<Vec<u16>> = group
                .replicas
                .iter()
                .map(|set| set.iter().map(|a| list.index(a, group.id, true)).collect())
                .collect();
            let replicas_index = if sets.is_empty() {
                0
            } else {
                replicas.push(sets);
                (replicas.len() - 1) as u16
            };
            groups.push(Route::Server { master, replicas: replicas_index });
        }
        self.routes.servers = list.servers;
        self.routes.replicas = replicas;
        self.routes.groups = groups;
        let mut left: Vec<u32> = list.old.values().flat_map(Server::all_connections).collect();
        // In an order that no hash decides, so that a simulated run can be repeated.
        left.sort_unstable();
        left
    }

    /// Puts the newest routes in force, where no slot has to wait.
    fn install_routes(&mut self) {
        for slot in 0..SLOT_COUNT {
            self.routes.slots[slot] = match self.routes.newest(slot) {
                Route::Server { .. } | Route::Migrating { .. } if self.settling.waits(slot) => {
                    Route::Parked
                }
                route => route,
            };
        }
        self.routes.forget_shortcuts();
    }

    /// Lets sessions that wait for a slot try again.
    pub(super) fn wake_parked(&mut self) {
        for session in std::mem::take(&mut self.parked) {
            self.make_resumable(session);
        }
    }

    /// A server may have changed its group or its role.
    fn keep_facts_true(&mut self) {
        for server in &self.routes.servers {
            for backend in server.all_connections() {
                self.backends[backend as usize].group = server.group;
                self.backends[backend as usize].replica = server.replica;
            }
        }
    }

    /// Connects to every master before the first request needs it, so that an unreachable one is
    /// seen at once.
    fn connect_masters(&mut self) {
        for server in 0..self.routes.servers.len() {
            if self.routes.servers[server].replica {
                continue;
            }
            for place in 0..self.settings.primary_parallel {
                let backend = self.backend_at(server as u16, Lane::own(0), place as u16);
                if self.backends[backend as usize].state == State::Idle {
                    self.connect(backend);
                }
            }
        }
    }

    /// Whether a request of a session may go to a replica.
    pub(super) fn may_read_replicas(&self, session: u32, read_only: bool) -> bool {
        let flags = self.sessions[session as usize].flags;
        let wanted = !self.settings.primary_only || flags.has(Flags::READS_REPLICAS);
        read_only && wanted && !flags.has(Flags::READS_MASTERS)
    }

    /// The backend for a slot's request; `replicas_too`: it may be a replica.
    #[inline]
    pub(super) fn route(&mut self, slot: u16, lane: Lane, replicas_too: bool) -> Way {
        match self.routes.slots[usize::from(slot) % SLOT_COUNT] {
            Route::Server { master, replicas } => {
                if replicas != 0
                    && replicas_too
                    && lane.tracker == NO_INDEX
                    && let Some(backend) = self.replica(replicas, slot, lane)
                {
                    return Way::To(backend);
                }
                let backend = self.backend_at(master, lane, slot);
                let place = usize::from(lane.row().0) + usize::from(slot);
                if (replicas == 0 || self.settings.primary_only)
                    && !self.routes.reserved.contains(&slot)
                    && let Some(shortcut) = self.routes.shortcuts.get_mut(place)
                {
                    *shortcut = backend;
                }
                Way::To(backend)
            }
            Route::Migrating { .. } => Way::Follow,
            Route::Parked => Way::Nowhere(NoRoute::Parked),
            Route::Offline => Way::Nowhere(NoRoute::Offline),
            Route::Moving => Way::Nowhere(NoRoute::Moving),
        }
    }

    /// A replica that can serve now. One that is not connected yet is asked to be, for later.
    fn replica(&mut self, replicas: u16, slot: u16, lane: Lane) -> Option<u32> {
        for set in 0..self.routes.replicas[usize::from(replicas)].len() {
            let len = self.routes.replicas[usize::from(replicas)][set].len();
            for step in 0..len {
                let place = (usize::from(slot) + step) % len;
                let server = self.routes.replicas[usize::from(replicas)][set][place];
                let backend = self.backend_at(server, lane, slot);
                match self.backends[backend as usize].state {
                    State::Ready
                        if self.backends[backend as usize].rests_until_us <= self.now_us =>
                    {
                        return Some(backend);
                    }
                    State::Idle => self.connect(backend),
                    _ => {}
                }
            }
        }
        None
    }

    /// The connection to a server for a lane; made on first use.
    ///
    /// It is chosen by slot: two requests of a session for one key must meet on one connection, or
    /// they could overtake each other.
    #[inline]
    pub(super) fn backend_at(&mut self, server: u16, lane: Lane, slot: u16) -> u32 {
        if lane.tracker != NO_INDEX {
            return self.tracker_at(server, lane, slot);
        }
        let entry = &self.routes.servers[usize::from(server)];
        let parallel = if entry.replica {
            self.settings.replica_parallel
        } else {
            self.settings.primary_parallel
        };
        let one_of = if parallel == 1 { 0 } else { usize::from(slot) % parallel };
        let place = usize::from(lane.database) * parallel + one_of;
        match entry.backends[lane.table()].get(place) {
            Some(&backend) if backend != NONE => backend,
            _ => self.make_backend(server, lane, place),
        }
    }

    #[cold]
    fn make_backend(&mut self, server: u16, lane: Lane, place: usize) -> u32 {
        let index = self.insert_backend(server, lane);
        let backends = &mut self.routes.servers[usize::from(server)].backends;
        let backends = &mut backends[lane.table()];
        if backends.len() <= place {
            backends.resize(place + 1, NONE);
        }
        backends[place] = index;
        index
    }

    pub(super) fn insert_backend(&mut self, server: u16, lane: Lane) -> u32 {
        let entry = &self.routes.servers[usize::from(server)];
        let address = Arc::clone(&entry.address);
        self.backends_made += 1;
        let serial = self.backends_made;
        let backend = Backend::new(serial, address, entry.group, entry.replica, lane);
        self.backends.insert(backend) as u32
    }

    /// The connection that waits for the replicas of the server at this address; made on first use. `None` where
    /// the topology has no such server.
    pub(super) fn waiter(&mut self, address: &Address) -> Option<u32> {
        let server = self.routes.servers.iter().position(|server| server.address == *address)?;
        let known = self.routes.servers[server].waiter;
        if known != NONE {
            return Some(known);
        }
        let index = self.insert_backend(server as u16, Lane::own(0));
        self.backends[index as usize].role = Role::Waiter;
        self.routes.servers[server].waiter = index;
        Some(index)
    }
}

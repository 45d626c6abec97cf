//! One run: what there is in it, virtual time, and who hears of what.

use crate::clients::Client;
use crate::group::{Group, SharedGroup, UNIX_MS_AT_START};
use crate::history::Histories;
use crate::leader::desk::{SharedDesk, lock};
use crate::leader::{Leader, Lines};
use crate::plan::Plan;
use crate::proxies::{Backend, Node, Proxy};
use crate::readers::Added;
use crate::server::data::Place;
use crate::server::lua::Scripts;
use crate::server::{Near, Server, Wire};
use codis_proto::meta::v1::command::Change;
use codis_proxy::topology::Topology;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::{Arc, Mutex};

/// More events than any run needs: one that has them goes round in circles.
const EVENTS_MAX: usize = 2_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    // Servers and their connections.
    Serve(usize),
    Connected(usize),
    Opened(usize),
    Arrive(usize),
    Return(usize),
    MigrateLate(usize, u64),
    LinkIdle(usize, usize),
    Waited { server: usize, run: u64, wire: usize, follows: bool },
    WaitLate { server: usize, run: u64, wire: usize, serial: u64 },
    // Proxies.
    Tick(usize),
    BackendClosed { node: usize, life: u64, backend: u32 },
    Topology { proxy: usize, life: u64, epoch: u64 },
    Register { proxy: usize, life: u64 },
    Ack { proxy: usize, life: u64, epoch: u64 },
    // Clients.
    ClientTurn(usize),
    ToProxy(usize),
    FromProxy(usize),
    // Leaders.
    LeaderTurn(usize),
    Wake(usize, u64),
    Look(usize, u64),
    Step(usize, u64),
    AskLate(u64, u64),
    // What goes wrong, and what operators do.
    Fault,
    ThawServer { server: usize, run: u64 },
    StartServer(usize),
    Relieve(usize),
    Snapshot(usize),
    ThawProxy { proxy: usize, life: u64 },
    StartProxy(usize),
    ThawLeader(usize),
    DropLeader(usize),
    Operate,
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) rng: fastrand::Rng,
    pub(crate) now: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    scheduled: u64,
    pub(crate) handled: usize,
    serial: u64,
    failure: Option<String>,
    pub(crate) healed: bool,
    pub(crate) servers: Vec<Server>,
    pub(crate) wires: Vec<Wire>,
    pub(crate) scripts: Scripts,
    pub(crate) group: SharedGroup,
    pub(crate) topologies: BTreeMap<u64, Arc<Topology>>,
    pub(crate) desk: SharedDesk,
    pub(crate) leaders: Vec<Leader>,
    pub(crate) lines: Lines,
    pub(crate) steps: BTreeMap<u64, (Change, u64)>,
    pub(crate) beyond: BTreeMap<u64, (usize, u64)>,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) clients: Vec<Client>,
    pub(crate) histories: Histories,
    pub(crate) added: Added,
    /// By server: what requests named that ran though their proxies had given them up.
    pub(crate) late: BTreeSet<(usize, Place)>,
    /// A summary of everything that happened, to compare runs.
    pub(crate) trace: u64,
    /// What happened, for whoever looks into a failure.
    pub(crate) story: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let servers = (0..plan.groups).map(|number| {
            let mut server = Server::new(&format!("10.0.0.{}:6379", number + 1), number as u32 + 1);
            server.replica = plan.replicas.then(Default::default);
            server
        });
        let clients = (0..plan.all_clients()).map(|number| Client::new(number, &plan));
        let mut histories = Histories::default();
        plan.pairs.iter().for_each(|(first, second)| histories.pair(first, second));
        Self {
            rng: fastrand::Rng::with_seed(plan.seed),
            now: 0,
            events: BinaryHeap::new(),
            scheduled: 0,
            handled: 0,
            serial: 0,
            failure: None,
            healed: false,
            servers: servers.collect(),
            wires: Vec::new(),
            scripts: Scripts::new(),
            group: Arc::new(Mutex::new(Group::new())),
            topologies: BTreeMap::new(),
            desk: SharedDesk::default(),
            leaders: Vec::new(),
            lines: Lines::new(),
            steps: BTreeMap::new(),
            beyond: BTreeMap::new(),
            proxies: (0..plan.proxies).map(Proxy::new).collect(),
            nodes: Vec::new(),
            clients: clients.collect(),
            histories,
            added: Added::new(),
            late: BTreeSet::new(),
            trace: 0,
            story: std::env::var("CODIS_SIM_SEED").is_ok().then(Vec::new),
            plan,
        }
    }

    /// The run has failed, whatever happens from here on.
    pub(crate) fn fail(&mut self, why: String) {
        self.failure.get_or_insert(why);
    }

    /// Notes something for the story of the run.
    pub(crate) fn tell(&mut self, what: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(story) = &mut self.story {
            story.push(format!("{now:>9} {}", what()));
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        UNIX_MS_AT_START + self.now / 1000
    }

    pub(crate) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Schedules an event up to `delay_us` from now.
    pub(crate) fn soon(&mut self, delay_us: u64, event: Event) {
        let delay = self.rng.u64(0..=delay_us);
        self.at(self.now + delay, event);
    }

    pub(crate) fn at(&mut self, time: u64, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((time.max(self.now), self.scheduled, event)));
    }

    /// How many of so many bytes go at once.
    pub(crate) fn chunk(&mut self, available: usize) -> usize {
        if !self.plan.cut || available <= 1 || self.rng.bool() {
            return available;
        }
        self.rng.usize(1..=available)
    }

    pub(crate) fn server_at(&self, address: &str) -> usize {
        let found = self.servers.iter().position(|server| server.address == *address);
        found.unwrap_or_else(|| panic!("a connection to {address}, which is no server"))
    }

    /// Runs until `done`, at most to `end`.
    pub(crate) fn run_until(
        &mut self,
        end: u64,
        done: impl Fn(&Self) -> bool,
    ) -> Result<(), String> {
        while !done(self) {
            let Some(&Reverse((at, _, _))) = self.events.peek() else { break };
            if at > end {
                break;
            }
            self.now = at;
            lock(&self.group).tick(at);
            // Servers expire keys by themselves as well.
            while let Some(&Reverse((due, number, event))) = self.events.peek() {
                if due > self.now {
                    break;
                }
                self.events.pop();
                self.handled += 1;
                self.trace = (self.trace ^ due ^ number).wrapping_mul(0x100_0000_01b3);
                self.handle(event);
                self.finish_turns()?;
                if let Some(why) = self.failure.take() {
                    return Err(why);
                }
            }
            if self.handled > EVENTS_MAX {
                return Err("the run does not end".into());
            }
        }
        Ok(())
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Serve(server) => self.serve(server),
            Event::Connected(wire) => self.connected(wire),
            Event::Opened(wire) => self.opened(wire),
            Event::Arrive(wire) => self.arrive(wire),
            Event::Return(wire) => self.come_back(wire),
            Event::MigrateLate(server, serial) => self.migrate_late(server, serial),
            Event::LinkIdle(server, wire) => self.link_idle(server, wire),
            Event::Waited { server, run, wire, follows } => self.waited(server, run, wire, follows),
            Event::WaitLate { server, run, wire, serial } => {
                self.wait_late(server, run, wire, serial)
            }
            Event::Tick(node) => self.tick(node),
            Event::BackendClosed { node, life, backend } => {
                self.backend_closed(node, life, backend)
            }
            Event::Topology { proxy, life, epoch } => self.topology_comes(proxy, life, epoch),
            Event::Register { proxy, life } => self.register(proxy, life),
            Event::Ack { proxy, life, epoch } => self.ack_arrives(proxy, life, epoch),
            Event::ClientTurn(client) => self.client_turn(client),
            Event::ToProxy(client) => self.reach_proxy(client),
            Event::FromProxy(client) => self.hear_proxy(client),
            Event::LeaderTurn(leader) => self.leader_turn(leader),
            Event::Wake(_, id) => self.wake_leader(id),
            Event::Look(leader, id) => self.look_at_group(leader, id),
            Event::Step(leader, id) => self.step(leader, id),
            Event::AskLate(call, id) => self.ask_late(call, id),
            Event::Fault => self.fault(),
            Event::ThawServer { server, run } => self.thaw_server(server, run),
            Event::StartServer(server) => self.start_server(server),
            Event::Relieve(server) => self.servers[server].full = false,
            Event::Snapshot(server) => self.take_snapshot(server),
            Event::ThawProxy { proxy, life } => self.thaw_proxy(proxy, life),
            Event::StartProxy(proxy) => self.start_proxy(proxy),
            Event::ThawLeader(leader) => self.thaw_leader(leader),
            Event::DropLeader(leader) => self.drop_leader(leader),
            Event::Operate => self.operate(),
        }
    }

    // Who has the near end of a connection.

    pub(crate) fn near_is_frozen(&self, wire: usize) -> bool {
        match self.wires[wire].near {
            Near::Backend { node, life, .. } => {
                let proxy = &self.proxies[self.nodes[node].proxy];
                proxy.life == life && proxy.frozen
            }
            // What comes waits in the answers of its desk.
            Near::Leader { .. } => false,
            // It reads when it goes on.
            Near::Server { .. } => false,
        }
    }

    /// Whoever asked for a connection hears that it is there.
    fn opened(&mut self, wire: usize) {
        if self.wires[wire].over {
            return;
        }
        if self.near_is_frozen(wire) {
            return self.at(self.now + 1_000, Event::Opened(wire));
        }
        match self.wires[wire].near {
            Near::Backend { node, life, backend } => {
                if self.is_backends(wire, node, life, backend) {
                    self.backend_event(node, backend, Backend::Open);
                }
            }
            Near::Leader { call } => self.line_connected(call),
            Near::Server { .. } => {}
        }
    }

    pub(crate) fn near_bytes(&mut self, wire: usize, bytes: &[u8]) {
        match self.wires[wire].near {
            Near::Backend { node, life, backend } => {
                if self.is_backends(wire, node, life, backend) {
                    self.backend_event(node, backend, Backend::Bytes(bytes));
                }
            }
            Near::Leader { call } => self.line_bytes(call, bytes),
            Near::Server { server, run } => {
                if self.servers[server].runs == run {
                    self.link_bytes(server, wire, bytes);
                }
            }
        }
    }

    pub(crate) fn near_lost(&mut self, wire: usize) {
        match self.wires[wire].near {
            Near::Backend { node, life, backend } => {
                if self.is_backends(wire, node, life, backend) {
                    self.backend_event(node, backend, Backend::Lost);
                }
            }
            Near::Leader { call } => self.line_lost(call),
            Near::Server { server, run } => {
                if self.servers[server].runs == run {
                    self.link_lost(server, wire);
                }
            }
        }
    }
}

//! One run: engines, the driver model around them, servers, clients, virtual time.
//!
//! Everything happens in events; what happens at one time is one turn of each engine. The driver
//! model ([`crate::driver`]) keeps the engine's contract and is otherwise as unkind as it may be.

use crate::client::Client;
use crate::ledger::{Checked, Ledger};
use crate::operator::Operator;
use crate::plan::{Bug, Mode, Plan};
use crate::script::Script;
use crate::server::{Conn, Server, Store};
use crate::waits::Waits;
use codis_proxy::engine::{Effect, Engine};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// More events than any run needs: one that has them goes round in circles.
const EVENTS_MAX: usize = 3_000_000;
/// How long a topology takes to a proxy that is cut off from the group; it may well reconnect to a server
/// meanwhile.
const CUT_OFF_US_MAX: u64 = 300_000;
/// How long everything may take to be answered once nothing fails any more, in microseconds.
const HEALED_US_MAX: u64 = 200_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    ClientOpens(usize),
    ClientWrites(usize),
    ClientReads(usize),
    ClientResets(usize),
    ReadClient(usize),
    SendClient(usize),
    CloseClient(usize),
    Connected(usize),
    ReadServer(usize),
    SendServer(usize),
    CloseServer(usize),
    ServerReads(usize),
    ServerAnswers(usize),
    Fault,
    Recover(usize),
    Kill,
    Change,
    Fence,
    Install(usize, usize),
    Answer(usize),
    WaitEnds(usize, u64),
}

/// A question that the control thread has yet to answer.
pub(crate) struct Question {
    pub(crate) node: usize,
    pub(crate) session: u32,
    pub(crate) client: u64,
    pub(crate) sequence: u32,
    pub(crate) reply: Vec<u8>,
}

/// One engine and what its driver knows.
pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) conn_of: Vec<Option<usize>>,
    pub(crate) client_of: Vec<Option<usize>>,
    pub(crate) questions: usize,
    pub(crate) epoch: u64,
    /// The newest epoch that the engine has said to have settled.
    pub(crate) settled: u64,
    effects: Vec<Effect>,
    touched: bool,
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) rng: fastrand::Rng,
    pub(crate) now: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    scheduled: u64,
    handled: usize,
    pub(crate) nodes: Vec<Node>,
    pub(crate) clients: Vec<Client>,
    pub(crate) conns: Vec<Conn>,
    pub(crate) servers: Vec<Server>,
    pub(crate) stores: Vec<Store>,
    pub(crate) waits: Waits,
    /// By home: the fence on its servers; 0 for none.
    pub(crate) fences: Vec<u64>,
    pub(crate) ledger: Ledger,
    operator: Operator,
    pub(crate) questions: Vec<Option<Question>>,
    /// Sessions that the proxy closed before it had answered everything.
    pub(crate) abrupt: u64,
    pub(crate) healed: bool,
    pub(crate) draining: bool,
    /// What the planted bug's carrier remembers.
    pub(crate) stash: Option<(usize, Vec<u8>)>,
    /// A summary of everything that happened, to compare runs.
    trace: u64,
}

/// What a run leaves behind.
pub(crate) struct Outcome {
    /// By client: every byte that it received.
    pub(crate) received: Vec<Vec<u8>>,
    pub(crate) trace: u64,
    pub(crate) replies: usize,
}

/// Runs one seed.
pub(crate) fn run(seed: u64, mode: Mode, bug: Bug) -> Checked<Outcome> {
    let mut world = World::new(Plan::new(seed, mode, bug));
    if let Err(why) = world.live() {
        if std::env::var("CODIS_SIM_SEED").is_ok() {
            println!("{}", world.story());
        }
        return Err(why);
    }
    Ok(Outcome {
        received: world
            .clients
            .iter_mut()
            .map(|client| client.received.take().unwrap_or_default())
            .collect(),
        trace: world.trace,
        replies: world.clients.iter().map(|client| client.replies).sum(),
    })
}

impl World {
    fn new(plan: Plan) -> Self {
        let mut rng = fastrand::Rng::with_seed(plan.seed);
        let homes: Vec<Vec<String>> = (0..plan.homes)
            .map(|home| (0..=plan.replicas).map(|i| format!("s{home}r{i}")).collect())
            .collect();
        let servers = homes.iter().enumerate().flat_map(|(home, addresses)| {
            addresses.iter().map(move |address| Server {
                home,
                address: address.clone(),
                down: false,
                hangs: false,
                frozen: false,
                refuses: false,
                full: false,
                faulty: false,
            })
        });
        let servers = servers.collect();
        let nodes = (0..plan.nodes).map(|shard| Node {
            engine: Engine::new(
                plan.settings.clone(),
                shard,
                1_700_000_000_000_000,
                plan.seed ^ shard as u64,
            ),
            conn_of: Vec::new(),
            client_of: Vec::new(),
            questions: 0,
            epoch: 0,
            settled: 0,
            effects: Vec::new(),
            touched: false,
        });
        let nodes = nodes.collect();
        let names: Vec<String> = (0..plan.names).map(|i| format!("k{i}")).collect();
        let keep = plan.calm;
        let clients = (0..plan.clients).map(|client| {
            let window = [1, 5, usize::MAX][rng.usize(..3)];
            Client::new(
                rng.usize(..plan.nodes),
                Script::new(client, &plan),
                plan.socket_bytes,
                window,
                keep,
            )
        });
        let clients: Vec<Client> = clients.collect();
        let mut ledger = Ledger::default();
        ledger.asked.resize_with(plan.clients, Vec::new);
        ledger.transactions.resize_with(plan.clients, Vec::new);
        Self {
            stores: (0..plan.homes).map(|_| Store::default()).collect(),
            waits: Waits::default(),
            fences: vec![0; plan.homes],
            operator: Operator::new(homes, &names),
            plan,
            rng,
            now: 0,
            events: BinaryHeap::new(),
            scheduled: 0,
            handled: 0,
            nodes,
            clients,
            conns: Vec::new(),
            servers,
            ledger,
            questions: Vec::new(),
            abrupt: 0,
            healed: false,
            draining: false,
            stash: None,
            trace: 0,
        }
    }

    /// Schedules an event up to `delay_us` from now.
    pub(crate) fn soon(&mut self, delay_us: u64, event: Event) {
        let delay = if delay_us == 0 { 0 } else { self.rng.u64(0..=delay_us) };
        self.at(self.now + delay, event);
    }

    pub(crate) fn at(&mut self, time: u64, event: Event) {
        let time = time.max(self.now).next_multiple_of(self.plan.quantum_us);
        self.scheduled += 1;
        self.events.push(Reverse((time, self.scheduled, event)));
    }

    /// From the first connection to the last trace of it.
    fn live(&mut self) -> Checked {
        self.ledger
            .topologies
            .push(std::sync::Arc::new(codis_proxy::topology::Topology::offline()));
        self.publish();
        for client in 0..self.clients.len() {
            let spread = if self.plan.calm { 0 } else { self.plan.chaos_us / 4 };
            self.soon(spread, Event::ClientOpens(client));
        }
        for _ in 0..self.plan.server_faults {
            let at = self.rng.u64(..self.plan.chaos_us);
            self.at(at, Event::Fault);
        }
        for _ in 0..self.plan.topology_changes {
            let at = self.rng.u64(..self.plan.chaos_us);
            self.at(at, Event::Change);
        }
        for _ in 0..self.plan.fences {
            let at = self.rng.u64(..self.plan.chaos_us);
            self.at(at, Event::Fence);
        }
        for _ in 0..self.plan.kills {
            let at = self.rng.u64(..self.plan.chaos_us);
            self.at(at, Event::Kill);
        }
        self.run_until(self.plan.chaos_us, |_| false)?;
        self.heal();
        let end = self.now + HEALED_US_MAX;
        self.run_until(end, |world| world.clients.iter().all(Client::is_quiet))?;
        if let Some(why) = self.why_not_quiet() {
            return Err(why);
        }
        self.leave();
        let end = self.now + HEALED_US_MAX;
        self.run_until(end, |world| world.clients.iter().all(|client| client.session.is_none()))?;
        let nothing = self.operator.nothing();
        self.install_everywhere(nothing);
        let end = self.now + HEALED_US_MAX;
        self.run_until(end, |world| {
            world
                .nodes
                .iter()
                .all(|node| node.engine.sessions() == 0 && node.engine.backends() == 0)
        })?;
        self.check_end()
    }

    fn run_until(&mut self, end: u64, done: impl Fn(&Self) -> bool) -> Checked {
        while !done(self) {
            let event = self.events.peek().map_or(u64::MAX, |Reverse((at, _, _))| *at);
            let deadline = self.nodes.iter().filter_map(|node| node.engine.next_deadline()).min();
            let next = event.min(deadline.unwrap_or(u64::MAX)).max(self.now);
            if next > end {
                self.now = self.now.max(end);
                return Ok(());
            }
            self.now = next;
            self.turn()?;
        }
        Ok(())
    }

    fn turn(&mut self) -> Checked {
        self.handled += 1;
        for node in &mut self.nodes {
            node.engine.set_now(self.now);
            if node.engine.next_deadline().is_some_and(|deadline| deadline <= self.now) {
                node.engine.on_tick();
                node.touched = true;
            }
        }
        // What follows from this turn belongs to the next one, even at the same time.
        let last = self.scheduled;
        while let Some(&Reverse((at, number, event))) = self.events.peek() {
            if at > self.now || number > last {
                break;
            }
            self.events.pop();
            self.handled += 1;
            self.trace = (self.trace ^ at ^ (self.handled as u64)).wrapping_mul(0x100_0000_01b3);
            self.handle(event)?;
        }
        if self.handled > EVENTS_MAX {
            return Err("the run does not end".into());
        }
        for node in 0..self.nodes.len() {
            if std::mem::take(&mut self.nodes[node].touched) {
                self.finish_turn(node)?;
            }
        }
        Ok(())
    }

    /// The engine that an event is about, for the end of its turn.
    pub(crate) fn engine(&mut self, node: usize) -> &mut Engine {
        self.nodes[node].touched = true;
        &mut self.nodes[node].engine
    }

    fn finish_turn(&mut self, node: usize) -> Checked {
        self.nodes[node].engine.finish_turn();
        let emptied = std::mem::take(&mut self.nodes[node].effects);
        let mut effects = self.nodes[node].engine.take_effects(emptied);
        for effect in effects.drain(..) {
            self.carry_out(node, effect)?;
        }
        self.nodes[node].effects = effects;
        while let Some(session) = self.nodes[node].engine.next_dirty_session() {
            self.flush_client(node, session);
        }
        while let Some(backend) = self.nodes[node].engine.next_dirty_backend() {
            self.flush_server(node, backend);
        }
        if self.rng.u8(..8) == 0 {
            self.audit(node)?;
        }
        Ok(())
    }

    /// Checks the engine's own rules, and that no silent server is waited for too long.
    pub(crate) fn audit(&mut self, node: usize) -> Checked {
        let audit = self.nodes[node].engine.audit()?;
        if audit.questions != self.nodes[node].questions {
            return Err(format!(
                "{} references to sessions are not accounted for",
                audit.questions.abs_diff(self.nodes[node].questions)
            ));
        }
        self.audit_silence(node)
    }

    pub(crate) fn handle(&mut self, event: Event) -> Checked {
        match event {
            Event::ClientOpens(client) => self.client_opens(client),
            Event::ClientWrites(client) => self.client_writes(client),
            Event::ClientReads(client) => return self.client_reads(client),
            Event::ClientResets(client) => self.client_resets(client),
            Event::ReadClient(client) => self.read_client(client),
            Event::SendClient(client) => self.send_client(client),
            Event::CloseClient(client) => self.close_client(client),
            Event::Connected(conn) => self.connected(conn),
            Event::ReadServer(conn) => self.read_server(conn),
            Event::SendServer(conn) => self.send_server(conn),
            Event::CloseServer(conn) => self.close_server(conn),
            Event::ServerReads(conn) => return self.server_reads(conn),
            Event::ServerAnswers(conn) => self.server_answers(conn),
            Event::Fault => self.fault(),
            Event::Recover(server) => self.recover(server),
            Event::Kill => self.kill(),
            Event::Change => self.change(),
            Event::Fence => self.raise_fence(),
            Event::Install(node, epoch) => self.install(node, epoch),
            Event::Answer(question) => self.answer(question),
            Event::WaitEnds(conn, serial) => self.wait_ends(conn, serial),
        }
        Ok(())
    }

    /// Makes a topology and sends it to every engine.
    fn publish(&mut self) {
        let topology = self.operator.publish();
        self.install_everywhere(topology);
    }

    fn install_everywhere(&mut self, topology: std::sync::Arc<codis_proxy::topology::Topology>) {
        let epoch = topology.epoch as usize;
        assert_eq!(self.ledger.topologies.len(), epoch, "epochs follow each other");
        self.ledger.topologies.push(topology);
        for node in 0..self.nodes.len() {
            let delay = if epoch == 1 { 0 } else { self.plan.delay_us };
            let cut_off = epoch > 1 && self.plan.fences > 0 && self.rng.u8(..3) == 0;
            let delay = if cut_off { CUT_OFF_US_MAX } else { delay };
            self.soon(delay, Event::Install(node, epoch));
        }
    }

    fn install(&mut self, node: usize, epoch: usize) {
        let topology = std::sync::Arc::clone(&self.ledger.topologies[epoch]);
        self.engine(node).on_topology(&topology);
        self.nodes[node].epoch = self.nodes[node].epoch.max(epoch as u64);
    }

    /// What CLIENT KILL does.
    fn kill(&mut self) {
        let client = self.rng.usize(..self.clients.len());
        if let Some(session) = self.clients[client].session {
            let node = self.clients[client].node;
            self.engine(node).kill(session);
        }
    }

    fn change(&mut self) {
        self.operator.change(&mut self.rng);
        self.publish();
        if self.plan.fences > 0 && self.rng.bool() {
            self.soon(self.plan.delay_us, Event::Fence);
        }
    }

    /// From here on nothing fails and everyone reads.
    fn heal(&mut self) {
        self.healed = true;
        for server in 0..self.servers.len() {
            self.recover(server);
        }
        self.operator.heal();
        self.publish();
        for client in 0..self.clients.len() {
            if !self.clients[client].hearing {
                self.clients[client].hearing = true;
                self.soon(self.plan.delay_us, Event::ClientReads(client));
            }
        }
        if self.plan.drain {
            self.draining = true;
            for node in 0..self.nodes.len() {
                self.engine(node).drain();
            }
        }
    }

    /// Whoever is still there says that it has no more to send.
    fn leave(&mut self) {
        for client in 0..self.clients.len() {
            if self.clients[client].session.is_some() {
                self.clients[client].to_proxy.ended = true;
                self.wake_client_reading(client);
            }
        }
    }
}

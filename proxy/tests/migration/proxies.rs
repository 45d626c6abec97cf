//! Proxies: real engines, one a shard, with what their driver and their link to the group do.
//!
//! The driver here is a plain one; the unkind one is in the other simulation, `tests/simulation`.

use crate::leader::desk::lock;
use crate::plan::Bug;
use crate::server::{Near, Wire};
use crate::world::{Event, World};
use codis_proto::meta::v1 as pb;
use codis_proxy::engine::{Effect, Engine};
use pb::command::Change;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a message to the group takes at most, in microseconds.
const GROUP_US_MAX: u64 = 3_000;

/// A proxy's process, and what is left of it when it dies.
pub(crate) struct Proxy {
    pub(crate) token: String,
    /// Counts its processes.
    pub(crate) life: u64,
    pub(crate) alive: bool,
    pub(crate) frozen: bool,
    /// The newest epoch that came.
    pub(crate) received: u64,
    /// The newest one that is on its disk.
    saved: u64,
    /// The newest one that it has acknowledged.
    acked: u64,
    pub(crate) start_unix_ms: u64,
    /// When it went on after it was frozen last.
    pub(crate) thawed_us: u64,
}

/// A shard of a proxy.
pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) proxy: usize,
    wires: BTreeMap<u32, usize>,
    pub(crate) sessions: BTreeMap<u32, usize>,
    settled: u64,
    touched: bool,
    effects: Vec<Effect>,
    /// When it is to be ticked, as far as that is scheduled.
    tick: u64,
}

impl Proxy {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            token: format!("proxy{number}"),
            life: 0,
            alive: false,
            frozen: false,
            received: 0,
            saved: 0,
            acked: 0,
            start_unix_ms: 0,
            thawed_us: 0,
        }
    }
}

impl World {
    /// A process of a proxy begins, with what is on its disk.
    pub(crate) fn start_proxy(&mut self, proxy: usize) {
        let start_unix_ms = self.now_ms();
        let target = &mut self.proxies[proxy];
        if target.alive {
            return;
        }
        target.life += 1;
        target.alive = true;
        target.received = target.saved;
        target.acked = target.saved;
        target.start_unix_ms = start_unix_ms;
        let (life, saved, token) = (target.life, target.saved, target.token.clone());
        let mut settings = self.plan.settings.clone();
        settings.token.clone_from(&token);
        let (first, shards) = (proxy * self.plan.shards, self.plan.shards);
        for node in first..first + shards {
            let seed = self.plan.seed ^ (node as u64) ^ (life << 8);
            let mut engine = Engine::new(settings.clone(), node - first, 0, seed);
            engine.set_now(self.now);
            if saved > 0 {
                engine.on_topology(&self.topology(saved));
            }
            let fresh = Node {
                engine,
                proxy,
                wires: BTreeMap::new(),
                sessions: BTreeMap::new(),
                settled: 0,
                touched: true,
                effects: Vec::new(),
                tick: u64::MAX,
            };
            if node < self.nodes.len() {
                self.nodes[node] = fresh;
            } else {
                self.nodes.push(fresh);
            }
        }
        self.soon(GROUP_US_MAX, Event::Register { proxy, life });
    }

    /// The group is told of a proxy's process.
    pub(crate) fn register(&mut self, proxy: usize, life: u64) {
        let target = &self.proxies[proxy];
        if target.life != life || !target.alive {
            return;
        }
        let change = pb::ProxyRegister {
            product: "sim".into(),
            protocol: codis_meta::state::limits::PROTOCOL_MIN,
            token: target.token.clone(),
            admin_addr: format!("10.0.1.{proxy}:11080"),
            proxy_addr: format!("10.0.1.{proxy}:19000"),
            proto_type: "tcp4".into(),
            start_unix_ms: target.start_unix_ms,
            shards: self.plan.shards as u32,
            epoch: target.acked,
            ..pb::ProxyRegister::default()
        };
        self.must_apply(Change::ProxyRegister(change));
        self.tell_topology(proxy);
    }

    /// A topology reaches a proxy, and with it whatever came before.
    pub(crate) fn topology_comes(&mut self, proxy: usize, life: u64, epoch: u64) {
        let target = &mut self.proxies[proxy];
        if target.life != life || !target.alive || epoch <= target.received {
            return;
        }
        if target.frozen {
            return self.at(self.now + 2_000, Event::Topology { proxy, life, epoch });
        }
        target.received = epoch;
        target.saved = epoch;
        self.tell(|| format!("proxy {proxy} gets epoch {epoch}"));
        let topology = self.topology(epoch);
        let first = proxy * self.plan.shards;
        for node in first..first + self.plan.shards {
            self.engine(node).on_topology(&Arc::clone(&topology));
        }
        if self.plan.bug == Bug::NotDrained {
            self.acknowledge(proxy, epoch);
        }
    }

    /// Acknowledges what all shards have settled.
    fn acknowledge_settled(&mut self, proxy: usize) {
        let first = proxy * self.plan.shards;
        let settled = self.nodes[first..first + self.plan.shards].iter().map(|node| node.settled);
        self.acknowledge(proxy, settled.min().unwrap_or(0));
    }

    fn acknowledge(&mut self, proxy: usize, epoch: u64) {
        let target = &mut self.proxies[proxy];
        if epoch > target.acked {
            target.acked = epoch;
            let life = target.life;
            self.tell(|| format!("proxy {proxy} acknowledges {epoch}"));
            self.soon(GROUP_US_MAX, Event::Ack { proxy, life, epoch });
        }
    }

    pub(crate) fn ack_arrives(&mut self, proxy: usize, life: u64, epoch: u64) {
        let target = &self.proxies[proxy];
        if target.life == life {
            let acked = pb::proxy_ack::Acked { start_unix_ms: target.start_unix_ms, epoch };
            let proxies = [(target.token.clone(), acked)].into();
            self.must_apply(Change::ProxyAck(pb::ProxyAck { proxies }));
        }
    }

    /// A proxy's process dies.
    pub(crate) fn kill_proxy(&mut self, proxy: usize) {
        let target = &mut self.proxies[proxy];
        if !target.alive {
            return;
        }
        target.alive = false;
        target.frozen = false;
        let change = pb::ProxyOffline {
            token: target.token.clone(),
            start_unix_ms: target.start_unix_ms,
            stopped: false,
        };
        let first = proxy * self.plan.shards;
        for node in first..first + self.plan.shards {
            let wires = std::mem::take(&mut self.nodes[node].wires);
            wires.into_values().for_each(|wire| self.close(wire));
            let sessions = std::mem::take(&mut self.nodes[node].sessions);
            sessions.into_values().for_each(|client| self.session_over(client));
        }
        // Nothing else than its registration can be in the way.
        self.apply(Change::ProxyOffline(change), 0);
    }

    /// The engine that an event is about, for the end of its turn.
    pub(crate) fn engine(&mut self, node: usize) -> &mut Engine {
        let now = self.now;
        let target = &mut self.nodes[node];
        target.touched = true;
        target.engine.set_now(now);
        &mut target.engine
    }

    pub(crate) fn runs(&self, node: usize) -> bool {
        let proxy = &self.proxies[self.nodes[node].proxy];
        proxy.alive && !proxy.frozen
    }

    pub(crate) fn tick(&mut self, node: usize) {
        if self.nodes[node].tick > self.now {
            return;
        }
        self.nodes[node].tick = u64::MAX;
        if !self.proxies[self.nodes[node].proxy].alive {
            return;
        }
        if !self.runs(node) {
            self.nodes[node].tick = self.now + 5_000;
            return self.at(self.now + 5_000, Event::Tick(node));
        }
        self.engine(node).on_tick();
    }

    /// Ends the turns of the engines that something has happened to.
    pub(crate) fn finish_turns(&mut self) -> Result<(), String> {
        for node in 0..self.nodes.len() {
            if std::mem::take(&mut self.nodes[node].touched) {
                self.finish_turn(node)?;
            }
        }
        Ok(())
    }

    fn finish_turn(&mut self, node: usize) -> Result<(), String> {
        let target = &mut self.nodes[node];
        if target.engine.next_deadline().is_some_and(|due| due <= self.now) {
            target.engine.on_tick();
        }
        target.engine.finish_turn();
        let emptied = std::mem::take(&mut target.effects);
        let mut effects = target.engine.take_effects(emptied);
        for effect in effects.drain(..) {
            self.carry_out(node, effect)?;
        }
        self.nodes[node].effects = effects;
        while let Some(session) = self.nodes[node].engine.next_dirty_session() {
            self.flush_session(node, session);
        }
        while let Some(backend) = self.nodes[node].engine.next_dirty_backend() {
            self.flush_backend(node, backend);
        }
        if let Some(due) = self.nodes[node].engine.next_deadline()
            && due < self.nodes[node].tick
        {
            self.nodes[node].tick = due.max(self.now);
            self.at(due, Event::Tick(node));
        }
        if self.rng.u8(..16) == 0 {
            self.nodes[node].engine.audit()?;
        }
        Ok(())
    }

    fn carry_out(&mut self, node: usize, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Connect { backend, address } => {
                let server = self.server_at(&address);
                let life = self.proxies[self.nodes[node].proxy].life;
                let wire = self.connect(Wire::new(server, Near::Backend { node, life, backend }));
                if self.nodes[node].wires.insert(backend, wire).is_some() {
                    return Err(format!("backend {backend} connects twice"));
                }
            }
            Effect::CloseBackend { backend } => {
                if let Some(wire) = self.nodes[node].wires.remove(&backend) {
                    self.close(wire);
                    let life = self.proxies[self.nodes[node].proxy].life;
                    self.soon(10, Event::BackendClosed { node, life, backend });
                }
            }
            Effect::CloseClient { session } => {
                if let Some(client) = self.nodes[node].sessions.remove(&session) {
                    self.engine(node).on_client_closed(session);
                    self.session_over(client);
                }
            }
            Effect::Pause { session } => self.pause(node, session, true),
            Effect::Resume { session } => self.pause(node, session, false),
            Effect::Ask { .. } => return Err("a shard asks its control thread".into()),
            // Nobody monitors.
            Effect::Monitored { .. } | Effect::MonitorEnded { .. } => {}
            Effect::Wanted { database, key } => {
                // It may be lost on the way.
                if self.rng.bool() {
                    let leader = lock(&self.group).leader();
                    self.leaders[leader].wanted.add(u32::from(database), key);
                }
            }
            Effect::Settled { epoch } => {
                self.nodes[node].settled = epoch;
                self.acknowledge_settled(self.nodes[node].proxy);
            }
        }
        Ok(())
    }

    fn pause(&mut self, node: usize, session: u32, paused: bool) {
        if let Some(client) = self.nodes[node].sessions.get(&session).copied() {
            self.clients[client].paused = paused;
            if !paused {
                self.wake_to_proxy(client);
            }
        }
    }

    fn flush_session(&mut self, node: usize, session: u32) {
        while let Some(segment) = self.nodes[node].engine.take_client_output(session) {
            if let Some(client) = self.nodes[node].sessions.get(&session).copied() {
                self.clients[client].from_proxy.extend_from_slice(&segment);
                self.wake_from_proxy(client);
            }
            let engine = self.engine(node);
            engine.on_client_sent(session, segment.len());
            engine.recycle(segment);
        }
    }

    fn flush_backend(&mut self, node: usize, backend: u32) {
        while let Some(segment) = self.nodes[node].engine.take_backend_output(backend) {
            let wire = self.nodes[node].wires.get(&backend).copied();
            if let Some(wire) = wire {
                self.send(wire, &segment);
            }
            let engine = self.engine(node);
            engine.on_backend_sent(backend, segment.len());
            engine.recycle_backend(backend, segment);
        }
    }

    /// The driver says that what the engine wanted closed is closed.
    pub(crate) fn backend_closed(&mut self, node: usize, life: u64, backend: u32) {
        let proxy = &self.proxies[self.nodes[node].proxy];
        if proxy.life != life || !proxy.alive {
            return;
        }
        if proxy.frozen {
            return self.at(self.now + 1_000, Event::BackendClosed { node, life, backend });
        }
        self.engine(node).on_backend_closed(backend, "closed");
    }

    pub(crate) fn backend_event(&mut self, node: usize, backend: u32, what: Backend<'_>) {
        match what {
            Backend::Open => self.engine(node).on_backend_open(backend),
            Backend::Bytes(bytes) => self.engine(node).on_backend_bytes(backend, bytes),
            Backend::Lost => {
                self.nodes[node].wires.remove(&backend);
                self.engine(node).on_backend_closed(backend, "Connection reset by peer");
            }
        }
    }

    /// Whether a wire is the one that a backend of a process has now.
    pub(crate) fn is_backends(&self, wire: usize, node: usize, life: u64, backend: u32) -> bool {
        self.proxies[self.nodes[node].proxy].life == life
            && self.nodes[node].wires.get(&backend) == Some(&wire)
    }
}

/// What happens to a backend's connection.
pub(crate) enum Backend<'a> {
    Open,
    Bytes(&'a [u8]),
    Lost,
}

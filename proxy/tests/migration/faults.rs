//! What goes wrong, and when it is over.

use crate::history::What;
use crate::leader::desk::lock;
use crate::plan::{Key, Trouble};
use crate::server::data::Value;
use crate::server::{Near, Run};
use crate::world::{Event, World};

/// The pauses of whatever is frozen or gone, in microseconds: shorter than any timeout, and longer than all.
const PAUSES_US: [u64; 3] = [10_000, 300_000, 1_500_000];

/// How many of 16 elections leave the old leader frozen for a while.
const FROZEN_LEADERS: u8 = 6;

impl World {
    pub(crate) fn faults_may_happen(&self) -> bool {
        self.plan.trouble != Trouble::None && !self.healed
    }

    /// Whether servers may be other than they should be.
    pub(crate) fn servers_may_fail(&self) -> bool {
        self.faults_may_happen() && self.plan.trouble != Trouble::Proxies
    }

    pub(crate) fn fault(&mut self) {
        if self.healed {
            return;
        }
        let server = self.rng.usize(..self.servers.len());
        let pause = PAUSES_US[self.rng.usize(..3)];
        let pause = self.rng.u64(..pause);
        match (self.plan.trouble, self.rng.u8(..16)) {
            (Trouble::None, _) => {}
            (Trouble::Network, _) => self.stall_links(),
            (Trouble::Losses, 0..5) => self.lose_data(server, pause),
            (Trouble::Proxies, 0..7) | (_, 0..2) => {
                let proxy = self.rng.usize(..self.proxies.len());
                self.freeze_proxy(proxy, pause);
            }
            (Trouble::Proxies, _) | (_, 2) => {
                let proxy = self.rng.usize(..self.proxies.len());
                self.tell(|| format!("proxy {proxy} is killed"));
                self.kill_proxy(proxy);
                self.at(self.now + pause, Event::StartProxy(proxy));
            }
            (_, 3..6) => {
                let run = self.servers[server].runs;
                self.tell(|| format!("server {server} freezes for {pause}"));
                self.servers[server].frozen = true;
                self.at(self.now + pause, Event::ThawServer { server, run });
            }
            (_, 6) => self.crash(server, pause),
            (_, 7) => {
                self.tell(|| format!("server {server} is full"));
                self.servers[server].full = true;
                self.at(self.now + pause, Event::Relieve(server));
            }
            (_, 8..11) => self.cut_some(server),
            (_, 11 | 12) => self.stall_some(server, pause),
            _ => self.depose(pause),
        }
    }

    fn freeze_proxy(&mut self, proxy: usize, pause: u64) {
        self.tell(|| format!("proxy {proxy} freezes for {pause}"));
        if self.proxies[proxy].alive {
            self.proxies[proxy].frozen = true;
            let life = self.proxies[proxy].life;
            self.at(self.now + pause, Event::ThawProxy { proxy, life });
        }
    }

    pub(crate) fn thaw_proxy(&mut self, proxy: usize, life: u64) {
        let target = &mut self.proxies[proxy];
        if target.life == life && target.frozen {
            target.frozen = false;
            target.thawed_us = self.now;
        }
    }

    pub(crate) fn thaw_server(&mut self, server: usize, run: u64) {
        if self.servers[server].runs != run || !self.servers[server].frozen {
            return;
        }
        self.tell(|| format!("server {server} goes on"));
        self.servers[server].frozen = false;
        self.read_migrate(server);
        self.wake_server(server);
    }

    /// A server's process dies; the next one has all that it had.
    fn crash(&mut self, server: usize, pause: u64) {
        self.tell(|| format!("server {server} crashes for {pause}"));
        for wire in 0..self.wires.len() {
            if self.wires[wire].server == server && !self.wires[wire].killed {
                self.kill(wire);
            }
            let of_it = matches!(self.wires[wire].near, Near::Server { server: from, .. } if from == server);
            if of_it && !self.wires[wire].over {
                self.close(wire);
            }
        }
        let target = &mut self.servers[server];
        target.run = Run::default();
        target.runs += 1;
        target.frozen = false;
        target.down = true;
        self.at(self.now + pause, Event::StartServer(server));
    }

    pub(crate) fn start_server(&mut self, server: usize) {
        if self.servers[server].down {
            self.tell(|| format!("server {server} is back"));
            self.servers[server].down = false;
            self.wake_server(server);
        }
    }

    pub(crate) fn take_snapshot(&mut self, server: usize) {
        self.tell(|| format!("server {server} takes a snapshot"));
        self.servers[server].snapshot = Some(self.servers[server].data.clone());
    }

    /// A server loses what a single one would: all since its snapshot, what its replica had not got, or a key.
    fn lose_data(&mut self, server: usize, pause: u64) {
        let before = self.truths();
        let copies = self.copies_at(server);
        let keys: Vec<Key> = self.plan.keys.clone();
        let gone: Vec<Key> = keys.into_iter().filter(|key| !self.returns(key)).collect();
        let (kept, failed_over) = match self.rng.u8(..3) {
            0 => (self.servers[server].snapshot.clone(), false),
            1 => (self.servers[server].replica.clone(), true),
            _ => (None, false),
        };
        let failed_over = failed_over && kept.is_some();
        match kept {
            Some(data) => {
                self.crash(server, pause);
                self.tell(|| {
                    format!("server {server} has lost data, to its replica: {failed_over}")
                });
                self.servers[server].data = data;
                let now_ms = self.now_ms();
                self.servers[server].data.expire(now_ms);
            }
            None => {
                let key = self.rng.usize(..self.plan.keys.len());
                let place = self.plan.keys[key].place.clone();
                if self.servers[server].data.remove(&place).is_some() {
                    self.wake_server(server);
                    self.tell(|| format!("server {server} evicts {}", place.1.escape_ascii()));
                }
            }
        }
        self.note_losses(before, &gone);
        if !failed_over {
            self.note_lost_copies(server, copies);
        }
    }

    /// The keys that a server has a copy of, whose old copies are still where they come from.
    fn copies_at(&self, server: usize) -> Vec<Key> {
        let group = self.servers[server].group;
        let is_copy = |key: &&Key| {
            let (owner, from) = self.owners(&key.place.1);
            let has = |group: u32| self.servers[group as usize - 1].data.get(&key.place).is_some();
            owner == group && has(owner) && from.is_some_and(has)
        };
        self.plan.keys.iter().filter(is_copy).cloned().collect()
    }

    /// A copy that is gone may have been the one that counts: the old one goes by what was known before. A replica that was
    /// waited for has it, so that nothing of the kind is allowed to a server that fails over.
    fn note_lost_copies(&mut self, server: usize, copies: Vec<Key>) {
        for key in copies {
            if self.servers[server].data.get(&key.place).is_none() {
                self.histories.call(&key.place, What::Becomes(None), self.now, None);
            }
        }
    }

    /// What each key is, by whoever has the say.
    pub(crate) fn truths(&mut self) -> Vec<(Key, Option<Value>)> {
        let now_ms = self.now_ms();
        self.servers.iter_mut().for_each(|server| server.data.expire(now_ms));
        let keys = self.plan.keys.iter().map(|key| {
            let (owner, from) = self.owners(&key.place.1);
            let at = |group: u32| self.servers[group as usize - 1].data.get(&key.place);
            let entry = at(owner).or_else(|| from.and_then(at));
            (key.clone(), entry.map(|entry| entry.value.clone()))
        });
        keys.collect()
    }

    /// A single server would have lost as much.
    fn note_losses(&mut self, before: Vec<(Key, Option<Value>)>, gone: &[Key]) {
        let after = self.truths();
        for ((key, before), (_, after)) in before.into_iter().zip(after) {
            let returns = gone.contains(&key) && self.returns(&key);
            if returns {
                self.note_return(&key);
            }
            if before != after && !returns {
                self.histories.now(&key.place, What::Becomes(after), self.now);
                if self.owners(&key.place.1).1.is_some() {
                    // What was lost may have been on its way to the target already.
                    self.histories.call(&key.place, What::Becomes(before), self.now, None);
                }
            }
        }
    }

    /// What the source of a move has of a key, where that need not be what counts.
    fn old_copy(&self, key: &Key) -> Option<Value> {
        let from = self.owners(&key.place.1).1?;
        let entry = self.servers[from as usize - 1].data.get(&key.place)?;
        Some(entry.value.clone())
    }

    fn returns(&self, key: &Key) -> bool {
        self.old_copy(key).is_some()
    }

    /// A source that has a key again moves it again, whatever clients have done to it since: so it comes back where they have deleted
    /// it, as it would on a single server. What the target has is never touched.
    fn note_return(&mut self, key: &Key) {
        let Some(old) = self.old_copy(key) else { return };
        // A source that keeps the key until a replica of the target has it may give it away once more.
        let times = if self.plan.durability == "replica" { 2 } else { 1 };
        for _ in 0..times {
            self.histories.call(&key.place, What::Returns(old.clone()), self.now, None);
        }
    }

    /// Connections to a server are cut somewhere on the way.
    fn cut_some(&mut self, server: usize) {
        let share = self.rng.u8(1..=4);
        for wire in 0..self.wires.len() {
            let target = &self.wires[wire];
            let open = target.server == server && !target.over && !target.killed;
            if open && !self.near_is_frozen(wire) && self.rng.u8(..4) < share {
                self.tell(|| format!("connection {wire} to server {server} is cut"));
                self.close(wire);
                self.near_lost(wire);
            }
        }
    }

    /// Packets of connections to a server are lost.
    fn stall_some(&mut self, server: usize, pause: u64) {
        self.tell(|| format!("connections to server {server} stall for {pause}"));
        for wire in 0..self.wires.len() {
            let target = &mut self.wires[wire];
            if target.server == server && target.connected && self.rng.bool() {
                target.stalled_us = self.now + pause;
            }
        }
    }

    /// What a MIGRATE sends comes later than it waits for.
    fn stall_links(&mut self) {
        let pause = self.rng.u64(600_000..1_600_000);
        self.tell(|| format!("connections between servers stall for {pause}"));
        for wire in &mut self.wires {
            if matches!(wire.near, Near::Server { .. }) && !wire.over {
                wire.stalled_us = self.now + pause;
            }
        }
    }

    /// Another leader is elected; the old one may be dead, run on for a while, or be frozen first.
    fn depose(&mut self, pause: u64) {
        let old = lock(&self.group).leader();
        self.tell(|| format!("leader {old} is deposed"));
        if self.rng.u8(..16) < FROZEN_LEADERS {
            self.leaders[old].frozen = true;
            self.at(self.now + pause, Event::ThawLeader(old));
        }
        let late = self.now + pause + self.rng.u64(..20_000);
        self.at(late, Event::DropLeader(old));
        self.elect();
    }

    /// From here on nothing fails.
    pub(crate) fn heal(&mut self) {
        self.healed = true;
        self.tell(|| "nothing fails any more".into());
        for server in 0..self.servers.len() {
            let run = self.servers[server].runs;
            self.start_server(server);
            self.thaw_server(server, run);
            self.servers[server].full = false;
        }
        for proxy in 0..self.proxies.len() {
            let life = self.proxies[proxy].life;
            self.thaw_proxy(proxy, life);
            self.start_proxy(proxy);
        }
    }
}

//! Models of servers, of the metadata group and of proxies, in virtual time.
//!
//! A server's data is the history of its writes; a replica's is the beginning of its master's. Commands take their time
//! to a server and run there when it is not frozen, whether or not their sender still waits for them or even
//! lives: so a leader of the past strikes as late as it can. Steps of a member that leads no more reach the
//! log all the same, as members pass them on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use codis_proto::admin::v1::ServerFacts;
use codis_proto::meta::v1 as pb;
use pb::RefusalCode;
use pb::command::Change;
use pb::outcome::Result as Answer;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::drive::member::{Lost, Member};
use crate::drive::moves::{Exclusion, Moment};
use crate::drive::server::{Guard, Marks, Seen, ServerError, Servers};
use crate::state::{State, VERSION};

/// One write in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Client(u64),
    Marks(Marks),
}

#[derive(Debug, Default)]
pub(super) struct Server {
    history: Vec<Write>,
    /// Whom it follows, and whether the link is up.
    pub(super) follows: Option<String>,
    pub(super) linked: bool,
    replication_id: u64,
    pub(super) frozen: bool,
    /// Connections of proxies: token, epoch, and a number of its own.
    connections: Vec<(String, u64, u64)>,
    /// Connections of movers: term, and a number of its own.
    movers: Vec<(u64, u64)>,
    /// The highest term of a mover that was here.
    mover_term: u64,
}

impl Server {
    fn marks(&self) -> Marks {
        let marks = self.history.iter().rev().find_map(|write| match write {
            Write::Marks(marks) => Some(*marks),
            Write::Client(_) => None,
        });
        marks.unwrap_or_default()
    }

    /// Those of `writes` that it lacks.
    pub(super) fn lacks(&self, writes: &[u64]) -> Vec<u64> {
        let has = |write: &u64| self.history.contains(&Write::Client(*write));
        writes.iter().filter(|write| !has(write)).copied().collect()
    }

    /// Raises the mark of movers, and kills those that are older. Answers whether it was no higher.
    fn keep_movers_off(&mut self, term: u64) -> bool {
        if self.mover_term > term {
            return false;
        }
        self.mover_term = term;
        self.movers.retain(|(of, _)| *of >= term);
        true
    }

    /// Whether it has the data of `master`, straight or over another replica.
    pub(super) fn is_linked_to(&self, master: &Server) -> bool {
        self.follows.is_some() && self.linked && self.replication_id == master.replication_id
    }

    fn seen(&self) -> Seen {
        let role = if self.follows.is_some() { "slave" } else { "master" };
        let info = [("master_replid".to_owned(), self.replication_id.to_string())].into();
        let facts = ServerFacts {
            role: role.to_owned(),
            master_addr: self.follows.clone().unwrap_or_default(),
            master_link_up: self.linked,
            replication_offset: self.history.len() as u64,
            info,
            ..ServerFacts::default()
        };
        Seen { facts, marks: Some(self.marks()), keys_of_moves: 0, codis: false }
    }
}

/// All there is.
pub(super) struct World {
    pub(super) state: State,
    pub(super) applied: u64,
    pub(super) leader: u64,
    pub(super) servers: BTreeMap<String, Server>,
    pub(super) random: fastrand::Rng,
    pub(super) acknowledged: Vec<u64>,
    pub(super) promoted: usize,
    /// Nothing goes wrong any more.
    pub(super) calm: bool,
    began: Instant,
    numbers: u64,
}

pub(super) type Shared = Arc<Mutex<World>>;

pub(super) fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().expect("no holder panics")
}

impl World {
    pub(super) fn new(seed: u64, servers: &[&str]) -> World {
        let servers = servers.iter().map(|address| ((*address).to_owned(), Server::default()));
        World {
            state: State::new(),
            applied: 0,
            leader: 0,
            servers: servers.collect(),
            random: fastrand::Rng::with_seed(seed),
            acknowledged: Vec::new(),
            promoted: 0,
            calm: false,
            began: Instant::now(),
            numbers: 1,
        }
    }

    pub(super) fn apply(&mut self, change: Change, expect_epoch: u64) -> pb::Outcome {
        self.applied += 1;
        let time_unix_ms = self.unix_ms();
        let finish = matches!(change, Change::GroupPromoteFinish(_));
        let command = pb::Command {
            version: VERSION,
            time_unix_ms,
            expect_epoch,
            change: Some(change),
            ..pb::Command::default()
        };
        let outcome = self.state.apply_command(self.applied, &command);
        self.promoted += usize::from(finish && !matches!(outcome.result, Some(Answer::Refused(_))));
        outcome
    }

    pub(super) fn group(&self) -> &pb::Group {
        &self.state.data().groups[&1]
    }

    fn unix_ms(&self) -> u64 {
        1_000_000 + u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// How long something takes: mostly little, now and then very long.
    fn delay(&mut self) -> Duration {
        let rare = !self.calm && self.random.u32(0..100) < 3;
        Duration::from_millis(self.random.u64(0..if rare { 4000 } else { 4 }))
    }

    /// Somebody makes a replica a master, past everything.
    pub(super) fn meddle(&mut self, address: &str) {
        let number = self.number();
        let server = self.servers.get_mut(address).expect("servers stay");
        if server.follows.take().is_some() {
            (server.linked, server.replication_id) = (false, number);
        }
    }

    /// Moves data from masters to replicas, for one moment.
    pub(super) fn replicate(&mut self) {
        let addresses: Vec<String> = self.servers.keys().cloned().collect();
        for address in addresses {
            let replica = &self.servers[&address];
            let Some(master) = replica.follows.as_ref().and_then(|of| self.servers.get(of)) else {
                continue;
            };
            if replica.frozen || master.frozen {
                continue;
            }
            let kept = replica.history.len();
            let history = if master.history.starts_with(&replica.history) {
                let more = self.random.usize(0..=master.history.len() - kept);
                master.history[..kept + more].to_vec()
            } else {
                master.history.clone()
            };
            let (id, mover_term) = (master.replication_id, master.mover_term);
            if let Some(replica) = self.servers.get_mut(&address) {
                replica.mover_term = mover_term;
                (replica.history, replica.replication_id, replica.linked) = (history, id, true);
            }
        }
    }
}

async fn pause(world: &Shared) {
    let delay = lock(world).delay();
    sleep(delay).await;
}

/// Waits until the server is not frozen.
async fn thawed(world: &Shared, address: &str) {
    while lock(world).servers[address].frozen {
        sleep(Duration::from_millis(3)).await;
    }
}

/// The servers, as one leader reaches them.
pub(super) struct ModelServers(pub(super) Shared);

impl ModelServers {
    /// Sends a command, which runs when it arrives, whatever became of the sender.
    async fn send<T: Send + 'static>(
        &self,
        address: &str,
        run: impl FnOnce(&mut Server, &mut u64) -> Result<T, ServerError> + Send + 'static,
    ) -> Result<T, ServerError> {
        let (world, to) = (Arc::clone(&self.0), address.to_owned());
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            pause(&world).await;
            thawed(&world, &to).await;
            let result = {
                let mut world = lock(&world);
                let mut number = world.number();
                let server = world.servers.get_mut(&to).expect("servers stay");
                run(server, &mut number)
            };
            pause(&world).await;
            let _ = answer.send(result);
        });
        let silent = || ServerError::Silent { address: address.to_owned(), why: "a model".into() };
        timeout(Duration::from_secs(1), answered)
            .await
            .map_err(|_| silent())?
            .map_err(|_| silent())?
    }
}

fn read_only(address: &str) -> ServerError {
    ServerError::Refused { address: address.to_owned(), what: "EVAL", why: "READONLY".into() }
}

impl Servers for ModelServers {
    async fn look(&self, address: &str) -> Result<Seen, ServerError> {
        self.send(address, |server, _| Ok(server.seen())).await
    }

    async fn raise(&self, address: &str, marks: Marks) -> Result<Marks, ServerError> {
        let error = read_only(address);
        self.send(address, move |server, _| {
            let held = server.marks();
            let raised =
                Marks { fence: held.fence.max(marks.fence), order: held.order.max(marks.order) };
            if raised != held {
                if server.follows.is_some() {
                    return Err(error);
                }
                server.history.push(Write::Marks(raised));
            }
            Ok(raised)
        })
        .await
    }

    async fn follow(
        &self,
        address: &str,
        master: Option<&str>,
        guard: Guard,
    ) -> Result<(), ServerError> {
        let (to, master) = (address.to_owned(), master.map(str::to_owned));
        let refuse = move |held: u64| {
            let (Guard::Exactly(order) | Guard::AtMost(order)) = guard;
            let outranked = ServerError::Outranked { address: to.clone(), held, order };
            if guard.admits(held) { Ok(()) } else { Err(outranked) }
        };
        // WATCH and GET, then the transaction, which fails where the order was written in between.
        let watched = self.send(address, |server, _| Ok(server.marks().order)).await?;
        refuse(watched)?;
        self.send(address, move |server, number| {
            if server.marks().order != watched {
                return refuse(u64::MAX);
            }
            server.linked = false;
            if master.is_none() && server.follows.is_some() {
                server.replication_id = *number;
            }
            server.follows = master;
            Ok(())
        })
        .await
    }

    async fn kill_older(
        &self,
        address: &str,
        tokens: &[String],
        epoch: u64,
    ) -> Result<usize, ServerError> {
        let tokens = tokens.to_vec();
        self.send(address, move |server, _| {
            let before = server.connections.len();
            server.connections.retain(|(token, at, _)| *at >= epoch || !tokens.contains(token));
            Ok(before - server.connections.len())
        })
        .await
    }

    async fn keep_movers_off(&self, address: &str, term: u64) -> Result<(), ServerError> {
        let error = read_only(address);
        self.send(address, move |server, _| {
            let may = server.follows.is_none() && server.keep_movers_off(term);
            if may { Ok(()) } else { Err(error) }
        })
        .await
    }

    async fn databases(&self, _: &str) -> Result<Option<u32>, ServerError> {
        Ok(None)
    }
}

/// A member that believes to lead until it looks.
#[derive(Clone)]
pub(super) struct ModelMember {
    pub(super) world: Shared,
    pub(super) id: u64,
}

impl Member for ModelMember {
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&pb::State) -> T + Send + 'static,
    ) -> Result<T, Lost> {
        pause(&self.world).await;
        let seen = {
            let world = lock(&self.world);
            if world.leader == self.id { Ok(look(world.state.data())) } else { Err(Lost) }
        };
        // Here a leader may freeze, with what it has seen.
        pause(&self.world).await;
        seen
    }

    async fn peek<T: Send + 'static>(
        &self,
        look: impl FnOnce(&pb::State) -> T + Send + 'static,
    ) -> Result<T, Lost> {
        Ok(look(lock(&self.world).state.data()))
    }

    async fn step(
        &self,
        change: Change,
        expect_epoch: u64,
    ) -> Result<Result<pb::Outcome, RefusalCode>, Lost> {
        pause(&self.world).await;
        let outcome = lock(&self.world).apply(change, expect_epoch);
        pause(&self.world).await;
        match &outcome.result {
            Some(Answer::Refused(refused)) => Ok(Err(refused.code())),
            _ => Ok(Ok(outcome)),
        }
    }

    fn applied(&self) -> u64 {
        lock(&self.world).applied
    }

    async fn applied_beyond(&self, index: u64, patience: Duration) {
        let until = Instant::now() + patience;
        while lock(&self.world).applied <= index && Instant::now() < until {
            sleep(Duration::from_millis(3)).await;
        }
    }

    fn unix_ms(&self) -> u64 {
        lock(&self.world).unix_ms()
    }
}

/// A proxy: it writes to the master that its topology names, one write at a time, and acknowledges topologies.
/// It freezes now and then, in the middle of anything.
pub(super) async fn run_proxy(world: Shared, token: &'static str) {
    let mut topology = pb::Topology::default();
    loop {
        let newest = lock(&world).state.topology().clone();
        pause(&world).await;
        if newest.epoch > topology.epoch {
            topology = newest;
            let acked = pb::proxy_ack::Acked { start_unix_ms: 1, epoch: topology.epoch };
            let change = pb::ProxyAck { proxies: [(token.to_owned(), acked)].into() };
            lock(&world).apply(Change::ProxyAck(change), 0);
        }
        if !topology.slots[0].locked {
            write(&world, token, topology.epoch, &topology.groups[0].master).await;
        }
        sleep(Duration::from_millis(2)).await;
    }
}

/// Connects and writes; the write is acknowledged if the server took it.
async fn write(world: &Shared, token: &str, epoch: u64, master: &str) {
    thawed(world, master).await;
    let (write, fence) = {
        let mut world = lock(world);
        let number = world.number();
        let server = world.servers.get_mut(master).expect("servers stay");
        server.connections.push((token.to_owned(), epoch, number));
        (number, server.marks().fence)
    };
    pause(world).await;
    if epoch >= fence {
        thawed(world, master).await;
        let mut world = lock(world);
        let server = world.servers.get_mut(master).expect("servers stay");
        let alive = server.connections.iter().any(|(_, _, number)| *number == write);
        if alive && server.follows.is_none() {
            server.history.push(Write::Client(write));
            world.acknowledged.push(write);
        }
    }
    let mut world = lock(world);
    let server = world.servers.get_mut(master).expect("servers stay");
    server.connections.retain(|(_, _, number)| *number != write);
}

/// The mover of a leader: what it moves to the master that it has seen is gone from where it was. It goes by its look for
/// as long as it is let in, and freezes now and then, in the middle of anything.
pub(super) async fn run_mover(member: ModelMember, exclusion: &Exclusion) {
    loop {
        let moment = exclusion.moment();
        let master = member.look(|state| {
            let group = &state.groups[&1];
            group.promotion.is_none().then(|| group.servers[0].address.clone())
        });
        if let Ok(Some(master)) = master.await {
            move_some(&member, exclusion, &moment, &master).await;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

async fn move_some(member: &ModelMember, exclusion: &Exclusion, moment: &Moment, master: &str) {
    let (world, term) = (&member.world, member.id);
    thawed(world, master).await;
    let number = {
        let mut world = lock(world);
        let number = world.number();
        let server = world.servers.get_mut(master).expect("servers stay");
        server.movers.push((term, number));
        if server.follows.is_some() || !server.keep_movers_off(term) {
            return;
        }
        number
    };
    for _ in 0..20 {
        let Some(_inside) = exclusion.enter(moment, [1, 1]) else { return };
        pause(world).await;
        thawed(world, master).await;
        let mut world = lock(world);
        let write = world.number();
        let server = world.servers.get_mut(master).expect("servers stay");
        if server.follows.is_some() || !server.movers.contains(&(term, number)) {
            return;
        }
        server.history.push(Write::Client(write));
        world.acknowledged.push(write);
    }
}

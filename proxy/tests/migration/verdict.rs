//! A run from the first connection to the last check.

use crate::leader::desk::lock;
use crate::plan::{Bug, Plan, Trouble};
use crate::world::{Event, World};
use codis_proto::{BIG_KEY_PREFIX, RESERVED_KEYS};

/// How long everything may take to end once nothing fails any more, in microseconds.
const HEALED_US_MAX: u64 = 300_000_000;

/// What a client may wait beyond a barrier's deadline: the leader's messages and the servers' answers to a fence.
const ROUND_TRIPS_US: u64 = 60_000;

/// What a run leaves behind.
pub(crate) struct Outcome {
    pub(crate) replies: usize,
    pub(crate) trace: u64,
    pub(crate) events: usize,
    /// How many slots have moved.
    pub(crate) moved: u64,
}

/// Runs one seed.
pub(crate) fn run(seed: u64, bug: Bug) -> Result<Outcome, String> {
    let mut world = World::new(Plan::new(seed, bug));
    let lived = world.live();
    if let (Err(_), Some(story)) = (&lived, &world.story) {
        println!("{:#?}\n{}", world.plan, story.join("\n"));
    }
    lived
}

impl World {
    fn live(&mut self) -> Result<Outcome, String> {
        self.set_up();
        for proxy in 0..self.proxies.len() {
            self.start_proxy(proxy);
        }
        self.elect();
        for client in 0..self.clients.len() {
            self.soon(self.plan.think_us, Event::ClientTurn(client));
        }
        let chaos = self.plan.chaos_us;
        for _ in 0..self.plan.operations {
            self.soon(chaos, Event::Operate);
        }
        for _ in 0..self.plan.faults {
            self.soon(chaos, Event::Fault);
        }
        for server in 0..self.servers.len() {
            self.soon(chaos, Event::Snapshot(server));
        }
        self.run_until(chaos, |_| false)?;
        self.heal();
        self.resume_moves();
        self.run_until(self.now + HEALED_US_MAX, Self::is_over)?;
        if self.plan.strays {
            // What the reasons ask an operator for.
            self.remove_strays();
            self.run_until(self.now + HEALED_US_MAX, Self::is_over)?;
        }
        self.check_end()?;
        Ok(Outcome {
            replies: self.clients.iter().map(|client| client.replies).sum(),
            trace: self.trace,
            events: self.handled,
            moved: self.moved(),
        })
    }

    /// Whether every client has what it asked for and every move is done, or waits for an operator.
    fn is_over(&self) -> bool {
        self.clients.iter().all(crate::clients::Client::is_done) && self.open_actions().is_empty()
    }

    /// Slots that are on their way, with the reasons; not those that wait for an operator.
    fn open_actions(&self) -> Vec<String> {
        let group = lock(&self.group);
        let slots = group.state.data().slots.iter().enumerate();
        let open = slots.filter_map(|(number, slot)| {
            let action = slot.action.as_ref()?;
            let waits = self.plan.strays && action.failure.contains("redis-cli");
            (!waits).then(|| format!("slot {number}: {action:?}"))
        });
        open.collect()
    }

    fn moved(&self) -> u64 {
        let group = lock(&self.group);
        group.state.data().slots.iter().map(|slot| slot.given_away_by.len() as u64).sum()
    }

    fn remove_strays(&mut self) {
        self.plan.strays = false;
        for server in 0..self.servers.len() {
            let group = self.servers[server].group;
            let keys: Vec<_> = self.plan.keys.iter().map(|key| key.place.clone()).collect();
            for place in keys {
                let (owner, from) = self.owners(&place.1);
                if owner != group && from != Some(group) {
                    self.servers[server].data.remove(&place);
                }
            }
        }
    }

    /// A request that is first in its session's queue was answered.
    pub(crate) fn check_wait(&mut self, client: usize, since: u64) {
        let proxy = &self.proxies[self.nodes[self.clients[client].node].proxy];
        let calm = matches!(self.plan.trouble, Trouble::None | Trouble::Proxies);
        // Its own proxy was frozen, or that of the leader's servers was.
        if !calm || proxy.thawed_us >= since || self.plan.bug != Bug::None {
            return;
        }
        let waited = self.now - since;
        let most = 1000 * self.plan.deadline_ms + ROUND_TRIPS_US + 20 * self.plan.delay_us;
        if waited > most {
            self.fail(format!("client {client} waited for {waited} us, {most} are the most"));
        }
    }

    fn check_end(&mut self) -> Result<(), String> {
        self.finish_turns()?;
        let waiting = self.clients.iter().filter(|client| !client.is_done()).count();
        if waiting > 0 {
            return Err(format!("{waiting} clients wait for ever"));
        }
        if let Some(open) = self.open_actions().first() {
            return Err(format!("a move does not end: {open}"));
        }
        for node in &self.nodes {
            node.engine.audit()?;
        }
        self.check_caches()?;
        self.check_streams()?;
        let truths = self.truths().into_iter().map(|(key, value)| (key.place, value)).collect();
        self.histories.end(&truths, self.now);
        self.histories.check()?;
        self.check_places()
    }

    /// Whether each key is where it belongs, and nowhere else.
    fn check_places(&self) -> Result<(), String> {
        for (number, server) in self.servers.iter().enumerate() {
            for (place, _) in server.data.iter() {
                let (database, key) = place;
                if RESERVED_KEYS.iter().any(|reserved| reserved.as_bytes() == key) {
                    continue;
                }
                let what =
                    format!("{} in database {database} of {}", key.escape_ascii(), server.address);
                if key.starts_with(BIG_KEY_PREFIX.as_bytes()) {
                    // A server that went back to the middle of a copy is cleared when keys move there again.
                    if self.plan.trouble != Trouble::Losses {
                        return Err(format!("{what} was left behind"));
                    }
                    continue;
                }
                // A server that has lost data has forgotten what it gave away.
                let (owner, _) = self.owners(key);
                let is_late = self.late.contains(&(number, place.clone()));
                if owner != server.group && self.plan.trouble != Trouble::Losses && !is_late {
                    return Err(format!("{what} is of group {owner}"));
                }
            }
        }
        Ok(())
    }
}

//! A whole group in one thread: seeded, in virtual time, with a network and disks that misbehave.
//!
//! A seed determines a run completely. `SEED=n cargo test -p codis-meta raft::sim` repeats one, and
//! `SEEDS=n` says how many to run.

mod clients;
mod disk;
mod faults;
mod register;
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::disk::Founding;
use super::member::{AnswerKind, Config, Fault, Member, Notice, Output, Role};
use super::message::{Body, Envelope};
use super::store::Loaded;
use clients::Clients;
use disk::{Disk, SimStore};
use register::{Ledger, Register};

const GROUP: u64 = 7;

/// Units of time in a tick.
const TICK: u64 = 10;

/// How the network treats messages, in thousandths.
#[derive(Debug, Clone, Copy, Default)]
struct Network {
    lost: u32,
    twice: u32,
    late: u32,
}

struct Node {
    disk: Rc<RefCell<Disk>>,
    member: Option<Member<Register, SimStore>>,
    boot: u64,
    /// It has applied its own removal from the group.
    removed: bool,
    /// It was stopped after that and is not started again.
    retired: bool,
}

struct World {
    rng: fastrand::Rng,
    now: u64,
    nodes: BTreeMap<u64, Node>,
    ledger: Rc<RefCell<Ledger>>,
    network: Network,
    /// By time of delivery and a number: the message, and the receiver's start when it was sent.
    in_flight: BTreeMap<(u64, u64), (Envelope, u64)>,
    sent: u64,
    /// Pairs that cannot reach each other, in one direction.
    cut: BTreeSet<(u64, u64)>,
    clients: Clients,
    /// Who led each term.
    leaders: BTreeMap<u64, u64>,
    /// How often something happened that a test wants to have seen.
    seen: BTreeMap<&'static str, u64>,
    image_entries: u64,
    /// Units of time between one mishap and the next, on average.
    calm: u32,
}

impl World {
    fn new(seed: u64, members: u64) -> World {
        let founding = Founding {
            members: (1..=members).map(|id| (id, format!("sim:{id}"))).collect(),
            snapshot: Register::default().snapshot_bytes(),
        };
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut world = World {
            calm: rng.u32(40..400),
            rng,
            now: 0,
            nodes: BTreeMap::new(),
            ledger: Rc::default(),
            network: Network::default(),
            in_flight: BTreeMap::new(),
            sent: 0,
            cut: BTreeSet::new(),
            clients: Clients::default(),
            leaders: BTreeMap::new(),
            seen: BTreeMap::new(),
            image_entries: 25,
        };
        for id in 1..=members {
            world.add(id, founding.loaded());
        }
        world
    }

    /// Adds a node on what its disk holds, and starts it.
    fn add(&mut self, id: u64, loaded: Loaded) {
        self.nodes.insert(
            id,
            Node { disk: Disk::new(loaded), member: None, boot: 0, removed: false, retired: false },
        );
        self.start(id);
    }

    fn start(&mut self, id: u64) {
        let seed = self.rng.u64(..);
        let ledger = self.ledger.clone();
        let image_entries = self.image_entries;
        let node = self.nodes.get_mut(&id).expect("the node exists");
        node.boot += 1;
        let config = Config {
            seed,
            answer_ticks: 60,
            image_entries,
            trailing_entries: image_entries / 4,
            chunk_bytes: 512,
            ..Config::new(id, GROUP, node.boot)
        };
        let loaded = node.disk.borrow().load();
        let member =
            Member::new(config, SimStore(node.disk.clone()), loaded, Register::new(ledger));
        node.member = Some(member.expect("what the disk holds can be started from"));
        self.drive(id);
    }

    /// The process is gone, with whatever it had not synced.
    fn crash(&mut self, id: u64) {
        let survivors = self.rng.usize(0..4);
        let node = self.nodes.get_mut(&id).expect("the node exists");
        node.member = None;
        node.disk.borrow_mut().crash(survivors);
        self.clients.waiting.retain(|(member, _), _| *member != id);
        *self.seen.entry("crash").or_default() += 1;
    }

    fn member(&mut self, id: u64) -> Option<&mut Member<Register, SimStore>> {
        self.nodes.get_mut(&id)?.member.as_mut()
    }

    fn running(&self) -> Vec<u64> {
        self.nodes.iter().filter(|(_, node)| node.member.is_some()).map(|(id, _)| *id).collect()
    }

    /// Who leads, in the newest term that anybody leads in.
    fn leader(&self) -> Option<u64> {
        let statuses =
            self.nodes.values().filter_map(|node| node.member.as_ref()).map(Member::status);
        statuses
            .filter(|status| status.role == Role::Leader)
            .max_by_key(|status| status.term)
            .map(|status| status.id)
    }

    /// Collects what a member has to say. A member that died in a write says nothing.
    fn drive(&mut self, id: u64) {
        let Some(member) = self.member(id) else { return };
        let output = member.drive();
        if self.nodes[&id].disk.borrow().died {
            return self.crash(id);
        }
        let status = self.member(id).expect("it runs").status();
        if status.role == Role::Leader {
            let leader = *self.leaders.entry(status.term).or_insert(id);
            assert_eq!(leader, id, "two members led term {}", status.term);
        }
        self.deliver_output(id, output);
    }

    fn deliver_output(&mut self, id: u64, output: Output) {
        for envelope in output.messages {
            self.post(envelope);
        }
        for answer in output.answers {
            let Some(number) = self.clients.waiting.remove(&(id, answer.ticket)) else { continue };
            match answer.kind {
                AnswerKind::Applied { outcome, .. } => {
                    let done = self.member(id).expect("it runs").machine().done.clone();
                    let request =
                        self.clients.operations[number].write.expect("only writes are applied");
                    assert_eq!(
                        done[&request].to_le_bytes()[..],
                        outcome[..],
                        "the outcome is that of the request"
                    );
                    self.clients.finish(number, None);
                }
                AnswerKind::Readable { .. } => {
                    let value = self.member(id).expect("it runs").machine().value;
                    self.clients.finish(number, Some(value));
                }
                // The client tries again, under the same request id.
                AnswerKind::Refused(_) => *self.seen.entry("refused").or_default() += 1,
                AnswerKind::Unknown => *self.seen.entry("unknown").or_default() += 1,
            }
        }
        for notice in output.notices {
            let what = match notice {
                Notice::Leader { .. } => "leader",
                Notice::Fault(Fault::Full(_)) => "full",
                Notice::Fault(Fault::Failed(reason)) => panic!("member {id} failed: {reason}"),
                Notice::Recovered => "recovered",
                Notice::Members => "members",
                Notice::Removed => "removed",
                Notice::Installed { .. } => "installed",
                Notice::LogLost { .. } => "log lost",
            };
            if what == "removed" {
                self.nodes.get_mut(&id).expect("it has just spoken").removed = true;
            }
            *self.seen.entry(what).or_default() += 1;
        }
    }

    /// Puts a message on the network.
    fn post(&mut self, envelope: Envelope) {
        // What cannot be encoded and decoded again cannot be sent.
        let envelope = Envelope::decode(&envelope.encode()).expect("a message survives the wire");
        let Some(boot) = self.nodes.get(&envelope.to).map(|node| node.boot) else { return };
        let chance = |rng: &mut fastrand::Rng, thousandths: u32| rng.u32(0..1000) < thousandths;
        if self.cut.contains(&(envelope.from, envelope.to))
            || chance(&mut self.rng, self.network.lost)
        {
            return;
        }
        let copies = if chance(&mut self.rng, self.network.twice) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = if chance(&mut self.rng, self.network.late) {
                self.rng.u64(5..300)
            } else {
                self.rng.u64(1..5)
            };
            self.sent += 1;
            self.in_flight.insert((self.now + delay, self.sent), (envelope.clone(), boot));
        }
    }

    fn deliver(&mut self, envelope: Envelope, boot: u64) {
        if self.cut.contains(&(envelope.from, envelope.to)) {
            return;
        }
        // A connection does not outlive the process at its end, and proposals go over one.
        if matches!(envelope.body, Body::Forward(_)) && self.nodes[&envelope.to].boot != boot {
            return;
        }
        let to = envelope.to;
        if let Some(member) = self.member(to) {
            member.receive(envelope).expect("members send each other only what makes sense");
        }
    }

    /// One unit of time: what is due is delivered, clocks tick, everybody does what follows.
    fn step(&mut self) {
        self.now += 1;
        while let Some(entry) = self.in_flight.first_entry()
            && entry.key().0 <= self.now
        {
            let (envelope, boot) = entry.remove();
            self.deliver(envelope, boot);
        }
        for id in self.running() {
            // Clocks are out of step with each other, and a little off.
            if (self.now + id * 3).is_multiple_of(TICK + id % 2)
                && let Some(member) = self.member(id)
            {
                member.tick();
            }
            self.drive(id);
        }
    }

    fn steps(&mut self, count: u64) {
        for _ in 0..count {
            self.step();
        }
    }

    /// Steps until `done`, for at most `limit` units.
    fn until(&mut self, limit: u64, what: &str, mut done: impl FnMut(&mut World) -> bool) {
        let deadline = self.now + limit;
        while !done(self) {
            assert!(self.now < deadline, "{what}: not within {limit} units\n{}", self.picture());
            self.step();
        }
    }

    /// The state of everybody, for a failed test.
    fn picture(&self) -> String {
        let line = |(id, node): (&u64, &Node)| match &node.member {
            Some(member) => format!("{id}: {:?}\n", member.status()),
            None => format!("{id}: not running\n"),
        };
        self.nodes.iter().map(line).collect()
    }

    /// Clients do what they do: start an operation, or try again one without an answer.
    fn serve_clients(&mut self, count: usize) {
        for client in 0..count {
            let number = match self.clients.current.get(&client) {
                Some(number) if self.clients.waiting.values().any(|waiting| waiting == number) => {
                    continue;
                }
                Some(number) => *number,
                None => {
                    let write = self.rng.bool();
                    self.clients.call(client, write)
                }
            };
            self.attempt(number);
        }
    }

    /// Asks a member, any of them, for an operation.
    fn attempt(&mut self, number: usize) {
        let running = self.running();
        let Some(id) = self.rng.choice(running) else { return };
        let operation = self.clients.operations[number].clone();
        let Some(member) = self.member(id) else { return };
        let ticket = match operation.write {
            Some(request) => member.propose(register::command(request, operation.value)),
            None => member.read(),
        };
        if let Ok(ticket) = ticket {
            self.clients.waiting.insert((id, ticket), number);
        }
    }

    /// Ends all faults, waits until everything under way has ended, and checks what is left.
    fn settle_and_check(&mut self) {
        self.heal();
        self.until(60_000, "every operation ends once the faults do", |world| {
            if world.now.is_multiple_of(20) {
                let clients: Vec<usize> = world.clients.current.values().copied().collect();
                for number in clients {
                    if !world.clients.waiting.values().any(|waiting| *waiting == number) {
                        world.attempt(number);
                    }
                }
            }
            world.clients.current.is_empty()
        });
        self.until(20_000, "every member arrives at the same state", |world| {
            let members: Vec<_> =
                world.current_members().iter().map(|id| world.nodes[id].member.as_ref()).collect();
            let applied = |member: &Option<&Member<Register, SimStore>>| {
                member.map(|member| member.status().applied)
            };
            members.iter().all(|member| member.is_some() && applied(member) == applied(&members[0]))
        });
        self.check();
    }

    fn check(&self) {
        let states: Vec<&Register> = self
            .current_members()
            .iter()
            .filter_map(|id| self.nodes[id].member.as_ref())
            .map(Member::machine)
            .collect();
        for state in &states {
            assert_eq!(
                (state.value, &state.done),
                (states[0].value, &states[0].done),
                "members differ"
            );
        }
        for operation in
            self.clients.operations.iter().filter(|operation| operation.returned.is_some())
        {
            if let Some(request) = operation.write {
                assert!(
                    states[0].done.contains_key(&request),
                    "the acknowledged write {request} is lost"
                );
            }
        }
        assert!(self.clients.are_linearizable(), "the history is not linearizable");
    }

    /// The members as the leader has them.
    fn current_members(&self) -> Vec<u64> {
        let Some(leader) = self.leader() else { return self.running() };
        let status = self.nodes[&leader].member.as_ref().map(Member::status);
        status.map(|status| [status.voters, status.learners].concat()).unwrap_or_default()
    }
}

impl Register {
    fn snapshot_bytes(&self) -> Vec<u8> {
        super::machine::StateMachine::snapshot(self)
    }
}

/// Runs a scenario under many seeds and names the one that fails.
fn for_each_seed(count: u64, scenario: impl Fn(u64)) {
    let from_environment =
        |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seeds = match from_environment("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..from_environment("SEEDS").unwrap_or(count),
    };
    for seed in seeds {
        let run = std::panic::AssertUnwindSafe(|| scenario(seed));
        if let Err(panic) = std::panic::catch_unwind(run) {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            panic!("SEED={seed} repeats this: {}", text.unwrap_or_default());
        }
    }
}

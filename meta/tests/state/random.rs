//! Random commands against the invariants. A failure prints its seed; `SEEDS=n` runs that many.

use crate::changes::*;
use crate::cluster::Cluster;
use crate::leftovers::Leftovers;
use crate::shadow::Shadow;
use codis_meta::state::{State, VERSION, barrier};
use codis_proto::meta::v1 as pb;
use fastrand::Rng;
use pb::RefusalCode as Code;
use pb::command::Change;
use pb::outcome::Result as Answer;
use pb::slot_action::Phase;
use pb::{PromoteStep, SlotStep};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};

const SEEDS: u64 = 200;
const COMMANDS: usize = 1000;
const SLOTS: u32 = 12;
const TOKENS: [&str; 4] = ["a", "b", "c", "d"];

/// Says which seed it was when a check fails.
struct Seed(u64);

impl Drop for Seed {
    #[allow(clippy::print_stderr, reason = "a test's own output")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed was {}", self.0);
        }
    }
}

fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    0..asked.unwrap_or(SEEDS)
}

/// A random change: most often one that the state may accept.
struct Draw<'a> {
    rng: &'a mut Rng,
    data: &'a pb::State,
}

impl Draw<'_> {
    fn group(&mut self) -> u32 {
        let odd = self.rng.u8(..) < 8;
        self.rng.u32(if odd { 0..6 } else { 1..5 })
    }

    fn address(&mut self) -> String {
        format!("10.0.0.{}:6379", self.rng.u8(1..14))
    }

    /// A server of `group`, or any.
    fn server_of(&mut self, group: u32) -> String {
        let servers = self.data.groups.get(&group).map_or(&[][..], |group| &group.servers);
        match self.rng.choice(servers) {
            Some(server) if self.rng.u8(..) > 16 => server.address.clone(),
            _ => self.address(),
        }
    }

    fn range(&mut self) -> (u32, u32) {
        let first = self.rng.u32(0..SLOTS);
        (first, (first + self.rng.u32(0..3)).min(SLOTS))
    }

    fn token(&mut self) -> &'static str {
        TOKENS[self.rng.usize(..TOKENS.len())]
    }

    fn start_of(&mut self, token: &str) -> u64 {
        let known = self.data.proxies.get(token).map(|proxy| proxy.start_unix_ms);
        known.filter(|_| self.rng.u8(..) > 16).unwrap_or_else(|| self.rng.u64(1..100))
    }

    /// The current epoch or one near it.
    fn epoch(&mut self) -> u64 {
        let back = if self.rng.bool() { 0 } else { self.rng.u64(0..4) };
        (self.data.epoch + u64::from(self.rng.u8(..) < 4)).saturating_sub(back)
    }

    fn change(&mut self) -> Change {
        match self.rng.u8(0..100) {
            0..3 => group(self.group()),
            3..5 => group_remove(self.group()),
            5..13 => server(self.group(), &self.address()),
            13..17 => {
                let group = self.group();
                server_remove(group, &self.server_of(group))
            }
            17..19 => {
                let group = self.group();
                reads(group, &self.server_of(group), self.rng.bool())
            }
            19..23 => {
                let (first, last) = self.range();
                assign(first, last, self.group())
            }
            23..24 => {
                let (first, last) = self.range();
                offline(first, last)
            }
            24..30 => self.action(),
            30..31 => {
                let (first, last) = self.range();
                cancel(first, last)
            }
            31..55 => self.slot_step(),
            55..67 => self.promotion(),
            67..74 => self.sync(),
            74..92 => self.proxy(),
            92..95 => self.setting(),
            95..97 => sentinel(&self.address()),
            97..98 => sentinel_remove(&self.address()),
            98..99 => match self.rng.u8(0..4) {
                0 => restore(self.data),
                1 => member(self.rng.u64(0..4)),
                _ => product(if self.rng.bool() { "demo" } else { "other" }),
            },
            _ => fence(self.epoch(), &TOKENS),
        }
    }

    fn action(&mut self) -> Change {
        match self.rng.u8(0..4) {
            0 => action_from(self.group(), self.group(), self.rng.u32(0..3)),
            1 => {
                let moves: Vec<_> = (0..self.rng.u8(1..4)).map(|_| self.planned_move()).collect();
                planned(&moves)
            }
            _ => {
                let (first, last) = self.range();
                action(first, last, self.group())
            }
        }
    }

    fn planned_move(&mut self) -> (u32, u32, u32) {
        let slot = self.rng.u32(0..SLOTS);
        let there = self.data.slots[slot as usize].group;
        let from = if self.rng.u8(..) < 16 { self.group() } else { there };
        (slot, from, self.group())
    }

    fn slot_step(&mut self) -> Change {
        let busy = |slot: &u32| self.data.slots[*slot as usize].action.is_some();
        let busy: Vec<u32> = (0..SLOTS).filter(busy).collect();
        let Some(&slot) = self.rng.choice(&busy) else { return action(0, 1, self.group()) };
        let found = self.data.slots[slot as usize].action.as_ref();
        let (mut forward, mut epoch) = match found.and_then(|action| action.phase.as_ref()) {
            Some(Phase::Preparing(barrier)) => (SlotStep::Migrate, barrier.epoch),
            Some(Phase::Migrating(migrating)) => (SlotStep::Done, migrating.epoch),
            Some(Phase::Pending(_)) | None => (SlotStep::Prepare, 0),
        };
        match self.rng.u8(..) {
            0..16 => forward = SlotStep::RollBack,
            16..24 => forward = SlotStep::Note,
            24..32 => forward = SlotStep::Done,
            32..40 => epoch = self.epoch(),
            _ => {}
        }
        let mut slots = vec![slot];
        if self.rng.bool() {
            slots.push(self.rng.u32(0..SLOTS));
        }
        step(&slots, forward, epoch, if self.rng.bool() { "why" } else { "" })
    }

    fn promotion(&mut self) -> Change {
        let id = self.group();
        let found = self.data.groups.get(&id).and_then(|group| group.promotion.as_ref());
        let Some(found) = found else { return promote(id, &self.server_of(id)) };
        let epoch = if self.rng.u8(..) < 8 { self.epoch() } else { found.epoch };
        match self.rng.u8(0..10) {
            0 => promote_abort(id, epoch, "why"),
            1..5 => promote_step(id, epoch, PromoteStep::Prepared),
            5..7 => promote_step(id, epoch, PromoteStep::Finished),
            7 => promote(id, &self.server_of(id)),
            8 => promote_finish(id, epoch, &[(&self.server_of(id), "it is down")]),
            _ => promote_finish(id, epoch, &[]),
        }
    }

    fn sync(&mut self) -> Change {
        let group = self.group();
        let address = self.server_of(group);
        let mut servers = self.data.groups.values().flat_map(|group| &group.servers);
        let found = servers.find(|server| server.address == address);
        let order = found.and_then(|server| server.sync.as_ref()).map_or(0, |sync| sync.order);
        match self.rng.u8(0..4) {
            0 | 1 => sync(&address),
            2 => sync_run(&address, order),
            _ => sync_end(&address, order, if self.rng.bool() { "" } else { "why" }),
        }
    }

    fn proxy(&mut self) -> Change {
        let token = self.token();
        let start = self.start_of(token);
        match self.rng.u8(0..18) {
            0 | 1 => register(token, self.rng.u8(1..5), start, self.epoch()),
            2 => online(token, start),
            3 => gone(token, start, self.rng.bool()),
            4 => proxy_remove(token, self.rng.bool()),
            5..9 => fence(self.epoch(), &[token]),
            _ => {
                let all = TOKENS.map(|token| (token, self.start_of(token), self.epoch()));
                ack(&all)
            }
        }
    }

    fn setting(&mut self) -> Change {
        let name = ["migration_disabled", "migration_parallel_slots", "migration_durability", "x"];
        let value = ["false", "false", "true", "2", "100", "aof", "none", ""];
        let name = name[self.rng.usize(..name.len())];
        set(&[(name, value[self.rng.usize(..value.len())])])
    }
}

/// The epoch of the barrier that the command passes if it is accepted.
fn barrier_to_pass(command: &pb::Command, before: &pb::State) -> Option<u64> {
    match command.change.as_ref()? {
        Change::SlotActionAdvance(advance) if advance.step() == SlotStep::Migrate => {
            Some(advance.phase_epoch)
        }
        Change::GroupPromoteAdvance(advance) if advance.step() == PromoteStep::Prepared => {
            Some(before.groups.get(&advance.group)?.promotion.as_ref()?.epoch)
        }
        _ => None,
    }
}

/// Of each slot its group, and where its keys are moving to.
struct Owners(Vec<(u32, Option<u32>)>);

impl Owners {
    fn of(slots: &[pb::Slot]) -> Self {
        let owner = |slot: &pb::Slot| {
            let action = slot.action.as_ref();
            let moving = action.filter(|one| matches!(one.phase, Some(Phase::Migrating(_))));
            (slot.group, moving.map(|action| action.target))
        };
        Self(slots.iter().map(owner).collect())
    }

    /// Slots get and lose groups in no other way than these.
    fn check(&self, change: &Change, after: &pb::State) {
        for (&(old, moving_to), slot) in self.0.iter().zip(&after.slots) {
            let new = slot.group;
            let fine = match change {
                Change::SlotsAssign(assign) => old == 0 && new == assign.group,
                Change::SlotsOffline(_) => new == 0,
                Change::SlotActionAdvance(_) => moving_to == Some(new),
                _ => false,
            };
            assert!(old == new || fine, "{change:?}: from group {old} to {new}");
        }
    }
}

/// What a run went through.
struct Run {
    log: Vec<(Vec<u8>, Vec<u8>)>,
    end: Vec<u8>,
    refusals: BTreeSet<Code>,
    barriers: usize,
    /// After how many commands the first slot had been given away.
    leftovers: usize,
}

fn run(seed: u64) -> Run {
    let mut rng = Rng::with_seed(seed);
    let mut cluster = Cluster::bare();
    let mut shadow = Shadow::default();
    let mut leftovers = Leftovers::default();
    let mut run =
        Run { log: vec![], end: vec![], refusals: BTreeSet::new(), barriers: 0, leftovers: 0 };
    let mut asked: BTreeMap<u64, (pb::Command, pb::Outcome)> = BTreeMap::new();
    for number in 0..COMMANDS {
        cluster.now += rng.u64(0..2000);
        let retry = rng.choice(asked.values()).filter(|_| number % 8 == 0).cloned();
        let command = match &retry {
            Some((command, _)) => pb::Command { time_unix_ms: cluster.now, ..command.clone() },
            None if number == 3 => cluster.command(product("demo")),
            None => {
                let change = Draw { rng: &mut rng, data: cluster.state.data() }.change();
                let (client, request) = (u64::from(rng.bool()), number as u64);
                pb::Command { client, request, ..cluster.command(change) }
            }
        };
        let slots = cluster.state.data().slots[..=SLOTS as usize].to_vec();
        let before = Owners::of(&slots);
        let barrier = barrier_to_pass(&command, cluster.state.data());
        let bytes = retry.is_some().then(|| cluster.bytes.clone());
        let outcome = cluster.apply(&command);
        run.log.push((command.encode_to_vec(), outcome.encode_to_vec()));
        let change = command.change.expect("every command has one");
        match (&outcome.result, retry) {
            (Some(Answer::Accepted(_)), Some((_, first))) => {
                assert_eq!(outcome, first, "a retry is given the first outcome");
                assert!(bytes.is_some_and(|bytes| bytes == cluster.bytes), "a retry does not run");
            }
            (Some(Answer::Accepted(_)), None) => {
                if let Some(epoch) = barrier {
                    run.barriers += 1;
                    assert_eq!(shadow.danger(epoch), None, "{change:?} broke the one rule");
                }
                before.check(&change, cluster.state.data());
                shadow.accepted(&change, outcome.epoch);
                leftovers.accepted(&change, &slots, cluster.state.data());
                leftovers.check(&cluster.state.data().slots);
                run.leftovers +=
                    usize::from(!cluster.state.data().slots[0].given_away_by.is_empty());
                if command.client != 0 {
                    let change = Some(change);
                    let command = pb::Command { change, ..command };
                    asked.insert(command.request, (command, outcome));
                }
            }
            (Some(Answer::Refused(refused)), retry) => {
                assert!(retry.is_none(), "a retry of what was accepted: {}", refused.message);
                run.refusals.insert(refused.code());
            }
            (None, _) => panic!("an outcome without a result"),
        }
        // The memory of requests ends with time; the test does not retry what is too old for it.
        let now = cluster.now;
        asked.retain(|_, (command, _)| now - command.time_unix_ms < 500_000);
    }
    run.end = cluster.state.snapshot();
    run
}

#[test]
fn random_commands_break_no_invariant_and_meet_every_rule() {
    let mut met = BTreeSet::new();
    let (mut barriers, mut leftovers) = (0, 0);
    for seed in seeds() {
        let guard = Seed(seed);
        let run = run(seed);
        met.extend(run.refusals);
        barriers += run.barriers;
        leftovers += run.leftovers;
        drop(guard);
    }
    assert!(barriers > 200, "only {barriers} barriers were passed");
    assert!(leftovers > 200, "a slot was given away in {leftovers} states only");
    // These are about single commands and need no history.
    let elsewhere = [
        Code::Unspecified,
        Code::Malformed,
        Code::UnsupportedVersion,
        Code::RequestReused,
        Code::ProxyTooOld,
    ];
    let all = (0..).map_while(|number| Code::try_from(number).ok());
    let missed: Vec<Code> =
        all.filter(|code| !met.contains(code) && !elsewhere.contains(code)).collect();
    assert_eq!(missed, [], "no random command was refused for these reasons");
}

#[test]
fn a_replay_gives_the_same_bytes_whether_or_not_snapshots_are_taken_on_the_way() {
    for seed in seeds().step_by(10) {
        let _guard = Seed(seed);
        let run = run(seed);
        let mut rng = Rng::with_seed(!seed);
        let (mut plain, mut restored) = (State::new(), State::new());
        for (index, (command, outcome)) in run.log.iter().enumerate() {
            let index = index as u64 + 1;
            assert_eq!(plain.apply(index, command), *outcome);
            assert_eq!(restored.apply(index, command), *outcome);
            if rng.u8(..) < 16 {
                let snapshot = restored.snapshot();
                restored = State::from_snapshot(&snapshot).expect("it was just taken");
                assert!(restored.snapshot() == snapshot);
            }
        }
        assert!(plain.snapshot() == run.end && restored.snapshot() == run.end);
        assert_eq!(plain.topology(), restored.topology());
    }
}

#[test]
fn the_end_of_any_run_can_be_restored_into_a_new_group() {
    for seed in seeds() {
        let _guard = Seed(seed);
        let backup = pb::State::decode(run(seed).end.as_slice()).expect("it was just taken");
        let mut cluster = Cluster::bare();
        cluster.ok(product("demo"));
        cluster.ok(restore(&backup));
        let data = cluster.state.data();
        assert!(data.slots.iter().map(|slot| slot.group).eq(backup.slots.iter().map(|s| s.group)));
        assert!(data.groups.keys().eq(backup.groups.keys()));
        // Whatever the lost group's proxies work by, no barrier of this one is passed without them.
        let waiting = barrier::waiting(data, data.epoch);
        let known: Vec<&String> = backup.proxies.keys().chain(backup.leaving.keys()).collect();
        assert_eq!(waiting.tokens.iter().collect::<Vec<_>>(), known);
        assert_eq!(waiting.fence_epoch, data.epoch);
    }
}

#[test]
fn damaged_bytes_are_refused_or_harmless() {
    for seed in seeds().step_by(20) {
        let _guard = Seed(seed);
        let mut rng = Rng::with_seed(seed);
        let run = run(seed);
        let mut state = State::from_snapshot(&run.end).expect("it was just taken");
        for _ in 0..50 {
            let mut snapshot = run.end.clone();
            let place = rng.usize(..snapshot.len());
            snapshot[place] ^= 1 << rng.u8(0..8);
            if let Ok(damaged) = State::from_snapshot(&snapshot) {
                assert_eq!(damaged.data().version, VERSION);
                assert_eq!(damaged.topology().slots.len(), 1024);
            }
            let (mut command, _) = run.log[rng.usize(..run.log.len())].clone();
            let place = rng.usize(..command.len());
            command[place] ^= 1 << rng.u8(0..8);
            state.apply(COMMANDS as u64 + 1, &command);
        }
    }
}

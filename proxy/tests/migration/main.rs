//! Live migration in virtual time, by the thousand, each run from one seed.
//!
//! A run has real engines (several proxies of one or two shards), the real replicated state, the real migrator for each
//! leader's term and the real scripts, run by Lua. The servers are models that do what Redis does, down to
//! a RESTORE that lies in a frozen server's socket; so are the network, the group's log and the clients. An operator moves
//! slots back and forth; proxies, leaders, servers and connections die and freeze, servers run out of
//! memory, evict keys, and restart from old snapshots. Then all is healed, and everything must end by itself.
//!
//! Checked are the histories of all keys ([`history`]), where each key is at the end, that readers of streams miss nothing, that clients
//! which keep what they have read are told of every change, that none waits longer than a barrier allows, and the engine's own rules. That the checks find what they are for is shown by breaking the
//! protocol's rules one by one ([`plan::Bug`]).
//!
//! To read: [`world`], then [`server`], [`proxies`], [`leader`], [`group`], [`clients`] with what they ask ([`asks`], [`transactions`], [`pops`], [`readers`], [`walks`]) and keep
//! ([`caches`]); [`faults`] and [`operator`] are what
//! happens to them, [`verdict`] is a run from its beginning to its end.
//!
//! A failure names its seed. To run that one alone:
//! `CODIS_SIM_SEED=<seed> cargo test -p codis-proxy --test migration -- --nocapture`
//! More seeds: `CODIS_SIM_SEEDS=1000000`, from `CODIS_SIM_FIRST_SEED` on.

#![allow(clippy::print_stdout, reason = "tests print what they did")]

mod answers;
mod asks;
mod caches;
mod clients;
mod faults;
mod group;
mod history;
mod leader;
mod operator;
mod plan;
mod pops;
mod proxies;
mod readers;
mod server;
mod transactions;
mod verdict;
mod walks;
mod world;

use codis_testbed::{Seeds, caught, for_each};
use plan::{Bug, CODIS_EVERY};
use std::sync::Mutex;
use verdict::{Outcome, run};

const SEEDS: Seeds = Seeds { program: "migration", all: 10_000 };

/// So many seeds are tried for each planted bug.
const BUG_SEEDS: u64 = 40_000;

/// One run; a panic is a failure like any other.
fn checked(seed: u64, bug: Bug) -> Result<Outcome, String> {
    caught(|| run(seed, bug))
}

fn run_all(test: &str, default: u64, one: impl Fn(u64) -> Result<Outcome, String> + Sync) {
    let counted = |seed| {
        let Outcome { replies, moved, events, .. } = one(seed)?;
        Ok([replies as u64, moved, events as u64])
    };
    let (count, [replies, moved, events]) = SEEDS.run(test, default, counted);
    println!("{count} seeds, {moved} slots moved, {replies} replies checked, {events} events");
}

#[test]
fn nothing_is_lost_and_every_move_ends_whatever_fails() {
    run_all("nothing_is_lost_and_every_move_ends_whatever_fails", SEEDS.all, |seed| {
        checked(seed, Bug::None)
    });
}

#[test]
fn a_seed_runs_the_same_way_each_time() {
    run_all("a_seed_runs_the_same_way_each_time", SEEDS.all / 100, |seed| {
        let [first, second] = [checked(seed, Bug::None)?, checked(seed, Bug::None)?];
        if first.trace == second.trace { Ok(first) } else { Err("two runs differ".into()) }
    });
}

#[test]
fn every_broken_rule_is_found() {
    let first = SEEDS.first();
    let found = |bug: Bug| {
        // What concerns servers of Codis shows with them alone.
        let step = if bug == Bug::CodisForEver { CODIS_EVERY } else { 1 };
        let seeds = (first.next_multiple_of(step)..).step_by(step as usize);
        seeds.take(BUG_SEEDS as usize).find_map(|seed| {
            let why = checked(seed, bug).err()?;
            // It is the broken rule that shows.
            checked(seed, Bug::None).is_ok().then_some((seed, why))
        })
    };
    let missed = Mutex::new(Vec::new());
    for_each(&Bug::ALL, |bug| match found(bug) {
        None => missed.lock().expect("no panic under the lock").push(bug),
        Some((seed, why)) => {
            let why = why.lines().next().unwrap_or_default();
            println!("{bug:?}: seed {seed} shows it: {why}");
        }
    });
    let missed = missed.into_inner().expect("no panic under the lock");
    assert!(missed.is_empty(), "not found within {BUG_SEEDS} seeds: {missed:?}");
}

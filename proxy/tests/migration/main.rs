//! Live migration in virtual time, by the thousand, each run from one seed.
//!
//! A run has real engines (several proxies of one or two shards), the real replicated state, the real migrator for each
//! leader's term and the real scripts, run by Lua. The servers are models that do what Redis does, down to
//! a RESTORE that lies in a frozen server's socket; so are the network, the group's log and the clients. An operator moves
//! slots back and forth; proxies, leaders, servers and connections die and freeze, servers run out of
//! memory, evict keys, and restart from old snapshots. Then all is healed, and everything must end by itself.
//!
//! Checked are the histories of all keys ([`history`]), where each key is at the end, that no client waits longer than a barrier
//! allows, and the engine's own rules. That the checks find what they are for is shown by breaking the
//! protocol's rules one by one ([`plan::Bug`]).
//!
//! To read: [`world`], then [`server`], [`proxies`], [`leader`], [`group`], [`clients`] and [`transactions`]; [`faults`] and [`operator`] are what
//! happens to them, [`verdict`] is a run from its beginning to its end.
//!
//! A failure names its seed. To run that one alone:
//! `CODIS_SIM_SEED=<seed> cargo test -p codis-proxy --test migration -- --nocapture`
//! More seeds: `CODIS_SIM_SEEDS=1000000`, from `CODIS_SIM_FIRST_SEED` on.

#![allow(clippy::print_stdout, reason = "tests print what they did")]

mod answers;
mod clients;
mod faults;
mod group;
mod history;
mod leader;
mod operator;
mod plan;
mod proxies;
mod server;
mod transactions;
mod verdict;
mod walks;
mod world;

use plan::{Bug, CODIS_EVERY};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use verdict::{Outcome, run};

const SEEDS: u64 = 10_000;
const THREADS: u64 = 2;

/// So many seeds are tried for each planted bug.
const BUG_SEEDS: u64 = 40_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The seeds to run: the one asked for, or so many.
fn seeds(default: u64) -> (u64, u64) {
    match number("CODIS_SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (
            number("CODIS_SIM_FIRST_SEED").unwrap_or(0),
            number("CODIS_SIM_SEEDS").map_or(default, |seeds| seeds.div_ceil(SEEDS / default)),
        ),
    }
}

/// One run; a panic is a failure like any other.
fn checked(seed: u64, bug: Bug) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| run(seed, bug))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// Runs `one` for each seed on a few threads; fails with the lowest seed that failed.
fn run_all(test: &str, default: u64, one: impl Fn(u64) -> Result<Outcome, String> + Sync) {
    let (first, count) = seeds(default);
    let next = AtomicU64::new(0);
    let [replies, moved, events] = [const { AtomicU64::new(0) }; 3];
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let offset = next.fetch_add(1, Ordering::Relaxed);
                    if offset >= count {
                        return;
                    }
                    let seed = first.wrapping_add(offset);
                    match one(seed) {
                        Ok(outcome) => {
                            replies.fetch_add(outcome.replies as u64, Ordering::Relaxed);
                            moved.fetch_add(outcome.moved, Ordering::Relaxed);
                            events.fetch_add(outcome.events as u64, Ordering::Relaxed);
                        }
                        Err(why) => {
                            next.store(count, Ordering::Relaxed);
                            failures.lock().expect("no panic under the lock").push((seed, why));
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no panic under the lock");
    if let Some((seed, why)) = failures.into_iter().min() {
        panic!(
            "seed {seed}: {why}\nrun it alone: CODIS_SIM_SEED={seed} cargo test -p codis-proxy --test migration {test} -- --nocapture"
        );
    }
    let [replies, moved, events] = [replies, moved, events].map(AtomicU64::into_inner);
    println!("{count} seeds, {moved} slots moved, {replies} replies checked, {events} events");
}

#[test]
fn nothing_is_lost_and_every_move_ends_whatever_fails() {
    run_all("nothing_is_lost_and_every_move_ends_whatever_fails", SEEDS, |seed| {
        checked(seed, Bug::None)
    });
}

#[test]
fn a_seed_runs_the_same_way_each_time() {
    run_all("a_seed_runs_the_same_way_each_time", SEEDS / 100, |seed| {
        let [first, second] = [checked(seed, Bug::None)?, checked(seed, Bug::None)?];
        if first.trace == second.trace { Ok(first) } else { Err("two runs differ".into()) }
    });
}

#[test]
fn every_broken_rule_is_found() {
    let (first, _) = seeds(SEEDS);
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
    let next = AtomicU64::new(0);
    let missed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    match found(*bug) {
                        None => missed.lock().expect("no panic under the lock").push(*bug),
                        Some((seed, why)) => {
                            let why = why.lines().next().unwrap_or_default();
                            println!("{bug:?}: seed {seed} shows it: {why}");
                        }
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().expect("no panic under the lock");
    assert!(missed.is_empty(), "not found within {BUG_SEEDS} seeds: {missed:?}");
}

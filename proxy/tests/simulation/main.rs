//! The engine under a driver model in virtual time, by the thousand, each run from one seed.
//!
//! A run has one or two engines, model servers that run what they are sent, clients with scripts,
//! and faults: lost, refused and hanging connections, servers that freeze or go mad, topologies that
//! change, clients that leave at any byte or do not read. Checked are the answers (each request one,
//! in order, the one that its server gave, or an error that something caused), what ran (nothing
//! twice, nothing on the wrong server or in the wrong database, nothing that was refused), the
//! engine's own rules between turns, its limits, and that nothing hangs and nothing is left over.
//!
//! A failure names its seed. To run that one alone:
//! `CODIS_SIM_SEED=<seed> cargo test -p codis-proxy --test simulation -- --nocapture`
//! More seeds: `CODIS_SIM_SEEDS=1000000`, from `CODIS_SIM_FIRST_SEED` on.

#![allow(clippy::print_stdout, reason = "tests print what they did")]

mod client;
mod driver;
mod faults;
mod ledger;
mod operator;
mod pipe;
mod plan;
mod script;
mod server;
mod verdict;
mod world;

use plan::{Bug, Mode};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use world::{Outcome, run};

const SEEDS: u64 = 10_000;
const THREADS: u64 = 2;

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

/// One run; a panic of the engine is a failure like any other.
fn checked(seed: u64, mode: Mode, bug: Bug) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| run(seed, mode, bug))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// Runs `one` for each seed on a few threads; fails with the lowest seed that failed.
fn run_all(test: &str, default: u64, one: impl Fn(u64) -> Result<usize, String> + Sync) {
    let (first, count) = seeds(default);
    let next = AtomicU64::new(0);
    let replies = AtomicUsize::new(0);
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
                        Ok(count) => _ = replies.fetch_add(count, Ordering::Relaxed),
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
            "seed {seed}: {why}\nrun it alone: CODIS_SIM_SEED={seed} cargo test -p codis-proxy --test simulation {test} -- --nocapture"
        );
    }
    println!("{count} seeds, {} replies checked", replies.into_inner());
}

#[test]
fn every_request_has_its_one_answer_whatever_fails() {
    run_all("every_request_has_its_one_answer_whatever_fails", SEEDS, |seed| {
        checked(seed, Mode::Chaos, Bug::None).map(|outcome| outcome.replies)
    });
}

#[test]
fn any_cut_of_the_streams_gives_the_same_bytes_as_no_cut() {
    run_all("any_cut_of_the_streams_gives_the_same_bytes_as_no_cut", SEEDS / 4, |seed| {
        let whole = checked(seed, Mode::Calm { cut: false }, Bug::None)?;
        let cut = checked(seed, Mode::Calm { cut: true }, Bug::None)?;
        for (client, (whole, cut)) in whole.received.iter().zip(&cut.received).enumerate() {
            if whole != cut {
                let same = whole.iter().zip(cut).take_while(|(a, b)| a == b).count();
                let shown = |bytes: &[u8]| {
                    let end = bytes.len().min(same + 60);
                    bytes[same.min(end)..end].escape_ascii().to_string()
                };
                return Err(format!(
                    "client {client} received other bytes from byte {same} on: uncut {}, cut {}",
                    shown(whole),
                    shown(cut)
                ));
            }
        }
        Ok(whole.replies + cut.replies)
    });
}

#[test]
fn a_seed_runs_the_same_way_each_time() {
    run_all("a_seed_runs_the_same_way_each_time", SEEDS / 100, |seed| {
        let [first, second] =
            [checked(seed, Mode::Chaos, Bug::None)?, checked(seed, Mode::Chaos, Bug::None)?];
        if first.trace == second.trace { Ok(first.replies) } else { Err("two runs differ".into()) }
    });
}

#[test]
fn every_planted_bug_is_found() {
    std::panic::set_hook(Box::new(|_| {}));
    let found = |bug: &Bug| (0..2_000).find(|seed| checked(*seed, Mode::Chaos, *bug).is_err());
    let missed: Vec<Bug> = Bug::ALL.into_iter().filter(|bug| found(bug).is_none()).collect();
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "not found: {missed:?}");
}

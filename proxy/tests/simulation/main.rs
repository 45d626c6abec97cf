//! The engine under a driver model in virtual time, by the thousand, each run from one seed.
//!
//! A run has one or two engines, model servers that run what they are sent, clients with scripts,
//! and faults: lost, refused and hanging connections, servers that freeze or go mad, topologies that
//! change, clients that leave at any byte or do not read. Clients speak both protocols, and some of what they say is WATCH, MULTI and EXEC,
//! and BLPOP. Checked are the answers (each request one, in order, the one that its server gave, or an error that something caused), what
//! ran (nothing twice, nothing on the wrong server, in the wrong database or on a connection of the wrong protocol, nothing that was
//! refused; of a transaction all or nothing; an element of a list for one client), the engine's own rules between turns, its limits, and
//! that nothing hangs and nothing is left over.
//!
//! A failure names its seed. To run that one alone:
//! `CODIS_SIM_SEED=<seed> cargo test -p codis-proxy --test simulation -- --nocapture`
//! More seeds: `CODIS_SIM_SEEDS=1000000`, from `CODIS_SIM_FIRST_SEED` on.

#![allow(clippy::print_stdout, reason = "tests print what they did")]

mod client;
mod connections;
mod driver;
mod executions;
mod faults;
mod ledger;
mod operator;
mod pipe;
mod plan;
mod script;
mod server;
mod transactions;
mod verdict;
mod waits;
mod world;

use codis_testbed::{Seeds, caught};
use plan::{Bug, Mode};
use world::{Outcome, run};

const SEEDS: Seeds = Seeds { program: "simulation", all: 10_000 };

/// One run; a panic of the engine is a failure like any other.
fn checked(seed: u64, mode: Mode, bug: Bug) -> Result<Outcome, String> {
    caught(|| run(seed, mode, bug))
}

fn run_all(test: &str, default: u64, one: impl Fn(u64) -> Result<usize, String> + Sync) {
    let (count, [replies]) = SEEDS.run(test, default, |seed| Ok([one(seed)? as u64]));
    println!("{count} seeds, {replies} replies checked");
}

#[test]
fn every_request_has_its_one_answer_whatever_fails() {
    run_all("every_request_has_its_one_answer_whatever_fails", SEEDS.all, |seed| {
        checked(seed, Mode::Chaos, Bug::None).map(|outcome| outcome.replies)
    });
}

#[test]
fn any_cut_of_the_streams_gives_the_same_bytes_as_no_cut() {
    run_all("any_cut_of_the_streams_gives_the_same_bytes_as_no_cut", SEEDS.all / 4, |seed| {
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
    run_all("a_seed_runs_the_same_way_each_time", SEEDS.all / 100, |seed| {
        let [first, second] =
            [checked(seed, Mode::Chaos, Bug::None)?, checked(seed, Mode::Chaos, Bug::None)?];
        if first.trace == second.trace { Ok(first.replies) } else { Err("two runs differ".into()) }
    });
}

#[test]
fn every_planted_bug_is_found() {
    std::panic::set_hook(Box::new(|_| {}));
    let found = |bug: Bug| {
        let why = |seed| Some((seed, checked(seed, Mode::Chaos, bug).err()?));
        (0..2_000).find_map(why)
    };
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        match found(bug) {
            None => missed.push(bug),
            Some((seed, why)) => println!("{bug:?}: seed {seed} shows it: {why}"),
        }
    }
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "not found: {missed:?}");
}

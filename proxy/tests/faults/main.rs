//! The fault run: members of a metadata group are killed, frozen, cut off and given full disks while operators
//! change groups, slots, settings and masters and clients send commands through two proxies. What must hold afterwards:
//!
//! - every acknowledged change is there, at the index that was acknowledged, and none ran twice ([`journal`]);
//! - settings and slots behave as registers that everybody reads and writes one after another, as
//!   `todc_utils`'s checker finds ([`registers`]);
//! - no two members ever hold different topologies at one epoch, or different commands at one index ([`journal`]);
//! - no client of a proxy saw an error or lost a write ([`codis_testbed::Traffic`]), and both proxies come to the last topology.
//!
//! In every second round ([`promoter`]) masters are changed as well. A proxy that does not answer in time, as a member
//! that led is gone, is then shut out of the servers and loses what is in flight: in these rounds clients may get
//! errors, and lose no write that was acknowledged all the same.
//!
//! A run has rounds; after each, faults end, operators finish what they have begun, and all of it is checked.
//! `CODIS_FAULT_SECONDS` says how long faults go on in all, `CODIS_FAULT_SEED` repeats a run's choices (the machine's
//! scheduling is not repeated with them). `make soak` runs it for long.
#![allow(
    unreachable_pub,
    reason = "a test program exports nothing; pub marks what its modules share"
)]
#![allow(clippy::print_stdout, reason = "the seed and what was done are printed")]

mod calls;
mod journal;
mod nemesis;
mod operators;
mod promoter;
mod registers;
mod round;
mod world;

use codis_testbed::Sandbox;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use world::World;

/// How long the faults of one round go on, at most: histories are checked round by round, and the checker's
/// time grows with their squares.
const ROUND: Duration = Duration::from_secs(12);

#[test]
fn acknowledged_changes_survive_kills_freezes_cuts_and_full_disks_and_clients_notice_nothing() {
    let sandbox = Sandbox::enter(
        "acknowledged_changes_survive_kills_freezes_cuts_and_full_disks_and_clients_notice_nothing",
    );
    if sandbox == Sandbox::Ran {
        return;
    }
    let seed = number("CODIS_FAULT_SEED").unwrap_or_else(clock);
    let mut left =
        Duration::from_secs(number("CODIS_FAULT_SECONDS").unwrap_or(2 * ROUND.as_secs()));
    println!("fault run with CODIS_FAULT_SEED={seed}, {} s of faults", left.as_secs());
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut world = World::start(sandbox == Sandbox::Entered);
    let mut number = 0;
    while !left.is_zero() {
        number += 1;
        let length = left.min(ROUND);
        left -= length;
        let report = round::run(&mut world, &mut rng, number, length);
        println!("round {number}: {report}");
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}

fn clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    u64::from(since.subsec_nanos()) ^ since.as_secs() << 20
}

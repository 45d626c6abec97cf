//! A fixed load on the engine alone, for counting instructions: `engine_load <get|set|mget> <turns>`.
//!
//! Sixteen sessions, two backends, sixteen requests a session and turn, values of 64 bytes; bytes go
//! in and out as the driver moves them, buffers go back. `bench/instructions.sh` runs it under
//! callgrind with two numbers of turns: the difference is what the turns cost.

#![allow(clippy::print_stdout, reason = "its output is its answer")]

mod driver;

use driver::{Driver, Load, SESSIONS, TURN_US};

fn main() {
    let mut args = std::env::args().skip(1);
    let load = args.next().and_then(|name| Load::named(&name));
    let turns: Option<u64> = args.next().and_then(|turns| turns.parse().ok());
    let (Some(load), Some(turns)) = (load, turns) else {
        println!("usage: engine_load <get|set|mget> <turns>");
        std::process::exit(2);
    };
    let mut driver = Driver::new();
    let mut replies = 0;
    for turn in 1..=turns {
        replies += driver.turn_at(turn * TURN_US, &load);
    }
    println!("{}", turns * u64::from(SESSIONS) * load.requests_a_session as u64);
    assert!(replies > 0, "no reply came");
}

//! The proxy over two servers against one Redis: random commands, replies equal byte for byte.
//!
//! Commands of all families with all argument forms ([`families`]), right and wrong, in pipelines of random depth, in RESP2
//! and RESP3. The keys of a sequence have one tag, so that both serve what commands of several keys need. What
//! depends on chance, time or a server's own order is compared as far as it can be ([`compare`]).
//!
//! `CODIS_DIFFERENTIAL_SEED=<seed>` repeats a run, or the one sequence that met a difference if
//! `CODIS_DIFFERENTIAL_COMMANDS=1`; that variable says how many commands there are.
#![allow(clippy::print_stdout, reason = "the seed has to be seen")]
#![allow(
    unreachable_pub,
    reason = "a test program exports nothing; pub marks what its modules share"
)]

mod arguments;
mod compare;
mod families;
mod generate;
mod grammar;
mod world;

use std::time::{SystemTime, UNIX_EPOCH};

/// How many commands `make test` compares.
const COMMANDS: usize = 50_000;

/// After so many differences the rest is not worth knowing.
const DIFFERENCES_MAX: usize = 10;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn the_proxy_answers_as_one_redis_does() {
    let clock =
        || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    let first = number("CODIS_DIFFERENTIAL_SEED").unwrap_or_else(clock);
    let commands = number("CODIS_DIFFERENTIAL_COMMANDS").map_or(COMMANDS, |n| n as usize);
    println!("{commands} commands with CODIS_DIFFERENTIAL_SEED={first}");

    let mut world = world::World::start();
    let generator = generate::Generator::new(&world.commands());
    let mut differences = Vec::new();
    let mut done = 0;
    for seed in first.. {
        if done >= commands || differences.len() >= DIFFERENCES_MAX {
            break;
        }
        match world.run_sequence(&generator, seed) {
            Ok(count) => done += count,
            Err(difference) => {
                differences.push(difference);
                world.clean();
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{done} commands were the same, but:\n{}",
        differences.join("\n")
    );
}

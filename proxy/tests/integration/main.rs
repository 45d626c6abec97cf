//! The proxy against real Redis servers, from the outside: over sockets, signals and `/proc`.
//!
//! [`cluster`] starts a proxy with servers behind it; each other module tests one side of it. All of
//! it is one program so that it links once; tests run at the same time, each with servers of its own.
//!
//! With `CODIS_TEST_TARGET=redis` in the environment the place of the proxy is taken by a plain
//! redis-server. That proves the tests themselves: `cargo test --test integration -- redis_too` runs
//! those that Redis must pass as well.
#![allow(
    unreachable_pub,
    reason = "a test program exports nothing; pub marks what its modules share"
)]
#![allow(clippy::print_stdout, reason = "measurements that are no pass or fail are printed")]

mod backends;
mod blocking;
mod cluster;
mod everywhere;
mod families;
mod library;
mod limits;
mod monitor;
mod multi_key;
mod own_commands;
mod process;
mod protocol;
mod pubsub;
mod resp3;
mod sessions;
mod transactions;
mod users;

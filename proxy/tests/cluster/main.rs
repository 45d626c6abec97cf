//! The whole of Codis from the outside: members of a metadata group, proxies that follow it, Redis servers, and an
//! operator with codis-admin. Nothing here knows more than an operator can see.
//!
//! [`bed`] starts it all; each other module tests one side of it.
#![allow(
    unreachable_pub,
    reason = "a test program exports nothing; pub marks what its modules share"
)]
#![allow(clippy::print_stdout, reason = "measurements that are no pass or fail are printed")]

mod bed;
mod changes;
mod codis;
mod dataset;
mod encrypted;
mod members;
mod moves;
mod promotion;
mod proxies;
mod pubsub;
mod refusals;
mod tracking;
mod waits;

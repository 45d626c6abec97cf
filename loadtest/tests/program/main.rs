//! The program as its users run it: against real servers, and with whole clusters.
#![allow(
    unreachable_pub,
    reason = "a test program exports nothing; pub marks what its modules share"
)]

mod check;
mod cluster;
mod planted;
mod program;
mod run;

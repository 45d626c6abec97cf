//! Whole members on loopback, in this process: founding, leaving, joining, losing and cutting them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod founding;
mod members;
mod network;
mod refusals;
mod running;

//! The replicated state from outside: each rule by example, then all of them by random commands.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounds;
mod changes;
mod cluster;
mod groups;
mod leftovers;
mod members;
mod promotion;
mod proxies;
mod random;
mod requests;
mod restore;
mod shadow;
mod slots;
mod syncs;
mod topologies;

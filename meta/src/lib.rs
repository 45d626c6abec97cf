//! `codis-meta`: one member of the group that holds a product's topology and drives its changes.
//!
//! In the order to read it: [`state`] is what is replicated, and every rule of what may change when; [`raft`]
//! replicates it; both are made without I/O where they can be. [`node`] runs a member on a thread of its own.
//! [`server`] is everything on the member's one port.

pub mod auth;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod node;
pub mod raft;
pub mod server;
pub mod state;
pub mod transport;

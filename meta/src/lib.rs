//! `codis-meta`: one member of the group that holds a product's topology and drives its changes.
//!
//! In the order to read it: [`state`] is what is replicated, and every rule of what may change when; [`raft`]
//! replicates it; both are made without I/O where they can be. [`node`] runs a member on a thread of its own,
//! [`transport`] connects it with its peers. [`server`] is everything on the member's one port, [`drive`] what the
//! leader does at Redis servers. [`daemon`] makes a whole member of all that, from what [`config`] reads and [`cli`] is
//! told; [`auth`] is the token that every call carries.

pub mod auth;
pub mod backup;
pub mod cli;
pub mod client;
pub mod config;
pub mod daemon;
pub mod drive;
pub mod node;
pub mod raft;
pub mod server;
pub mod state;
pub mod transport;

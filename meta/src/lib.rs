//! `codis-meta`: one member of the group that holds a product's topology and drives its changes.
//!
//! [`state`] is what is replicated, and every rule of what may change when; [`raft`] replicates it.
//! Both are made without I/O where they can be.

pub mod raft;
pub mod state;

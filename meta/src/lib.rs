//! `codis-meta`: one member of the group that holds a product's topology and drives its changes.

pub mod raft;

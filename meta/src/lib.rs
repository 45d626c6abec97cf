//! `codis-meta`: the metadata group, which holds a product's topology and drives its changes.

pub mod state;

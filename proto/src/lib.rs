//! `codis-proto`: the messages that members, proxies and tools exchange, generated from the .proto
//! files of this crate. They hold data alone; the rules are in the crates that use them.
//!
//! Maps are `BTreeMap`s, so that equal messages have equal bytes.

/// Package `codis.meta.v1`: the replicated state of the metadata group, the commands that change it,
/// and the topology that proxies follow.
pub mod meta {
    /// Version 1 of the package.
    pub mod v1 {
        #![allow(
            missing_docs,
            clippy::all,
            reason = "generated; what a field means is said in the .proto files"
        )]
        include!(concat!(env!("OUT_DIR"), "/codis.meta.v1.rs"));
    }
}

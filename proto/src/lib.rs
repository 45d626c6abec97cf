//! `codis-proto`: the messages and services of the metadata group, generated from the .proto files of this crate.
//! They hold data alone; the rules are in the crates that use them.
//!
//! Maps are `BTreeMap`s, so that equal messages have equal bytes.

/// Every .proto file as an encoded `FileDescriptorSet`, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The key on every master that holds the fence: the decimal epoch below which no proxy may use a connection to the
/// server. Reserved: proxies hide it from clients.
pub const FENCE_KEY: &str = "__codis_fence__";

/// The key on every master that holds the epoch of the last promotion or sync that a leader began there, so that a
/// leader of the past can do no harm. Reserved, as the fence is.
pub const ORDER_KEY: &str = "__codis_order__";

macro_rules! packages {
    ($( $(#[$doc:meta])* $name:ident $package:literal; )+) => { $(
        $(#[$doc])*
        pub mod $name {
            /// Version 1 of the package.
            pub mod v1 {
                #![allow(
                    missing_docs,
                    unused_qualifications,
                    clippy::all,
                    clippy::allow_attributes_without_reason,
                    reason = "generated; what a field means is said in the .proto files"
                )]
                include!(concat!(env!("OUT_DIR"), "/", $package, ".rs"));
            }
        }
    )+ };
}

packages! {
    /// Package `codis.meta.v1`: the replicated state of the metadata group, the commands that change it,
    /// and the topology that proxies follow.
    meta "codis.meta.v1";
    /// Package `codis.link.v1`: the stream between a proxy and the group.
    link "codis.link.v1";
    /// Package `codis.member.v1`: what members say to each other.
    member "codis.member.v1";
    /// Package `codis.admin.v1`: the operator's calls.
    admin "codis.admin.v1";
}

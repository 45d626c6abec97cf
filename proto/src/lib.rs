//! `codis-proto`: the messages and services of the metadata group, generated from the .proto files of this crate.
//! They hold data alone; the rules are in the crates that use them. What movers of keys and servers say to each other is in
//! [`moves`].
//!
//! Maps are `BTreeMap`s, so that equal messages have equal bytes.

pub mod moves;

/// Every .proto file as an encoded `FileDescriptorSet`, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The key on every master that holds the fence: the decimal epoch below which no proxy may use a connection to the
/// server. Reserved: proxies hide it from clients.
pub const FENCE_KEY: &str = "__codis_fence__";

/// The key on every master that holds the epoch of the last promotion or sync that a leader began there, so that a
/// leader of the past can do no harm. Reserved, as the fence is.
pub const ORDER_KEY: &str = "__codis_order__";

/// The key on every server that keys have moved from or to, which holds the highest term of a leader whose migrator worked there.
/// Reserved, as the fence is.
pub const MOVER_KEY: &str = "__codis_mover__";

/// The hash on a source of moves: by target address, the run id of the source for which no earlier MIGRATE can be at
/// work on that target any more. Under `<address> began`, the run in which the moves to a target began that overwrite
/// what it has. In database 0. Reserved, as the fence is.
pub const CLEAN_KEY: &str = "__codis_clean__";

/// The key on a target of moves that is written before its replicas are waited for. Reserved, as the fence is.
pub const WAIT_KEY: &str = "__codis_wait__";

/// What the hidden names of big keys begin with, while they are copied. Reserved, as the fence is. The tag puts
/// all of them into one slot.
pub const BIG_KEY_PREFIX: &str = "{__codis_big__}:";

/// The set on a target of moves that names the copies of big keys there, each with its database. In database 0.
/// Reserved, as the fence is.
pub const COPIES_KEY: &str = "__codis_copies__";

/// All keys of the product on servers but the hidden copies.
pub const RESERVED_KEYS: [&str; 6] =
    [FENCE_KEY, ORDER_KEY, MOVER_KEY, CLEAN_KEY, WAIT_KEY, COPIES_KEY];

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

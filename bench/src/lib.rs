//! What the proxy costs, beside its peers: the parts that the benchmarks share.
//!
//! [`Contender`] is anything that clients can connect to: codis-proxy, a peer by its [`Adapter`], a server itself. [`Bench`] is
//! one run of redis-benchmark against it. Which are compared and how the results are shown is the binaries' part.

mod adapter;
mod contender;
mod load;
mod machine;

pub use adapter::{Adapter, adapters};
pub use contender::{CODIS, Contender, DIRECT, Kind, Place, contenders, start};
pub use load::{Bench, Sample, median};
pub use machine::describe as describe_machine;

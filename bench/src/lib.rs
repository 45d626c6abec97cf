//! What the proxy costs, beside its peers: the parts that the benchmarks share.
//!
//! [`Contender`] is anything that clients can connect to; [`Bench`] is one run of redis-benchmark
//! against it. Which are compared and how the results are shown is the binaries' part.

mod contender;
mod load;
mod machine;

pub use contender::{Contender, Kind, start};
pub use load::{Bench, Sample, median};
pub use machine::describe as describe_machine;

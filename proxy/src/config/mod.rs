//! The proxy's configuration: a TOML file with Codis's keys.

mod secret;
mod settings;
mod table;
mod units;
mod value;

pub use secret::Secret;
pub use settings::{KEYS, ProxyConfig};
pub use table::{Change, Key};
pub use units::{ByteSize, Period, SlowThreshold, UnitError};
pub use value::{ProtoType, Written};

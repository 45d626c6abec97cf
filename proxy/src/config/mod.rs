//! The proxy's configuration: a TOML file with the keys of Codis's proxy.toml and a few more in the
//! same style.
//!
//! `settings` is the table of keys and the struct `ProxyConfig` made from it; start there. How such a
//! table is read from a file and written back is `codis_service::config`'s, and `file` says it of the
//! proxy's. `check` knows which values are impossible, `set` changes settings while the proxy runs,
//! `listen` makes addresses of them, `embedded` is the section of the member inside. Nothing here knows the engine or the control thread;
//! `docs/configuration.md` is the page for operators.

mod check;
mod embedded;
mod file;
mod listen;
mod set;
mod settings;
#[cfg(test)]
mod tests;

pub use codis_service::config::{
    ByteSize, Change, ConfigError, Key, Period, Problem, Secret, SlowThreshold, UnitError, Written,
};
pub use embedded::Embedded;
pub use file::{Loaded, default_toml, load, parse};
pub use listen::{Listen, ProtoType};
pub use set::SetError;
pub use settings::{KEYS, ProxyConfig};

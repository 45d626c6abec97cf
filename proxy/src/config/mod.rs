//! The proxy's configuration: a TOML file with the keys of Codis's proxy.toml and a few more in the
//! same style.
//!
//! `settings` is the table of keys and the struct `ProxyConfig` made from it; start there. Around
//! it: `units`, `secret` and `value` are the types that a setting can have, `check` knows which
//! values are impossible, `file` reads a file, `set` changes settings while the proxy
//! runs, `show` writes them back, `listen` makes addresses of them. Nothing here knows the engine or
//! the control thread; `docs/configuration.md` is the page for operators.

mod check;
mod file;
mod listen;
mod secret;
mod set;
mod settings;
mod show;
mod table;
#[cfg(test)]
mod tests;
mod units;
mod value;

pub use file::{ConfigError, Loaded, Problem, load, parse};
pub use listen::Listen;
pub use secret::Secret;
pub use set::SetError;
pub use settings::{KEYS, ProxyConfig};
pub use show::default_toml;
pub use table::{Change, Key};
pub use units::{ByteSize, Period, SlowThreshold, UnitError};
pub use value::{ProtoType, Written};

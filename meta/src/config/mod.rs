//! The configuration of a member: meta.toml, or the dashboard.toml of a Codis dashboard as it is.
//!
//! `settings` is the table of keys and the struct [`MetaConfig`] made from it; start there. `initial` is the
//! type of those keys that are a new product's first settings, `check` knows which values are
//! impossible, `members` finds out who this member is and which others there are. How a table is read from
//! a file is `codis_service::config`'s. Nothing here knows of Raft or of gRPC;
//! `docs/meta-configuration.md` is the page for operators.

mod check;
mod initial;
mod members;
mod settings;
#[cfg(test)]
mod tests;

pub use check::Ticks;
pub use codis_service::config::{
    ConfigError, Configuration, Key, Period, Secret, Table, load, parse, to_json,
};
pub use initial::Initial;
pub use settings::{KEYS, MetaConfig};

/// A configuration that was read, and its warnings.
pub type Loaded = codis_service::config::Loaded<MetaConfig>;

/// A complete file with every default, each key under what it means. It reads back to the defaults.
#[must_use]
pub fn default_toml() -> String {
    codis_service::config::default_toml("codis-meta", &MetaConfig::default())
}

//! The proxy's file, read and written by its table of keys.

use super::{ConfigError, Key, ProxyConfig};
use codis_service::config::{self, Configuration, Fault, Setting};
use serde_json::Value;
use std::path::Path;

/// A configuration that was read, and its warnings.
pub type Loaded = config::Loaded<ProxyConfig>;

/// Reads the file at `path`.
///
/// # Errors
/// As [`config::load`].
pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
    config::load(path)
}

/// Reads `text`, which messages call `file`.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, file: &str) -> Result<Loaded, ConfigError> {
    config::parse(text, file)
}

/// A complete file with every default, each key under what it means. It reads back to the defaults.
#[must_use]
pub fn default_toml() -> String {
    config::default_toml("codis-proxy", &ProxyConfig::default())
}

impl ProxyConfig {
    /// The setting of that key and its row; `section.key` finds one that is in a section.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(&'static Key, &dyn Setting)> {
        config::find(self, name)
    }

    /// Every setting that has a meaning and is no secret, as CONFIG GET shows it: (key, value).
    #[must_use]
    pub fn entries(&self) -> Vec<(String, String)> {
        config::entries(self)
    }

    /// The `config` object of Codis's `/proxy` page: see [`config::to_json`].
    #[must_use]
    pub fn to_json(&self) -> Value {
        config::to_json(self)
    }

    /// What is impossible in these settings, one sentence each, for settings that came from elsewhere
    /// than a file.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.check().iter().map(Fault::to_string).collect()
    }
}

//! Writing settings back: the default file, CONFIG GET, the JSON page.

use super::table::{Change, Key};
use super::value::Written;
use super::{KEYS, ProxyConfig};
use serde_json::{Map, Value};
use std::fmt::Write;

/// What the default file begins with.
const HEAD: &str = "\
# codis-proxy: every setting with its default.
#
# Sizes are written as \"128kb\", \"64mb\", \"1gb\" or as a number of bytes, times as \"30m\", \"75s\",
# \"500ms\" or as a number of seconds.
";

/// A complete file with every default, each key under what it means. It reads back to the defaults.
#[must_use]
pub fn default_toml() -> String {
    let defaults = ProxyConfig::default();
    let mut text = String::from(HEAD);
    for key in KEYS.iter().filter(|key| !key.is_ignored()) {
        text.push('\n');
        for line in key.doc {
            text.push('#');
            text.push_str(line);
            text.push('\n');
        }
        let value = match (key.get)(&defaults).written() {
            Written::Text(text) => toml::Value::String(text).to_string(),
            other => other.plain(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} = {value}", key.name);
    }
    text.push_str("\n# Keys of Codis that are accepted with a warning and do nothing:\n");
    for key in KEYS.iter().filter(|key| key.is_ignored()) {
        let _ = writeln!(text, "#   {}", key.name);
    }
    text
}

impl Key {
    /// Whether the key is one of Codis's that have no meaning here.
    #[must_use]
    pub fn is_ignored(&self) -> bool {
        matches!(self.change, Change::Ignored(_))
    }
}

impl ProxyConfig {
    /// Every setting that has a meaning and is no secret, as CONFIG GET shows it: (key, value).
    #[must_use]
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        let shown = KEYS.iter().filter(|key| !key.is_ignored() && !(key.get)(self).is_secret());
        shown.map(|key| (key.name, (key.get)(self).written().plain())).collect()
    }

    /// The `config` object of Codis's `/proxy` page: sizes and times as text, and keys without meaning
    /// as they were given. Secrets are left out, except that `jodis_auth`, which Codis's page shows,
    /// is there and empty.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        for key in KEYS {
            let setting = (key.get)(self);
            if setting.is_secret() && !key.is_ignored() {
                continue;
            }
            let value = match setting.written() {
                Written::Text(text) => Value::from(text),
                Written::Integer(n) => Value::from(n),
                Written::Float(n) => Value::from(n),
                Written::Truth(truth) => Value::from(truth),
                Written::Other(what) => Value::from(what),
            };
            object.insert(key.name.to_owned(), value);
        }
        Value::Object(object)
    }
}

//! `CONFIG GET` and `CONFIG SET`: the proxy's own settings under their own names, and those settings of
//! Redis that clients ask for, under Redis's names and in its units.

use super::super::state::State;
use super::reply::{self, push_bulk};
use super::{Refusal, text};
use crate::command::glob_matches;
use crate::config::{ByteSize, Period, ProxyConfig, SetError};
use crate::resp::{Protocol, write};
use std::collections::HashSet;

/// A setting under Redis's name.
struct Alias {
    /// Redis's name.
    name: &'static str,
    /// Its value in Redis's units.
    get: fn(&ProxyConfig) -> String,
    /// How it is set; `None` for what is fixed.
    set: Option<Set>,
}

/// Our key for a setting of Redis, and how a value in Redis's units is written for it.
type Set = (&'static str, fn(&str) -> String);

const fn alias(
    name: &'static str,
    get: fn(&ProxyConfig) -> String,
    key: &'static str,
    written: fn(&str) -> String,
) -> Alias {
    Alias { name, get, set: Some((key, written)) }
}

const fn fixed(name: &'static str, get: fn(&ProxyConfig) -> String) -> Alias {
    Alias { name, get, set: None }
}

/// Settings of Redis. What is fixed says what the proxy itself does: it saves nothing and evicts nothing.
static ALIASES: &[Alias] = &[
    fixed("appendonly", |_| "no".into()),
    fixed("bind", |config| host(&config.proxy_addr).to_owned()),
    alias(
        "client-query-buffer-limit",
        |c| bytes(c.session_input_max),
        "session_input_max",
        as_it_is,
    ),
    fixed("cluster-enabled", |_| "no".into()),
    fixed("databases", |config| config.backend_number_databases.to_string()),
    alias("maxclients", |c| c.proxy_max_clients.to_string(), "proxy_max_clients", as_it_is),
    fixed("maxmemory", |_| "0".into()),
    fixed("port", |config| port(&config.proxy_addr).to_owned()),
    alias("proto-max-bulk-len", |c| bytes(c.proto_max_bulk), "proto_max_bulk", as_it_is),
    fixed("save", |_| String::new()),
    alias("shutdown-timeout", |c| seconds(c.shutdown_timeout), "shutdown_timeout", as_seconds),
    alias(
        "slowlog-log-slower-than",
        |c| c.slowlog_log_slower_than.0.map_or("-1".into(), |slow| slow.as_micros().to_string()),
        "slowlog_log_slower_than",
        as_it_is,
    ),
    alias("slowlog-max-len", |c| c.slowlog_max_len.to_string(), "slowlog_max_len", as_it_is),
    alias(
        "tcp-keepalive",
        |c| seconds(c.session_keepalive_period),
        "session_keepalive_period",
        as_seconds,
    ),
    alias("timeout", |c| seconds(c.session_recv_timeout), "session_recv_timeout", as_seconds),
];

/// Sizes and counts: we read what Redis reads.
fn as_it_is(value: &str) -> String {
    value.to_owned()
}

/// Redis's plain numbers of seconds.
fn as_seconds(value: &str) -> String {
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("{value}s")
    } else {
        value.to_owned()
    }
}

fn bytes(size: ByteSize) -> String {
    size.0.to_string()
}

/// Whole seconds; less than one counts as one, as 0 means "never".
fn seconds(period: Period) -> String {
    let rounded_up = period.0.as_secs() + u64::from(period.0.subsec_nanos() > 0);
    rounded_up.to_string()
}

/// The host of `host:port`; empty for a unix socket.
fn host(addr: &str) -> &str {
    addr.rsplit_once(':').map_or("", |(host, _)| host)
}

/// The port of `host:port`; 0 for a unix socket.
fn port(addr: &str) -> &str {
    addr.rsplit_once(':').map_or("0", |(_, port)| port)
}

/// `CONFIG GET pattern ...`
pub(super) fn get(state: &State, patterns: &[Vec<u8>], protocol: Protocol) -> Vec<u8> {
    let config = state.config();
    let aliases = ALIASES.iter().map(|alias| (alias.name.to_owned(), (alias.get)(&config)));
    let all = aliases.chain(config.entries());
    let wanted = all
        .filter(|(name, _)| patterns.iter().any(|pattern| glob_matches(pattern, name.as_bytes())));
    let wanted: Vec<(String, String)> = wanted.collect();
    let mut reply = Vec::new();
    write::map(&mut reply, protocol, wanted.len());
    for (name, value) in wanted {
        push_bulk(&mut reply, name.as_bytes());
        push_bulk(&mut reply, value.as_bytes());
    }
    reply
}

/// `CONFIG SET name value ...`: all of them or none.
pub(super) fn set(state: &State, options: &[Vec<u8>]) -> Result<Vec<u8>, Refusal> {
    let mut changes: Vec<Change> = Vec::with_capacity(options.len() / 2);
    let mut keys = HashSet::new();
    let config = state.config();
    for pair in options.chunks(2) {
        let [name, value] = pair else {
            return Err(Refusal::syntax());
        };
        let change = Change::read(&config, &text(name), value)?;
        if !keys.insert(change.key.clone()) {
            return Err(failed(&change.name, "duplicate parameter"));
        }
        changes.push(change);
    }
    let mut changed = ProxyConfig::clone(&config);
    // What is fixed was compared when it was read, and has nothing to set.
    let pairs =
        changes.iter().filter_map(|change| Some((change.key.as_str(), change.value.as_deref()?)));
    changed.set_all(pairs).map_err(|error| refused(&changes, &error))?;
    state.install_config(changed);
    for change in &changes {
        tracing::info!("CONFIG SET changed {}", change.key);
    }
    Ok(reply::ok())
}

/// One setting that a client wants changed.
struct Change {
    /// The name that the client used.
    name: String,
    /// Our key.
    key: String,
    /// The value as our key is written; `None` where there is nothing to change.
    value: Option<String>,
}

impl Change {
    fn read(config: &ProxyConfig, name: &str, value: &[u8]) -> Result<Self, Refusal> {
        let Ok(value) = std::str::from_utf8(value) else {
            return Err(failed(name, "argument must be UTF-8"));
        };
        let lower = name.to_ascii_lowercase();
        let (name, owned) = (name.to_owned(), value.to_owned());
        let Some(alias) = ALIASES.iter().find(|alias| alias.name == lower) else {
            config.find(&lower).ok_or_else(|| unknown(&name))?;
            return Ok(Self { name, key: lower, value: Some(owned) });
        };
        match alias.set {
            Some((key, written)) => Ok(Self { name, key: key.into(), value: Some(written(value)) }),
            None if (alias.get)(config) == value => {
                Ok(Self { name, key: alias.name.into(), value: None })
            }
            None => Err(failed(&name, "can't set immutable config")),
        }
    }
}

/// An error of the settings in Redis's words, with the name that the client used.
fn refused(changes: &[Change], error: &SetError) -> Refusal {
    let asked = |key: &str| {
        changes.iter().find(|change| change.key == key).map_or(key.to_owned(), |c| c.name.clone())
    };
    match error {
        SetError::Unknown { key, .. } => unknown(&asked(key)),
        SetError::Restart(key) => failed(&asked(key), "can't set immutable config"),
        SetError::Ignored(key, why) => failed(&asked(key), why),
        SetError::Value(key, what) => failed(&asked(key), what),
    }
}

fn unknown(name: &str) -> Refusal {
    Refusal::err(format_args!("Unknown option or number of arguments for CONFIG SET - '{name}'"))
}

fn failed(name: &str, why: &str) -> Refusal {
    Refusal::err(format_args!("CONFIG SET failed (possibly related to argument '{name}') - {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_names_a_key_that_can_change_at_run_time() {
        for alias in ALIASES {
            let Some((key, written)) = alias.set else { continue };
            let mut config = ProxyConfig::default();
            let value = written(&(alias.get)(&config));
            config.set(key, &value).unwrap_or_else(|error| panic!("{}: {error}", alias.name));
            assert_eq!(config, ProxyConfig::default(), "{}", alias.name);
        }
    }

    #[test]
    fn values_are_in_the_units_of_redis() {
        let mut config = ProxyConfig::default();
        for (key, value) in [
            ("session_recv_timeout", "1500ms"),
            ("slowlog_log_slower_than", "off"),
            ("proto_max_bulk", "1mb"),
        ] {
            config.set(key, value).expect("a possible value");
        }
        let value = |name: &str| {
            let alias = ALIASES.iter().find(|alias| alias.name == name).expect("an alias");
            (alias.get)(&config)
        };
        assert_eq!(value("timeout"), "2");
        assert_eq!(value("slowlog-log-slower-than"), "-1");
        assert_eq!(value("proto-max-bulk-len"), "1048576");
        assert_eq!((value("bind"), value("port")), ("0.0.0.0".into(), "19000".into()));
    }
}

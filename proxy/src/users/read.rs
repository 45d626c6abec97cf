//! Users as the configuration writes them.

use super::commands::CommandSet;
use super::{DEFAULT, Hash, KeyPattern, User, Users};
use codis_service::config::{Setting, Written};
use std::sync::Arc;

/// The keys of a `[[users]]`.
const KEYS: [&str; 7] =
    ["name", "enabled", "passwords", "no_password", "commands", "keys", "channels"];

impl Setting for Users {
    fn take(&mut self, given: &Written) -> Result<(), String> {
        let wants = "wants sections that begin with [[users]]";
        let Written::List(items) = given else {
            return Err(format!("{wants}, not {}", given.kind()));
        };
        let mut users = vec![User::all_powerful(DEFAULT)];
        for item in items {
            let Written::Table(fields) = item else {
                return Err(format!("{wants}, not {}", item.kind()));
            };
            let user = read(fields)?;
            if user.name == DEFAULT && users[0] == User::all_powerful(DEFAULT) {
                users[0] = user;
            } else if users.iter().any(|other| other.name == user.name) {
                return Err(format!("there are two users {:?}", user.name));
            } else {
                users.push(user);
            }
        }
        if users.len() > usize::from(u16::MAX) {
            return Err(format!("there cannot be more than {} users", u16::MAX));
        }
        *self = Self(Arc::new(users));
        Ok(())
    }

    fn written(&self) -> Written {
        Written::List(Vec::new())
    }

    fn is_secret(&self) -> bool {
        true
    }
}

fn read(fields: &[(String, Written)]) -> Result<User, String> {
    let name = match field(fields, "name") {
        Some(Written::Text(name)) if is_name(name) => name.clone(),
        Some(other) => {
            return Err(format!("name wants a word without blanks, not {}", other.kind()));
        }
        None => return Err("a user has no name".into()),
    };
    let about = |what: String| format!("user {name:?}: {what}");
    if let Some((key, _)) = fields.iter().find(|(key, _)| !KEYS.contains(&key.as_str())) {
        let known = KEYS.join(", ");
        return Err(about(format!("there is no key {key:?}; there are {known}")));
    }
    let read = || -> Result<User, String> {
        let commands = match field(fields, "commands") {
            None => CommandSet::of("")?,
            Some(Written::Text(rules)) => CommandSet::of(rules)?,
            Some(other) => {
                return Err(format!(
                    "commands wants rules such as \"+@read -keys\", not {}",
                    other.kind()
                ));
            }
        };
        let passwords: Result<Vec<Hash>, String> =
            texts(fields, "passwords")?.iter().map(|text| hash(text)).collect();
        let keys: Result<Vec<KeyPattern>, String> =
            texts(fields, "keys")?.iter().map(|text| key_pattern(text)).collect();
        Ok(User {
            name: name.clone(),
            enabled: truth(fields, "enabled", true)?,
            no_password: truth(fields, "no_password", false)?,
            passwords: passwords?,
            commands,
            keys: keys?,
            channels: texts(fields, "channels")?,
        })
    };
    let user = read().map_err(about)?;
    if user.enabled && !user.no_password && user.passwords.is_empty() {
        let hint =
            "nobody can become it: give it passwords, or no_password = true, or enabled = false";
        return Err(about(hint.into()));
    }
    Ok(user)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn field<'a>(fields: &'a [(String, Written)], name: &str) -> Option<&'a Written> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn truth(fields: &[(String, Written)], name: &str, default: bool) -> Result<bool, String> {
    match field(fields, name) {
        None => Ok(default),
        Some(Written::Truth(truth)) => Ok(*truth),
        Some(other) => Err(format!("{name} wants true or false, not {}", other.kind())),
    }
}

fn texts(fields: &[(String, Written)], name: &str) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    if let Some(given) = field(fields, name) {
        texts.take(given).map_err(|what| format!("{name} {what}"))?;
    }
    Ok(texts)
}

/// A password's SHA-256, in 64 hex digits, as Redis writes it with or without `#`.
fn hash(text: &str) -> Result<Hash, String> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    let wrong = || {
        "passwords wants the SHA-256 of each, 64 hex digits: printf %s PASSWORD | sha256sum"
            .to_owned()
    };
    if digits.len() != 64 || !digits.is_ascii() {
        return Err(wrong());
    }
    let mut hash = Hash::default();
    for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(hash)
}

/// `app:*`, `~app:*`, `%R~app:*`, `%W~app:*` or `%RW~app:*`.
fn key_pattern(text: &str) -> Result<KeyPattern, String> {
    let all = |glob: &str| KeyPattern { read: true, write: true, glob: glob.into() };
    let Some(rest) = text.strip_prefix('%') else {
        return Ok(all(text.strip_prefix('~').unwrap_or(text)));
    };
    let wrong = || format!("keys wants patterns such as \"app:*\" or \"%R~app:*\", not {text:?}");
    let (access, glob) = rest.split_once('~').ok_or_else(wrong)?;
    let access = access.to_ascii_uppercase();
    if access.is_empty() || access.bytes().any(|byte| byte != b'R' && byte != b'W') {
        return Err(wrong());
    }
    Ok(KeyPattern { read: access.contains('R'), write: access.contains('W'), glob: glob.into() })
}

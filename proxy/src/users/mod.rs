//! Users: who may run what on which keys, as Redis's ACLs say it.
//!
//! They stand in the configuration as `[[users]]`. A user is what AUTH and HELLO find by name and password; what it may
//! do is checked by the engine before a request is routed. Words, rules and sentences are those of Redis 7's ACL.
//! Pure: it may use [`crate::command`], and knows of no session.

mod commands;
mod read;
mod show;
#[cfg(test)]
mod tests;

use crate::command::{self, CommandId, KeyFlags, glob_matches_exactly, ids};
use crate::resp::Request;
use commands::CommandSet;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The name of the user that every session is before AUTH.
pub const DEFAULT: &str = "default";

/// A password's SHA-256.
type Hash = [u8; 32];

/// What a pattern of keys allows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeyPattern {
    read: bool,
    write: bool,
    glob: String,
}

/// One user.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    name: String,
    enabled: bool,
    /// Any password is right.
    no_password: bool,
    passwords: Vec<Hash>,
    commands: CommandSet,
    keys: Vec<KeyPattern>,
    channels: Vec<String>,
}

/// Why a user may not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// The command, by its full name.
    Command(&'static str),
    /// A key.
    Key(Vec<u8>),
    /// A channel.
    Channel(Vec<u8>),
}

impl Denied {
    /// What a client is told.
    #[must_use]
    pub fn error(&self) -> String {
        let what = match self {
            Self::Command(name) => {
                return format!("NOPERM this user has no permissions to run the '{name}' command");
            }
            Self::Key(_) => "keys",
            Self::Channel(_) => "channels",
        };
        format!("NOPERM this user has no permissions to access one of the {what} used as arguments")
    }

    /// What ACL DRYRUN answers.
    #[must_use]
    pub fn dry(&self) -> String {
        let named = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let what = match self {
            Self::Command(name) => format!("run the '{name}' command"),
            Self::Key(key) => format!("access the '{}' key", named(key)),
            Self::Channel(channel) => format!("access the '{}' channel", named(channel)),
        };
        format!("This user has no permissions to {what}")
    }
}

impl User {
    /// The user that may do everything, without a password.
    #[must_use]
    pub fn all_powerful(name: &str) -> Self {
        Self {
            name: name.into(),
            enabled: true,
            no_password: true,
            passwords: Vec::new(),
            commands: CommandSet::all(),
            keys: vec![KeyPattern { read: true, write: true, glob: "*".into() }],
            channels: vec!["*".into()],
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether AUTH with this password makes a session this user. It takes the same time for every wrong password.
    #[must_use]
    pub fn lets_in(&self, password: &[u8]) -> bool {
        let hash: Hash = Sha256::digest(password).into();
        let mut right = subtle::Choice::from(u8::from(self.no_password));
        for known in &self.passwords {
            right |= known.ct_eq(&hash);
        }
        self.enabled && right.into()
    }

    /// Whether a session is this user without AUTH, where it is the default one.
    #[must_use]
    pub fn needs_no_password(&self) -> bool {
        self.enabled && self.no_password
    }

    /// Whether nothing is forbidden to it, so that nothing need be checked.
    #[must_use]
    pub fn is_all_powerful(&self) -> bool {
        self.commands.is_all()
            && self.keys.iter().any(|key| key.read && key.write && key.glob == "*")
            && self.channels.iter().any(|channel| channel == "*")
    }

    /// Whether it may run this request.
    ///
    /// # Errors
    /// The first thing that it may not.
    pub fn check(&self, id: CommandId, request: &Request<'_>) -> Result<(), Denied> {
        let command = id.command();
        // Whoever may not run these cannot become someone who may.
        if !command.flags.any(command::Flags::NO_AUTH) && !self.commands.has(id) {
            return Err(Denied::Command(command.name));
        }
        for (at, flags) in command::key_accesses(id, request) {
            let key = request.arg(at as usize);
            if !self.may_access(key, flags) {
                return Err(Denied::Key(key.to_vec()));
            }
        }
        self.check_channels(id, request)
    }

    fn may_access(&self, key: &[u8], flags: KeyFlags) -> bool {
        let reads = flags.any(KeyFlags::ACCESS);
        let writes =
            flags.any(KeyFlags::of(&[KeyFlags::INSERT, KeyFlags::DELETE, KeyFlags::UPDATE]));
        let allows = |pattern: &KeyPattern| {
            (!reads || pattern.read)
                && (!writes || pattern.write)
                && glob_matches_exactly(pattern.glob.as_bytes(), key)
        };
        self.keys.iter().any(allows)
    }

    fn check_channels(&self, id: CommandId, request: &Request<'_>) -> Result<(), Denied> {
        let (count, literal) = match id {
            ids::PUBLISH | ids::SPUBLISH => (2, false),
            ids::SUBSCRIBE | ids::SSUBSCRIBE => (request.len(), false),
            // A pattern must be one that is allowed, to the letter: which channels it matches is not known.
            ids::PSUBSCRIBE => (request.len(), true),
            _ => return Ok(()),
        };
        for channel in (1..count).map(|i| request.arg(i)) {
            let allows = |pattern: &String| match literal {
                true => pattern == "*" || pattern.as_bytes() == channel,
                false => glob_matches_exactly(pattern.as_bytes(), channel),
            };
            if !self.channels.iter().any(allows) {
                return Err(Denied::Channel(channel.to_vec()));
            }
        }
        Ok(())
    }
}

/// All users of a proxy, the default one first. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Users(Arc<Vec<User>>);

impl Default for Users {
    /// The default user alone, who may do everything.
    fn default() -> Self {
        Self(Arc::new(vec![User::all_powerful(DEFAULT)]))
    }
}

impl Users {
    /// Where a user of that name is.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<u16> {
        let place = self.0.iter().position(|user| user.name.as_bytes() == name)?;
        u16::try_from(place).ok()
    }

    /// The user at that place; the default one where there is none.
    #[must_use]
    pub fn get(&self, place: u16) -> &User {
        self.0.get(usize::from(place)).unwrap_or(&self.0[0])
    }

    /// All, the default one first.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.0.iter()
    }

    /// The same users, the default one with this password alone where one is given (`session_auth`).
    #[must_use]
    pub fn with_default_password(&self, password: &str) -> Self {
        if password.is_empty() {
            return self.clone();
        }
        let mut users = (*self.0).clone();
        users[0].no_password = false;
        users[0].passwords = vec![Sha256::digest(password).into()];
        Self(Arc::new(users))
    }

    /// Whether the configuration says anything of the default user.
    #[must_use]
    pub fn names_default(&self) -> bool {
        self.0[0] != User::all_powerful(DEFAULT)
    }
}

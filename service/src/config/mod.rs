//! Settings files: TOML with one flat list of keys, and perhaps sections that are such lists again.
//!
//! A program writes its keys down once, with [`settings!`](crate::settings): the struct, its defaults and
//! the table of keys come from that list. Which values are impossible it says in its [`Configuration`].
//! Around them: `units`, `secret` and `value` are the types that a setting can have, `file` reads a file
//! and gathers everything that is wrong with it, `show` writes settings back.

mod file;
mod secret;
mod show;
mod table;
mod units;
mod value;

pub use file::{ConfigError, Loaded, Problem, load, nearest, parse};
pub use secret::Secret;
pub use show::{default_toml, entries, to_json};
pub use table::{Change, Configuration, Fault, Key, Section, Table, find};
pub use units::{ByteSize, Period, SlowThreshold, UnitError};
pub use value::{Setting, Written, take_text};

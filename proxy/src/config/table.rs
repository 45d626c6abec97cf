//! What a row of the table of settings is, and the macro that makes struct, defaults and table from
//! one list.

use super::ProxyConfig;
use super::value::Setting;

/// When a new value of a setting takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// At once, through CONFIG SET.
    Live,
    /// When the proxy is started again.
    Restart,
    /// Never: a key of Codis that has no meaning here. The reason completes "`key` is ignored: ...".
    Ignored(&'static str),
}

/// One setting: a row of the table that drives the file, its default text, CONFIG and the JSON.
pub struct Key {
    /// The key, as the file writes it.
    pub name: &'static str,
    /// What it means, one string a line.
    pub doc: &'static [&'static str],
    /// When a new value takes effect.
    pub change: Change,
    /// The setting in a configuration, to read.
    pub(super) get: fn(&ProxyConfig) -> &dyn Setting,
    /// The setting in a configuration, to set.
    pub(super) get_mut: fn(&mut ProxyConfig) -> &mut dyn Setting,
}

/// Makes the struct of all settings, its `Default` and the table of [`Key`]s from one list of
/// `/// doc` and `when key: Type = default;`.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $config:ident / $table:ident {
            $( $(#[doc = $doc:literal])+ ($($change:tt)+) $name:ident: $type:ty = $default:expr; )+
        }
    ) => {
        $(#[$meta])*
        pub struct $config {
            $( $(#[doc = $doc])+ pub $name: $type, )+
        }

        impl Default for $config {
            fn default() -> Self {
                Self { $( $name: $default, )+ }
            }
        }

        /// Every key, in the order in which the file has them.
        pub static $table: &[Key] = &[ $( Key {
            name: stringify!($name),
            doc: &[$($doc),+],
            change: Change::$($change)+,
            get: |config| &config.$name,
            get_mut: |config| &mut config.$name,
        }, )+ ];
    };
}
pub(super) use settings;

impl Key {
    /// The row of `name`.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        super::KEYS.iter().find(|key| key.name == name)
    }
}

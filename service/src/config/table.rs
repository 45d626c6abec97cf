//! What a row of the table of settings is, and the macro that makes struct, defaults and table from
//! one list.

use super::value::Setting;
use std::fmt;

/// When a new value of a setting takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// At once, while the program runs.
    Live,
    /// When the program is started again.
    Restart,
    /// Never: a key of Codis that has no meaning here. The reason completes "`key` is ignored: ...".
    Ignored(&'static str),
}

/// One setting: a row of the table that drives the file, its default text, CONFIG and the JSON.
#[derive(Debug)]
pub struct Key {
    /// The key, as the file writes it.
    pub name: &'static str,
    /// What it means, one string a line.
    pub doc: &'static [&'static str],
    /// When a new value takes effect.
    pub change: Change,
}

impl Key {
    /// Whether the key is one of Codis's that have no meaning here.
    #[must_use]
    pub fn is_ignored(&self) -> bool {
        matches!(self.change, Change::Ignored(_))
    }
}

/// A section of the file: `[name]`.
#[derive(Debug)]
pub struct Section {
    /// What stands between the brackets.
    pub name: &'static str,
    /// What it is for, one string a line.
    pub doc: &'static [&'static str],
}

/// Settings that can be found by their keys.
pub trait Table {
    /// Every key outside of sections with its setting, in the order in which the file has them.
    fn rows(&self) -> Vec<(&'static Key, &dyn Setting)>;

    /// The setting of a key outside of sections.
    fn setting_mut(&mut self, name: &str) -> Option<&mut dyn Setting>;

    /// The sections. What is in one has none itself.
    fn sections(&self) -> Vec<(&'static Section, &dyn Configuration)> {
        Vec::new()
    }

    /// The section of that name.
    fn section_mut(&mut self, _name: &str) -> Option<&mut dyn Configuration> {
        None
    }
}

/// A table that knows which values are impossible, alone or together.
pub trait Configuration: Table {
    /// Every impossible value outside of sections, in the order of the file.
    fn check(&self) -> Vec<Fault>;
}

/// An impossible value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, and where two do not go together the other one. Never empty.
    pub keys: Vec<&'static str>,
    /// What is wrong, as the end of "`key`: ...".
    pub what: String,
}

impl Fault {
    /// One key has an impossible value.
    #[must_use]
    pub fn new(key: &'static str, what: impl Into<String>) -> Self {
        Self { keys: vec![key], what: what.into() }
    }
}

/// "`key`: what is wrong".
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.keys[0], self.what)
    }
}

/// The setting of that key and its row; `section.key` finds one that is in a section.
#[must_use]
pub fn find<'a>(config: &'a dyn Table, name: &str) -> Option<(&'static Key, &'a dyn Setting)> {
    let Some((section, name)) = name.split_once('.') else {
        return config.rows().into_iter().find(|(key, _)| key.name == name);
    };
    let (_, inside) = config.sections().into_iter().find(|(named, _)| named.name == section)?;
    inside.rows().into_iter().find(|(key, _)| key.name == name)
}

/// Makes the struct of all settings, its `Default`, the table of [`Key`]s and the `Table` of the struct
/// from one list of `/// doc` and `(when) key: Type = default;`. The sections follow, `/// doc` and
/// `name: Type;`, each a `Configuration` with a `Default`.
#[macro_export]
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $config:ident / $table:ident {
            $( $(#[doc = $doc:literal])+ ($($change:tt)+) $name:ident: $type:ty = $default:expr; )+
        }
        sections {
            $( $(#[doc = $about:literal])+ $section:ident: $inside:ty; )*
        }
    ) => {
        $(#[$meta])*
        pub struct $config {
            $( $(#[doc = $doc])+ pub $name: $type, )+
            $( $(#[doc = $about])+ pub $section: $inside, )*
        }

        impl Default for $config {
            fn default() -> Self {
                Self {
                    $( $name: $default, )+
                    $( $section: <$inside>::default(), )*
                }
            }
        }

        /// Every key outside of sections, in the order in which the file has them.
        pub static $table: &[$crate::config::Key] = &[ $( $crate::config::Key {
            name: stringify!($name),
            doc: &[$($doc),+],
            change: $crate::config::Change::$($change)+,
        }, )+ ];

        impl $crate::config::Table for $config {
            fn rows(&self) -> Vec<(&'static $crate::config::Key, &dyn $crate::config::Setting)> {
                let settings: Vec<&dyn $crate::config::Setting> = vec![ $( &self.$name, )+ ];
                $table.iter().zip(settings).collect()
            }

            fn setting_mut(&mut self, name: &str) -> Option<&mut dyn $crate::config::Setting> {
                match name {
                    $( stringify!($name) => Some(&mut self.$name), )+
                    _ => None,
                }
            }

            fn sections(
                &self,
            ) -> Vec<(&'static $crate::config::Section, &dyn $crate::config::Configuration)> {
                vec![ $( (
                    &$crate::config::Section { name: stringify!($section), doc: &[$($about),+] },
                    &self.$section as &dyn $crate::config::Configuration,
                ), )* ]
            }

            fn section_mut(&mut self, name: &str) -> Option<&mut dyn $crate::config::Configuration> {
                match name {
                    $( stringify!($section) => Some(&mut self.$section), )*
                    _ => None,
                }
            }
        }
    };
}

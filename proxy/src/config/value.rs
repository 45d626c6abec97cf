//! The types that a setting can have: how each is read from what was written, and written back.

use super::secret::Secret;
use super::units::{ByteSize, Period, SlowThreshold};
use std::fmt;
use std::str::FromStr;

/// A value as a file, a command or a JSON page writes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// `"text"`
    Text(String),
    /// `12`
    Integer(i64),
    /// `1.5`
    Float(f64),
    /// `true`
    Truth(bool),
    /// What no setting takes: "an array", "a date", "a table".
    Other(&'static str),
}

/// A type that a setting can have.
pub(super) trait Setting {
    /// Takes what a file gives.
    ///
    /// # Errors
    /// What is wrong with it, as the end of "`key`: ...".
    fn take(&mut self, given: &Written) -> Result<(), String>;

    /// The value as a file writes it. A secret gives an empty text.
    fn written(&self) -> Written;

    /// Whether the value must not be shown.
    fn is_secret(&self) -> bool {
        false
    }
}

/// What the proxy listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ProtoType {
    /// TCP over IPv4 or IPv6, as the address says.
    Tcp,
    /// TCP over IPv4.
    #[default]
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// A unix socket; the address is its path.
    Unix,
}

impl ProtoType {
    /// Every type, with the name that the file gives it.
    const NAMES: [(&'static str, Self); 4] =
        [("tcp", Self::Tcp), ("tcp4", Self::Tcp4), ("tcp6", Self::Tcp6), ("unix", Self::Unix)];
}

impl fmt::Display for ProtoType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES.iter().find(|(_, proto)| proto == self);
        f.write_str(named.expect("every type has a name").0)
    }
}

impl FromStr for ProtoType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::NAMES.iter().find(|(name, _)| *name == text);
        named.map(|&(_, proto)| proto).ok_or_else(|| {
            format!("\"{text}\" is not one of \"tcp\", \"tcp4\", \"tcp6\", \"unix\"")
        })
    }
}

impl Written {
    /// What the value is, for an error.
    fn kind(&self) -> String {
        match self {
            Self::Text(_) => "text in quotes".into(),
            Self::Integer(n) => format!("the number {n}"),
            Self::Float(n) => format!("the number {n}"),
            Self::Truth(truth) => format!("{truth}"),
            Self::Other(what) => (*what).into(),
        }
    }

    /// The value without quotes, as CONFIG GET shows it.
    #[must_use]
    pub fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(n) => n.to_string(),
            Self::Float(n) => n.to_string(),
            Self::Truth(truth) => truth.to_string(),
            Self::Other(what) => (*what).into(),
        }
    }
}

impl Setting for String {
    fn take(&mut self, given: &Written) -> Result<(), String> {
        let Written::Text(text) = given else {
            return Err(format!("wants text in quotes, not {}", given.kind()));
        };
        self.clone_from(text);
        Ok(())
    }

    fn written(&self) -> Written {
        Written::Text(self.clone())
    }
}

impl Setting for Secret {
    fn take(&mut self, given: &Written) -> Result<(), String> {
        // The value is not repeated in the error, as somebody may have forgotten the quotes only.
        let Written::Text(text) = given else {
            return Err("wants text in quotes".into());
        };
        *self = Self::new(text.as_str());
        Ok(())
    }

    fn written(&self) -> Written {
        Written::Text(String::new())
    }

    fn is_secret(&self) -> bool {
        true
    }
}

impl Setting for bool {
    fn take(&mut self, given: &Written) -> Result<(), String> {
        let Written::Truth(truth) = given else {
            return Err(format!("wants true or false, not {}", given.kind()));
        };
        *self = *truth;
        Ok(())
    }

    fn written(&self) -> Written {
        Written::Truth(*self)
    }
}

/// Integer types: a whole number that fits.
macro_rules! integers {
    ($($type:ty),+) => { $(
        impl Setting for $type {
            fn take(&mut self, given: &Written) -> Result<(), String> {
                let Written::Integer(n) = given else {
                    return Err(format!("wants a whole number, not {}", given.kind()));
                };
                if *n < 0 {
                    return Err(format!("{n} is negative; it cannot be"));
                }
                *self = Self::try_from(*n).map_err(|_| format!("{n} is out of range"))?;
                Ok(())
            }

            fn written(&self) -> Written {
                Written::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
            }
        }
    )+ };
}
integers!(u32, usize);

/// Types written as text, for which a plain number is accepted as the same text without quotes.
macro_rules! texts {
    ($($type:ty: $what:literal, $numbers:literal;)+) => { $(
        impl Setting for $type {
            fn take(&mut self, given: &Written) -> Result<(), String> {
                let text = match given {
                    Written::Text(text) => text.clone(),
                    Written::Integer(_) | Written::Float(_) if $numbers => given.plain(),
                    _ => return Err(format!(concat!("wants ", $what, ", not {}"), given.kind())),
                };
                *self = text.parse().map_err(|error| format!("{error}"))?;
                Ok(())
            }

            fn written(&self) -> Written {
                Written::Text(self.to_string())
            }
        }
    )+ };
}
texts! {
    ByteSize: "a size such as \"128kb\"", true;
    Period: "a time such as \"30s\"", true;
    SlowThreshold: "a time such as \"10ms\" or \"off\"", true;
    ProtoType: "one of \"tcp\", \"tcp4\", \"tcp6\", \"unix\"", false;
}

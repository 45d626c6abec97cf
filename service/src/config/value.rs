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
    /// `["a", "b"]`
    List(Vec<Written>),
    /// `{ key = "value" }`, also as one of the sections `[[key]]`
    Table(Vec<(String, Written)>),
    /// What no setting takes: "a date".
    Other(&'static str),
}

/// A type that a setting can have.
pub trait Setting {
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

impl Written {
    /// What the value is, for an error: "wants a time, not ...".
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Text(_) => "text in quotes".into(),
            Self::Integer(n) => format!("the number {n}"),
            Self::Float(n) => format!("the number {n}"),
            Self::Truth(truth) => format!("{truth}"),
            Self::List(_) => "an array".into(),
            Self::Table(_) => "a section".into(),
            Self::Other(what) => (*what).into(),
        }
    }

    /// The value without quotes, as CONFIG GET shows it; those of a list with commas between them.
    #[must_use]
    pub fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(n) => n.to_string(),
            Self::Float(n) => n.to_string(),
            Self::Truth(truth) => truth.to_string(),
            Self::List(items) => items.iter().map(Self::plain).collect::<Vec<_>>().join(","),
            Self::Table(fields) => {
                let field = |(key, value): &(String, Self)| format!("{key}={}", value.plain());
                fields.iter().map(field).collect::<Vec<_>>().join(" ")
            }
            Self::Other(what) => (*what).into(),
        }
    }
}

/// The value as TOML.
impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{}", toml::Value::from(text.as_str())),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Table(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|(key, value)| format!("{key} = {value}")).collect();
                write!(f, "{{ {} }}", fields.join(", "))
            }
            other => f.write_str(&other.plain()),
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

impl Setting for Vec<String> {
    fn take(&mut self, given: &Written) -> Result<(), String> {
        let Written::List(items) = given else {
            return Err(format!("wants a list such as [\"a\", \"b\"], not {}", given.kind()));
        };
        let texts = items.iter().map(|item| match item {
            Written::Text(text) => Ok(text.clone()),
            other => Err(format!("wants texts in quotes in its list, not {}", other.kind())),
        });
        *self = texts.collect::<Result<_, _>>()?;
        Ok(())
    }

    fn written(&self) -> Written {
        Written::List(self.iter().cloned().map(Written::Text).collect())
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

/// Takes a value that is written as text and read by `FromStr`. `what` says in an error what is wanted;
/// where `numbers` says so, a plain number is accepted as the same text without quotes.
///
/// # Errors
/// As [`Setting::take`].
pub fn take_text<T>(
    setting: &mut T,
    given: &Written,
    what: &str,
    numbers: bool,
) -> Result<(), String>
where
    T: FromStr<Err: fmt::Display>,
{
    let text = match given {
        Written::Text(text) => text.clone(),
        Written::Integer(_) | Written::Float(_) if numbers => given.plain(),
        _ => return Err(format!("wants {what}, not {}", given.kind())),
    };
    *setting = text.parse().map_err(|error| format!("{error}"))?;
    Ok(())
}

/// Types of [`units`](super::units): text, or a plain number.
macro_rules! units {
    ($($type:ty: $what:literal;)+) => { $(
        impl Setting for $type {
            fn take(&mut self, given: &Written) -> Result<(), String> {
                take_text(self, given, $what, true)
            }

            fn written(&self) -> Written {
                Written::Text(self.to_string())
            }
        }
    )+ };
}
units! {
    ByteSize: "a size such as \"128kb\"";
    Period: "a time such as \"30s\"";
    SlowThreshold: "a time such as \"10ms\" or \"off\"";
}

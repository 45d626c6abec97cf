//! Changing settings at run time.

use super::{Change, ProxyConfig, Written};
use codis_service::config::{Configuration, Table, nearest};

/// Why a setting was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// No setting has this key.
    #[error("unknown key {key}; the nearest known one is {nearest}")]
    Unknown {
        /// As it was given.
        key: String,
        /// The known key that is most like it.
        nearest: &'static str,
    },
    /// The setting takes effect at start alone.
    #[error("{0} cannot change while the proxy runs; set it in the configuration file and restart")]
    Restart(String),
    /// The key has no meaning here.
    #[error("{0} has no effect: {1}")]
    Ignored(String, &'static str),
    /// The value is of a wrong type or impossible.
    #[error("{0}: {1}")]
    Value(String, String),
}

impl ProxyConfig {
    /// Sets one key that may change at run time, as CONFIG SET does.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), SetError> {
        self.set_all([(key, value)])
    }

    /// Sets several keys at once: all of them or, on an error, none. Values that are possible only
    /// together may be given in any order.
    ///
    /// # Errors
    /// As [`Self::set`], for the first key that is wrong.
    pub fn set_all<'a>(
        &mut self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), SetError> {
        let mut changed = self.clone();
        for (name, value) in pairs {
            let unknown = || SetError::Unknown { key: name.into(), nearest: nearest(self, name) };
            let (key, setting) = self.find(name).ok_or_else(unknown)?;
            match key.change {
                Change::Live => {}
                Change::Restart => return Err(SetError::Restart(name.into())),
                Change::Ignored(why) => return Err(SetError::Ignored(name.into(), why)),
            }
            let given = from_text(value, &setting.written());
            let taken = changed.setting_mut(name).ok_or_else(unknown)?.take(&given);
            taken.map_err(|what| SetError::Value(name.into(), what))?;
        }
        match changed.check().into_iter().next() {
            Some(fault) => Err(SetError::Value(fault.keys[0].into(), fault.what)),
            None => {
                *self = changed;
                Ok(())
            }
        }
    }
}

/// `text` as a value of the kind of `like`. Commands carry text alone; `yes` and `no` are Redis's words.
fn from_text(text: &str, like: &Written) -> Written {
    let as_given = || Written::Text(text.into());
    match like {
        Written::Integer(_) => text.parse().map_or_else(|_| as_given(), Written::Integer),
        Written::Truth(_) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" | "on" => Written::Truth(true),
            "false" | "no" | "0" | "off" => Written::Truth(false),
            _ => as_given(),
        },
        _ => as_given(),
    }
}

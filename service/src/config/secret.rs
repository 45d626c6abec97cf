//! Passwords.

use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// A password. It is never printed: its `Debug` shows nothing of it, and it has no `Display`.
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// Keeps `password` from being shown.
    #[must_use]
    pub fn new(password: impl Into<String>) -> Self {
        Self(password.into())
    }

    /// Whether no password is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `attempt` is the password, in a time that depends on the attempt's length alone.
    #[must_use]
    pub fn matches(&self, attempt: &[u8]) -> bool {
        let secret = self.0.as_bytes();
        let mut same: Choice = (secret.len() as u64).ct_eq(&(attempt.len() as u64));
        for (i, byte) in attempt.iter().enumerate() {
            same &= byte.ct_eq(secret.get(i).unwrap_or(&0));
        }
        same.into()
    }

    /// The password itself, to authenticate with at a server. Not to be logged.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.0.as_bytes())
    }
}

impl Eq for Secret {}

impl From<&str> for Secret {
    fn from(password: &str) -> Self {
        Self::new(password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_itself_matches() {
        let secret = Secret::new("correct horse");
        assert!(secret.matches(b"correct horse"));
        for attempt in ["", "correct", "correct horsf", "correct horse ", "correct horse\0"] {
            assert!(!secret.matches(attempt.as_bytes()), "{attempt:?}");
        }
        assert!(Secret::default().matches(b""));
        assert!(!Secret::default().matches(b"\0"));
    }

    #[test]
    fn debug_shows_neither_the_password_nor_its_length() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(..)");
        assert_eq!(format!("{:?}", Secret::default()), "Secret(..)");
    }
}

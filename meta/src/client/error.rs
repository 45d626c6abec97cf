//! Why a call came to nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use tonic::{Code, Status};

/// The metadata that names the rule which stands against a call.
const RULE_KEY: &str = "codis-refusal";

/// A call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No member's address was given.
    #[error("no member of the metadata group is named: give --meta=HOST:PORT")]
    NoMembers,
    /// The certificate cannot be read.
    #[error("cannot read the certificate {}: {error}", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A member refused the call, and would again.
    #[error("{}", .0.message())]
    Refused(Box<Status>),
    /// No member took the call in time. A change may have been made all the same.
    #[error("{0}")]
    Unreachable(Unreachable),
}

impl ClientError {
    /// The standard code, in the spelling of gRPC.
    #[must_use]
    pub fn code(&self) -> String {
        let code = match self {
            Self::NoMembers | Self::Certificate { .. } => Code::InvalidArgument,
            Self::Refused(status) => status.code(),
            Self::Unreachable(_) => Code::Unavailable,
        };
        // InvalidArgument -> INVALID_ARGUMENT
        let mut name = String::new();
        for letter in format!("{code:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        name
    }

    /// The rule of docs/meta-state.md that stands against the call, if one does.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        let Self::Refused(status) = self else { return None };
        status.metadata().get(RULE_KEY)?.to_str().ok()
    }
}

/// What each member that was asked said last.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Unreachable {
    members: BTreeMap<String, String>,
}

impl Unreachable {
    /// Notes what became of an attempt at `member`.
    pub(super) fn note(&mut self, member: &str, why: String) {
        self.members.insert(member.to_owned(), why);
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no member of the metadata group answered in time")?;
        for (member, why) in &self.members {
            write!(f, "\n  {member}: {why}")?;
        }
        f.write_str("\ncheck the addresses (--meta) and that a majority of the members runs")
    }
}

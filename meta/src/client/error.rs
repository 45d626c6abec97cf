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
    /// As `Refused`, of a call that was sent again after an answer to it was lost: it may be refused because the first
    /// attempt has run.
    #[error("{}", .0.message())]
    RefusedAgain(Box<Status>),
    /// No member answered in time. Whether a change may have been made all the same is said by
    /// [`Unreachable::may_have_run`].
    #[error("{0}")]
    Unreachable(Unreachable),
}

impl ClientError {
    /// The standard code, in the spelling of gRPC.
    #[must_use]
    pub fn code(&self) -> String {
        let code = match self {
            Self::NoMembers | Self::Certificate { .. } => Code::InvalidArgument,
            Self::Refused(status) | Self::RefusedAgain(status) => status.code(),
            Self::Unreachable(unreachable) if unreachable.may_have_run => Code::DeadlineExceeded,
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
        let (Self::Refused(status) | Self::RefusedAgain(status)) = self else { return None };
        status.metadata().get(RULE_KEY)?.to_str().ok()
    }
}

/// What each member that was asked said last.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Unreachable {
    members: BTreeMap<String, String>,
    may_have_run: bool,
}

impl Unreachable {
    /// Whether an answer was lost, so that a change may have been made.
    #[must_use]
    pub fn may_have_run(&self) -> bool {
        self.may_have_run
    }

    /// Notes what became of an attempt at `member`, and whether its answer was `lost`.
    pub(super) fn note(&mut self, member: &str, why: String, lost: bool) {
        self.members.insert(member.to_owned(), why);
        self.may_have_run |= lost;
    }

    /// The error of a refusal that came after these attempts.
    pub(super) fn refusal(&self, status: Status) -> ClientError {
        let status = Box::new(status);
        if self.may_have_run {
            ClientError::RefusedAgain(status)
        } else {
            ClientError::Refused(status)
        }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no member of the metadata group answered in time")?;
        if self.may_have_run {
            f.write_str(
                "; a change may have been made all the same, so look before you repeat it",
            )?;
        }
        for (member, why) in &self.members {
            write!(f, "\n  {member}: {why}")?;
        }
        f.write_str("\ncheck the addresses (--meta) and that a majority of the members runs")
    }
}

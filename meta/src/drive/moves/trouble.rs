//! Why something did not move.

use crate::drive::member::Lost;

/// See the module's head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// See [`Lost`].
    #[error(transparent)]
    Lost(#[from] Lost),
    /// A promotion begins, or what was gone by is not so any more: the state must be looked at anew.
    #[error("the groups are changing")]
    Stale,
    /// Nothing came back, and it is not known whether it ran.
    #[error("{address} does not answer ({why})")]
    Away {
        /// Which server.
        address: String,
        /// What the socket or the clock says.
        why: String,
    },
    /// The server said no.
    #[error("{address} answered {what} with an error: {why}")]
    Refused {
        /// Which server.
        address: String,
        /// The command.
        what: String,
        /// The server's words.
        why: String,
    },
    /// It is not as it must be; a sentence that names the server.
    #[error("{0}")]
    Unfit(String),
}

impl Trouble {
    /// Whether it is the server at `address` that troubles.
    pub(super) fn is_of(&self, of: &str) -> bool {
        match self {
            Trouble::Away { address, .. } | Trouble::Refused { address, .. } => address == of,
            Trouble::Unfit(sentence) => sentence.split(' ').next() == Some(of),
            Trouble::Lost(_) | Trouble::Stale => false,
        }
    }
}

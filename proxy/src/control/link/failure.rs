//! Why an attempt to follow the group came to nothing.

use std::error::Error;
use tonic::{Code, Status};

/// Where a member that does not lead says who does.
const LEADER_KEY: &str = "codis-leader";

/// Why an attempt came to nothing, or a stream ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The member cannot serve the stream now.
    #[error("{reason}")]
    Unavailable {
        /// Why.
        reason: String,
        /// Who leads, as the member says.
        leader: Option<String>,
    },
    /// The group says no.
    #[error("{reason}")]
    Refused {
        /// The group's sentence.
        reason: String,
        /// What kind of no it is.
        code: Code,
    },
    /// What came cannot be.
    #[error("it sent nonsense: {0}")]
    Nonsense(String),
}

impl Failure {
    /// Nobody, or nobody in time, answers.
    pub(super) fn unreachable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into(), leader: None }
    }

    /// What a status of the server, or of the connection, says.
    pub(super) fn of_status(status: &Status) -> Self {
        let leader = status.metadata().get(LEADER_KEY).and_then(|leader| leader.to_str().ok());
        let leader = leader.filter(|leader| !leader.is_empty()).map(str::to_owned);
        match status.code() {
            Code::Ok
            | Code::Unavailable
            | Code::Unknown
            | Code::Internal
            | Code::Cancelled
            | Code::DeadlineExceeded => {
                Self::Unavailable { reason: with_sources(status.message(), status), leader }
            }
            // A member that has not begun yet answers other members alone.
            Code::Unimplemented => Self::unreachable("it serves no proxies, or does not yet"),
            code if status.message().is_empty() => {
                Self::Refused { reason: code.description().to_owned(), code }
            }
            code => Self::Refused { reason: status.message().to_owned(), code },
        }
    }

    /// Whether the group will say no again, whatever time passes, until an operator has changed something.
    pub(super) fn is_final(&self) -> bool {
        let Self::Refused { code, .. } = self else { return false };
        matches!(
            code,
            Code::FailedPrecondition
                | Code::InvalidArgument
                | Code::Unauthenticated
                | Code::AlreadyExists
                | Code::NotFound
        )
    }

    /// Whether it may be final and yet pass within moments: a group that was founded just now has no product yet.
    pub(super) fn may_pass_soon(&self) -> bool {
        matches!(self, Self::Refused { code: Code::NotFound, .. })
    }

    /// Who leads, as the member says.
    pub(super) fn leader(&self) -> Option<String> {
        match self {
            Self::Unavailable { leader, .. } => leader.clone(),
            Self::Refused { .. } | Self::Nonsense(_) => None,
        }
    }
}

/// `text`, then what lies behind `error`: "transport error" alone helps nobody.
pub(super) fn with_sources(text: &str, error: &dyn Error) -> String {
    let mut text = text.to_owned();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    if text.is_empty() {
        return "the connection was lost".into();
    }
    codis_meta::transport::with_tls_hint(text, "meta_tls_ca")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::metadata::MetadataMap;

    #[test]
    fn a_member_that_does_not_lead_says_who_does() {
        let mut metadata = MetadataMap::new();
        metadata.insert(LEADER_KEY, "10.0.0.2:18080".parse().expect("a value"));
        let status = Status::with_metadata(Code::Unavailable, "not the leader", metadata);
        let failure = Failure::of_status(&status);
        assert_eq!(failure.leader().as_deref(), Some("10.0.0.2:18080"));
        assert!(!failure.is_final());
        assert_eq!(Failure::of_status(&Status::unavailable("election")).leader(), None);
    }

    #[test]
    fn a_member_that_has_not_begun_is_waited_for() {
        let failure = Failure::of_status(&Status::unimplemented(""));
        assert_eq!(failure, Failure::unreachable("it serves no proxies, or does not yet"));
    }

    #[test]
    fn a_refusal_without_words_is_told_by_its_kind() {
        let failure = Failure::of_status(&Status::permission_denied(""));
        assert!(!failure.to_string().is_empty());
    }

    #[test]
    fn a_refusal_is_final_where_only_an_operator_can_change_it() {
        for (status, is_final) in [
            (Status::failed_precondition("x"), true),
            (Status::invalid_argument("x"), true),
            (Status::unauthenticated("x"), true),
            (Status::already_exists("x"), true),
            (Status::not_found("x"), true),
            (Status::unavailable("x"), false),
            (Status::aborted("x"), false),
            (Status::resource_exhausted("x"), false),
            (Status::internal("x"), false),
        ] {
            let failure = Failure::of_status(&status);
            assert_eq!(failure.is_final(), is_final, "{status}");
            assert_eq!(failure.to_string(), "x");
        }
    }
}

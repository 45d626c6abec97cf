//! What a refusal is as a gRPC status.

use codis_proto::meta::v1::RefusalCode as Rule;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::node::{ChangeError, Gone, ReadError};
use crate::{raft, state};

/// The metadata that names the rule which stands against a call.
const RULE_KEY: &str = "codis-refusal";

/// The status that belongs to a rule.
fn code(rule: Rule) -> Code {
    match rule {
        Rule::Malformed | Rule::InvalidValue | Rule::SettingInvalid => Code::InvalidArgument,
        Rule::GroupUnknown
        | Rule::ServerUnknown
        | Rule::ProxyUnknown
        | Rule::SentinelUnknown
        | Rule::SettingUnknown => Code::NotFound,
        // A member creates it as soon as a new group has a leader.
        Rule::NoProduct => Code::Unavailable,
        Rule::GroupExists | Rule::AddressTaken => Code::AlreadyExists,
        Rule::EpochConflict | Rule::RequestReused => Code::Aborted,
        Rule::LimitReached => Code::ResourceExhausted,
        _ => Code::FailedPrecondition,
    }
}

impl From<state::Refusal> for Status {
    fn from(refusal: state::Refusal) -> Self {
        let name = refusal.code.as_str_name().trim_start_matches("REFUSAL_CODE_");
        let mut metadata = MetadataMap::new();
        metadata.insert(RULE_KEY, MetadataValue::from_static(name));
        Status::with_metadata(code(refusal.code), refusal.message, metadata)
    }
}

impl From<raft::Refusal> for Status {
    fn from(refusal: raft::Refusal) -> Self {
        use raft::Refusal as Why;
        let code = match refusal {
            Why::NoLeader
            | Why::NotLeader { .. }
            | Why::Busy
            | Why::Transferring
            | Why::Storage(_) => Code::Unavailable,
            Why::TooLarge { .. } => Code::InvalidArgument,
            Why::Membership(_) => Code::FailedPrecondition,
        };
        Status::new(code, refusal.to_string())
    }
}

impl From<Gone> for Status {
    fn from(gone: Gone) -> Self {
        Status::unavailable(gone.to_string())
    }
}

impl From<ReadError> for Status {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Refused(refusal) => refusal.into(),
            ReadError::Gone(gone) => gone.into(),
        }
    }
}

impl From<ChangeError> for Status {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Refused(refusal) => refusal.into(),
            ChangeError::NotTaken(refusal) => refusal.into(),
            ChangeError::Gone(gone) => gone.into(),
            unknown @ ChangeError::Unknown => Status::deadline_exceeded(unknown.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_named_beside_its_status() {
        for (rule, code) in [
            (Rule::Malformed, Code::InvalidArgument),
            (Rule::SettingUnknown, Code::NotFound),
            (Rule::NoProduct, Code::Unavailable),
            (Rule::AddressTaken, Code::AlreadyExists),
            (Rule::EpochConflict, Code::Aborted),
            (Rule::LimitReached, Code::ResourceExhausted),
            (Rule::ProxyTooOld, Code::FailedPrecondition),
            (Rule::BarrierOpen, Code::FailedPrecondition),
        ] {
            let refusal = state::Refusal { code: rule, message: "why".to_owned() };
            let status = Status::from(refusal);
            assert_eq!((status.code(), status.message()), (code, "why"), "{rule:?}");
            let name = status.metadata().get(RULE_KEY).expect("the rule's name");
            assert_eq!(
                format!("REFUSAL_CODE_{}", name.to_str().expect("text")),
                rule.as_str_name()
            );
        }
    }

    #[test]
    fn what_a_retry_may_mend_is_unavailable() {
        for refusal in [
            raft::Refusal::NoLeader,
            raft::Refusal::NotLeader { leader: 2 },
            raft::Refusal::Busy,
            raft::Refusal::Transferring,
            raft::Refusal::Storage("full".to_owned()),
        ] {
            assert_eq!(Status::from(ChangeError::NotTaken(refusal)).code(), Code::Unavailable);
        }
        assert_eq!(Status::from(ChangeError::Unknown).code(), Code::DeadlineExceeded);
    }
}

//! What an unsuccessful attempt means for the next one.

use std::error::Error;

use tonic::{Code, Status};

/// What an unsuccessful attempt means for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another attempt would end the same way.
    Final,
    /// Nothing has run: another member, or the same one later, may take it.
    NotTaken,
    /// The answer was lost: it may have run, or run yet.
    Lost,
}

impl Verdict {
    /// Judges the status of an attempt.
    ///
    /// One that has a source was made on this side, of what became of the connection, and its code then says only when
    /// that was noticed; any other came over the connection.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        match status.code() {
            _ if status.source().is_some() => Self::Lost,
            Code::DeadlineExceeded | Code::Cancelled => Self::Lost,
            Code::Unavailable => Self::NotTaken,
            _ => Self::Final,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_does_not_take_a_call_has_not_run_it() {
        assert_eq!(Verdict::of(&Status::unavailable("no leader")), Verdict::NotTaken);
    }

    #[test]
    fn a_passed_deadline_may_be_that_of_a_call_that_ran() {
        assert_eq!(Verdict::of(&Status::deadline_exceeded("not known")), Verdict::Lost);
    }

    #[test]
    fn a_lost_connection_is_known_by_its_source_whatever_its_code() {
        for code in [Code::Unknown, Code::Internal, Code::Unavailable] {
            let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            let mut status = Status::new(code, "");
            status.set_source(std::sync::Arc::new(broken));
            assert_eq!(Verdict::of(&status), Verdict::Lost, "{code:?}");
        }
        assert_eq!(Verdict::of(&Status::internal("the member says so")), Verdict::Final);
    }

    #[test]
    fn a_refusal_is_final() {
        for code in [Code::AlreadyExists, Code::FailedPrecondition, Code::Unauthenticated] {
            assert_eq!(Verdict::of(&Status::new(code, "")), Verdict::Final);
        }
    }
}

//! Making changes: a proposal, and its retries where it is not known what became of it.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codis_proto::meta::v1 as pb;
use pb::command::Change;
use pb::outcome::Result as Answer;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Gone, Job, Node};
use crate::raft::Refusal;
use crate::state;

/// How long to wait before a proposal that came to nothing is made again.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Names a request, so that its retry does not run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    /// Who asks; not 0.
    pub client: u64,
    /// The client's number for the request.
    pub request: u64,
}

/// A change was not made, or that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// A rule of the state stands against it. Nothing was changed.
    #[error(transparent)]
    Refused(#[from] state::Refusal),
    /// The group did not take it. Nothing was changed.
    #[error(transparent)]
    NotTaken(Refusal),
    /// The time ran out before the group said what became of it.
    #[error(
        "the group did not say in time whether the change was made: repeat it with the same request id, or look first"
    )]
    Unknown,
    /// The process ends, and it is not known whether the change was made.
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// How a proposal ended, as the thread tells it.
#[derive(Debug)]
pub(super) enum Ended {
    Outcome(pb::Outcome),
    Refused(Refusal),
    Unknown,
}

impl Node {
    /// Makes a change, and tries again until `deadline` where the group could not take it or did not say what became
    /// of it. It runs once at most.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn change(
        &self,
        id: Option<RequestId>,
        expect_epoch: u64,
        change: Change,
        deadline: Instant,
    ) -> Result<pb::Outcome, ChangeError> {
        let id = id.unwrap_or_else(|| self.draw_request());
        let mut unknown = false;
        loop {
            let command = command(id, expect_epoch, change.clone());
            let refusal = match timeout_at(deadline, self.propose(command)).await {
                Err(_elapsed) => return Err(ChangeError::Unknown),
                Ok(Err(gone)) => return Err(gone.into()),
                Ok(Ok(Ended::Outcome(outcome))) => return answered(outcome),
                Ok(Ok(Ended::Unknown)) => {
                    unknown = true;
                    continue;
                }
                Ok(Ok(Ended::Refused(refusal))) => refusal,
            };
            let passing = matches!(
                refusal,
                Refusal::NoLeader
                    | Refusal::NotLeader { .. }
                    | Refusal::Transferring
                    | Refusal::Busy
            );
            if !passing || Instant::now() + RETRY_PAUSE >= deadline {
                // An earlier attempt may have run all the same.
                return Err(if unknown {
                    ChangeError::Unknown
                } else {
                    ChangeError::NotTaken(refusal)
                });
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    /// Makes a change that is safe to repeat, as the steps of what a leader drives are. It is tried once and not
    /// remembered.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn step(&self, change: Change) -> Result<pb::Outcome, ChangeError> {
        let command = command(RequestId { client: 0, request: 0 }, 0, change);
        match self.propose(command).await? {
            Ended::Outcome(outcome) => answered(outcome),
            Ended::Refused(refusal) => Err(ChangeError::NotTaken(refusal)),
            Ended::Unknown => Err(ChangeError::Unknown),
        }
    }

    fn draw_request(&self) -> RequestId {
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        RequestId { client: self.client, request }
    }

    async fn propose(&self, command: pb::Command) -> Result<Ended, Gone> {
        let (sender, receiver) = oneshot::channel();
        self.send(Job::Propose(command, sender))?;
        receiver.await.map_err(|_| Gone)
    }
}

fn command(id: RequestId, expect_epoch: u64, change: Change) -> pb::Command {
    pb::Command {
        version: state::VERSION,
        client: id.client,
        request: id.request,
        time_unix_ms: unix_ms(),
        expect_epoch,
        change: Some(change),
    }
}

/// Milliseconds since 1970, by this machine's clock.
#[must_use]
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn answered(outcome: pb::Outcome) -> Result<pb::Outcome, ChangeError> {
    match &outcome.result {
        Some(Answer::Refused(refused)) => {
            let refusal = state::Refusal { code: refused.code(), message: refused.message.clone() };
            Err(refusal.into())
        }
        _ => Ok(outcome),
    }
}

//! The member that the driver runs at, as the driver sees it.
//!
//! A trait, so that promotions can be tested with several leaders that believe to lead at a time.

use std::future::Future;
use std::time::Duration;

use codis_proto::meta::v1 as pb;
use pb::RefusalCode;
use pb::command::Change;
use tokio::time::{Instant, timeout};

use crate::node::{ChangeError, Node, unix_ms};

/// How long a step may take until it is in the log of a majority.
const STEP_MAX: Duration = Duration::from_secs(2);

/// This member leads no more, or the group does not answer: whatever was under way is left as it is, for whoever
/// leads next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this member leads no more, or the group does not answer")]
pub struct Lost;

/// See the module's head.
pub trait Member: Clone + Send + Sync + 'static {
    /// Looks at the newest state of the group, if this member leads.
    fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&pb::State) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Lost>> + Send;

    /// Looks at the state as it is here, which may be behind.
    fn peek<T: Send + 'static>(
        &self,
        look: impl FnOnce(&pb::State) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Lost>> + Send;

    /// Takes a step, if the topology is at `expect_epoch` (0 for any). `Err` in the result is the state's refusal.
    fn step(
        &self,
        change: Change,
        expect_epoch: u64,
    ) -> impl Future<Output = Result<Result<pb::Outcome, RefusalCode>, Lost>> + Send;

    /// How far the log is applied here.
    fn applied(&self) -> u64;

    /// Waits until the log is applied further than `index`, at most for `patience`.
    fn applied_beyond(&self, index: u64, patience: Duration) -> impl Future<Output = ()> + Send;

    /// The clock that deadlines in the state go by.
    fn unix_ms(&self) -> u64;
}

impl Member for Node {
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&pb::State) -> T + Send + 'static,
    ) -> Result<T, Lost> {
        let seen = self.read(|state| look(state.data())).await.map_err(|_| Lost)?;
        if self.standing().borrow().leads { Ok(seen) } else { Err(Lost) }
    }

    async fn peek<T: Send + 'static>(
        &self,
        look: impl FnOnce(&pb::State) -> T + Send + 'static,
    ) -> Result<T, Lost> {
        self.peek(|state| look(state.data())).await.map_err(|_| Lost)
    }

    async fn step(
        &self,
        change: Change,
        expect_epoch: u64,
    ) -> Result<Result<pb::Outcome, RefusalCode>, Lost> {
        let answer = match expect_epoch {
            0 => self.step(change).await,
            _ => self.change(None, expect_epoch, change, Instant::now() + STEP_MAX).await,
        };
        match answer {
            Ok(outcome) => Ok(Ok(outcome)),
            Err(ChangeError::Refused(refusal)) => {
                tracing::debug!("a step of the driver was refused: {refusal}");
                Ok(Err(refusal.code))
            }
            Err(_) => Err(Lost),
        }
    }

    fn applied(&self) -> u64 {
        self.standing().borrow().applied
    }

    async fn applied_beyond(&self, index: u64, patience: Duration) {
        let mut standing = self.standing();
        // An error of either kind means that the time has come to look again.
        let _ = timeout(patience, standing.wait_for(|standing| standing.applied > index)).await;
    }

    fn unix_ms(&self) -> u64 {
        unix_ms()
    }
}

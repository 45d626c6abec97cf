//! The product's state as what a member replicates.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use codis_proto::meta::v1 as pb;
use pb::outcome::Result as Answer;
use prost::Message;

use crate::raft::{RestoreError, StateMachine};
use crate::state::State;

/// A change that the state accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// Its place in the log.
    pub index: u64,
    /// The state's epoch after it.
    pub epoch: u64,
    /// What was changed.
    pub command: pb::Command,
}

/// What the state machine has to tell its thread.
#[derive(Debug)]
pub(super) enum News {
    /// A change was accepted.
    Accepted(Arc<Accepted>),
    /// The whole state was replaced.
    Replaced,
}

/// The state, and where it tells what happens to it.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) state: State,
    news: Sender<News>,
}

impl Machine {
    /// The state before any command.
    pub(super) fn new(news: Sender<News>) -> Self {
        Self { state: State::new(), news }
    }

    fn tell(&self, news: News) {
        // The listener is the thread that owns this machine; it drops both at once.
        let _ = self.news.send(news);
    }
}

impl StateMachine for Machine {
    fn apply(&mut self, index: u64, command: &[u8]) -> Vec<u8> {
        let bytes = self.state.apply(index, command);
        // A retry is answered with the index of its first run, and changed nothing.
        let outcome = pb::Outcome::decode(bytes.as_slice()).unwrap_or_default();
        let ran = outcome.index == index && matches!(outcome.result, Some(Answer::Accepted(_)));
        if ran && let Ok(command) = pb::Command::decode(command) {
            self.tell(News::Accepted(Arc::new(Accepted { index, epoch: outcome.epoch, command })));
        }
        bytes
    }

    fn snapshot(&self) -> Vec<u8> {
        self.state.snapshot()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        self.tell(News::Replaced);
        self.state.restore(snapshot).map_err(|error| RestoreError { reason: error.to_string() })
    }
}

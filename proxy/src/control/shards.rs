//! The shards as the control thread sees them: mailboxes to put messages in, and answers to wait for.
//!
//! A shard that is slow or gone never blocks the control thread: every wait is bounded, and what did
//! not come is named.

use crate::clients::{ClientInfo, SlowEntry};
use crate::messages::{KillFilter, ShardMessage};
use crate::stats::ShardStats;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// How long shards may take to answer. A shard answers between two turns of its ring, which last well
/// under a millisecond each, so one that takes this long is stuck.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// The way to one shard. `send` must not block: it puts the message in a queue and wakes the shard.
///
/// A shard answers every message until it is told to [`ShardMessage::Stop`], also after it has said
/// that it is drained.
pub trait ShardMailbox: Send + Sync {
    /// Puts `message` in the shard's queue. Messages are taken in the order in which they were sent.
    ///
    /// # Errors
    /// The shard has ended, and took its queue with it.
    fn send(&self, message: ShardMessage) -> Result<(), ShardGone>;
}

/// The shard has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shard has ended")]
pub struct ShardGone;

/// Why a shard's part of an answer is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Missing {
    /// It took longer than [`PATIENCE`].
    #[error("shard {0} did not answer within {limit} ms; it may be stuck, see its CPU time", limit = PATIENCE.as_millis())]
    Silent(usize),
    /// It has ended.
    #[error("shard {0} has ended; restart the proxy")]
    Gone(usize),
}

impl Missing {
    /// The shard's number.
    pub(super) fn shard(self) -> usize {
        let (Self::Silent(shard) | Self::Gone(shard)) = self;
        shard
    }
}

/// What all shards said to one question.
#[derive(Debug)]
pub(super) struct Answers<T> {
    /// Of each shard that answered: its number and what it said, in the order of the shards.
    pub(super) given: Vec<(usize, T)>,
    /// The shards that did not.
    pub(super) missing: Vec<Missing>,
}

impl<T> Answers<T> {
    /// The answers, if every shard gave one.
    pub(super) fn complete(self) -> Result<Vec<T>, Missing> {
        match self.missing.first() {
            Some(&missing) => Err(missing),
            None => Ok(self.given.into_iter().map(|(_, answer)| answer).collect()),
        }
    }
}

/// The mailboxes of all shards.
pub(super) struct Shards {
    mailboxes: Vec<Box<dyn ShardMailbox>>,
}

impl Shards {
    pub(super) fn new(mailboxes: Vec<Box<dyn ShardMailbox>>) -> Self {
        Self { mailboxes }
    }

    /// How many shards there are.
    pub(super) fn len(&self) -> usize {
        self.mailboxes.len()
    }

    /// Sends `message` to one shard.
    pub(super) fn tell(&self, shard: usize, message: ShardMessage) -> Result<(), ShardGone> {
        self.mailboxes.get(shard).ok_or(ShardGone)?.send(message)
    }

    /// Sends a message to every shard; one that has ended needs none.
    pub(super) fn tell_all(&self, make: impl Fn() -> ShardMessage) {
        for mailbox in &self.mailboxes {
            let _ = mailbox.send(make());
        }
    }

    /// Asks every shard; what is awaited are their answers, for at most [`PATIENCE`]. All are asked before this
    /// returns, so that what two callers send reaches every shard in the same order.
    pub(super) fn ask_all<T, M: Fn(oneshot::Sender<T>) -> ShardMessage>(
        &self,
        make: M,
    ) -> impl Future<Output = Answers<T>> + use<T, M> {
        let mut asked = Vec::with_capacity(self.len());
        for mailbox in &self.mailboxes {
            let (sender, receiver) = oneshot::channel();
            asked.push(mailbox.send(make(sender)).map(|()| receiver));
        }
        let deadline = Instant::now() + PATIENCE;
        async move {
            let mut answers =
                Answers { given: Vec::with_capacity(asked.len()), missing: Vec::new() };
            for (shard, receiver) in asked.into_iter().enumerate() {
                let Ok(receiver) = receiver else {
                    answers.missing.push(Missing::Gone(shard));
                    continue;
                };
                match timeout_at(deadline, receiver).await {
                    Ok(Ok(answer)) => answers.given.push((shard, answer)),
                    Ok(Err(_dropped)) => answers.missing.push(Missing::Gone(shard)),
                    Err(_elapsed) => answers.missing.push(Missing::Silent(shard)),
                }
            }
            answers
        }
    }

    /// The counters of every shard.
    pub(super) async fn stats(&self) -> Answers<ShardStats> {
        self.ask_all(ShardMessage::Stats).await
    }

    /// Every session, by id.
    pub(super) async fn clients(&self) -> Result<Vec<ClientInfo>, Missing> {
        let answers = self.ask_all(ShardMessage::Clients).await.complete()?;
        let mut clients: Vec<ClientInfo> = answers.into_iter().flatten().collect();
        clients.sort_unstable_by_key(|client| client.id);
        Ok(clients)
    }

    /// Closes the sessions that `filter` means; how many there were.
    pub(super) async fn kill(&self, filter: &KillFilter) -> Result<u64, Missing> {
        let answers = self.ask_all(|sender| ShardMessage::Kill(filter.clone(), sender)).await;
        Ok(answers.complete()?.into_iter().sum())
    }

    /// Ends the wait of a client that blocks; 1 if there was one.
    pub(super) async fn unblock(&self, client: u64, error: bool) -> Result<u64, Missing> {
        let answers = self.ask_all(|sender| ShardMessage::Unblock(client, error, sender)).await;
        Ok(answers.complete()?.into_iter().sum())
    }

    /// Pauses the clients of all shards.
    pub(super) async fn pause(&self, duration_us: u64, all: bool) -> Result<(), Missing> {
        let asked = self.ask_all(|done| ShardMessage::Pause { duration_us, all, done }).await;
        asked.complete().map(drop)
    }

    /// Ends that.
    pub(super) async fn unpause(&self) -> Result<(), Missing> {
        self.ask_all(ShardMessage::Unpause).await.complete().map(drop)
    }

    /// The slow logs of all shards as one, newest first. An entry's id is unique in the process and
    /// stays the same between two calls.
    pub(super) async fn slowlog(&self) -> Result<Vec<SlowEntry>, Missing> {
        let logs = self.ask_all(ShardMessage::Slowlog).await.complete()?;
        let shards = self.len() as u64;
        let mut merged: Vec<SlowEntry> = Vec::with_capacity(logs.iter().map(Vec::len).sum());
        for (log, shard) in logs.into_iter().zip(0..) {
            merged.extend(
                log.into_iter().map(|entry| SlowEntry { id: entry.id * shards + shard, ..entry }),
            );
        }
        merged.sort_by_key(|entry| std::cmp::Reverse((entry.unix_time_s, entry.id)));
        Ok(merged)
    }
}

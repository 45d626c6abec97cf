//! A running member: the Raft member on a thread of its own, and the handle by which the rest of the process uses
//! it.
//!
//! The thread takes jobs from a queue, all that wait at a time, then drives the member once: what arrives together
//! shares one sync of the disk. It never waits for a peer or for a caller. Callers are async and hold
//! a [`Node`], which is cheap to clone. Sockets are the transport's: the thread hands envelopes to the
//! [`Outbox`] it was started with and is given those of peers by [`Node::deliver`].
//!
//! [`machine`](self) is the product's state as a state machine, `thread` the loop, `change` the making of changes with
//! their retries.

mod change;
mod machine;
mod thread;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use codis_proto::meta::v1 as pb;
use tokio::sync::{broadcast, oneshot, watch};

use crate::raft::{Change, Config, Envelope, Loaded, LogStore, Refusal, StartError, Status};
use crate::state::State;

pub use change::{ChangeError, RequestId, unix_ms};
pub use machine::Accepted;

/// Changes that a slow listener may be behind before it is told to look anew.
const CHANGES_BEHIND_MAX: usize = 4096;

/// Messages of peers that may wait for the thread. It falls behind when its disk does; what is dropped then is sent
/// again.
const DELIVERED_MAX: usize = 4096;

/// Where a member's messages to its peers go. Must not block: a message that cannot go now is dropped.
pub type Outbox = Box<dyn FnMut(Envelope) + Send>;

/// How a member is run.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The member's own configuration, its times in ticks.
    pub raft: Config,
    /// How long a tick is.
    pub tick: Duration,
}

/// Where a member stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The last applied index.
    pub applied: u64,
    /// The state's epoch there.
    pub epoch: u64,
    /// The term.
    pub term: u64,
    /// Who leads, as this member sees it; 0 where it does not know.
    pub leader: u64,
    /// Whether this member believes to lead. Another may do so already: what must not be wrong asks by
    /// [`Node::read`].
    pub leads: bool,
    /// Why it takes no part, if it does not.
    pub fault: Option<String>,
    /// It was removed from the group.
    pub removed: bool,
}

/// Who is a member, as this member has applied it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// Those that vote, by rising id.
    pub voters: Vec<u64>,
    /// Those that follow without a vote, by rising id.
    pub learners: Vec<u64>,
    /// Where each is reached.
    pub addresses: BTreeMap<u64, String>,
}

impl Membership {
    /// Whether `id` is a member, with a vote or without.
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.voters.contains(&id) || self.learners.contains(&id)
    }
}

/// What happened to the state.
#[derive(Debug, Clone)]
pub enum Event {
    /// A change was accepted.
    Accepted(Arc<Accepted>),
    /// The whole state was replaced by the leader's: changes in between are not told.
    Replaced,
}

/// The member's thread has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this member is shutting down: ask another one")]
pub struct Gone;

/// Why a read was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The group does not answer.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The process ends.
    #[error(transparent)]
    Gone(#[from] Gone),
}

type Answered<T> = oneshot::Sender<Result<T, Refusal>>;
/// What a linearizable read does with the state, or with the refusal.
type Reader = Box<dyn FnOnce(Result<&State, Refusal>) + Send>;
/// What a look at this member's own state and status does.
type Looker = Box<dyn FnOnce(&State, &dyn Fn() -> Status) + Send>;

/// What the thread is asked to do.
enum Job {
    Propose(pb::Command, oneshot::Sender<change::Ended>),
    ChangeMembers(Vec<Change>, Answered<u64>),
    Transfer(u64, Answered<()>),
    Read(Reader),
    Look(Looker),
    Deliver(Envelope),
    Stop,
}

/// The handle of a running member.
#[derive(Clone)]
pub struct Node {
    jobs: mpsc::Sender<Job>,
    id: u64,
    client: u64,
    standing: watch::Receiver<Standing>,
    topology: watch::Receiver<Arc<pb::Topology>>,
    events: broadcast::Sender<Event>,
    members: watch::Receiver<Arc<Membership>>,
    requests: Arc<AtomicU64>,
    /// Messages of peers that wait for the thread.
    delivered: Arc<AtomicUsize>,
}

/// The member's thread. [`Stopper::stop`] ends it and waits until its data directory is free again; when this is
/// dropped the thread ends by and by.
#[derive(Debug)]
pub struct Stopper {
    jobs: mpsc::Sender<Job>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Stopper {
    /// Ends the thread and waits for it.
    pub fn stop(mut self) {
        self.ask();
        if let Some(thread) = self.thread.take() {
            // An error is a panic of the thread, which has been logged.
            let _ = thread.join();
        }
    }

    fn ask(&self) {
        // An error means that it has ended already.
        let _ = self.jobs.send(Job::Stop);
    }
}

impl Drop for Stopper {
    fn drop(&mut self) {
        self.ask();
    }
}

impl Node {
    /// Starts a member on what its store loaded.
    ///
    /// # Errors
    /// What the store holds cannot be started from, or the system gives no thread.
    pub fn start<S: LogStore + Send + 'static>(
        config: NodeConfig,
        store: S,
        loaded: Loaded,
        outbox: Outbox,
    ) -> Result<(Node, Stopper), StartError> {
        let (jobs, inbox) = mpsc::channel();
        let (events, _) = broadcast::channel(CHANGES_BEHIND_MAX);
        let id = config.raft.id;
        // A client id of this start of this member, so that its requests have names of their own.
        let client = fastrand::u64(1..);
        let started = thread::start(config, store, loaded, inbox, outbox, events.clone())?;
        let node = Node {
            jobs: jobs.clone(),
            id,
            client,
            standing: started.standing,
            topology: started.topology,
            events,
            members: started.members,
            requests: Arc::default(),
            delivered: started.delivered,
        };
        Ok((node, Stopper { jobs, thread: Some(started.thread) }))
    }

    /// This member's id.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where this member stands, and every change of it.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// The topology as applied here, and every newer one.
    #[must_use]
    pub fn topology(&self) -> watch::Receiver<Arc<pb::Topology>> {
        self.topology.clone()
    }

    /// Who is a member as applied here, and every change of it.
    #[must_use]
    pub fn members(&self) -> watch::Receiver<Arc<Membership>> {
        self.members.clone()
    }

    /// What happens to the state here from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Looks at a state that has everything which was acknowledged anywhere before the call.
    ///
    /// # Errors
    /// The group has no leader, or this member takes no part.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let (sender, receiver) = oneshot::channel();
        let reader = move |state: Result<&State, Refusal>| {
            // The asker may have gone.
            let _ = sender.send(state.map(look));
        };
        self.send(Job::Read(Box::new(reader)))?;
        Ok(receiver.await.map_err(|_| Gone)??)
    }

    /// Looks at the state as it is here, which may be behind.
    ///
    /// # Errors
    /// The process ends.
    pub async fn peek<T: Send + 'static>(
        &self,
        look: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, Gone> {
        self.look(move |state, _| look(state)).await
    }

    /// Looks at the state as it is here together with the index of the last change in it: a listener of
    /// [`Node::events`] that subscribed before has every change after that index still to come.
    ///
    /// # Errors
    /// The process ends.
    pub async fn peek_at<T: Send + 'static>(
        &self,
        look: impl FnOnce(&State, u64) -> T + Send + 'static,
    ) -> Result<T, Gone> {
        self.look(move |state, status| look(state, status().applied)).await
    }

    /// The member's view of itself and its peers.
    ///
    /// # Errors
    /// The process ends.
    pub async fn status(&self) -> Result<Status, Gone> {
        self.look(|_, status| status()).await
    }

    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&State, &dyn Fn() -> Status) -> T + Send + 'static,
    ) -> Result<T, Gone> {
        let (sender, receiver) = oneshot::channel();
        let looker = move |state: &State, status: &dyn Fn() -> Status| {
            let _ = sender.send(look(state, status));
        };
        self.send(Job::Look(Box::new(looker)))?;
        receiver.await.map_err(|_| Gone)
    }

    /// Changes who is a member; answers the index of the change.
    ///
    /// # Errors
    /// It was refused. [`Refusal::NoLeader`] also where it is not known whether it took effect: look
    /// at the members.
    pub async fn change_members(&self, changes: Vec<Change>) -> Result<u64, ReadError> {
        let (sender, receiver) = oneshot::channel();
        self.send(Job::ChangeMembers(changes, sender))?;
        Ok(receiver.await.map_err(|_| Gone)??)
    }

    /// Asks for leadership to be handed over; whether it was is seen in [`Node::standing`].
    ///
    /// # Errors
    /// It was refused.
    pub async fn transfer_leadership(&self, to: u64) -> Result<(), ReadError> {
        let (sender, receiver) = oneshot::channel();
        self.send(Job::Transfer(to, sender))?;
        Ok(receiver.await.map_err(|_| Gone)??)
    }

    /// Hands over a peer's message, or drops it where too many wait. What is wrong with it is logged.
    ///
    /// # Errors
    /// The process ends.
    pub fn deliver(&self, envelope: Envelope) -> Result<(), Gone> {
        if self.delivered.fetch_add(1, Ordering::Relaxed) >= DELIVERED_MAX {
            self.delivered.fetch_sub(1, Ordering::Relaxed);
            return Ok(());
        }
        self.send(Job::Deliver(envelope))
    }

    fn send(&self, job: Job) -> Result<(), Gone> {
        self.jobs.send(job).map_err(|_| Gone)
    }
}

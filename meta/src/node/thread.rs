//! The thread that drives a member.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use codis_proto::meta::v1 as pb;
use prost::Message;
use tokio::sync::{broadcast, oneshot, watch};

use super::change::Ended;
use super::machine::{Machine, News};
use super::{Answered, Event, Job, Membership, NodeConfig, Outbox, Reader, Standing};
use crate::raft::{
    AnswerKind, Loaded, LogStore, Member, Notice, Output, Refusal, Role, StartError, Ticket,
};

/// Jobs that are taken before the member is driven: they share one sync of the disk.
const JOBS_A_TURN: usize = 1024;

/// What [`start`] gives.
pub(super) struct Started {
    pub(super) thread: JoinHandle<()>,
    pub(super) standing: watch::Receiver<Standing>,
    pub(super) topology: watch::Receiver<Arc<pb::Topology>>,
    pub(super) members: watch::Receiver<Arc<Membership>>,
    pub(super) delivered: Arc<AtomicUsize>,
}

/// Who waits for a ticket.
enum Waiter {
    Proposal(oneshot::Sender<Ended>),
    Members(Answered<u64>),
    Read(Reader),
}

struct Thread<S> {
    member: Member<Machine, S>,
    tick: Duration,
    waiters: BTreeMap<Ticket, Waiter>,
    outbox: Outbox,
    standing: watch::Sender<Standing>,
    topology: watch::Sender<Arc<pb::Topology>>,
    members: watch::Sender<Arc<Membership>>,
    delivered: Arc<AtomicUsize>,
    events: broadcast::Sender<Event>,
    news: Receiver<News>,
    removed: bool,
}

/// Makes the member and starts its thread.
pub(super) fn start<S: LogStore + Send + 'static>(
    config: NodeConfig,
    store: S,
    loaded: Loaded,
    inbox: Receiver<Job>,
    outbox: Outbox,
    events: broadcast::Sender<Event>,
) -> Result<Started, StartError> {
    let tick = config.tick;
    let (standing, standing_receiver) = watch::channel(Standing::default());
    let (topology, topology_receiver) = watch::channel(Arc::default());
    let (members, members_receiver) = watch::channel(Arc::default());
    let delivered = Arc::new(AtomicUsize::new(0));
    let delivered_here = delivered.clone();
    let (made, is_made) = std::sync::mpsc::channel();
    // The member is made on its thread, as Raft's parts need not be able to move between threads.
    let body = move || {
        let (teller, news) = std::sync::mpsc::channel();
        let member = match Member::new(config.raft, store, loaded, Machine::new(teller)) {
            Ok(member) => member,
            Err(error) => {
                let _ = made.send(Err(error));
                return;
            }
        };
        let waiters = BTreeMap::new();
        let mut thread = Thread {
            member,
            tick,
            waiters,
            outbox,
            standing,
            topology,
            members,
            delivered: delivered_here,
            events,
            news,
            removed: false,
        };
        thread.turn();
        if made.send(Ok(())).is_ok() {
            drop(made);
            thread.run(&inbox);
        }
    };
    let thread = std::thread::Builder::new()
        .name("meta-raft".to_owned())
        .spawn(body)
        .map_err(|error| StartError::Config(format!("the system gives no thread: {error}")))?;
    match is_made.recv() {
        Ok(Ok(())) => Ok(Started {
            thread,
            standing: standing_receiver,
            topology: topology_receiver,
            members: members_receiver,
            delivered,
        }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(StartError::Config("the member's thread ended as it started".to_owned())),
    }
}

impl<S: LogStore> Thread<S> {
    fn run(&mut self, inbox: &Receiver<Job>) {
        let mut next_tick = Instant::now() + self.tick;
        loop {
            let patience = next_tick.saturating_duration_since(Instant::now());
            match inbox.recv_timeout(patience) {
                Ok(job) => {
                    let more = std::iter::from_fn(|| inbox.try_recv().ok());
                    for job in std::iter::once(job).chain(more).take(JOBS_A_TURN) {
                        if let Job::Stop = job {
                            return;
                        }
                        self.take(job);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            if now >= next_tick {
                self.member.tick();
                // A process that stood still makes up for nothing: its peers' clocks went on alone.
                next_tick = (next_tick + self.tick).max(now);
            }
            self.turn();
        }
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Propose(command, answer) => match self.member.propose(command.encode_to_vec()) {
                Ok(ticket) => drop(self.waiters.insert(ticket, Waiter::Proposal(answer))),
                Err(refusal) => drop(answer.send(Ended::Refused(refusal))),
            },
            Job::ChangeMembers(changes, answer) => match self.member.change_members(changes) {
                Ok(ticket) => drop(self.waiters.insert(ticket, Waiter::Members(answer))),
                Err(refusal) => drop(answer.send(Err(refusal))),
            },
            Job::Transfer(to, answer) => drop(answer.send(self.member.transfer_leadership(to))),
            Job::Read(reader) => match self.member.read() {
                Ok(ticket) => drop(self.waiters.insert(ticket, Waiter::Read(reader))),
                Err(refusal) => reader(Err(refusal)),
            },
            Job::Look(looker) => {
                looker(&self.member.machine().state, &|| self.member.status());
            }
            Job::Deliver(envelope) => {
                self.delivered.fetch_sub(1, Ordering::Relaxed);
                if let Err(error) = self.member.receive(envelope) {
                    tracing::warn!("{error}");
                }
            }
            Job::Stop => {}
        }
    }

    /// Drives the member, and hands out what came of it.
    fn turn(&mut self) {
        let Output { messages, answers, notices } = self.member.drive();
        for message in messages {
            (self.outbox)(message);
        }
        for notice in notices {
            self.note(&notice);
        }
        self.publish();
        for answer in answers {
            if let Some(waiter) = self.waiters.remove(&answer.ticket) {
                self.answer(waiter, answer.kind);
            }
        }
    }

    fn answer(&self, waiter: Waiter, kind: AnswerKind) {
        match (waiter, kind) {
            (Waiter::Proposal(answer), AnswerKind::Applied { outcome, .. }) => {
                let outcome = pb::Outcome::decode(outcome.as_slice())
                    .expect("the state machine's own outcome can be read");
                drop(answer.send(Ended::Outcome(outcome)));
            }
            (Waiter::Proposal(answer), AnswerKind::Refused(refusal)) => {
                drop(answer.send(Ended::Refused(refusal)));
            }
            (Waiter::Proposal(answer), _) => drop(answer.send(Ended::Unknown)),
            (Waiter::Members(answer), AnswerKind::Applied { index, .. }) => {
                drop(answer.send(Ok(index)));
            }
            (Waiter::Members(answer), AnswerKind::Refused(refusal)) => {
                drop(answer.send(Err(refusal)));
            }
            (Waiter::Members(answer), _) => drop(answer.send(Err(Refusal::NoLeader))),
            (Waiter::Read(reader), AnswerKind::Readable { .. }) => {
                reader(Ok(&self.member.machine().state));
            }
            (Waiter::Read(reader), AnswerKind::Refused(refusal)) => reader(Err(refusal)),
            (Waiter::Read(reader), _) => reader(Err(Refusal::NoLeader)),
        }
    }

    fn note(&mut self, notice: &Notice) {
        match notice {
            Notice::Leader { leader: 0, term } => tracing::warn!(term, "no leader is known"),
            Notice::Leader { leader, term } => tracing::info!(leader, term, "the group is led"),
            Notice::Members => tracing::info!("the group's members changed"),
            Notice::Removed => {
                tracing::warn!("this member was removed from the group: it may be stopped");
                self.removed = true;
            }
            Notice::Installed { index } => {
                tracing::info!(index, "the state was replaced by the leader's");
            }
            // Logged where they are found out.
            Notice::Fault(_) | Notice::Recovered | Notice::LogLost { .. } => {}
        }
    }

    /// Tells listeners what is new. Before the answers go out, so that whoever got one finds its change here.
    fn publish(&mut self) {
        let mut replaced = false;
        while let Ok(news) = self.news.try_recv() {
            let event = match news {
                News::Accepted(change) => Event::Accepted(change),
                News::Replaced => {
                    replaced = true;
                    Event::Replaced
                }
            };
            // Nobody listening is no error.
            let _ = self.events.send(event);
        }
        let state = &self.member.machine().state;
        if self.topology.borrow().slots.is_empty()
            || self.topology.borrow().epoch != state.epoch()
            || replaced
        {
            self.topology.send_replace(Arc::new(state.topology().clone()));
        }
        let status = self.member.status();
        let standing = Standing {
            applied: status.applied,
            epoch: state.epoch(),
            term: status.term,
            leader: status.leader,
            leads: status.role == Role::Leader,
            fault: status.fault.map(|fault| fault.to_string()),
            removed: self.removed,
        };
        self.standing.send_if_modified(|before| {
            let changed = *before != standing;
            *before = standing;
            changed
        });
        let mut members = Membership {
            voters: status.voters,
            learners: status.learners,
            addresses: status.addresses,
        };
        // Raft has them in any order.
        members.voters.sort_unstable();
        members.learners.sort_unstable();
        if **self.members.borrow() != members {
            self.members.send_replace(Arc::new(members));
        }
    }
}

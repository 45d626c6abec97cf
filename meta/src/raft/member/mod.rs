//! The member: Raft's own state machine with everything around it that is not I/O.
//!
//! A caller gives it ticks ([`Member::tick`]), messages ([`Member::receive`]), proposals
//! ([`Member::propose`], [`Member::change_members`]) and reads ([`Member::read`]), as many as it has,
//! and then calls [`Member::drive`] once: that makes everything durable in as few writes as
//! possible, applies what is committed and hands out messages, answers and notices. So what arrives
//! together shares one sync of the disk.
//!
//! - `outcome`: what it hands out.
//! - `turn`: from Raft's `Ready` to the store, the state machine and the messages; the one place
//!   where the rule "durable first" is kept.
//! - `intake`: what comes in from peers, and what is refused of it.
//! - `reads`: linearizable reads. `membership`: who is a member. `transfer`: images for members that
//!   lag. `image`: what an image's bytes are.
//!
//! It knows no clock, no socket and no file, and takes its randomness from a seed, so that a whole
//! group can be simulated.

mod intake;
mod logger;
mod membership;
mod outcome;
mod reads;
mod transfer;
mod turn;

pub(in crate::raft) mod image;

use std::collections::BTreeMap;

use raft::{RawNode, StateRole};

pub use intake::ReceiveError;
pub use membership::Change;
pub use outcome::{
    Answer, AnswerKind, Fault, Notice, Output, Progress, Refusal, Role, Status, Ticket,
};

use super::log::MemLog;
use super::machine::{RestoreError, StateMachine};
use super::message::{Body, Envelope, Forward, ProposalId, Request};
use super::store::{Loaded, LogStore};
use image::Addresses;

/// Proposals and reads that may wait at one member.
const WAITING_MAX: usize = 16 * 1024;

/// Bytes of proposals that a leader keeps uncommitted; more are refused as [`Refusal::Busy`].
const UNCOMMITTED_BYTES_MAX: u64 = 32 << 20;

/// Bytes of entries in one message to a peer, and of entries applied in one turn.
const ENTRIES_BYTES_MAX: u64 = 1 << 20;

/// Append messages in flight to one peer.
const INFLIGHT_MESSAGES_MAX: usize = 256;

/// How a member behaves. Times are in ticks; how long a tick is, is the caller's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// This member's id, 1 and up.
    pub id: u64,
    /// The group's id. Messages of other groups are refused.
    pub group: u64,
    /// A number that no earlier start of this member had; random, or a counter on disk. It keeps
    /// answers to questions of before a restart apart from answers to those of now.
    pub boot: u64,
    /// Seed of the election timeouts.
    pub seed: u64,
    /// A follower that hears nothing of a leader for so long, or up to twice as long, stands for
    /// election.
    pub election_ticks: usize,
    /// A leader reports to its followers so often.
    pub heartbeat_ticks: usize,
    /// A proposal or read that has no answer after so long ends as unknown or refused.
    pub answer_ticks: u64,
    /// An image of the state is taken after so many entries...
    pub image_entries: u64,
    /// ... or so many bytes of them, whichever comes first.
    pub image_log_bytes: usize,
    /// Entries kept in the log beyond what the image covers, for followers that lag a little.
    pub trailing_entries: u64,
    /// Bytes of an image in one message.
    pub chunk_bytes: usize,
    /// The longest command, in bytes.
    pub command_bytes_max: usize,
    /// The longest image that is received, in bytes.
    pub image_bytes_max: u64,
    /// How many entries a learner may lack when it gets its vote.
    pub promotion_lag_max: u64,
}

impl Config {
    /// The defaults: with a tick of 100 ms, elections after 1 to 2 s and heartbeats each 200 ms.
    pub fn new(id: u64, group: u64, boot: u64) -> Config {
        Config {
            id,
            group,
            boot,
            seed: boot ^ id.rotate_left(32),
            election_ticks: 10,
            heartbeat_ticks: 2,
            answer_ticks: 50,
            image_entries: 10_000,
            image_log_bytes: 32 << 20,
            trailing_entries: 1_000,
            chunk_bytes: 256 << 10,
            command_bytes_max: 8 << 20,
            image_bytes_max: 256 << 20,
            promotion_lag_max: 64,
        }
    }
}

/// A member cannot be started on what its store holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The configuration makes no sense.
    #[error("the member's configuration cannot be used: {0}")]
    Config(String),
    /// What the store holds contradicts itself.
    #[error(
        "the member's log contradicts itself: {0}; restore the data directory, or remove the member from the group and add it again with another id and an empty directory"
    )]
    Log(String),
    /// The image cannot be read.
    #[error("{0}; it may have been written by a newer release")]
    Image(#[from] RestoreError),
}

/// One member of a group that replicates `M` and keeps its log in `S`.
pub struct Member<M, S> {
    config: Config,
    store: S,
    machine: M,
    node: RawNode<MemLog>,
    /// The last applied index.
    applied: u64,
    addresses: Addresses,
    ticks: u64,
    /// When each peer was last heard from.
    heard: BTreeMap<u64, u64>,
    /// The last forwarded proposal seen of each member's start, so that none is taken twice.
    forwarded: BTreeMap<u64, (u64, u64)>,
    /// Own proposals without an answer.
    proposals: BTreeMap<u64, Waiting>,
    reads: reads::Reads,
    outgoing: transfer::Outgoing,
    incoming: transfer::Incoming,
    next_sequence: u64,
    election: ElectionTimeout,
    leader: (u64, u64),
    fault: Option<Fault>,
    /// When to try the store again.
    probe_at: u64,
    output: Output,
}

/// An own proposal that has no answer yet.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    /// The tick at which it ends as unknown.
    deadline: u64,
    /// The term in which it was sent on to a leader; none where it was put into the log here.
    forwarded_in: Option<u64>,
}

/// The randomized election timeout, drawn here rather than by Raft so that a seed determines it.
#[derive(Debug)]
struct ElectionTimeout {
    rng: fastrand::Rng,
    ticks: usize,
    elapsed: usize,
}

impl<M: StateMachine, S: LogStore> Member<M, S> {
    /// A member on what its store loaded. `machine` is as new; the image, if there is one, replaces
    /// its state, and the log is applied on top as far as it is known to be committed.
    ///
    /// The only voter of its group leads it at once.
    ///
    /// # Errors
    ///
    /// What the store holds cannot be started from.
    pub fn new(
        config: Config,
        store: S,
        loaded: Loaded,
        mut machine: M,
    ) -> Result<Self, StartError> {
        check(&loaded)?;
        let mut addresses = Addresses::new();
        if loaded.image.index > 0 {
            let (found, snapshot) = image::decode(&loaded.image.data)
                .map_err(|error| StartError::Log(error.to_string()))?;
            machine.restore(snapshot)?;
            addresses = found;
        }
        let applied = loaded.image.index;
        let log = MemLog::new(loaded);
        let node = new_node(&config, log, applied)
            .map_err(|error| StartError::Config(error.to_string()))?;
        let rng = fastrand::Rng::with_seed(config.seed);
        let mut member = Member {
            store,
            machine,
            node,
            applied,
            addresses,
            ticks: 0,
            heard: BTreeMap::new(),
            forwarded: BTreeMap::new(),
            proposals: BTreeMap::new(),
            reads: reads::Reads::default(),
            outgoing: transfer::Outgoing::default(),
            incoming: transfer::Incoming::default(),
            next_sequence: 0,
            election: ElectionTimeout { rng, ticks: config.election_ticks, elapsed: usize::MAX },
            leader: (0, 0),
            fault: None,
            probe_at: 0,
            output: Output::default(),
            config,
        };
        member.stand_if_alone();
        Ok(member)
    }

    /// Time moves on by one tick.
    pub fn tick(&mut self) {
        self.ticks += 1;
        self.run();
        match self.fault {
            None => {
                self.draw_election_timeout();
                self.node.tick();
                self.ask_for_reads();
                self.tend_transfers();
            }
            Some(Fault::Full(_)) if self.ticks >= self.probe_at => self.try_to_recover(),
            Some(_) => {}
        }
        self.expire();
    }

    /// Proposes a command. Its answer comes with a later [`Member::drive`], at this member, whoever
    /// leads.
    ///
    /// # Errors
    ///
    /// It is refused here and now; nothing of it will be applied.
    pub fn propose(&mut self, command: Vec<u8>) -> Result<Ticket, Refusal> {
        if command.len() > self.config.command_bytes_max {
            return Err(Refusal::TooLarge { limit_bytes: self.config.command_bytes_max });
        }
        self.submit(Request::Command(command))
    }

    /// Proposes a change of who is a member. Its answer comes as for [`Member::propose`].
    ///
    /// # Errors
    ///
    /// It is refused here and now; nothing of it will be applied.
    pub fn change_members(&mut self, changes: Vec<Change>) -> Result<Ticket, Refusal> {
        self.submit(Request::Membership(changes))
    }

    /// Asks for a linearizable read: when it is answered, [`Member::machine`] has everything that
    /// had been acknowledged anywhere when this was called.
    ///
    /// # Errors
    ///
    /// It is refused here and now.
    pub fn read(&mut self) -> Result<Ticket, Refusal> {
        self.refuse_if_unfit()?;
        let ticket = self.next_ticket();
        self.reads.add(ticket, self.ticks + self.config.answer_ticks);
        Ok(ticket)
    }

    /// Hands leadership over to another voter. It happens within an election timeout or not at all;
    /// the notice of a new leader tells.
    ///
    /// # Errors
    ///
    /// There is nothing to hand over, or nobody to take it.
    pub fn transfer_leadership(&mut self, to: u64) -> Result<(), Refusal> {
        self.refuse_if_unfit()?;
        let leader = self.node.raft.leader_id;
        if leader == 0 {
            return Err(Refusal::NoLeader);
        }
        if !self.node.store().conf_state().voters.contains(&to) {
            return Err(Refusal::Membership(format!(
                "member {to} has no vote: only a voter can lead"
            )));
        }
        if leader != to {
            self.node.transfer_leader(to);
        }
        Ok(())
    }

    /// Makes durable, applies and answers whatever the calls before have led to.
    pub fn drive(&mut self) -> Output {
        self.run();
        std::mem::take(&mut self.output)
    }

    /// The replicated state as applied here. It may be behind the group's; see [`Member::read`].
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The store, for its own status.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The member's view of itself and the group.
    pub fn status(&self) -> Status {
        let (raft, log) = (&self.node.raft, self.node.store());
        let members = log.conf_state();
        Status {
            id: self.config.id,
            group: self.config.group,
            role: self.role(),
            leader: if self.fault.is_some() { 0 } else { raft.leader_id },
            term: raft.term,
            committed: raft.raft_log.committed,
            applied: self.applied,
            first_index: log.compacted_index() + 1,
            last_index: raft.raft_log.last_index(),
            image_index: log.image().index,
            voters: members.voters.clone(),
            learners: members.learners.clone(),
            joint: !members.voters_outgoing.is_empty(),
            addresses: self.addresses.clone(),
            progress: self.progress(),
            fault: self.fault.clone(),
        }
    }

    fn role(&self) -> Role {
        match self.node.raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
            StateRole::Follower if self.node.raft.promotable() => Role::Follower,
            StateRole::Follower => Role::Learner,
        }
    }

    /// The peers' progress, on the leader.
    fn progress(&self) -> BTreeMap<u64, Progress> {
        if self.node.raft.state != StateRole::Leader {
            return BTreeMap::new();
        }
        let since = self.ticks.saturating_sub(2 * self.config.election_ticks as u64);
        let of = |id: &u64, matched: u64| {
            let active = self.heard.get(id).is_some_and(|heard| *heard >= since);
            (*id, Progress { matched, active })
        };
        self.node
            .raft
            .prs()
            .iter()
            .filter(|(id, _)| **id != self.config.id)
            .map(|(id, progress)| of(id, progress.matched))
            .collect()
    }

    fn submit(&mut self, request: Request) -> Result<Ticket, Refusal> {
        self.refuse_if_unfit()?;
        let ticket = self.next_ticket();
        let proposal =
            ProposalId { member: self.config.id, boot: self.config.boot, sequence: ticket.0 };
        let leader = self.node.raft.leader_id;
        let mut forwarded_in = None;
        if self.node.raft.state == StateRole::Leader {
            self.place(proposal, request)?;
        } else if leader == 0 {
            return Err(Refusal::NoLeader);
        } else {
            self.send(leader, Body::Forward(Forward { proposal, request }));
            forwarded_in = Some(self.node.raft.term);
        }
        let deadline = self.ticks + self.config.answer_ticks;
        self.proposals.insert(ticket.0, Waiting { deadline, forwarded_in });
        Ok(ticket)
    }

    /// Refuses what cannot be served at the moment.
    fn refuse_if_unfit(&self) -> Result<(), Refusal> {
        if let Some(fault) = &self.fault {
            return Err(Refusal::Storage(fault.to_string()));
        }
        if self.proposals.len() + self.reads.len() >= WAITING_MAX {
            return Err(Refusal::Busy);
        }
        Ok(())
    }

    /// Puts a proposal into the log; only the leader can.
    fn place(&mut self, proposal: ProposalId, request: Request) -> Result<(), Refusal> {
        if self.node.raft.state != StateRole::Leader {
            return Err(Refusal::NotLeader { leader: self.node.raft.leader_id });
        }
        let context = proposal.to_bytes();
        let placed = match request {
            Request::Command(command) if command.len() > self.config.command_bytes_max => {
                return Err(Refusal::TooLarge { limit_bytes: self.config.command_bytes_max });
            }
            Request::Command(command) => self.node.propose(context, command),
            Request::Membership(changes) => {
                let conf_change = membership::judge(
                    &changes,
                    &membership::Situation {
                        leader: self.config.id,
                        members: self.node.store().conf_state(),
                        change_pending: self.node.raft.has_pending_conf(),
                        committed: self.node.raft.raft_log.committed,
                        promotion_lag_max: self.config.promotion_lag_max,
                        progress: &self.progress(),
                    },
                )?;
                self.node.propose_conf_change(context, conf_change)
            }
        };
        placed.map_err(|_| match self.node.raft.lead_transferee {
            Some(_) => Refusal::Transferring,
            None => Refusal::Busy,
        })
    }

    fn next_ticket(&mut self) -> Ticket {
        self.next_sequence += 1;
        Ticket(self.next_sequence)
    }

    fn send(&mut self, to: u64, body: Body) {
        let (group, from) = (self.config.group, self.config.id);
        self.output.messages.push(Envelope { group, from, to, body });
    }

    fn answer(&mut self, ticket: Ticket, kind: AnswerKind) {
        self.output.answers.push(Answer { ticket, kind });
    }

    /// Ends what has waited too long.
    fn expire(&mut self) {
        let now = self.ticks;
        self.end_as_unknown(|proposal| proposal.deadline <= now);
        let refusal = match &self.fault {
            Some(fault) => Refusal::Storage(fault.to_string()),
            None => Refusal::NoLeader,
        };
        for ticket in self.reads.expired(now) {
            self.answer(ticket, AnswerKind::Refused(refusal.clone()));
        }
    }

    /// Ends the proposals of which `is_over` is true: what became of them is not known.
    fn end_as_unknown(&mut self, is_over: impl Fn(&Waiting) -> bool) {
        let over = self.proposals.iter().filter(|(_, proposal)| is_over(proposal));
        let tickets: Vec<u64> = over.map(|(ticket, _)| *ticket).collect();
        for ticket in tickets {
            self.proposals.remove(&ticket);
            self.answer(Ticket(ticket), AnswerKind::Unknown);
        }
    }

    /// Stands for election at once where nobody else could vote.
    fn stand_if_alone(&mut self) {
        let alone = self.node.raft.promotable() && self.node.raft.prs().is_singleton();
        if alone && self.node.raft.state != StateRole::Leader {
            // The only way for this to fail is a change of members that is not applied yet; the
            // election timeout stands again.
            let _ = self.node.campaign();
        }
    }

    /// Draws a new timeout whenever Raft has begun to wait anew.
    fn draw_election_timeout(&mut self) {
        let elapsed = self.node.raft.election_elapsed;
        if elapsed < self.election.elapsed {
            self.election.ticks =
                self.election.rng.usize(self.config.election_ticks..2 * self.config.election_ticks);
        }
        self.election.elapsed = elapsed;
        self.node.raft.set_randomized_election_timeout(self.election.ticks);
    }

    /// Asks the leader what reads need to know.
    fn ask_for_reads(&mut self) {
        let stale = self.ticks.saturating_sub(2 * self.config.heartbeat_ticks as u64);
        if let Some(number) = self.reads.question(self.ticks, stale) {
            let question =
                ProposalId { member: self.config.id, boot: self.config.boot, sequence: number };
            self.node.read_index(question.to_bytes());
        }
    }

    fn tend_transfers(&mut self) {
        if self.node.raft.state != StateRole::Leader {
            return self.outgoing.clear();
        }
        let retry = self.ticks.saturating_sub(2 * self.config.heartbeat_ticks as u64);
        let abandon = self.ticks.saturating_sub(4 * self.config.election_ticks as u64);
        for to in self.outgoing.retry(self.ticks, retry, abandon) {
            self.node.report_snapshot(to, raft::SnapshotStatus::Failure);
        }
    }
}

/// Whether a store's content can be started from.
fn check(loaded: &Loaded) -> Result<(), StartError> {
    let wrong = |reason: String| Err(StartError::Log(reason));
    let end = loaded.compacted.index + loaded.entries.len() as u64;
    let misplaced = loaded
        .entries
        .iter()
        .zip(loaded.compacted.index + 1..)
        .find(|(entry, index)| entry.index != *index);
    if let Some((entry, index)) = misplaced {
        return wrong(format!(
            "entry {index} is missing (entry {} stands in its place)",
            entry.index
        ));
    }
    let image = loaded.image.index;
    if image < loaded.compacted.index || image > end {
        return wrong(format!(
            "its image is of index {image}, but the log has the entries {} to {end}",
            loaded.compacted.index + 1
        ));
    }
    if loaded.hard_state.commit > end {
        return wrong(format!(
            "entry {} is committed, but the log ends at {end}",
            loaded.hard_state.commit
        ));
    }
    if !loaded.image.is_intact() {
        return wrong(format!("the checksum of the image of index {image} is wrong"));
    }
    Ok(())
}

/// Raft's node on a log whose entries up to `applied` have been applied.
fn new_node(config: &Config, mut log: MemLog, applied: u64) -> raft::Result<RawNode<MemLog>> {
    log.note_commit(applied);
    let raft_config = raft::Config {
        id: config.id,
        election_tick: config.election_ticks,
        heartbeat_tick: config.heartbeat_ticks,
        applied,
        max_size_per_msg: ENTRIES_BYTES_MAX,
        max_inflight_msgs: INFLIGHT_MESSAGES_MAX,
        check_quorum: true,
        pre_vote: true,
        read_only_option: raft::ReadOnlyOption::Safe,
        max_uncommitted_size: UNCOMMITTED_BYTES_MAX,
        max_committed_size_per_ready: ENTRIES_BYTES_MAX,
        ..raft::Config::default()
    };
    RawNode::new(&raft_config, log, &logger::tracing_logger())
}

//! What a member hands out: answers, refusals, notices and its status.

use std::collections::BTreeMap;

use super::super::message::Envelope;

/// Names a proposal or a read until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The end of a proposal or a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Which one.
    pub ticket: Ticket,
    /// How it ended.
    pub kind: AnswerKind,
}

/// How a proposal or a read ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerKind {
    /// The proposal is committed and applied here.
    Applied {
        /// Its place in the log.
        index: u64,
        /// What the state machine answered; empty for a change of members.
        outcome: Vec<u8>,
    },
    /// The state here is at least as new as the read: look at [`super::Member::machine`] now.
    Readable {
        /// The index up to which the state is applied.
        index: u64,
    },
    /// It was not accepted, and nothing of it will be applied.
    Refused(Refusal),
    /// It is not known whether it is or will be applied. A retry must carry the same request id, by
    /// which the state machine knows it.
    Unknown,
}

/// Why a member did not accept a proposal or a read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No leader is known; an election is under way or a majority is out of reach.
    #[error(
        "the group has no leader at the moment: try again, and if it stays so, see which members are down"
    )]
    NoLeader,
    /// The member that was asked does not lead (any more).
    #[error("leadership moved{}: try again", match leader { 0 => String::new(), id => format!(" to member {id}") })]
    NotLeader {
        /// Who does; 0 where it does not know.
        leader: u64,
    },
    /// Too much is waiting to be committed.
    #[error("too many changes are waiting to be committed: try again later")]
    Busy,
    /// The command is longer than a log entry may be.
    #[error("the command is longer than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// Leadership is being handed over.
    #[error("leadership is being handed over: try again")]
    Transferring,
    /// This member's store takes no writes.
    #[error("this member cannot write its log ({0}): ask another one")]
    Storage(String),
    /// The change of members is not possible as things are.
    #[error("{0}")]
    Membership(String),
}

/// What a member is to the others at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It drives the log.
    Leader,
    /// It follows the leader, or waits for one.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It follows and does not vote.
    Learner,
}

/// Why a member takes no part although its process runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The disk is full. It takes part again by itself once there is space.
    #[error(
        "{0}: free some space in the data directory's file system; the member then goes on by itself"
    )]
    Full(String),
    /// It cannot go on. Only a restart may help.
    #[error("{0}: this member has stopped taking part; see to the cause and restart it")]
    Failed(String),
}

/// Something that an operator may want to know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The leader, as this member sees it, changed; 0 is none.
    Leader {
        /// Its id.
        leader: u64,
        /// The term.
        term: u64,
    },
    /// The member stopped taking part.
    Fault(Fault),
    /// The store takes writes again and the member takes part again.
    Recovered,
    /// A change of members was applied.
    Members,
    /// This member was removed from the group.
    Removed,
    /// The state was replaced by an image from the leader.
    Installed {
        /// The index of the image.
        index: u64,
    },
    /// The leader believed this member to have entries that its log lacks: acknowledged entries
    /// were lost here. They come again from the leader.
    LogLost {
        /// The last index in this member's log.
        last_index: u64,
        /// An index that it had acknowledged.
        acknowledged: u64,
    },
}

/// Everything that came of the calls since the last [`super::Member::drive`].
#[derive(Debug, Default)]
pub struct Output {
    /// Messages to send. Any may be lost; the order to one peer should be kept.
    pub messages: Vec<Envelope>,
    /// Proposals and reads that ended.
    pub answers: Vec<Answer>,
    /// What happened besides.
    pub notices: Vec<Notice>,
}

/// How far a peer is, as the leader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The last index that it is known to have made durable.
    pub matched: u64,
    /// Whether it was heard from within two election timeouts.
    pub active: bool,
}

/// A member's view of itself and the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its id.
    pub id: u64,
    /// The group's id.
    pub group: u64,
    /// What it is.
    pub role: Role,
    /// Who leads; 0 where it does not know.
    pub leader: u64,
    /// The term.
    pub term: u64,
    /// The last committed index that it knows of.
    pub committed: u64,
    /// The last applied index.
    pub applied: u64,
    /// The first index in its log.
    pub first_index: u64,
    /// The last index in its log.
    pub last_index: u64,
    /// The index of its newest image.
    pub image_index: u64,
    /// Members that vote.
    pub voters: Vec<u64>,
    /// Members that do not.
    pub learners: Vec<u64>,
    /// Whether a change of members is half done.
    pub joint: bool,
    /// Every member's address.
    pub addresses: BTreeMap<u64, String>,
    /// Its peers' progress; empty unless it leads.
    pub progress: BTreeMap<u64, Progress>,
    /// Why it takes no part, if it does not.
    pub fault: Option<Fault>,
}

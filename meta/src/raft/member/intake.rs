//! What comes in from peers.
//!
//! Raft's implementation stops the process on messages that a sound peer never sends. Those are
//! kept from it here: a peer of another group, or one whose disk lost data, must not take this
//! member down with it.

use raft::StateRole;
use raft::eraftpb::{Message, MessageType};

use super::super::machine::StateMachine;
use super::super::message::{Body, Chunk, Envelope, Forward, ProposalId};
use super::super::store::LogStore;
use super::Member;
use super::outcome::{AnswerKind, Notice, Refusal, Ticket};
use super::transfer::{Assembled, Received};

/// A peer's message is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// It comes from a member of another group.
    #[error(
        "member {from} belongs to group {theirs:016x}, this one to group {ours:016x}: correct the members' addresses in the configuration"
    )]
    OtherGroup {
        /// The sender.
        from: u64,
        /// The sender's group.
        theirs: u64,
        /// This member's group.
        ours: u64,
    },
    /// It is meant for a member with another id.
    #[error(
        "a message of member {from} is for member {to}, but this is member {id}: correct the members' addresses in the configuration"
    )]
    OtherMember {
        /// The sender.
        from: u64,
        /// Whom it takes this member for.
        to: u64,
        /// This member's id.
        id: u64,
    },
    /// No member sends such a message.
    #[error("member {from} sent a message that makes no sense here ({what})")]
    Malformed {
        /// The sender.
        from: u64,
        /// What it is.
        what: &'static str,
    },
}

impl<M: StateMachine, S: LogStore> Member<M, S> {
    /// Takes in a peer's message.
    ///
    /// # Errors
    ///
    /// It is not for this member, or nonsense. The member is as it was.
    pub fn receive(&mut self, envelope: Envelope) -> Result<(), ReceiveError> {
        let Envelope { group, from, to, body } = envelope;
        if group != self.config.group {
            return Err(ReceiveError::OtherGroup { from, theirs: group, ours: self.config.group });
        }
        if to != self.config.id || from == to {
            return Err(ReceiveError::OtherMember { from, to, id: self.config.id });
        }
        if self.fault.is_some() {
            return Ok(());
        }
        self.heard.insert(from, self.ticks);
        match body {
            Body::Raft(message) => return self.receive_raft(from, message),
            Body::Forward(forward) => self.receive_forward(from, forward)?,
            Body::Refused { proposal, refusal } => self.receive_refusal(proposal, refusal),
            Body::Chunk(chunk) => return self.receive_chunk(from, chunk),
            Body::ChunkReceived { image, next } => self.receive_chunk_receipt(from, image, next),
            Body::LogLost { last_index } => self.step_back(from, last_index),
        }
        Ok(())
    }

    fn receive_raft(&mut self, from: u64, mut message: Message) -> Result<(), ReceiveError> {
        let malformed = |what: &'static str| Err(ReceiveError::Malformed { from, what });
        match message.get_msg_type() {
            // Proposals are forwarded and images sent in messages of their own; the others are what
            // a member says to itself.
            MessageType::MsgPropose | MessageType::MsgSnapshot => {
                return malformed("a Raft message of a kind that is not sent");
            }
            kind if raft::raw_node::is_local_msg(kind) => {
                return malformed("a Raft message of a kind that is not sent");
            }
            MessageType::MsgReadIndex | MessageType::MsgReadIndexResp
                if message.entries.len() != 1 =>
            {
                return malformed("a read without a context");
            }
            // A request to hand leadership over carries the name of whom to hand it to, and a read
            // that came to a member that just lost the lead goes on in the name of who asked.
            MessageType::MsgTransferLeader | MessageType::MsgReadIndex => {}
            _ if message.from != from => {
                return malformed("a Raft message in another member's name");
            }
            MessageType::MsgHeartbeat => self.check_heartbeat(from, &mut message),
            _ => {}
        }
        self.step(message);
        Ok(())
    }

    /// Gives Raft a message. What it refuses (a response of a member that was removed, a proposal
    /// without a leader) is as good as lost on the way.
    fn step(&mut self, message: Message) {
        if let Err(error) = self.node.step(message) {
            tracing::debug!("a peer's message is dropped: {error}");
        }
    }

    /// Keeps a heartbeat from committing what this member's log does not have.
    ///
    /// A leader tells a follower only of entries that the follower has acknowledged. Where they are
    /// missing, a damaged end of the log was cut or the disk was replaced.
    fn check_heartbeat(&mut self, from: u64, message: &mut Message) {
        let last_index = self.node.raft.raft_log.last_index();
        if message.term < self.node.raft.term || message.commit <= last_index {
            return;
        }
        let acknowledged = message.commit;
        tracing::warn!(
            "this member acknowledged entry {acknowledged}, but its log ends at {last_index}: entries were lost here; fetching them from member {from}"
        );
        message.commit = last_index;
        self.output.notices.push(Notice::LogLost { last_index, acknowledged });
        self.send(from, Body::LogLost { last_index });
    }

    /// Stops believing that a peer has entries which it says it lacks.
    fn step_back(&mut self, from: u64, last_index: u64) {
        if self.node.raft.state != StateRole::Leader || from == self.config.id {
            return;
        }
        let Some(progress) = self.node.raft.mut_prs().get_mut(from) else { return };
        if progress.matched > last_index {
            tracing::warn!(
                "member {from} lost its log after entry {last_index}, of which it had acknowledged {}",
                progress.matched
            );
            progress.matched = last_index;
            progress.become_probe();
        }
    }

    fn receive_forward(&mut self, from: u64, forward: Forward) -> Result<(), ReceiveError> {
        let Forward { proposal, request } = forward;
        if proposal.member != from {
            return Err(ReceiveError::Malformed {
                from,
                what: "a proposal in another member's name",
            });
        }
        // A proposal that comes twice, or after a later one, is not answered: a refusal would say
        // that nothing of it will be applied.
        let seen = self.forwarded.entry(from).or_insert((proposal.boot, 0));
        if seen.0 == proposal.boot && seen.1 >= proposal.sequence {
            return Ok(());
        }
        *seen = (proposal.boot, proposal.sequence);
        if let Err(refusal) = self.place(proposal, request) {
            self.send(from, Body::Refused { proposal, refusal });
        }
        Ok(())
    }

    fn receive_refusal(&mut self, proposal: ProposalId, refusal: Refusal) {
        let own = (proposal.member, proposal.boot) == (self.config.id, self.config.boot);
        if own && self.proposals.remove(&proposal.sequence).is_some() {
            self.answer(Ticket(proposal.sequence), AnswerKind::Refused(refusal));
        }
    }

    fn receive_chunk(&mut self, from: u64, chunk: Chunk) -> Result<(), ReceiveError> {
        let image = chunk.image();
        let sound = chunk.offer.get_msg_type() == MessageType::MsgSnapshot
            && chunk.offer.from == from
            && image.0 > 0
            && chunk.total <= self.config.image_bytes_max
            && chunk.data.len() as u64 <= chunk.total;
        if !sound {
            return Err(ReceiveError::Malformed {
                from,
                what: "a chunk of an image that is too long or has no offer",
            });
        }
        if chunk.offer.term < self.node.raft.term {
            // A leader of the past; its next heartbeat tells it.
            return Ok(());
        }
        let next = if image.0 <= self.node.raft.raft_log.committed {
            // Raft needs no image for what it has; it tells the leader so.
            self.step(chunk.offer);
            chunk.total
        } else {
            match self.incoming.add(from, &chunk) {
                Assembled::Waiting(next) => next,
                Assembled::Whole => {
                    self.step(chunk.offer);
                    chunk.total
                }
                Assembled::Broken => {
                    tracing::warn!(
                        "an image of index {} from member {from} was damaged on its way; asking for it again",
                        image.0
                    );
                    0
                }
            }
        };
        self.send(from, Body::ChunkReceived { image, next });
        Ok(())
    }

    fn receive_chunk_receipt(&mut self, from: u64, image: (u64, u64), next: u64) {
        if self.outgoing.received(from, image, next, self.ticks) == Received::All {
            self.node.report_snapshot(from, raft::SnapshotStatus::Finish);
        }
    }
}

//! What members say to each other, and how it is encoded.
//!
//! The transport carries the bytes of [`Envelope::encode`] and need not look into them. Integers
//! are little-endian; a variable part is preceded by its length in four bytes.

use protobuf::Message as _;
use raft::eraftpb::Message;

use super::member::{Change, Refusal};

/// The version of the encoding; a member refuses others, so that it can change.
const VERSION: u8 = 1;

/// One message from one member to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The group both believe to be in.
    pub group: u64,
    /// The sender's member id.
    pub from: u64,
    /// The receiver's member id.
    pub to: u64,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A message of the Raft protocol itself; never one that carries a snapshot or a proposal.
    Raft(Message),
    /// A proposal made at a member that does not lead, on its way to the one that does.
    Forward(Forward),
    /// A forwarded proposal was not accepted. Nothing of it will be applied.
    Refused {
        /// The proposal's number at the member that asked.
        proposal: ProposalId,
        /// Why.
        refusal: Refusal,
    },
    /// A part of an image on its way to a member that lags behind the log.
    Chunk(Chunk),
    /// How far the receiver of an image has come.
    ChunkReceived {
        /// Index and term of the image.
        image: (u64, u64),
        /// The next byte that the receiver waits for; 0 makes the sender begin anew.
        next: u64,
    },
    /// The sender's log ends before what the leader believes it to have: it lost acknowledged
    /// entries. The leader has to go back.
    LogLost {
        /// The last index that the sender still has.
        last_index: u64,
    },
}

/// Names one proposal, over all members and all their restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProposalId {
    /// The member where it was made.
    pub member: u64,
    /// That member's start (see `Config::boot`).
    pub boot: u64,
    /// Its number since that start.
    pub sequence: u64,
}

/// A proposal on its way to the leader.
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    /// Which one it is.
    pub proposal: ProposalId,
    /// What it asks for.
    pub request: Request,
}

/// What can be proposed.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// A command for the state machine.
    Command(Vec<u8>),
    /// A change of who is a member.
    Membership(Vec<Change>),
}

/// A part of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// The Raft message that offers the image. It is acted on once all of the image is there.
    pub offer: Message,
    /// Bytes in the whole image.
    pub total: u64,
    /// CRC-32 of the whole image.
    pub crc32: u32,
    /// Where in the image `data` belongs.
    pub offset: u64,
    /// The bytes themselves.
    pub data: Vec<u8>,
}

impl Chunk {
    /// Index and term of the image that this is a part of.
    pub fn image(&self) -> (u64, u64) {
        let metadata = self.offer.get_snapshot().get_metadata();
        (metadata.index, metadata.term)
    }
}

/// Bytes from a peer are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("a message from a peer ends too early")]
    Short,
    /// There are bytes after the end.
    #[error("a message from a peer has {0} bytes too many")]
    Long(usize),
    /// The peer speaks another version.
    #[error(
        "a peer speaks version {0} of the members' protocol, this one speaks {VERSION}: run the same release on all members"
    )]
    Version(u8),
    /// A part has no meaning.
    #[error("a message from a peer has an unknown {0}")]
    Unknown(&'static str),
}

impl ProposalId {
    /// The id as the context of a log entry.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Encoder::default();
        out.proposal(self);
        out.bytes
    }

    /// The id in the context of a log entry; none in the entries that Raft makes for itself.
    pub fn from_bytes(bytes: &[u8]) -> Option<ProposalId> {
        let mut input = Decoder { bytes };
        let proposal = input.proposal().ok()?;
        input.bytes.is_empty().then_some(proposal)
    }
}

impl Envelope {
    /// The message as bytes for the transport.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder { bytes: vec![VERSION] };
        out.u64(self.group);
        out.u64(self.from);
        out.u64(self.to);
        match &self.body {
            Body::Raft(message) => {
                out.u8(1);
                out.raft(message);
            }
            Body::Forward(forward) => {
                out.u8(2);
                out.proposal(forward.proposal);
                out.request(&forward.request);
            }
            Body::Refused { proposal, refusal } => {
                out.u8(3);
                out.proposal(*proposal);
                out.refusal(refusal);
            }
            Body::Chunk(chunk) => {
                out.u8(4);
                out.raft(&chunk.offer);
                out.u64(chunk.total);
                out.u32(chunk.crc32);
                out.u64(chunk.offset);
                out.sized(&chunk.data);
            }
            Body::ChunkReceived { image, next } => {
                out.u8(5);
                out.u64(image.0);
                out.u64(image.1);
                out.u64(*next);
            }
            Body::LogLost { last_index } => {
                out.u8(6);
                out.u64(*last_index);
            }
        }
        out.bytes
    }

    /// Reads what [`Envelope::encode`] wrote.
    ///
    /// # Errors
    ///
    /// The bytes are not a message, or one of another version.
    pub fn decode(bytes: &[u8]) -> Result<Envelope, DecodeError> {
        let mut input = Decoder { bytes };
        match input.u8()? {
            VERSION => {}
            other => return Err(DecodeError::Version(other)),
        }
        let (group, from, to) = (input.u64()?, input.u64()?, input.u64()?);
        let body = match input.u8()? {
            1 => Body::Raft(input.raft()?),
            2 => Body::Forward(Forward { proposal: input.proposal()?, request: input.request()? }),
            3 => Body::Refused { proposal: input.proposal()?, refusal: input.refusal()? },
            4 => Body::Chunk(Chunk {
                offer: input.raft()?,
                total: input.u64()?,
                crc32: input.u32()?,
                offset: input.u64()?,
                data: input.sized()?.to_vec(),
            }),
            5 => Body::ChunkReceived { image: (input.u64()?, input.u64()?), next: input.u64()? },
            6 => Body::LogLost { last_index: input.u64()? },
            _ => return Err(DecodeError::Unknown("kind")),
        };
        match input.bytes.len() {
            0 => Ok(Envelope { group, from, to, body }),
            extra => Err(DecodeError::Long(extra)),
        }
    }
}

/// Appends to a buffer.
#[derive(Default)]
pub(super) struct Encoder {
    pub(super) bytes: Vec<u8>,
}

impl Encoder {
    pub(super) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn sized(&mut self, value: &[u8]) {
        self.u32(
            u32::try_from(value.len()).expect(
                "no part of a message is as long as 4 GiB: commands and chunks are bounded",
            ),
        );
        self.bytes.extend_from_slice(value);
    }

    fn raft(&mut self, message: &Message) {
        self.sized(
            &message
                .write_to_bytes()
                .expect("a Raft message has no required field that could be missing"),
        );
    }

    fn proposal(&mut self, proposal: ProposalId) {
        self.u64(proposal.member);
        self.u64(proposal.boot);
        self.u64(proposal.sequence);
    }

    fn request(&mut self, request: &Request) {
        match request {
            Request::Command(command) => {
                self.u8(1);
                self.sized(command);
            }
            Request::Membership(changes) => {
                self.u8(2);
                self.u32(changes.len() as u32);
                for change in changes {
                    self.change(change);
                }
            }
        }
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::AddLearner { id, address } => {
                self.u8(1);
                self.u64(*id);
                self.sized(address.as_bytes());
            }
            Change::Promote { id } => {
                self.u8(2);
                self.u64(*id);
            }
            Change::Remove { id } => {
                self.u8(3);
                self.u64(*id);
            }
        }
    }

    fn refusal(&mut self, refusal: &Refusal) {
        let (kind, number, text) = match refusal {
            Refusal::NoLeader => (1, 0, ""),
            Refusal::NotLeader { leader } => (2, *leader, ""),
            Refusal::Busy => (3, 0, ""),
            Refusal::TooLarge { limit_bytes } => (4, *limit_bytes as u64, ""),
            Refusal::Transferring => (5, 0, ""),
            Refusal::Storage(reason) => (6, 0, reason.as_str()),
            Refusal::Membership(reason) => (7, 0, reason.as_str()),
        };
        self.u8(kind);
        self.u64(number);
        self.sized(text.as_bytes());
    }
}

/// Takes from the front of a slice.
pub(super) struct Decoder<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Decoder<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(DecodeError::Short)?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| DecodeError::Short)?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| DecodeError::Short)?))
    }

    pub(super) fn sized(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u32()? as usize;
        self.take(len)
    }

    pub(super) fn text(&mut self) -> Result<String, DecodeError> {
        String::from_utf8(self.sized()?.to_vec())
            .map_err(|_| DecodeError::Unknown("encoding of a text"))
    }

    fn raft(&mut self) -> Result<Message, DecodeError> {
        let mut message = Message::default();
        message
            .merge_from_bytes(self.sized()?)
            .map_err(|_| DecodeError::Unknown("field in a Raft message"))?;
        Ok(message)
    }

    fn proposal(&mut self) -> Result<ProposalId, DecodeError> {
        Ok(ProposalId { member: self.u64()?, boot: self.u64()?, sequence: self.u64()? })
    }

    fn request(&mut self) -> Result<Request, DecodeError> {
        match self.u8()? {
            1 => Ok(Request::Command(self.sized()?.to_vec())),
            2 => {
                let count = self.u32()?;
                let changes: Result<Vec<Change>, DecodeError> =
                    (0..count).map(|_| self.change()).collect();
                Ok(Request::Membership(changes?))
            }
            _ => Err(DecodeError::Unknown("request")),
        }
    }

    fn change(&mut self) -> Result<Change, DecodeError> {
        match self.u8()? {
            1 => Ok(Change::AddLearner { id: self.u64()?, address: self.text()? }),
            2 => Ok(Change::Promote { id: self.u64()? }),
            3 => Ok(Change::Remove { id: self.u64()? }),
            _ => Err(DecodeError::Unknown("membership change")),
        }
    }

    fn refusal(&mut self) -> Result<Refusal, DecodeError> {
        let (kind, number, text) = (self.u8()?, self.u64()?, self.text()?);
        match kind {
            1 => Ok(Refusal::NoLeader),
            2 => Ok(Refusal::NotLeader { leader: number }),
            3 => Ok(Refusal::Busy),
            4 => Ok(Refusal::TooLarge { limit_bytes: number as usize }),
            5 => Ok(Refusal::Transferring),
            6 => Ok(Refusal::Storage(text)),
            7 => Ok(Refusal::Membership(text)),
            _ => Err(DecodeError::Unknown("refusal")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of_each() -> Vec<Body> {
        let mut message = Message { term: 9, ..Message::default() };
        message.mut_snapshot().mut_metadata().index = 4;
        let proposal = ProposalId { member: 1, boot: 2, sequence: 3 };
        let changes = vec![
            Change::AddLearner { id: 4, address: "h:1".to_owned() },
            Change::Promote { id: 4 },
            Change::Remove { id: 1 },
        ];
        let mut bodies = vec![
            Body::Raft(message.clone()),
            Body::Forward(Forward { proposal, request: Request::Command(vec![1, 2, 3]) }),
            Body::Forward(Forward { proposal, request: Request::Membership(changes) }),
            Body::Chunk(Chunk { offer: message, total: 10, crc32: 5, offset: 8, data: vec![0, 9] }),
            Body::ChunkReceived { image: (7, 8), next: 9 },
            Body::LogLost { last_index: 5 },
        ];
        let refusals = [
            Refusal::NoLeader,
            Refusal::NotLeader { leader: 3 },
            Refusal::Busy,
            Refusal::TooLarge { limit_bytes: 10 },
            Refusal::Transferring,
            Refusal::Storage("full".to_owned()),
            Refusal::Membership("no".to_owned()),
        ];
        bodies.extend(refusals.map(|refusal| Body::Refused { proposal, refusal }));
        bodies
    }

    #[test]
    fn every_message_is_decoded_to_what_was_encoded() {
        for body in one_of_each() {
            let envelope = Envelope { group: 11, from: 1, to: 2, body };
            assert_eq!(Envelope::decode(&envelope.encode()), Ok(envelope));
        }
    }

    #[test]
    fn a_message_cut_short_or_too_long_is_refused_at_every_length() {
        for body in one_of_each() {
            let bytes = Envelope { group: 11, from: 1, to: 2, body }.encode();
            for end in 0..bytes.len() {
                assert!(
                    Envelope::decode(&bytes[..end]).is_err(),
                    "cut to {end} of {}",
                    bytes.len()
                );
            }
            assert_eq!(Envelope::decode(&[&bytes[..], &[0]].concat()), Err(DecodeError::Long(1)));
        }
    }

    #[test]
    fn another_version_of_the_protocol_is_refused_by_name() {
        let mut bytes =
            Envelope { group: 1, from: 1, to: 2, body: Body::LogLost { last_index: 1 } }.encode();
        bytes[0] = 2;
        assert_eq!(Envelope::decode(&bytes), Err(DecodeError::Version(2)));
    }
}

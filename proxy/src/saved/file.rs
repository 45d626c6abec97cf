//! The bytes of a saved topology.
//!
//! ```text
//! 8 bytes   "CODTOPO1", of which the last is the format
//! 4 bytes   CRC-32 (IEEE) of the rest, little-endian
//! rest      a `Body`, encoded by prost
//! ```

use crate::topology::{NotATopology, from_group};
use codis_proto::meta::v1 as pb;
use prost::Message;

const MAGIC: &[u8; 8] = b"CODTOPO1";
const HEAD_BYTES: usize = MAGIC.len() + size_of::<u32>();

/// A topology of the metadata group, and where it is from.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedTopology {
    /// The group of members that it is from.
    pub cluster: u64,
    /// The product that the group keeps.
    pub product: String,
    /// When it was saved.
    pub saved_unix_ms: u64,
    /// The topology as the group sent it.
    pub topology: pb::Topology,
}

/// Why a file is not a saved topology.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It begins as no such file does.
    #[error("it is no saved topology, or one of another release's format")]
    Format,
    /// Its checksum is wrong.
    #[error("it is cut off or damaged")]
    Checksum,
    /// It cannot be decoded, though the checksum is right.
    #[error("it cannot be decoded: {0}")]
    Body(String),
    /// It contradicts itself.
    #[error("the topology in it is none: {0}")]
    Topology(#[from] NotATopology),
}

/// What is encoded; fields are only ever added.
#[derive(Clone, PartialEq, Message)]
struct Body {
    #[prost(fixed64, tag = "1")]
    cluster: u64,
    #[prost(string, tag = "2")]
    product: String,
    #[prost(uint64, tag = "3")]
    saved_unix_ms: u64,
    #[prost(message, optional, tag = "4")]
    topology: Option<pb::Topology>,
}

/// The bytes of `saved`.
pub(super) fn encode(saved: SavedTopology) -> Vec<u8> {
    let SavedTopology { cluster, product, saved_unix_ms, topology } = saved;
    let body = Body { cluster, product, saved_unix_ms, topology: Some(topology) }.encode_to_vec();
    let crc = crc32fast::hash(&body).to_le_bytes();
    [MAGIC, &crc[..], &body].concat()
}

/// What [`encode`] made `bytes` of.
///
/// # Errors
/// It did not.
pub(super) fn decode(bytes: &[u8]) -> Result<SavedTopology, Damage> {
    let body = bytes.get(HEAD_BYTES..).ok_or(Damage::Format)?;
    let (magic, crc) = bytes[..HEAD_BYTES].split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(Damage::Format);
    }
    if crc32fast::hash(body).to_le_bytes() != crc {
        return Err(Damage::Checksum);
    }
    let body = Body::decode(body).map_err(|error| Damage::Body(error.to_string()))?;
    let Body { cluster, product, saved_unix_ms, topology } = body;
    let topology = topology.ok_or_else(|| Damage::Body("it holds no topology".into()))?;
    from_group(&topology, "")?;
    Ok(SavedTopology { cluster, product, saved_unix_ms, topology })
}

//! Snapshots: the whole state as bytes, and back.

use super::retries::Retries;
use super::{State, VERSION, invariants, topology};
use codis_proto::meta::v1 as pb;
use prost::Message;

/// Why a snapshot was refused. Nothing has been changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The bytes are not those of a snapshot.
    #[error("the snapshot cannot be read ({0}): it is damaged or not one of a metadata group")]
    Unreadable(String),
    /// A newer program wrote it, by rules that this one does not know.
    #[error(
        "the snapshot is of version {found}, this program knows {VERSION}: upgrade this member"
    )]
    Version {
        /// The snapshot's version.
        found: u32,
    },
    /// It could be read, and is not a state that commands lead to.
    #[error("the snapshot contradicts itself ({0}): it is damaged; take one of another member")]
    Broken(String),
}

impl State {
    /// All of the state. Equal states have equal bytes, on every member.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        // Two messages written one after the other read as one with the fields of both.
        let remembered = pb::State { remembered: self.retries.to_list(), ..pb::State::default() };
        let mut bytes = Vec::with_capacity(self.data.encoded_len() + remembered.encoded_len());
        self.data.encode_raw(&mut bytes);
        remembered.encode_raw(&mut bytes);
        bytes
    }

    /// The state of which [`snapshot`](Self::snapshot) made these bytes.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut data = pb::State::decode(bytes)
            .map_err(|error| SnapshotError::Unreadable(error.to_string()))?;
        if data.version > VERSION {
            return Err(SnapshotError::Version { found: data.version });
        }
        invariants::check(&data).map_err(SnapshotError::Broken)?;
        let retries = Retries::from_list(std::mem::take(&mut data.remembered));
        let topology = topology::of(&data);
        Ok(Self { data, topology, retries })
    }

    /// Puts the state of a snapshot in this one's place.
    ///
    /// # Errors
    /// As [`from_snapshot`](Self::from_snapshot); this state is then as it was.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        *self = Self::from_snapshot(bytes)?;
        Ok(())
    }
}

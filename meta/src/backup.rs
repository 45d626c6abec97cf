//! The whole state as a file, and back.
//!
//! ```text
//! magic     8 bytes   "codisbak"
//! version   u32       1
//! epoch     u64       of the state
//! cluster   u64       the identity that the product has
//! taken     u64       milliseconds since 1970
//! product   u32 and so many bytes
//! snapshot  u64 and so many bytes
//! crc32     u32       of everything before
//! ```
//!
//! Numbers are little-endian.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use codis_proto::meta::v1 as pb;
use prost::Message as _;

const MAGIC: &[u8; 8] = b"codisbak";
const VERSION: u32 = 1;

/// The largest backup that is read.
pub const BACKUP_BYTES_MAX: usize = 64 << 20;

/// A backup's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The product.
    pub product: String,
    /// The identity that it has.
    pub cluster: u64,
    /// The state's epoch.
    pub epoch: u64,
    /// When it was taken, in milliseconds since 1970.
    pub taken_unix_ms: u64,
    /// The state's snapshot.
    pub snapshot: Bytes,
}

/// A file is not a backup that can be restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// It does not begin as one does.
    #[error("this is not a backup of a metadata group")]
    Magic,
    /// It is of another version.
    #[error(
        "the backup is of version {0}, this member reads {VERSION}: restore it by the release that made it"
    )]
    Version(u32),
    /// It ends too early.
    #[error("the backup ends too early: it is damaged, take another one")]
    Short,
    /// Its checksum is not that of its bytes.
    #[error("the backup's checksum is wrong: it is damaged, take another one")]
    Checksum,
    /// Its head speaks of another state than its content.
    #[error("the backup's head and its content do not belong together: take another one")]
    Content,
    /// It is longer than any.
    #[error("the backup is longer than {BACKUP_BYTES_MAX} bytes: no metadata group holds as much")]
    Long,
}

impl Backup {
    /// The file's bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(64 + self.product.len() + self.snapshot.len());
        out.put_slice(MAGIC);
        out.put_u32_le(VERSION);
        out.put_u64_le(self.epoch);
        out.put_u64_le(self.cluster);
        out.put_u64_le(self.taken_unix_ms);
        out.put_u32_le(self.product.len() as u32);
        out.put_slice(self.product.as_bytes());
        out.put_u64_le(self.snapshot.len() as u64);
        out.put_slice(&self.snapshot);
        out.put_u32_le(crc32fast::hash(&out));
        out.freeze()
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// They are not a backup, damaged, or of another version.
    pub fn decode(bytes: Bytes) -> Result<Self, BackupError> {
        // Which version it is can be said of a damaged one too.
        if !bytes.starts_with(MAGIC) {
            return Err(BackupError::Magic);
        }
        let mut input = bytes.slice(MAGIC.len()..);
        let version = input.try_get_u32_le().map_err(short)?;
        if version != VERSION {
            return Err(BackupError::Version(version));
        }
        let epoch = input.try_get_u64_le().map_err(short)?;
        let cluster = input.try_get_u64_le().map_err(short)?;
        let taken_unix_ms = input.try_get_u64_le().map_err(short)?;
        let length = input.try_get_u32_le().map_err(short)?;
        let product = take(&mut input, u64::from(length))?;
        let length = input.try_get_u64_le().map_err(short)?;
        let snapshot = take(&mut input, length)?;
        let crc32 = input.try_get_u32_le().map_err(short)?;
        let body = bytes.len() - input.len() - size_of::<u32>();
        if !input.is_empty() || crc32fast::hash(&bytes[..body]) != crc32 {
            return Err(BackupError::Checksum);
        }
        let product = String::from_utf8(product.to_vec()).map_err(|_| BackupError::Checksum)?;
        Ok(Self { product, cluster, epoch, taken_unix_ms, snapshot })
    }

    /// The state in it, without the memory of requests, which is of the group that made it.
    ///
    /// # Errors
    /// The content is not the state that the head speaks of.
    pub fn into_state(self) -> Result<pb::State, BackupError> {
        let state = pb::State::decode(self.snapshot).map_err(|_| BackupError::Content)?;
        let of_state = (state.product.as_str(), state.cluster, state.epoch);
        if of_state != (self.product.as_str(), self.cluster, self.epoch) {
            return Err(BackupError::Content);
        }
        Ok(pb::State { remembered: Vec::new(), ..state })
    }
}

fn short(_: bytes::TryGetError) -> BackupError {
    BackupError::Short
}

fn take(input: &mut Bytes, length: u64) -> Result<Bytes, BackupError> {
    let length = usize::try_from(length).ok().filter(|length| *length <= input.len());
    Ok(input.split_to(length.ok_or(BackupError::Short)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup() -> Backup {
        let state =
            pb::State { product: "demo".into(), cluster: 5, epoch: 9, ..pb::State::default() };
        Backup {
            product: "demo".into(),
            cluster: 5,
            epoch: 9,
            taken_unix_ms: 1,
            snapshot: state.encode_to_vec().into(),
        }
    }

    #[test]
    fn a_backup_is_read_as_it_was_written() {
        assert_eq!(Backup::decode(backup().encode()), Ok(backup()));
        let state = backup().into_state().expect("a sound backup");
        assert_eq!((state.product.as_str(), state.epoch), ("demo", 9));
    }

    #[test]
    fn a_changed_or_missing_byte_anywhere_is_noticed() {
        let bytes = backup().encode();
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1;
            assert!(Backup::decode(changed.into()).is_err(), "byte {at} changed");
            assert!(Backup::decode(bytes.slice(..at)).is_err(), "cut at {at}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert_eq!(Backup::decode(longer.into()), Err(BackupError::Checksum));
    }

    #[test]
    fn other_files_and_other_versions_are_told_apart_from_damage() {
        assert_eq!(Backup::decode(Bytes::from_static(b"#!/bin/sh")), Err(BackupError::Magic));
        let mut newer = backup().encode().to_vec();
        newer[MAGIC.len()] = 2;
        assert_eq!(Backup::decode(newer.into()), Err(BackupError::Version(2)));
    }

    #[test]
    fn a_head_that_is_not_of_its_content_is_refused() {
        let other = Backup { epoch: 8, ..backup() };
        assert_eq!(other.into_state(), Err(BackupError::Content));
    }
}

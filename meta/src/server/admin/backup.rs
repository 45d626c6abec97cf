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

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use pb::command::Change;
use prost::Message as _;
use tokio_stream::iter;
use tonic::{Request, Status, Streaming};

use super::{BoxStream, change};
use crate::node::unix_ms;
use crate::server::deadline;
use crate::server::serving::Serving;

const MAGIC: &[u8; 8] = b"codisbak";
const VERSION: u32 = 1;

/// Bytes in one message of a backup.
const CHUNK_BYTES: usize = 256 << 10;

/// The largest backup that is read.
const BACKUP_BYTES_MAX: usize = 64 << 20;

/// A backup's content.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Backup {
    product: String,
    cluster: u64,
    epoch: u64,
    taken_unix_ms: u64,
    snapshot: Bytes,
}

/// A file is not a backup that can be restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum BackupError {
    #[error("this is not a backup of a metadata group")]
    Magic,
    #[error(
        "the backup is of version {0}, this member reads {VERSION}: restore it by the release that made it"
    )]
    Version(u32),
    #[error("the backup ends too early: it is damaged, take another one")]
    Short,
    #[error("the backup's checksum is wrong: it is damaged, take another one")]
    Checksum,
    #[error("the backup's head and its content do not belong together: take another one")]
    Content,
    #[error("the backup is longer than {BACKUP_BYTES_MAX} bytes: no metadata group holds as much")]
    Long,
}

impl From<BackupError> for Status {
    fn from(error: BackupError) -> Self {
        Status::invalid_argument(error.to_string())
    }
}

impl Backup {
    fn encode(&self) -> Bytes {
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

    fn decode(bytes: Bytes) -> Result<Self, BackupError> {
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
    fn into_state(self) -> Result<pb::State, BackupError> {
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

/// The state as it is now, in chunks.
pub(super) async fn backup(
    serving: &Arc<Serving>,
    _: Request<api::BackupRequest>,
) -> Result<BoxStream<api::BackupChunk>, Status> {
    let taken_unix_ms = unix_ms();
    let backup = serving
        .node
        .read(move |state| {
            let (data, snapshot) = (state.data(), state.snapshot().into());
            let (product, cluster, epoch) = (data.product.clone(), data.cluster, data.epoch);
            Backup { product, cluster, epoch, taken_unix_ms, snapshot }
        })
        .await?;
    let bytes = backup.encode();
    let length = bytes.len();
    let chunk = move |at: usize| {
        let data = bytes[at..bytes.len().min(at + CHUNK_BYTES)].to_vec();
        Ok(api::BackupChunk { data })
    };
    let starts = (0..length).step_by(CHUNK_BYTES);
    Ok(Box::pin(iter(starts.map(chunk))))
}

/// Reads a backup and makes its content the state of this group, which holds nothing yet.
pub(super) async fn restore(
    serving: &Serving,
    request: Request<Streaming<api::BackupChunk>>,
) -> Result<api::Changed, Status> {
    let deadline = deadline::of_change(request.metadata());
    let backup = Backup::decode(gather(request.into_inner()).await?)?;
    let Backup { taken_unix_ms, .. } = backup;
    let change = Change::StateRestore(pb::StateRestore { backup: Some(backup.into_state()?) });
    let outcome = serving.node.change(None, 0, change, deadline).await?;
    let mut changed = change::changed(&outcome);
    let minutes = unix_ms().saturating_sub(taken_unix_ms) / 60_000;
    changed.notes = vec![
        format!("the backup was taken {minutes} minutes ago: what was changed since is lost"),
        "every proxy counts as lost until it registers again".to_owned(),
    ];
    Ok(changed)
}

/// All of a backup's bytes.
async fn gather(mut chunks: Streaming<api::BackupChunk>) -> Result<Bytes, Status> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = chunks.message().await? {
        if bytes.len() + chunk.data.len() > BACKUP_BYTES_MAX {
            return Err(BackupError::Long.into());
        }
        bytes.extend_from_slice(&chunk.data);
    }
    Ok(bytes.freeze())
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

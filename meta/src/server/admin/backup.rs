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
use tokio_stream::iter;
use tonic::{Request, Status, Streaming};

use super::BoxStream;
use crate::node::unix_ms;
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
    let chunk = move |at: usize| {
        let data = bytes[at..bytes.len().min(at + CHUNK_BYTES)].to_vec();
        Ok(api::BackupChunk { data })
    };
    let length = backup.encode().len();
    Ok(Box::pin(iter((0..length).step_by(CHUNK_BYTES).map(chunk))))
}

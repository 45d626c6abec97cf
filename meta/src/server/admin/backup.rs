//! Backups and their restoring.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use pb::command::Change;
use tokio_stream::iter;
use tonic::{Request, Status, Streaming};

use super::{BoxStream, change};
use crate::backup::{BACKUP_BYTES_MAX, Backup, BackupError};
use crate::node::unix_ms;
use crate::server::deadline;
use crate::server::serving::Serving;

/// Bytes in one message of a backup.
const CHUNK_BYTES: usize = 256 << 10;

impl From<BackupError> for Status {
    fn from(error: BackupError) -> Self {
        Status::invalid_argument(error.to_string())
    }
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
        Ok(api::BackupChunk { data, id: None })
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
    let (bytes, id) = gather(request.into_inner()).await?;
    let backup = Backup::decode(bytes)?;
    let Backup { taken_unix_ms, .. } = backup;
    let change = Change::StateRestore(pb::StateRestore { backup: Some(backup.into_state()?) });
    let call = api::Call { id, ..api::Call::default() };
    let outcome = change::make(serving, &call, change, deadline).await?;
    let mut changed = change::changed(&outcome);
    let minutes = unix_ms().saturating_sub(taken_unix_ms) / 60_000;
    changed.notes = vec![
        format!("the backup was taken {minutes} minutes ago: what was changed since is lost"),
        "every proxy counts as lost until it registers again".to_owned(),
    ];
    Ok(changed)
}

/// All of a backup's bytes, and the name of the change if it was given one.
async fn gather(
    mut chunks: Streaming<api::BackupChunk>,
) -> Result<(Bytes, Option<api::RequestId>), Status> {
    let mut bytes = BytesMut::new();
    let mut id = None;
    while let Some(chunk) = chunks.message().await? {
        id = id.or(chunk.id);
        if bytes.len() + chunk.data.len() > BACKUP_BYTES_MAX {
            return Err(BackupError::Long.into());
        }
        bytes.extend_from_slice(&chunk.data);
    }
    Ok((bytes.freeze(), id))
}

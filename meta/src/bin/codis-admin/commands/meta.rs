//! `codis-admin meta ...`

use super::Session;
use crate::cli::MetaCommand;
use crate::{Failure, confirm, output};
use codis_meta::client::ClientError;
use codis_proto::admin::v1 as api;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;
use tonic::Code;

/// How long a backup may be under way.
const BACKUP_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a restore may take. It has no id: sent again it would be refused for what the first attempt did.
const RESTORE_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes in one message of a restore.
const CHUNK_BYTES: usize = 256 << 10;

impl Session {
    pub(super) async fn meta(&mut self, command: MetaCommand) -> Result<(), Failure> {
        match command {
            MetaCommand::Status => {
                let members = self.list_members().await?;
                self.members(&members)
            }
            MetaCommand::Add { id, addr, wait } => {
                let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                let request = api::AddMemberRequest { id, addr, wait_ms };
                let call =
                    self.client.call_for(wait, request, async |api, q| api.add_member(q).await);
                let members = call.await?;
                self.members(&members)
            }
            MetaCommand::Remove { id, consent } => {
                let what = format!("this removes member {id} from the metadata group");
                confirm::ask(&what, consent.confirm)?;
                let request = api::RemoveMemberRequest { id };
                let call = self.client.call(request, async |api, q| api.remove_member(q).await);
                let members = match call.await {
                    // An attempt whose answer was lost has removed it.
                    Err(ClientError::RefusedAgain(status)) if status.code() == Code::NotFound => {
                        self.list_members().await?
                    }
                    answer => answer?,
                };
                self.members(&members)
            }
            MetaCommand::Transfer { to } => {
                let request = api::TransferLeadershipRequest { to };
                let call =
                    self.client.call(request, async |api, q| api.transfer_leadership(q).await);
                let members = call.await?;
                self.members(&members)
            }
            MetaCommand::Backup { file, force } => self.backup(&file, force).await,
            MetaCommand::Restore { file, consent } => {
                let what = format!("this puts the state of {} into the group", file.display());
                confirm::ask(&what, consent.confirm)?;
                self.restore(&file).await
            }
        }
    }

    async fn list_members(&mut self) -> Result<api::Members, Failure> {
        let request = api::GetMembersRequest { local: false };
        Ok(self.client.call(request, async |api, q| api.get_members(q).await).await?)
    }

    fn members(&self, members: &api::Members) -> Result<(), Failure> {
        self.output.answer("codis.admin.v1.Members", members, || output::members(members))
    }

    async fn backup(&mut self, file: &Path, force: bool) -> Result<(), Failure> {
        let to_stdout = file == Path::new("-");
        if !to_stdout && !force && file.exists() {
            let text = format!("{} is there already: give --force to replace it", file.display());
            return Err(Failure::Said(text));
        }
        let bytes = self
            .client
            .call_for(BACKUP_TIMEOUT, api::BackupRequest {}, async |api, q| {
                let mut chunks = api.backup(q).await?.into_inner();
                let mut bytes = Vec::new();
                while let Some(chunk) = chunks.message().await? {
                    bytes.extend_from_slice(&chunk.data);
                }
                Ok(tonic::Response::new(bytes))
            })
            .await?;
        let written = if to_stdout {
            io::stdout().lock().write_all(&bytes).and_then(|()| io::stdout().flush())
        } else {
            keep(file, &bytes)
        };
        written.map_err(|error| {
            Failure::Said(format!("cannot write the backup to {}: {error}", file.display()))
        })?;
        if !to_stdout {
            self.output.said(&format!("{} bytes are in {}", bytes.len(), file.display()));
        }
        Ok(())
    }

    async fn restore(&mut self, file: &Path) -> Result<(), Failure> {
        let read = if file == Path::new("-") {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        } else {
            fs::read(file)
        };
        let bytes = read
            .map_err(|error| Failure::Said(format!("cannot read {}: {error}", file.display())))?;
        let changed = self
            .client
            .call_once(RESTORE_TIMEOUT, bytes, async |api, request| {
                let (metadata, extensions, bytes) = request.into_parts();
                let chunk = |data: &[u8]| api::BackupChunk { data: data.to_vec() };
                let chunks: Vec<_> = bytes.chunks(CHUNK_BYTES).map(chunk).collect();
                let chunks = tokio_stream::iter(chunks);
                api.restore(tonic::Request::from_parts(metadata, extensions, chunks)).await
            })
            .await?;
        self.changed("the backup is in force", &changed)
    }
}

/// Writes a file in full or not at all, durably.
fn keep(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let result = (|| {
        let mut new = File::create(&beside)?;
        new.write_all(bytes)?;
        new.sync_all()?;
        fs::rename(&beside, file)
    })();
    if result.is_err() {
        // What is left of it is of no use; that it cannot be removed either is no further news.
        let _ = fs::remove_file(&beside);
    }
    result
}

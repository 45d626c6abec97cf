//! `codis-admin meta ...`

use super::Session;
use crate::cli::MetaCommand;
use crate::{Failure, confirm, output};
use codis_meta::client::ClientError;
use codis_proto::admin::v1 as api;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;
use tonic::Code;

/// How long a backup may be under way.
const BACKUP_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a restore may take.
const RESTORE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a member may take to tell of itself.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes in one message of a restore.
const CHUNK_BYTES: usize = 256 << 10;

impl Session {
    pub(super) async fn meta(&mut self, command: MetaCommand) -> Result<(), Failure> {
        match command {
            MetaCommand::Status => self.members_status().await,
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

    /// The members as the leader knows them; without one, each that answers as it knows itself.
    async fn members_status(&mut self) -> Result<(), Failure> {
        let error = match self.list_members().await {
            Ok(members) => return self.members(&members),
            Err(error) => error,
        };
        if matches!(error, Failure::Call(ClientError::Unreachable(_))) {
            let request = api::GetMembersRequest { local: true };
            let time = LOCAL_TIMEOUT.min(self.timeout);
            let call =
                self.client.call_each(time, request, async |api, q| api.get_members(q).await);
            if let Some(members) = alone(call.await) {
                self.members(&members)?;
            }
        }
        Err(error)
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
        let id = self.client.change(Duration::ZERO).id;
        let changed = self
            .client
            .call_for(RESTORE_TIMEOUT, bytes, async |api, request| {
                let (metadata, extensions, bytes) = request.into_parts();
                let chunk = |data: &[u8]| api::BackupChunk { data: data.to_vec(), id };
                let chunks: Vec<_> = bytes.chunks(CHUNK_BYTES).map(chunk).collect();
                let chunks = tokio_stream::iter(chunks);
                api.restore(tonic::Request::from_parts(metadata, extensions, chunks)).await
            })
            .await?;
        self.changed("the backup is in force", &changed)
    }
}

/// What members say each of itself, if any does; those that say nothing are as the others have them.
fn alone(views: Vec<api::Members>) -> Option<api::Members> {
    let mut all: BTreeMap<u64, api::Member> = BTreeMap::new();
    let mut group = None::<api::Members>;
    for view in views {
        for member in &view.members {
            // Only a member's own view has how far it has applied its log.
            let own = member.applied > 0 || !member.fault.is_empty();
            if own || !all.contains_key(&member.id) {
                all.insert(member.id, member.clone());
            }
        }
        let newest = group.as_ref().is_none_or(|group| view.term > group.term);
        if newest {
            group = Some(view);
        }
    }
    let members = all.into_values().collect();
    Some(api::Members { leader: 0, members, ..group? })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_leader_each_member_is_as_it_knows_itself() {
        let member = |id, applied, role: &str| api::Member {
            id,
            applied,
            role: role.into(),
            ..api::Member::default()
        };
        let view = |term, members| api::Members { term, members, ..api::Members::default() };
        let views = vec![
            view(4, vec![member(1, 9, "candidate"), member(2, 0, ""), member(3, 0, "")]),
            view(5, vec![member(1, 0, "leader"), member(2, 8, "follower"), member(3, 0, "")]),
        ];
        let all = alone(views).expect("two have answered");
        assert_eq!((all.leader, all.term), (0, 5));
        let roles: Vec<&str> = all.members.iter().map(|member| member.role.as_str()).collect();
        assert_eq!(roles, ["candidate", "follower", ""]);
        assert_eq!(alone(Vec::new()), None);
    }
}

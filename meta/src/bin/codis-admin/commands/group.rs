//! `codis-admin group ...`

use super::Session;
use crate::cli::GroupCommand;
use crate::{Failure, confirm, output};
use codis_meta::client::{ClientError, Verdict};
use codis_proto::admin::v1 as api;
use std::time::Duration;

/// How long a sync may take: a copy of a large server's data.
const SYNC_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// How long a promotion may take: the longest barrier, the replica's way to its master's offset, and a leader that has to
/// take it up from another.
const PROMOTION_TIME: Duration = Duration::from_secs(180);

impl Session {
    pub(super) async fn group(&mut self, command: GroupCommand) -> Result<(), Failure> {
        match command {
            GroupCommand::Create { gid, wait } => {
                let request = api::CreateGroupRequest { call: self.change(wait), gid };
                let call = self.client.call(request, async |api, q| api.create_group(q).await);
                let changed = call.await?;
                self.changed(&format!("group {gid} is created"), &changed)
            }
            GroupCommand::Remove { gid, consent, wait } => {
                confirm::ask(&format!("this removes group {gid}"), consent.confirm)?;
                let request = api::RemoveGroupRequest { call: self.change(wait), gid };
                let call = self.client.call(request, async |api, q| api.remove_group(q).await);
                let changed = call.await?;
                self.changed(&format!("group {gid} is removed"), &changed)
            }
            GroupCommand::List => {
                let groups = self.groups().await?;
                self.output
                    .answer("codis.admin.v1.Groups", &groups, || output::groups(&groups.groups))
            }
            GroupCommand::Add { gid, addr, datacenter, wait } => {
                let call = self.change(wait);
                let request = api::AddServerRequest { call, gid, addr: addr.clone(), datacenter };
                let call = self.client.call(request, async |api, q| api.add_server(q).await);
                let changed = call.await?;
                self.changed(&format!("{addr} is a server of group {gid}"), &changed)
            }
            GroupCommand::Del { gid, addr, consent, wait } => {
                confirm::ask(&format!("this takes {addr} out of group {gid}"), consent.confirm)?;
                let call = self.change(wait);
                let request = api::RemoveServerRequest { call, gid, addr: addr.clone() };
                let call = self.client.call(request, async |api, q| api.remove_server(q).await);
                let changed = call.await?;
                self.changed(&format!("{addr} is out of group {gid}"), &changed)
            }
            GroupCommand::Promote { gid, addr, wait } => {
                let call = self.change(wait);
                let request = api::PromoteServerRequest { call, gid, addr: addr.clone() };
                let call = self
                    .client
                    .call_for(PROMOTION_TIME, request, async |api, q| api.promote_server(q).await);
                let changed = call.await?;
                self.changed(&format!("{addr} is the master of group {gid}"), &changed)
            }
            GroupCommand::Sync { addr, detach, consent } => {
                self.ask_before_sync(&addr, consent.confirm).await?;
                self.sync(&addr, detach).await
            }
            GroupCommand::Drain { gid, by, consent, follow } => {
                self.rebalance(by, gid, consent, follow).await
            }
            GroupCommand::ReplicaReads { gid, addr, enabled, wait } => {
                let call = self.change(wait);
                let request =
                    api::SetReplicaReadsRequest { call, gid, addr: addr.clone(), enabled };
                let call = self.client.call(request, async |api, q| api.set_replica_reads(q).await);
                let changed = call.await?;
                let word = if enabled { "may" } else { "may not" };
                self.changed(&format!("{addr} {word} answer reads as a replica"), &changed)
            }
        }
    }

    async fn groups(&mut self) -> Result<api::Groups, Failure> {
        let request = api::ListGroupsRequest {};
        Ok(self.client.call(request, async |api, q| api.list_groups(q).await).await?)
    }

    /// A server with data of its own loses it.
    async fn ask_before_sync(&mut self, addr: &str, given: bool) -> Result<(), Failure> {
        if given {
            return Ok(());
        }
        let groups = self.groups().await?.groups;
        let server = groups.iter().flat_map(|group| &group.servers).find(|it| it.addr == addr);
        // One that the group does not know is refused by it.
        let facts = server.and_then(|server| server.facts.as_ref());
        match facts {
            Some(facts) if facts.role == "slave" => Ok(()),
            Some(facts) if facts.error.is_empty() && facts.keys == 0 => Ok(()),
            _ if server.is_none() => Ok(()),
            Some(facts) => {
                let what = format!("this replaces the data of {addr}, {} keys", facts.keys);
                confirm::ask(&what, given)
            }
            None => confirm::ask(&format!("this replaces the data of {addr}"), given),
        }
    }

    /// Begins a sync, or attaches to the one under way, and shows how far it is.
    async fn sync(&mut self, addr: &str, detach: bool) -> Result<(), Failure> {
        let call = Some(self.client.change(Duration::ZERO));
        let request = api::SyncServerRequest { call, addr: addr.to_owned() };
        let mut bar = output::SyncBar::new(&self.output, addr);
        loop {
            let mut progress = self
                .client
                .call(request.clone(), async |api, mut q| {
                    // The stream lasts as long as the sync does.
                    q.set_timeout(SYNC_TIMEOUT);
                    api.sync_server(q).await
                })
                .await?;
            let ended = loop {
                match progress.message().await {
                    Ok(Some(step)) => {
                        bar.show(&step)?;
                        let done = step.phase() == api::sync_progress::Phase::Done;
                        if done || detach {
                            return bar.finish(done);
                        }
                    }
                    Ok(None) => break None,
                    Err(status) => break Some(status),
                }
            };
            match ended {
                // The member is gone, or does not lead any more: the sync goes on without it.
                Some(status) if Verdict::of(&status) == Verdict::Final => {
                    return Err(ClientError::Refused(Box::new(status)).into());
                }
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

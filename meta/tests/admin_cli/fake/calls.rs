//! What the group answers to each call.

use std::pin::Pin;

use codis_proto::admin::v1 as pb;
use codis_proto::meta::v1 as meta;
use pb::admin_server::Admin;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{BACKUP, Fake, Held, after, refused};

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn events<T: Send + 'static>(list: Vec<Result<T, Status>>) -> Response<Events<T>> {
    Response::new(Box::pin(tokio_stream::iter(list)))
}

#[async_trait]
impl Admin for Fake {
    type WatchStream = Events<pb::WatchEvent>;
    type SyncServerStream = Events<pb::SyncProgress>;
    type BackupStream = Events<pb::BackupChunk>;

    async fn get_status(
        &self,
        request: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::Status>, Status> {
        self.read("get_status", &request, |held| pb::Status {
            product: "shop".into(),
            members: Some(held.list_members()),
            groups: Some(held.list_groups()),
            slots: Some(held.list_slots()),
            proxies: Some(pb::Proxies::default()),
            ..pb::Status::default()
        })
    }

    /// One event a stream: whoever watches has to open it anew.
    async fn watch(
        &self,
        request: Request<pb::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.arrive("watch", &request)?;
        let change = meta::command::Change::GroupCreate(meta::GroupCreate { group: 7 });
        let command = meta::Command { change: Some(change), ..meta::Command::default() };
        let index = self.calls("watch") as u64;
        let change = pb::watch_event::Change { index, epoch: 2, command: Some(command) };
        let event = pb::WatchEvent { event: Some(pb::watch_event::Event::Change(change)) };
        Ok(events(vec![Ok(event), Err(Status::unavailable("the member leads no more"))]))
    }

    async fn create_group(
        &self,
        request: Request<pb::CreateGroupRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change(
            "create_group",
            request,
            |request| &request.call,
            |held, request| {
                if held.groups.contains_key(&request.gid) {
                    let sentence = format!("group {} exists: take another id", request.gid);
                    return Err(refused(Status::already_exists(sentence), "GROUP_EXISTS"));
                }
                held.groups.insert(request.gid, Vec::new());
                Ok(())
            },
        )
        .await
    }

    async fn remove_group(
        &self,
        request: Request<pb::RemoveGroupRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change(
            "remove_group",
            request,
            |request| &request.call,
            |held, request| {
                held.group(request.gid)?;
                held.groups.remove(&request.gid);
                Ok(())
            },
        )
        .await
    }

    async fn list_groups(
        &self,
        request: Request<pb::ListGroupsRequest>,
    ) -> Result<Response<pb::Groups>, Status> {
        self.read("list_groups", &request, Held::list_groups)
    }

    async fn add_server(
        &self,
        request: Request<pb::AddServerRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change(
            "add_server",
            request,
            |request| &request.call,
            |held, request| {
                let server = pb::Server {
                    addr: request.addr.clone(),
                    datacenter: request.datacenter.clone(),
                    ..pb::Server::default()
                };
                held.group(request.gid)?.push(server);
                Ok(())
            },
        )
        .await
    }

    async fn remove_server(
        &self,
        request: Request<pb::RemoveServerRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change(
            "remove_server",
            request,
            |request| &request.call,
            |held, request| {
                held.group(request.gid)?.retain(|server| server.addr != request.addr);
                Ok(())
            },
        )
        .await
    }

    async fn set_replica_reads(
        &self,
        request: Request<pb::SetReplicaReadsRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change("set_replica_reads", request, |request| &request.call, |_, _| Ok(())).await
    }

    async fn promote_server(
        &self,
        request: Request<pb::PromoteServerRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change("promote_server", request, |request| &request.call, |_, _| Ok(())).await
    }

    async fn sync_server(
        &self,
        request: Request<pb::SyncServerRequest>,
    ) -> Result<Response<Self::SyncServerStream>, Status> {
        let changed = self.change("sync_server", request, |request| &request.call, |_, _| Ok(()));
        changed.await?;
        let progress = |phase: pb::sync_progress::Phase, left_bytes| {
            Ok(pb::SyncProgress { phase: phase as i32, total_bytes: 1000, left_bytes })
        };
        use pb::sync_progress::Phase::{Copying, Done};
        let first = progress(Copying, 1000);
        // The member that takes the first call is gone before the sync is over.
        if self.calls("sync_server") == 1 {
            return Ok(events(vec![first, Err(Status::unavailable("the member stops"))]));
        }
        Ok(events(vec![first, progress(Copying, 400), progress(Done, 0)]))
    }

    async fn list_slots(
        &self,
        request: Request<pb::ListSlotsRequest>,
    ) -> Result<Response<pb::Slots>, Status> {
        self.read("list_slots", &request, Held::list_slots)
    }

    async fn assign_slots(
        &self,
        request: Request<pb::AssignSlotsRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change(
            "assign_slots",
            request,
            |request| &request.call,
            |held, request| held.group(request.gid).map(|_| ()),
        )
        .await
    }

    async fn offline_slots(
        &self,
        request: Request<pb::OfflineSlotsRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change("offline_slots", request, |request| &request.call, |_, _| Ok(())).await
    }

    async fn migrate_slots(
        &self,
        request: Request<pb::MigrateSlotsRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change("migrate_slots", request, |request| &request.call, Held::migrate).await
    }

    async fn cancel_slots(
        &self,
        request: Request<pb::CancelSlotsRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change(
            "cancel_slots",
            request,
            |request| &request.call,
            |held, request| {
                let range = request.beg as usize..=request.end as usize;
                held.slots[range].iter_mut().for_each(|slot| slot.action = None);
                Ok(())
            },
        )
        .await
    }

    async fn get_moves(
        &self,
        request: Request<pb::GetMovesRequest>,
    ) -> Result<Response<pb::Moves>, Status> {
        let moves = self.read("get_moves", &request, Held::list_moves)?;
        self.held().one_slot_moves();
        Ok(moves)
    }

    async fn rebalance(
        &self,
        request: Request<pb::RebalanceRequest>,
    ) -> Result<Response<pb::RebalancePlan>, Status> {
        let drained = request.get_ref().drain_gid;
        self.read("rebalance", &request, |held| held.plan(drained))
    }

    async fn list_proxies(
        &self,
        request: Request<pb::ListProxiesRequest>,
    ) -> Result<Response<pb::Proxies>, Status> {
        self.read("list_proxies", &request, |_| pb::Proxies::default())
    }

    async fn remove_proxy(
        &self,
        request: Request<pb::RemoveProxyRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change("remove_proxy", request, |request| &request.call, |_, _| Ok(())).await
    }

    async fn get_members(
        &self,
        request: Request<pb::GetMembersRequest>,
    ) -> Result<Response<pb::Members>, Status> {
        if request.get_ref().local {
            return Ok(Response::new(pb::Members { leader: 0, ..self.held().list_members() }));
        }
        self.read("get_members", &request, Held::list_members)
    }

    async fn add_member(
        &self,
        request: Request<pb::AddMemberRequest>,
    ) -> Result<Response<pb::Members>, Status> {
        let step = self.arrive("add_member", &request)?;
        let pb::AddMemberRequest { id, addr, .. } = request.into_inner();
        let members = {
            let mut held = self.held();
            if held.members.get(&id).is_some_and(|known| *known != addr) {
                return Err(Status::already_exists(format!("member {id} is there already")));
            }
            held.members.insert(id, addr);
            held.list_members()
        };
        after(step).await?;
        Ok(Response::new(members))
    }

    async fn remove_member(
        &self,
        request: Request<pb::RemoveMemberRequest>,
    ) -> Result<Response<pb::Members>, Status> {
        let step = self.arrive("remove_member", &request)?;
        let id = request.into_inner().id;
        let members = {
            let mut held = self.held();
            held.members
                .remove(&id)
                .ok_or_else(|| Status::not_found(format!("there is no member {id}")))?;
            held.list_members()
        };
        after(step).await?;
        Ok(Response::new(members))
    }

    async fn transfer_leadership(
        &self,
        request: Request<pb::TransferLeadershipRequest>,
    ) -> Result<Response<pb::Members>, Status> {
        self.read("transfer_leadership", &request, Held::list_members)
    }

    async fn backup(
        &self,
        request: Request<pb::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        self.arrive("backup", &request)?;
        let chunk = |data: &[u8]| Ok(pb::BackupChunk { data: data.to_vec(), id: None });
        Ok(events(BACKUP.chunks(300).map(chunk).collect()))
    }

    async fn restore(
        &self,
        request: Request<Streaming<pb::BackupChunk>>,
    ) -> Result<Response<pb::Changed>, Status> {
        let step = self.arrive("restore", &request)?;
        let mut chunks = request.into_inner();
        let mut bytes = Vec::new();
        let mut id = None;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            bytes.extend_from_slice(&chunk.data);
            id = id.or(chunk.id);
        }
        let id = id.ok_or_else(|| Status::invalid_argument("no id"))?;
        let changed = pb::Changed { epoch: 9, ..pb::Changed::default() };
        {
            let mut held = self.held();
            let first = held.answered.insert((id.client, id.request), changed.clone()).is_none();
            if first {
                held.restored.push(bytes);
            }
        }
        after(step).await?;
        Ok(Response::new(changed))
    }

    async fn get_settings(
        &self,
        request: Request<pb::GetSettingsRequest>,
    ) -> Result<Response<pb::Settings>, Status> {
        let setting = |name: &str, value: &str| pb::Setting {
            name: name.into(),
            value: value.into(),
            default: "2s".into(),
            ..pb::Setting::default()
        };
        self.read("get_settings", &request, |_| pb::Settings {
            settings: vec![setting("barrier_deadline", "2s"), setting("migration_timeout", "30s")],
        })
    }

    async fn set_settings(
        &self,
        request: Request<pb::SetSettingsRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change(
            "set_settings",
            request,
            |request| &request.call,
            |held, request| {
                held.settings.extend(request.values.clone());
                Ok(())
            },
        )
        .await
    }
}

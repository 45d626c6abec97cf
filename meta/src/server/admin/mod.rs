//! The operator's calls.
//!
//! This file is the table of contents: which call is answered where. A call that is one change of the state is a row in
//! `plain`, made by `change`; the others are in the file of what they are about. Reads are linearizable. Calls that want
//! what only the leader knows (what servers and proxies say of themselves, how far the members are) are passed on to it.

mod backup;
mod change;
mod groups;
mod members;
mod moves;
mod plain;
mod plan;
mod promote;
mod proxies;
mod rebalance;
mod settings;
mod slots;
pub(super) mod status;
mod sync;
mod view;
pub(super) mod votes;
mod waiting;
mod warnings;
mod watch;

use std::pin::Pin;

use codis_proto::admin::v1 as api;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use super::forward::{self, Route};
use super::serving::Services;

type Answer<T> = Result<Response<T>, Status>;
type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

/// The operators' service.
pub(super) struct AdminService {
    services: Services,
}

impl AdminService {
    pub(super) fn new(services: Services) -> Self {
        Self { services }
    }
}

/// Answers a call here.
macro_rules! here {
    ($self:ident, $request:ident, $answer:path) => {{
        let serving = $self.services.begun()?;
        Ok(Response::new($answer(&serving, $request).await?))
    }};
}

/// Answers a call here if this member leads, else passes it on.
macro_rules! on_leader {
    ($self:ident, $request:ident, $method:ident, $answer:path) => {{
        let serving = $self.services.begun()?;
        match forward::route(&serving, $request)? {
            Route::Here(request) => Ok(Response::new($answer(&serving, request).await?)),
            Route::Leader(mut leader, request) => {
                leader.$method(request).await.map_err(forward::failed)
            }
        }
    }};
}

/// The same for a call that is answered by a stream.
macro_rules! streamed_by_leader {
    ($self:ident, $request:ident, $method:ident, $answer:path) => {{
        let serving = $self.services.begun()?;
        match forward::route(&serving, $request)? {
            Route::Here(request) => Ok(Response::new($answer(&serving, request).await?)),
            Route::Leader(mut leader, request) => {
                let answer = leader.$method(request).await.map_err(forward::failed)?;
                let stream = answer.into_inner().map(|item| item.map_err(forward::failed));
                Ok(Response::new(Box::pin(stream) as BoxStream<_>))
            }
        }
    }};
}

#[tonic::async_trait]
impl api::admin_server::Admin for AdminService {
    type WatchStream = BoxStream<api::WatchEvent>;
    type SyncServerStream = BoxStream<api::SyncProgress>;
    type BackupStream = BoxStream<api::BackupChunk>;

    async fn get_status(&self, request: Request<api::GetStatusRequest>) -> Answer<api::Status> {
        on_leader!(self, request, get_status, status::get)
    }

    async fn watch(&self, request: Request<api::WatchRequest>) -> Answer<Self::WatchStream> {
        here!(self, request, watch::watch)
    }

    async fn create_group(
        &self,
        request: Request<api::CreateGroupRequest>,
    ) -> Answer<api::Changed> {
        here!(self, request, change::one)
    }

    async fn remove_group(
        &self,
        request: Request<api::RemoveGroupRequest>,
    ) -> Answer<api::Changed> {
        here!(self, request, change::one)
    }

    async fn list_groups(&self, request: Request<api::ListGroupsRequest>) -> Answer<api::Groups> {
        on_leader!(self, request, list_groups, groups::list)
    }

    async fn add_server(&self, request: Request<api::AddServerRequest>) -> Answer<api::Changed> {
        on_leader!(self, request, add_server, groups::add_server)
    }

    async fn remove_server(
        &self,
        request: Request<api::RemoveServerRequest>,
    ) -> Answer<api::Changed> {
        here!(self, request, change::one)
    }

    async fn set_replica_reads(
        &self,
        request: Request<api::SetReplicaReadsRequest>,
    ) -> Answer<api::Changed> {
        here!(self, request, change::one)
    }

    async fn promote_server(
        &self,
        request: Request<api::PromoteServerRequest>,
    ) -> Answer<api::Changed> {
        here!(self, request, promote::promote)
    }

    async fn sync_server(
        &self,
        request: Request<api::SyncServerRequest>,
    ) -> Answer<Self::SyncServerStream> {
        streamed_by_leader!(self, request, sync_server, sync::sync)
    }

    async fn list_slots(&self, request: Request<api::ListSlotsRequest>) -> Answer<api::Slots> {
        here!(self, request, slots::list)
    }

    async fn assign_slots(
        &self,
        request: Request<api::AssignSlotsRequest>,
    ) -> Answer<api::Changed> {
        on_leader!(self, request, assign_slots, slots::assign)
    }

    async fn offline_slots(
        &self,
        request: Request<api::OfflineSlotsRequest>,
    ) -> Answer<api::Changed> {
        here!(self, request, change::one)
    }

    async fn migrate_slots(
        &self,
        request: Request<api::MigrateSlotsRequest>,
    ) -> Answer<api::Changed> {
        on_leader!(self, request, migrate_slots, moves::migrate)
    }

    async fn cancel_slots(
        &self,
        request: Request<api::CancelSlotsRequest>,
    ) -> Answer<api::Changed> {
        here!(self, request, change::one)
    }

    async fn get_moves(&self, request: Request<api::GetMovesRequest>) -> Answer<api::Moves> {
        on_leader!(self, request, get_moves, moves::list)
    }

    async fn rebalance(
        &self,
        request: Request<api::RebalanceRequest>,
    ) -> Answer<api::RebalancePlan> {
        on_leader!(self, request, rebalance, rebalance::plan)
    }

    async fn list_proxies(
        &self,
        request: Request<api::ListProxiesRequest>,
    ) -> Answer<api::Proxies> {
        on_leader!(self, request, list_proxies, proxies::list)
    }

    async fn remove_proxy(
        &self,
        request: Request<api::RemoveProxyRequest>,
    ) -> Answer<api::Changed> {
        here!(self, request, proxies::remove)
    }

    async fn get_members(&self, request: Request<api::GetMembersRequest>) -> Answer<api::Members> {
        if request.get_ref().local {
            return here!(self, request, members::list);
        }
        on_leader!(self, request, get_members, members::list)
    }

    async fn add_member(&self, request: Request<api::AddMemberRequest>) -> Answer<api::Members> {
        on_leader!(self, request, add_member, members::add)
    }

    async fn remove_member(
        &self,
        request: Request<api::RemoveMemberRequest>,
    ) -> Answer<api::Members> {
        on_leader!(self, request, remove_member, members::remove)
    }

    async fn transfer_leadership(
        &self,
        request: Request<api::TransferLeadershipRequest>,
    ) -> Answer<api::Members> {
        here!(self, request, members::transfer)
    }

    async fn backup(&self, request: Request<api::BackupRequest>) -> Answer<Self::BackupStream> {
        streamed_by_leader!(self, request, backup, backup::backup)
    }

    async fn restore(&self, request: Request<Streaming<api::BackupChunk>>) -> Answer<api::Changed> {
        here!(self, request, backup::restore)
    }

    async fn get_settings(
        &self,
        request: Request<api::GetSettingsRequest>,
    ) -> Answer<api::Settings> {
        here!(self, request, settings::list)
    }

    async fn set_settings(
        &self,
        request: Request<api::SetSettingsRequest>,
    ) -> Answer<api::Changed> {
        here!(self, request, change::one)
    }
}

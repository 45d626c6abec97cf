//! Slots that move to other groups.

use codis_proto::admin::v1 as api;
use tonic::{Request, Status};

use crate::server::serving::Serving;

pub(super) async fn migrate(
    _: &Serving,
    _: Request<api::MigrateSlotsRequest>,
) -> Result<api::Changed, Status> {
    Err(Status::unimplemented("moves"))
}

pub(super) async fn list(
    serving: &Serving,
    _: Request<api::GetMovesRequest>,
) -> Result<api::Moves, Status> {
    Ok(serving.servers.moves())
}

pub(super) async fn rebalance(
    _: &Serving,
    _: Request<api::RebalanceRequest>,
) -> Result<api::RebalancePlan, Status> {
    Err(Status::unimplemented("moves"))
}

//! Which group has which slot.

use codis_proto::admin::v1 as api;
use tonic::{Request, Status};

use super::{change, view};
use crate::server::serving::Serving;

pub(super) async fn list(
    serving: &Serving,
    _: Request<api::ListSlotsRequest>,
) -> Result<api::Slots, Status> {
    Ok(serving.node.read(|state| view::slots(state.data())).await?)
}

/// Assigns slots, once the group's master holds the fence: a proxy that was shut out of the other masters must not
/// find its way in there.
pub(super) async fn assign(
    serving: &Serving,
    request: Request<api::AssignSlotsRequest>,
) -> Result<api::Changed, Status> {
    let gid = request.get_ref().gid;
    let fenced_master = serving
        .node
        .read(move |state| {
            let data = state.data();
            let master = data.groups.get(&gid).and_then(|group| group.servers.first());
            master.filter(|_| data.fence_epoch > 0).map(|server| server.address.clone())
        })
        .await?;
    if let Some(address) = fenced_master {
        serving.servers.prepare_master(&address).await.map_err(|why| {
            // It is tried again each second. And this may be a retry of a call that ran: no refusal is true of that.
            Status::unavailable(format!(
                "slots cannot go to group {gid} yet: its master {address} does not hold the fence: {why}"
            ))
        })?;
    }
    change::one(serving, request).await
}

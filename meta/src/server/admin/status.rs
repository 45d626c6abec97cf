//! All that an operator looks at, at once.

use std::sync::Arc;

use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use tonic::{Request, Status};

use super::{members, view, warnings};
use crate::server::serving::Serving;

pub(in crate::server) async fn get(
    serving: &Serving,
    _: Request<api::GetStatusRequest>,
) -> Result<api::Status, Status> {
    let facts = serving.servers.facts();
    let links = Arc::clone(&serving.links);
    let moves = serving.servers.moves();
    let (mut status, data) = serving
        .node
        .read(move |state| {
            let data = state.data();
            let mut status = api::Status {
                product: data.product.clone(),
                cluster: data.cluster,
                epoch: data.epoch,
                groups: Some(api::Groups { groups: view::groups(data, &facts) }),
                slots: Some(view::slots(data)),
                proxies: Some(view::proxies(data, &links)),
                sentinels: data.sentinels.keys().cloned().collect(),
                fence_epoch: data.fence_epoch,
                moves: Some(view::moves(data, moves)),
                ..api::Status::default()
            };
            // The slots have it.
            status.moves.iter_mut().for_each(|moves| moves.moves.clear());
            // What warnings look at besides.
            let rest = pb::State {
                retired_epoch: data.retired_epoch,
                members_seen: data.members_seen.clone(),
                ..pb::State::default()
            };
            (status, rest)
        })
        .await?;
    let member = serving.node.status().await?;
    status.members = Some(members::members(&member, &members::versions(&data)));
    status.warnings = warnings::of(&status, data.retired_epoch, serving.servers.troubles());
    Ok(status)
}

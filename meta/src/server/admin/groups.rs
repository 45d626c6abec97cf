//! Groups and their servers.

use codis_proto::admin::v1 as api;
use tonic::{Request, Status};

use super::{change, view};
use crate::server::serving::Serving;
use crate::state::{State, server_address};

pub(super) async fn list(
    serving: &Serving,
    _: Request<api::ListGroupsRequest>,
) -> Result<api::Groups, Status> {
    let facts = serving.servers.facts();
    let groups = serving.node.read(move |state| view::groups(state.data(), &facts)).await?;
    Ok(api::Groups { groups })
}

/// Adds a server, if it is there and fit to be in the group.
pub(super) async fn add_server(
    serving: &Serving,
    request: Request<api::AddServerRequest>,
) -> Result<api::Changed, Status> {
    let (gid, addr) = (request.get_ref().gid, request.get_ref().addr.clone());
    let address = server_address(&addr)?;
    let checked = serving.servers.check_new_server(gid, &address).await;
    let notes = checked.map_err(|why| {
        not_fit(serving, format!("{address} cannot be added to group {gid}: {why}"))
    })?;
    let mut changed = change::one(serving, request).await?;
    changed.notes.extend(notes);
    let first = address.clone();
    let is_master = move |state: &State| {
        let group = state.data().groups.get(&gid);
        group.and_then(|group| group.servers.first()).is_some_and(|server| server.address == first)
    };
    // A master has the fence before slots go to it; where it did not take it now, they wait for that.
    if serving.node.peek(is_master).await?
        && let Err(why) = serving.servers.prepare_master(&address).await
    {
        changed.notes.push(why);
    }
    Ok(changed)
}

/// What the servers were found to be stands against a call. Where this member leads no more that says nothing: the
/// next leader may find otherwise.
pub(super) fn not_fit(serving: &Serving, why: String) -> Status {
    match serving.node.standing().borrow().leads {
        true => Status::failed_precondition(why),
        false => Status::unavailable(why),
    }
}

//! Making a replica the master of its group.

use std::time::Duration;

use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use pb::command::Change;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout_at;
use tonic::{Request, Status};

use super::change;
use super::plain::OneChange;
use crate::node::{Event, Gone, Node};
use crate::server::deadline;
use crate::server::serving::Serving;

/// How long a promotion is waited for where the caller does not say. It has a deadline of its own, `barrier_deadline`,
/// of a minute at most.
const PROMOTE_TIMEOUT: Duration = Duration::from_secs(90);

/// How a promotion ended.
enum End {
    /// The servers that could not be made to follow, with the reason.
    Done(Vec<(String, String)>),
    GivenUp(String),
}

/// Begins a promotion and waits for its end, which it comes to also without anybody who waits.
pub(super) async fn promote(
    serving: &Serving,
    request: Request<api::PromoteServerRequest>,
) -> Result<api::Changed, Status> {
    let deadline = deadline::within(request.metadata(), PROMOTE_TIMEOUT);
    let (gid, addr) = (request.get_ref().gid, request.get_ref().addr.clone());
    let (call, begin) = request.into_inner().take_apart();
    let mut events = serving.node.events();
    let begun = change::make(serving, &call.unwrap_or_default(), begin, deadline).await?;
    let epoch = begun.epoch;
    let over = timeout_at(deadline, end(&serving.node, &mut events, gid, epoch)).await;
    let over = over.map_err(|_| {
        Status::deadline_exceeded(format!(
            "the promotion of {addr} in group {gid} has begun and is not over yet: see the group's state for its end"
        ))
    })??;
    let not_following = match over {
        End::Done(not_following) => not_following,
        End::GivenUp(why) => {
            return Err(Status::failed_precondition(format!(
                "{addr} was not made master of group {gid}, which is as it was before: {why}"
            )));
        }
    };
    let standing = serving.node.standing().borrow().clone();
    let notes = not_following.into_iter().map(|(server, why)| {
        format!("{server} does not follow the new master ({why}): sync it, or remove it")
    });
    let (index, epoch, notes) = (standing.applied, standing.epoch, notes.collect());
    Ok(api::Changed { index, epoch, notes, ..api::Changed::default() })
}

/// Follows the state until the promotion that `epoch` names is over.
async fn end(
    node: &Node,
    events: &mut tokio::sync::broadcast::Receiver<Event>,
    gid: u32,
    epoch: u64,
) -> Result<End, Gone> {
    loop {
        // A retry may have been answered by a promotion that is over.
        if let Some(end) = looked_up(node, gid, epoch).await? {
            return Ok(end);
        }
        loop {
            match events.recv().await {
                Ok(Event::Accepted(accepted)) => match &accepted.command.change {
                    Some(Change::GroupPromoteFinish(end))
                        if (end.group, end.epoch) == (gid, epoch) =>
                    {
                        return Ok(End::Done(end.not_following.clone().into_iter().collect()));
                    }
                    Some(Change::GroupPromoteAbort(end))
                        if (end.group, end.epoch) == (gid, epoch) =>
                    {
                        return Ok(End::GivenUp(end.reason.clone()));
                    }
                    _ => {}
                },
                Ok(Event::Replaced) | Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return Err(Gone),
            }
        }
    }
}

/// How the promotion ended, as far as the state tells; none while it goes on. Of an older one the state may have
/// only the failure of the last.
async fn looked_up(node: &Node, gid: u32, epoch: u64) -> Result<Option<End>, Gone> {
    node.peek(move |state| {
        let Some(group) = state.data().groups.get(&gid) else {
            return Some(End::GivenUp("the group has been removed since".to_owned()));
        };
        if group.promotion.as_ref().is_some_and(|promotion| promotion.epoch == epoch) {
            return None;
        }
        if group.promotion_failure.is_empty() {
            let failed = group.servers.iter().filter(|server| !server.sync_failure.is_empty());
            let failed = failed.map(|server| (server.address.clone(), server.sync_failure.clone()));
            return Some(End::Done(failed.collect()));
        }
        Some(End::GivenUp(group.promotion_failure.clone()))
    })
    .await
}

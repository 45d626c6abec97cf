//! Making a change, and waiting for the proxies to work by it.

use std::time::Duration;

use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use pb::command::Change;
use tokio::time::Instant;
use tonic::{Request, Status};

use super::plain::OneChange;
use super::waiting;
use crate::node::RequestId;
use crate::server::deadline;
use crate::server::serving::Serving;

/// Answers a call that is one change.
pub(super) async fn one<R: OneChange>(
    serving: &Serving,
    request: Request<R>,
) -> Result<api::Changed, Status> {
    let deadline = deadline::of_change(request.metadata());
    let has_deadline = request.metadata().contains_key("grpc-timeout");
    let (call, change) = request.into_inner().take_apart();
    let call = call.unwrap_or_default();
    let outcome = make(serving, &call, change, deadline).await?;
    let mut changed = changed(&outcome);
    if call.wait_ms > 0 {
        let wait = Instant::now() + Duration::from_millis(call.wait_ms);
        // What the caller said of the whole call holds for the waiting too.
        let until = if has_deadline { wait.min(deadline) } else { wait };
        changed.proxies_waiting = waiting::for_proxies(&serving.node, changed.epoch, until).await?;
    }
    Ok(changed)
}

/// Makes a change.
pub(super) async fn make(
    serving: &Serving,
    call: &api::Call,
    change: Change,
    deadline: Instant,
) -> Result<pb::Outcome, Status> {
    let id = request_id(call)?;
    Ok(serving.node.change(id, call.expect_epoch, change, deadline).await?)
}

/// The name that the caller gave its change.
pub(super) fn request_id(call: &api::Call) -> Result<Option<RequestId>, Status> {
    let Some(api::RequestId { client, request }) = call.id else { return Ok(None) };
    if client == 0 {
        return Err(Status::invalid_argument(
            "the client of a request id is not 0: draw one at random for each run of the program",
        ));
    }
    Ok(Some(RequestId { client, request }))
}

/// What a call answers of an outcome.
pub(super) fn changed(outcome: &pb::Outcome) -> api::Changed {
    api::Changed { index: outcome.index, epoch: outcome.epoch, ..api::Changed::default() }
}

//! Making a server a replica of its group's master, with its progress.

use std::sync::Arc;
use std::time::Duration;

use api::sync_progress::Phase;
use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use pb::RefusalCode;
use pb::command::Change;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use super::BoxStream;
use super::change;
use super::plain::OneChange;
use crate::node::{ChangeError, Event};
use crate::raft::Refusal;
use crate::server::deadline;
use crate::server::serving::{Serving, stopping};
use crate::state;

/// How often the caller is told how far it is, if that has changed.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

type Item = Result<api::SyncProgress, Status>;

/// A sync that is followed.
struct Followed {
    serving: Arc<Serving>,
    address: String,
    order: u64,
    events: broadcast::Receiver<Event>,
}

/// Begins a sync, or joins the one that is under way, and tells how far it is until it is over. It goes on also
/// without anybody who listens.
pub(super) async fn sync(
    serving: &Arc<Serving>,
    request: Request<api::SyncServerRequest>,
) -> Result<BoxStream<api::SyncProgress>, Status> {
    let deadline = deadline::of_change(request.metadata());
    let address = state::server_address(&request.get_ref().addr)?;
    let (call, begin) = request.into_inner().take_apart();
    let call = call.unwrap_or_default();
    let events = serving.node.events();
    let id = change::request_id(&call)?;
    match serving.node.change(id, call.expect_epoch, begin, deadline).await {
        Ok(_) => {}
        Err(ChangeError::Refused(refusal)) if refusal.code == RefusalCode::SyncUnderWay => {}
        Err(error) => return Err(error.into()),
    }
    let (out, stream) = mpsc::channel(1);
    match order_of(serving, &address).await? {
        Some(order) => {
            let stopped = serving.links.stopped();
            let serving = Arc::clone(serving);
            let mut followed = Followed { serving, address, order, events };
            tokio::spawn(async move {
                let end = tokio::select! {
                    end = followed.follow(&out) => end,
                    () = stopped => Err(stopping()),
                    () = out.closed() => return,
                };
                // The caller may have gone.
                drop(out.send(end).await);
            });
        }
        // A retry, answered by a sync that is over; or one that was over before it could be looked at.
        None => {
            let end = last_end(serving, &address).await;
            let _ = out.try_send(end);
        }
    }
    Ok(Box::pin(ReceiverStream::new(stream)))
}

/// The order of the server's sync, if one is under way.
async fn order_of(serving: &Serving, address: &str) -> Result<Option<u64>, Status> {
    let address = address.to_owned();
    let look = move |state: &state::State| Some(find(state.data(), &address)?.sync?.order);
    Ok(serving.node.peek(look).await?)
}

fn find<'a>(data: &'a pb::State, address: &str) -> Option<&'a pb::Server> {
    let servers = data.groups.values().flat_map(|group| &group.servers);
    servers.into_iter().find(|server| server.address == address)
}

/// How the last sync of a server ended, as its group has it.
async fn last_end(serving: &Serving, address: &str) -> Item {
    let key = address.to_owned();
    let look = move |state: &state::State| Some(find(state.data(), &key)?.sync_failure.clone());
    match serving.node.peek(look).await? {
        Some(failure) => end(address, &failure),
        None => Err(Status::failed_precondition(format!(
            "{address} was removed from its group before it was synced"
        ))),
    }
}

/// The last message of a sync.
fn end(address: &str, failure: &str) -> Item {
    if failure.is_empty() {
        let phase = Phase::Done.into();
        return Ok(api::SyncProgress { phase, ..api::SyncProgress::default() });
    }
    Err(Status::failed_precondition(format!("{address} was not synced: {failure}")))
}

impl Followed {
    /// Tells how far it is until it is over; the last message is the result.
    async fn follow(&mut self, out: &mpsc::Sender<Item>) -> Item {
        let mut told = None;
        loop {
            let Some(progress) = self.look().await? else {
                return last_end(&self.serving, &self.address).await;
            };
            if told != Some(progress) {
                told = Some(progress);
                // Whether the caller listens is seen where this is called.
                let _ = out.send(Ok(progress)).await;
            }
            if let Ok(failure) = timeout(PROGRESS_INTERVAL, self.failure()).await {
                return end(&self.address, &failure);
            }
        }
    }

    /// How far it is; none when it is over.
    async fn look(&self) -> Result<Option<api::SyncProgress>, Status> {
        if !self.serving.node.standing().borrow().leads {
            // What servers say is not seen here any more; another call joins the sync at the new leader.
            return Err(Refusal::NotLeader { leader: 0 }.into());
        }
        let (address, order) = (self.address.clone(), self.order);
        let look = move |state: &state::State| {
            find(state.data(), &address)?.sync.filter(|sync| sync.order == order)
        };
        let Some(sync) = self.serving.node.peek(look).await? else { return Ok(None) };
        let phase = if sync.running { Phase::Copying } else { Phase::Waiting };
        let facts = self.serving.servers.facts();
        let copying = |facts: &&api::ServerFacts| {
            sync.running && facts.error.is_empty() && facts.sync_in_progress
        };
        let (total_bytes, left_bytes) = facts
            .get(&self.address)
            .filter(copying)
            .map_or((0, 0), |facts| (facts.sync_total_bytes, facts.sync_left_bytes));
        Ok(Some(api::SyncProgress { phase: phase.into(), total_bytes, left_bytes }))
    }

    /// Waits for its end: what failed, or nothing.
    async fn failure(&mut self) -> String {
        loop {
            match self.events.recv().await {
                Ok(Event::Accepted(accepted)) => {
                    if let Some(Change::GroupSyncFinish(finish)) = &accepted.command.change
                        && finish.order == self.order
                    {
                        return finish.failure.clone();
                    }
                }
                Ok(Event::Replaced) | Err(RecvError::Lagged(_)) => {}
                // The member ends; a look says so.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

//! The stream of changes.

use std::sync::Arc;

use api::watch_event::{self, Current};
use codis_proto::admin::v1 as api;
use codis_proto::meta::v1::command::Change;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use super::BoxStream;
use crate::node::{Accepted, Event, Gone, Node};
use crate::server::serving::{Serving, stopping};

/// Events that wait for a watcher's connection; further ones wait with the member, which bounds them.
const EVENTS_WAITING_MAX: usize = 64;

type Item = Result<api::WatchEvent, Status>;

/// Starts a watcher's stream. It is sent as fast as its connection takes; one that is too slow to be told each
/// change is told anew where it stands.
pub(super) async fn watch(
    serving: &Arc<Serving>,
    request: Request<api::WatchRequest>,
) -> Result<BoxStream<api::WatchEvent>, Status> {
    let all = request.into_inner().all;
    let events = serving.node.events();
    let stopped = serving.links.stopped();
    let (out, stream) = mpsc::channel::<Item>(EVENTS_WAITING_MAX);
    let node = serving.node.clone();
    tokio::spawn(async move {
        let watcher = out.clone();
        tokio::select! {
            _ = tell(node, events, all, out) => {}
            () = stopped => {}
            () = watcher.closed() => return,
        }
        // A watcher that takes nothing is not waited for.
        let _ = watcher.try_send(Err(stopping()));
    });
    Ok(Box::pin(ReceiverStream::new(stream)))
}

/// Tells what happens for as long as the member runs and the watcher listens.
async fn tell(
    node: Node,
    mut events: broadcast::Receiver<Event>,
    all: bool,
    out: mpsc::Sender<Item>,
) -> Option<()> {
    let mut index = tell_current(&node, &out).await?;
    loop {
        let event = match events.recv().await {
            // It may have happened between subscribing and looking.
            Ok(Event::Accepted(change)) if change.index <= index => continue,
            Ok(Event::Accepted(change)) => {
                if !all && is_frequent(&change) {
                    continue;
                }
                self::change(&change)
            }
            Ok(Event::Replaced) | Err(RecvError::Lagged(_)) => {
                index = tell_current(&node, &out).await?;
                continue;
            }
            Err(RecvError::Closed) => return None,
        };
        out.send(Ok(event)).await.ok()?;
    }
}

/// Tells where the state stands, and answers the index there.
async fn tell_current(node: &Node, out: &mpsc::Sender<Item>) -> Option<u64> {
    let current: Result<Current, Gone> = node
        .peek_at(|state, index| Current { index, topology: Some(state.topology().clone()) })
        .await;
    let current = current.ok()?;
    let index = current.index;
    let event = Some(watch_event::Event::Current(current));
    out.send(Ok(api::WatchEvent { event })).await.ok()?;
    Some(index)
}

fn change(accepted: &Accepted) -> api::WatchEvent {
    let Accepted { index, epoch, command } = accepted.clone();
    let change = watch_event::Change { index, epoch, command: Some(command) };
    api::WatchEvent { event: Some(watch_event::Event::Change(change)) }
}

/// Whether a change is one of those that the leader makes many times a second.
fn is_frequent(accepted: &Accepted) -> bool {
    matches!(accepted.command.change, Some(Change::ProxyAck(_)))
}

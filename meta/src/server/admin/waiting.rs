//! Waiting until every online proxy works by an epoch.

use std::collections::BTreeSet;

use codis_proto::meta::v1 as pb;
use pb::Presence;
use pb::command::Change;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

use crate::node::{Event, Gone, Node};

/// Waits until `until` at most; the online proxies, by token, that do not work by `epoch` yet.
///
/// Acknowledgements are changes of the state like any other, so any member can wait. Each is looked at by itself,
/// and the state only where more may have changed: many may wait while a thousand proxies acknowledge.
pub(super) async fn for_proxies(
    node: &Node,
    epoch: u64,
    until: Instant,
) -> Result<Vec<String>, Gone> {
    let mut events = node.events();
    let mut behind = behind(node, epoch).await?;
    while !behind.is_empty() {
        let Ok(event) = timeout_at(until, events.recv()).await else { break };
        let look_again = match event {
            Ok(Event::Accepted(accepted)) => match &accepted.command.change {
                Some(Change::ProxyAck(acks)) => {
                    let acked = |token: &String| {
                        acks.proxies.get(token).is_some_and(|acked| acked.epoch >= epoch)
                    };
                    behind.retain(|token| !acked(token));
                    // One of another process of the proxy does not count: the state decides.
                    behind.is_empty()
                }
                Some(
                    Change::ProxyRegister(_)
                    | Change::ProxyOnline(_)
                    | Change::ProxyOffline(_)
                    | Change::ProxyRemove(_),
                ) => true,
                _ => false,
            },
            Ok(Event::Replaced) | Err(RecvError::Lagged(_)) => true,
            Err(RecvError::Closed) => return Err(Gone),
        };
        if look_again {
            behind = self::behind(node, epoch).await?;
        }
    }
    Ok(behind.into_iter().collect())
}

async fn behind(node: &Node, epoch: u64) -> Result<BTreeSet<String>, Gone> {
    let waits =
        move |proxy: &&pb::Proxy| proxy.presence() == Presence::Online && proxy.acked_epoch < epoch;
    node.peek(move |state| {
        let proxies = state.data().proxies.values();
        proxies.filter(waits).map(|proxy| proxy.token.clone()).collect()
    })
    .await
}

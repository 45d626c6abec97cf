//! What the state says of proxies' presence, in line with the streams that are open.
//!
//! A stream that ends makes its proxy's presence a change by itself. The sweep here is for everything else: a new
//! leader, which does not know yet who will come to it; a change that was not made; two that crossed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use codis_proto::meta::v1 as pb;
use pb::Presence;
use pb::command::Change;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic::Status;

use super::{Links, Stand};
use crate::node::{ChangeError, Event};

/// How long a new leader waits for the proxies that are online to come to it.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the state and the streams are compared.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// How often the change of a stream's end is tried before it is left to the sweep.
const OFFLINE_TRIES: usize = 3;

/// A proxy as the state has it.
struct Known {
    start_unix_ms: u64,
    presence: Presence,
}

/// What is not in line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    /// Online in the state, and no stream is here. With the process.
    lost: Vec<(String, u64)>,
    /// Lost in the state, and its stream is open.
    back: Vec<(String, u64)>,
    /// Its stream is open, and the state does not have its process (any more).
    removed: Vec<(String, u64)>,
}

/// Compares what the state has with the processes whose streams are open.
fn compare(state: &BTreeMap<String, Known>, open: &BTreeMap<String, u64>) -> Difference {
    let mut difference = Difference::default();
    for (token, known) in state {
        let process = (token.clone(), known.start_unix_ms);
        match (known.presence, open.get(token) == Some(&known.start_unix_ms)) {
            (Presence::Online, false) => difference.lost.push(process),
            (Presence::Lost, true) => difference.back.push(process),
            _ => {}
        }
    }
    for (token, start_unix_ms) in open {
        if state.get(token).is_none_or(|known| known.start_unix_ms != *start_unix_ms) {
            difference.removed.push((token.clone(), *start_unix_ms));
        }
    }
    difference
}

impl Links {
    /// Makes the change that a proxy's stream has ended, or that it stops.
    pub(super) async fn offline(&self, token: &str, start_unix_ms: u64, stopped: bool) {
        let change = pb::ProxyOffline { token: token.to_owned(), start_unix_ms, stopped };
        for _ in 0..OFFLINE_TRIES {
            match self.node.step(Change::ProxyOffline(change.clone())).await {
                // Refused: it was removed, or another process has its token.
                Ok(_) | Err(ChangeError::Refused(_) | ChangeError::Gone(_)) => return,
                Err(ChangeError::NotTaken(_) | ChangeError::Unknown) => {}
            }
        }
    }

    /// Compares state and streams for as long as the member runs.
    pub(super) async fn keep_presence(self: Arc<Self>) {
        let mut events = self.node.events();
        let mut sweep = interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut led = (Stand::Follows, Instant::now());
        loop {
            tokio::select! {
                _ = sweep.tick() => {}
                event = events.recv() => match event {
                    Ok(event) if !concerns(&event) => continue,
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
            }
            let stand = *self.stand.borrow();
            if stand != led.0 {
                led = (stand, Instant::now());
            }
            if matches!(stand, Stand::Leads(_)) {
                self.bring_in_line(led.1.elapsed() >= ARRIVAL_TIMEOUT).await;
            }
        }
    }

    /// `all_came`: proxies that are online and have no stream here had the time to come.
    async fn bring_in_line(&self, all_came: bool) {
        // The streams first: one that opens between the two looks is known as expected.
        let open = self.registry.processes();
        let Ok(state) = self.node.peek(|state| known(state.data())).await else { return };
        let difference = compare(&state, &open);
        for (token, start_unix_ms) in difference.removed {
            // One that has only just come was registered after the state was looked at.
            if !self.is_registered(&token, start_unix_ms).await {
                self.registry.end(&token, start_unix_ms, removed(&token));
            }
        }
        for (token, start_unix_ms) in difference.back {
            // Refused where it was removed meanwhile; tried again by the next sweep.
            let _ =
                self.node.step(Change::ProxyOnline(pb::ProxyOnline { token, start_unix_ms })).await;
        }
        let lost = difference.lost.into_iter().filter(|_| all_came);
        for (token, start_unix_ms) in lost {
            if !self.registry.expects(&token) {
                self.offline(&token, start_unix_ms, false).await;
            }
        }
        self.registry.keep_stats(|token| state.contains_key(token) || open.contains_key(token));
    }

    async fn is_registered(&self, token: &str, start_unix_ms: u64) -> bool {
        let token = token.to_owned();
        let look = move |state: &crate::state::State| {
            state
                .data()
                .proxies
                .get(&token)
                .is_some_and(|proxy| proxy.start_unix_ms == start_unix_ms)
        };
        self.node.peek(look).await.unwrap_or(true)
    }
}

fn known(data: &pb::State) -> BTreeMap<String, Known> {
    let one = |(token, proxy): (&String, &pb::Proxy)| {
        let known = Known { start_unix_ms: proxy.start_unix_ms, presence: proxy.presence() };
        (token.clone(), known)
    };
    data.proxies.iter().map(one).collect()
}

/// Whether an event may leave a stream without its proxy, or a proxy in the state without its stream.
fn concerns(event: &Event) -> bool {
    match event {
        Event::Replaced => true,
        Event::Accepted(accepted) => matches!(
            accepted.command.change,
            Some(Change::ProxyRemove(_) | Change::ProxyOffline(_))
        ),
    }
}

/// What the stream of a proxy ends with that the state does not have any more.
fn removed(token: &str) -> Status {
    Status::failed_precondition(format!(
        "proxy {token} was removed from the product: restart it if it is to join again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_state_and_streams_is_found() {
        let known = |presence| Known { start_unix_ms: 1, presence };
        let state = BTreeMap::from([
            ("here".to_owned(), known(Presence::Online)),
            ("silent".to_owned(), known(Presence::Online)),
            ("back".to_owned(), known(Presence::Lost)),
            ("gone".to_owned(), known(Presence::Lost)),
            ("stopping".to_owned(), known(Presence::Stopped)),
            ("renewed".to_owned(), known(Presence::Lost)),
        ]);
        let open = [("here", 1), ("back", 1), ("stopping", 1), ("removed", 1), ("renewed", 2)];
        let open = open.map(|(token, start)| (token.to_owned(), start)).into();
        let one = |token: &str, start| vec![(token.to_owned(), start)];
        let removed = vec![("removed".to_owned(), 1), ("renewed".to_owned(), 2)];
        let expected = Difference { lost: one("silent", 1), back: one("back", 1), removed };
        assert_eq!(compare(&state, &open), expected);
    }
}

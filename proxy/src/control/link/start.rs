//! The wait for the first topology, before any client is served.

use super::super::{Signal, Signals};
use super::{Link, refused};
use crate::topology::{Topology, from_group};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::sleep;
use tracing::{error, warn};

/// How long a proxy waits for its group before it serves without.
pub const FIRST_WAIT: Duration = Duration::from_secs(5);

/// What a proxy begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// Clients are served by this.
    Serve(Arc<Topology>),
    /// The group refuses the proxy or the member inside fails, for this reason.
    Refused(String),
    /// The process was told to end.
    End,
}

impl Signals {
    /// Waits for the group's topology, for at most `patience`. Without an answer it is the saved one, else one in
    /// which every slot is offline; both are said loudly. `failed` is what makes waiting vain, with the reason.
    pub fn first_topology(
        &mut self,
        link: &mut Link,
        patience: Duration,
        failed: impl Future<Output = String>,
    ) -> Begin {
        let Self { runtime, sender, signals } = self;
        let mut reopen = false;
        let begin = runtime.block_on(async {
            let mut received = link.shared.received.subscribe();
            let waited = sleep(patience);
            tokio::pin!(waited, failed);
            loop {
                tokio::select! {
                    biased;
                    signal = signals.recv() => match signal {
                        // The log is opened anew once there is a control plane.
                        Some(Signal::Reopen) => reopen = true,
                        Some(Signal::End) | None => return Begin::End,
                    },
                    Ok(_) = received.wait_for(Option::is_some) => break,
                    reason = refused(link.shared.refused.subscribe()) => return Begin::Refused(reason),
                    reason = &mut failed => return Begin::Refused(reason),
                    () = &mut waited => return Begin::Serve(link.without_group(patience)),
                }
            }
            let received = received.borrow();
            let topology = received.as_ref().map(|received| Arc::clone(&received.topology));
            Begin::Serve(topology.unwrap_or_else(|| Arc::new(Topology::offline())))
        });
        if reopen {
            // The receiver is in this very struct.
            let _ = sender.send(Signal::Reopen);
        }
        begin
    }
}

impl Link {
    /// What to work by when the group has not answered within `patience`.
    fn without_group(&mut self, patience: Duration) -> Arc<Topology> {
        let reason = self.shared.status.borrow().last_refusal.clone();
        let reason = if reason.is_empty() { "no member has answered".into() } else { reason };
        if let Some(topology) = self.take_saved(patience, &reason) {
            self.shared.serves_saved.send_replace(true);
            return topology;
        }
        warn!(
            "the metadata group did not answer within {patience:?} ({reason}) and no topology is saved: EVERY \
             SLOT IS OFFLINE until it answers"
        );
        Arc::new(Topology::offline())
    }

    fn take_saved(&mut self, patience: Duration, reason: &str) -> Option<Arc<Topology>> {
        let saved = self.saved.take()?;
        match from_group(&saved.topology, &self.datacenter) {
            Ok(topology) => {
                warn!(
                    "the metadata group did not answer within {patience:?} ({reason}): SERVING BY THE SAVED \
                     TOPOLOGY of epoch {}, which is {} old, until it answers",
                    topology.epoch,
                    age(saved.saved_unix_ms)
                );
                Some(Arc::new(topology))
            }
            Err(wrong) => {
                error!("the saved topology is none: {wrong}");
                None
            }
        }
    }
}

/// How long ago a moment was, for people.
fn age(unix_ms: u64) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = (since.as_secs()).saturating_sub(unix_ms / 1000);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_one_unit() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let ago = |seconds: u64| age((now - seconds) * 1000);
        assert_eq!(ago(300), "5 min");
        assert_eq!(ago(3 * 3600), "3 h");
        assert_eq!(ago(3 * 86_400), "3 days");
        assert!(ago(5).ends_with(" s"));
        assert_eq!(age(u64::MAX), "0 s", "a clock that was set back");
    }
}

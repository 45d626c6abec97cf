//! The task that keeps a stream to the group open, from one member to the next, for as long as the proxy runs.

use super::addresses::Addresses;
use super::failure::Failure;
use super::open::Dialer;
use super::session::{Me, Session};
use super::{Shared, Status};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, error, info, warn};

/// How long a member may take from the connection to the first topology. The registration passes through the
/// group's log in that time.
const OPEN_MAX: Duration = Duration::from_secs(3);

/// How long a refusal that may pass soon is taken for one that will pass.
const SOON: Duration = Duration::from_secs(3);

/// How often it is said again that the group does not answer.
const SILENCE_SAID_AGAIN: Duration = Duration::from_secs(60);

/// The task; see the module's head.
pub(super) struct Follower {
    shared: Arc<Shared>,
    addresses: Addresses,
    dialer: Dialer,
    me: Me,
    /// Since when every attempt was refused in a way that may pass soon.
    soon_since: Option<Instant>,
    said: Said,
}

/// What the log has been told, so that a lasting trouble does not fill it.
#[derive(Default)]
struct Said {
    /// The last refusal.
    refusal: String,
    /// When it was last said that the group is away.
    away: Option<Instant>,
}

impl Follower {
    pub(super) fn new(shared: Arc<Shared>, listed: Vec<String>, dialer: Dialer, me: Me) -> Self {
        let addresses = Addresses::new(listed, fastrand::Rng::new());
        Self { shared, addresses, dialer, me, soon_since: None, said: Said::default() }
    }

    /// Follows until the proxy stops, or is refused before it serves anybody.
    pub(super) async fn run(mut self) {
        let mut stopping = self.shared.stopping.subscribe();
        while !*stopping.borrow() {
            let address = self.addresses.take();
            let failure = match self.attempt(&address).await {
                Ok(()) => return,
                Err(failure) => failure,
            };
            if self.must_end(&failure) {
                let reason =
                    format!("the metadata group refuses this proxy: {failure} (said by {address})");
                self.shared.refused.send_replace(Some(reason));
                return;
            }
            self.note(&address, &failure);
            let pause = self.addresses.failed(failure.leader());
            tokio::select! {
                () = sleep(pause) => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
        }
    }

    /// Follows the member at `address` for as long as it serves; `Ok` once the proxy stops.
    async fn attempt(&mut self, address: &str) -> Result<(), Failure> {
        let mut stopping = self.shared.stopping.subscribe();
        let registration = self.me.registration(&self.shared);
        let opened = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return Ok(()),
            opened = timeout(OPEN_MAX, self.dialer.open(address, registration.clone())) => opened,
        };
        let opened = opened.unwrap_or_else(|_elapsed| {
            Err(Failure::unreachable(format!("no topology within {OPEN_MAX:?}")))
        })?;
        let (proxy_id, members) = (opened.welcome.proxy_id, opened.welcome.members.clone());
        let session = Session::begin(&self.shared, &self.me, &registration, opened)?;
        self.addresses.reached(&members);
        self.said = Said::default();
        self.shared.status.send_modify(|status| {
            status.connected = true;
            address.clone_into(&mut status.leader);
            status.last_refusal.clear();
        });
        let epoch = self.shared.status.borrow().epoch;
        info!("follows the metadata group at {address} as proxy {proxy_id}, from epoch {epoch}");
        session.run().await
    }

    /// Keeps what an operator should know of `failure`, and logs it unless that was done already.
    fn note(&mut self, address: &str, failure: &Failure) {
        let was_connected = self.shared.status.borrow().connected;
        let reason = format!("{address}: {failure}");
        self.shared.status.send_modify(|status| {
            let Status { connected, last_refusal, .. } = status;
            *connected = false;
            // Where it leads on to the leader, it is no trouble yet.
            if failure.leader().is_none() || last_refusal.is_empty() {
                last_refusal.clone_from(&reason);
            }
        });
        match failure {
            Failure::Unavailable { .. } => self.note_absence(was_connected, &reason),
            Failure::Refused { .. } | Failure::Nonsense(_) if self.said.refusal != reason => {
                error!("the metadata group refuses this proxy, which tries on: {reason}");
                self.said.refusal = reason;
            }
            Failure::Refused { .. } | Failure::Nonsense(_) => debug!("refused again: {reason}"),
        }
    }

    fn note_absence(&mut self, was_connected: bool, reason: &str) {
        let epoch = self.shared.status.borrow().epoch;
        if was_connected {
            warn!(
                "the metadata group is lost, and looked for; traffic goes on by epoch {epoch}: {reason}"
            );
            self.said.away = Some(Instant::now());
            return;
        }
        debug!("no metadata group yet: {reason}");
        let since = *self.said.away.get_or_insert_with(Instant::now);
        if since.elapsed() >= SILENCE_SAID_AGAIN {
            warn!(
                "the metadata group still does not answer; traffic goes on by epoch {epoch}: {reason}"
            );
            self.said.away = Some(Instant::now());
        }
    }

    /// Whether a refusal ends the process: it serves nobody yet, and no time will change the answer.
    fn must_end(&mut self, failure: &Failure) -> bool {
        if failure.may_pass_soon() {
            if self.soon_since.get_or_insert_with(Instant::now).elapsed() < SOON {
                return false;
            }
        } else {
            self.soon_since = None;
        }
        let serves = self.shared.received.borrow().is_some() || *self.shared.serves_saved.borrow();
        failure.is_final() && !serves
    }
}

//! One proxy's stream.

use std::sync::Arc;
use std::time::Duration;

use codis_proto::link::v1::proxy_message::Body;
use codis_proto::link::v1::{MemberMessage, ProxyMessage};
use codis_proto::meta::v1::ProxyRegister;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::registry::Place;
use super::{Links, Stand};

/// How long a proxy that takes no messages is given to take the last one, which says why its stream ends.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// A registered proxy's stream.
pub(super) struct Stream {
    links: Arc<Links>,
    token: String,
    /// Names the process.
    start_unix_ms: u64,
    place: Place,
    inbox: Streaming<ProxyMessage>,
    out: mpsc::Sender<Result<MemberMessage, Status>>,
    stand: watch::Receiver<Stand>,
    /// The epoch that it was sent last.
    at: Option<u64>,
    /// It has said that it stops.
    stopped: bool,
}

/// How a stream ends.
enum End {
    /// With this for the proxy to know.
    With(Status),
    /// The proxy has gone.
    Gone,
    /// Whether this member leads has changed.
    Stand,
}

impl Stream {
    /// Enters a proxy's stream.
    pub(super) fn new(
        links: Arc<Links>,
        register: &ProxyRegister,
        inbox: Streaming<ProxyMessage>,
        out: mpsc::Sender<Result<MemberMessage, Status>>,
        stand: watch::Receiver<Stand>,
    ) -> Self {
        let (token, start_unix_ms) = (register.token.clone(), register.start_unix_ms);
        let place = links.registry.enter(&token, start_unix_ms);
        Self { links, token, start_unix_ms, place, inbox, out, stand, at: None, stopped: false }
    }

    /// Runs it to its end.
    pub(super) async fn run(mut self) {
        let end = self.serve().await;
        let led = matches!(*self.stand.borrow(), Stand::Leads(_));
        let own = self.links.registry.leave(&self.token, self.place.serial);
        let goodbye = match end {
            End::With(status) => Some(status),
            End::Stand => Some(self.links.redirect().await),
            End::Gone => None,
        };
        if let Some(status) = goodbye {
            // One that takes no messages is not waited for.
            let _ = timeout(GOODBYE_TIMEOUT, self.out.send(Err(status))).await;
        }
        if own && led {
            self.links.offline(&self.token, self.start_unix_ms, self.stopped).await;
        }
    }

    async fn serve(&mut self) -> End {
        let mut feed = self.links.feed.epoch();
        let out = self.out.clone();
        loop {
            let behind = *feed.borrow_and_update() != self.at;
            tokio::select! {
                room = out.reserve(), if behind => match room {
                    // A proxy that is slow gets no queue: it is sent what is newest when it has room.
                    Ok(room) => if let Some((epoch, message)) = self.links.feed.after(self.at) {
                        self.at = Some(epoch);
                        room.send(Ok(message));
                    },
                    Err(_) => return End::Gone,
                },
                changed = feed.changed(), if !behind => if changed.is_err() {
                    return End::Gone;
                },
                message = self.inbox.message() => match message {
                    Ok(Some(message)) => if let Err(status) = self.take(message).await {
                        return End::With(status);
                    },
                    Ok(None) | Err(_) => return End::Gone,
                },
                status = &mut self.place.ended => {
                    return status.map_or(End::Gone, End::With);
                }
                _ = self.stand.changed() => return End::Stand,
            }
        }
    }

    /// Takes in what the proxy says.
    async fn take(&mut self, message: ProxyMessage) -> Result<(), Status> {
        match message.body {
            Some(Body::Ack(ack)) if self.at.is_some_and(|at| ack.epoch <= at) => {
                self.links.acks.note(&self.token, self.start_unix_ms, ack.epoch);
            }
            Some(Body::Ack(ack)) => {
                return Err(Status::invalid_argument(format!(
                    "the proxy acknowledged epoch {}, which it was not sent: report it",
                    ack.epoch
                )));
            }
            Some(Body::Stats(stats)) => self.links.registry.count_up(&self.token, stats),
            Some(Body::Wanted(wanted)) => {
                for key in wanted.keys {
                    self.links.servers.want(key.database, key.name);
                }
            }
            Some(Body::Stopping(_)) => {
                self.stopped = true;
                self.links.offline(&self.token, self.start_unix_ms, true).await;
            }
            Some(Body::Register(_)) => {
                return Err(Status::invalid_argument("a stream registers one proxy, once"));
            }
            // Of a newer proxy than this member.
            None => {}
        }
        Ok(())
    }
}

//! The proxies' streams: each registers, follows the topology, acknowledges epochs and sends its counters.
//!
//! The member that leads serves them. What a thousand of them share is kept apart from what each has: a change is
//! encoded once (`feed`), wakes each stream (`stream`) once, and their acknowledgements go to the log together, at most
//! one proposal at a time (`acks`). Who is there is in `registry`; `presence` brings what the state says of that in
//! line with it, also after a change of leaders.

mod acks;
mod feed;
mod presence;
mod registry;
mod stream;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use codis_proto::link::v1::link_server::Link;
use codis_proto::link::v1::{MemberMessage, ProxyMessage, Stats, member_message, proxy_message};
use codis_proto::meta::v1 as pb;
use pb::command::Change;
use pb::outcome::Result as Answer;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::serving::{Servers, Services, stopping};
use crate::node::Node;
use acks::Acks;
use feed::Feed;
use registry::Registry;

/// Names the leader's address where a member does not lead.
const LEADER_KEY: &str = "codis-leader";

/// How long a proxy may take to say who it is.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long its registration may take in the group.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Messages to a proxy that wait for its connection.
const OUT_MESSAGES_MAX: usize = 4;

/// Whether this member serves proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// It leads, since this term.
    Leads(u64),
    Follows,
    Stops,
}

/// All of the proxies' streams at this member.
pub(super) struct Links {
    node: Node,
    servers: Arc<dyn Servers>,
    feed: Feed,
    registry: Registry,
    acks: Acks,
    stand: watch::Sender<Stand>,
}

impl Links {
    /// Starts what runs beside the streams, until `tasks` is dropped.
    pub(super) fn start(
        node: &Node,
        servers: &Arc<dyn Servers>,
        tasks: &mut JoinSet<()>,
    ) -> Arc<Self> {
        let links = Arc::new(Self {
            node: node.clone(),
            servers: Arc::clone(servers),
            feed: Feed::new(),
            registry: Registry::default(),
            acks: Acks::default(),
            stand: watch::Sender::new(Stand::Follows),
        });
        links.feed.install(&node.topology().borrow());
        tasks.spawn(Arc::clone(&links).watch_standing());
        tasks.spawn(Arc::clone(&links).feed_topologies());
        tasks.spawn(Arc::clone(&links).propose_acks());
        tasks.spawn(Arc::clone(&links).keep_presence());
        links
    }

    /// Ends every stream.
    pub(super) fn stop(&self) {
        self.stand.send_replace(Stand::Stops);
    }

    /// Waits until streams are to end.
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stand = self.stand.subscribe();
        async move {
            // An error means that the member has ended.
            let _ = stand.wait_for(|stand| *stand == Stand::Stops).await;
        }
    }

    /// How many streams are open.
    pub(super) fn count(&self) -> usize {
        self.registry.count()
    }

    /// Whether the proxy's stream is open here, and the counters that it sent last, with when (0 for never).
    pub(super) fn seen(&self, token: &str) -> (bool, u64, Option<Stats>) {
        self.registry.seen(token)
    }

    /// Follows whether this member leads. Streams wait for this and not for the standing, which changes with every entry
    /// of the log.
    async fn watch_standing(self: Arc<Self>) {
        let mut standing = self.node.standing();
        loop {
            let now = {
                let standing = standing.borrow_and_update();
                if standing.leads { Stand::Leads(standing.term) } else { Stand::Follows }
            };
            self.stand.send_if_modified(|stand| {
                let changed = *stand != now && *stand != Stand::Stops;
                if changed {
                    *stand = now;
                }
                changed
            });
            if standing.changed().await.is_err() {
                return;
            }
        }
    }

    async fn feed_topologies(self: Arc<Self>) {
        let mut topology = self.node.topology();
        loop {
            let newest = Arc::clone(&topology.borrow_and_update());
            self.feed.install(&newest);
            if topology.changed().await.is_err() {
                return;
            }
        }
    }

    /// What a stream ends with at a member that does not serve it (any more): where to go instead.
    async fn redirect(&self) -> Status {
        if *self.stand.borrow() == Stand::Stops {
            return stopping();
        }
        let Ok(status) = self.node.status().await else { return stopping() };
        let mut metadata = MetadataMap::new();
        let address = status.addresses.get(&status.leader).filter(|_| status.leader != status.id);
        let Some(address) = address else {
            let message =
                "this member does not lead, and knows no leader yet: try again or ask another one";
            return Status::unavailable(message);
        };
        if let Ok(value) = address.parse() {
            metadata.insert(LEADER_KEY, value);
        }
        let message =
            format!("this member does not lead: member {} at {address} does", status.leader);
        Status::with_metadata(tonic::Code::Unavailable, message, metadata)
    }

    /// Takes a proxy in and starts its stream.
    async fn admit(self: Arc<Self>, mut inbox: Streaming<ProxyMessage>) -> Result<Outbox, Status> {
        let mut stand = self.stand.subscribe();
        if !matches!(*stand.borrow_and_update(), Stand::Leads(_)) {
            return Err(self.redirect().await);
        }
        let register = first_message(&mut inbox).await?;
        let arriving = self.registry.arrive(&register.token);
        let change = Change::ProxyRegister(register.clone());
        let deadline = Instant::now() + CHANGE_TIMEOUT;
        let outcome = tokio::select! {
            outcome = self.node.change(None, 0, change, deadline) => outcome?,
            _ = stand.changed() => return Err(self.redirect().await),
        };
        let (proxy_id, cluster, members) = self.introduce(&outcome).await?;
        let (out, outbox) = mpsc::channel(OUT_MESSAGES_MAX);
        let welcome = codis_proto::link::v1::Welcome { proxy_id, cluster, members };
        let welcome = MemberMessage { body: Some(member_message::Body::Welcome(welcome)) };
        // There is room: nothing has been sent before.
        let _ = out.try_send(Ok(welcome));
        let stream = stream::Stream::new(Arc::clone(&self), &register, inbox, out, stand);
        drop(arriving);
        tokio::spawn(stream.run());
        Ok(ReceiverStream::new(outbox))
    }

    /// What a proxy is told about itself and the group.
    async fn introduce(&self, outcome: &pb::Outcome) -> Result<(u64, u64, Vec<String>), Status> {
        let proxy_id = match &outcome.result {
            Some(Answer::Accepted(accepted)) => accepted.proxy_id,
            _ => 0,
        };
        let cluster = self.node.peek(|state| state.data().cluster).await?;
        let members = self.node.status().await?.addresses.into_values().collect();
        Ok((proxy_id, cluster, members))
    }
}

type Outbox = ReceiverStream<Result<MemberMessage, Status>>;

/// The registration, which a stream begins with.
async fn first_message(inbox: &mut Streaming<ProxyMessage>) -> Result<pb::ProxyRegister, Status> {
    let first = timeout(REGISTER_TIMEOUT, inbox.message()).await.map_err(|_| {
        Status::deadline_exceeded(format!(
            "the proxy did not say within {} s who it is",
            REGISTER_TIMEOUT.as_secs()
        ))
    })??;
    match first.and_then(|message| message.body) {
        Some(proxy_message::Body::Register(register)) => Ok(register),
        _ => Err(Status::invalid_argument("a proxy's stream begins with its registration")),
    }
}

/// The proxies' service.
pub(super) struct LinkService {
    services: Services,
}

impl LinkService {
    pub(super) fn new(services: Services) -> Self {
        Self { services }
    }
}

#[tonic::async_trait]
impl Link for LinkService {
    type FollowStream = Pin<Box<dyn Stream<Item = Result<MemberMessage, Status>> + Send + 'static>>;

    async fn follow(
        &self,
        request: Request<Streaming<ProxyMessage>>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let links = Arc::clone(&self.services.begun()?.links);
        let outbox = links.admit(request.into_inner()).await?;
        Ok(Response::new(Box::pin(outbox)))
    }
}

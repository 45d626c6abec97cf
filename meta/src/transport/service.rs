//! The receiving side: what other members ask of this one.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use codis_proto::member::v1::member_server::Member;
use codis_proto::member::v1::{Delivered, HelloReply, HelloRequest, Packet};
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};

use super::{Met, Peers};
use crate::node::{Gone, Node};
use crate::raft::{DecodeError, Envelope, ReceiveError};
use crate::state::State;

/// Where a stream says whose it is: `id@host:port`.
pub(super) const FROM_KEY: &str = "codis-member";

/// How long a member that asks waits for the group to say what it knows of it; then this member's own state is asked.
const FRESH_TIMEOUT: Duration = Duration::from_secs(2);

/// What a member says of itself before it has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hall {
    /// Its id.
    pub id: u64,
    /// The product that it is configured for.
    pub product: String,
    /// The group that it would found.
    pub group: u64,
}

/// The service `codis.member.v1.Member`. A member that has not begun answers who it is, and takes no messages.
/// Cheap to clone.
#[derive(Clone)]
pub struct MemberService {
    hall: Hall,
    running: Arc<OnceLock<(Node, Peers)>>,
}

impl MemberService {
    /// The service of a member that has not begun.
    #[must_use]
    pub fn new(hall: Hall) -> Self {
        Self { hall, running: Arc::default() }
    }

    /// Serves the member that has begun, from now on.
    pub fn begin(&self, node: Node, peers: Peers) {
        // A process runs one member, and begins it once.
        let _ = self.running.set((node, peers));
    }
}

/// What a running member knows of `asker`, and of itself.
async fn tell(node: &Node, peers: &Peers, asker: u64, reply: &mut HelloReply) -> Result<(), Gone> {
    (reply.begun, reply.group) = (true, peers.me().group);
    let known = move |state: &State| state.data().members_seen.contains_key(&asker);
    let led = node.standing().borrow().leader != 0;
    let read =
        async { if led { timeout(FRESH_TIMEOUT, node.read(known)).await.ok() } else { None } };
    if let Some(Ok(knows_you)) = read.await {
        (reply.knows_you, reply.fresh) = (knows_you, true);
    } else {
        reply.knows_you = node.peek(known).await?;
    }
    reply.is_member = node.members().borrow().contains(asker);
    // The configured name is what this member wants; what the group has counts.
    let product = node.peek(|state| state.data().product.clone()).await?;
    if !product.is_empty() {
        reply.product = product;
    }
    Ok(())
}

#[tonic::async_trait]
impl Member for MemberService {
    async fn hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let asker = request.into_inner().id;
        let Hall { id, product, group } = self.hall.clone();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let mut reply = HelloReply { id, product, version, group, ..HelloReply::default() };
        if let Some((node, peers)) = self.running.get() {
            tell(node, peers, asker, &mut reply).await.map_err(gone)?;
        }
        Ok(Response::new(reply))
    }

    async fn deliver(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<Delivered>, Status> {
        let Some((node, peers)) = self.running.get() else {
            return Err(Status::unavailable("this member is starting: try again"));
        };
        let (from, address) = sender(&request)?;
        let me = peers.me();
        if from == me.id {
            return Err(Status::failed_precondition(format!(
                "member {from} at {address} has this member's own id: each member needs an id of its own"
            )));
        }
        let _met: Option<Met> = match address.as_str() {
            "" => None,
            _ => peers.meet(from, address),
        };
        let mut packets = request.into_inner();
        while let Some(packet) = packets.message().await? {
            let envelope = Envelope::decode(&packet.envelope).map_err(unreadable)?;
            check(&envelope, from, me.group, me.id)?;
            node.deliver(envelope).map_err(gone)?;
        }
        Ok(Response::new(Delivered {}))
    }
}

fn gone(gone: Gone) -> Status {
    Status::unavailable(gone.to_string())
}

/// Whose stream it is, and where that member is reached.
fn sender<T>(request: &Request<T>) -> Result<(u64, String), Status> {
    let told = request.metadata().get(FROM_KEY).and_then(|value| value.to_str().ok());
    let (id, address) = told
        .and_then(|told| told.split_once('@'))
        .ok_or_else(|| Status::invalid_argument("the stream does not say whose it is"))?;
    let id = id.parse().ok().filter(|id| *id != 0);
    let id =
        id.ok_or_else(|| Status::invalid_argument("the stream has a member id that is none"))?;
    Ok((id, address.to_owned()))
}

fn unreadable(error: DecodeError) -> Status {
    match error {
        DecodeError::Version(_) => Status::failed_precondition(error.to_string()),
        _ => Status::invalid_argument(error.to_string()),
    }
}

/// Refuses what is not for this member.
fn check(envelope: &Envelope, from: u64, group: u64, id: u64) -> Result<(), Status> {
    let wrong = if envelope.group != group {
        ReceiveError::OtherGroup { from, theirs: envelope.group, ours: group }
    } else if envelope.to != id {
        ReceiveError::OtherMember { from, to: envelope.to, id }
    } else if envelope.from != from {
        let what = "a message in another member's name";
        ReceiveError::Malformed { from, what }
    } else {
        return Ok(());
    };
    Err(Status::failed_precondition(wrong.to_string()))
}

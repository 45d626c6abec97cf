//! A member that a test plays: it takes streams of proxies, and says what the test says.

use super::*;
use crate::saved::DataDir;
use crate::slots::SLOT_COUNT;
use codis_meta::state::delta;
use prost::Message;
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::{Request, Response, Streaming};
use wire::link_server::LinkServer;
use wire::member_message::Body as MemberBody;
use wire::proxy_message::Body as ProxyBody;

/// The group that the fake member is of.
pub(super) const CLUSTER: u64 = 0xc0d15;

type Answer = Result<mpsc::Receiver<Result<wire::MemberMessage, tonic::Status>>, tonic::Status>;

/// A stream that a proxy wants to open.
pub(super) struct Call {
    pub(super) metadata: MetadataMap,
    inbound: Streaming<wire::ProxyMessage>,
    answer: oneshot::Sender<Answer>,
}

/// A stream that a test has accepted.
pub(super) struct Stream {
    inbound: Streaming<wire::ProxyMessage>,
    out: mpsc::Sender<Result<wire::MemberMessage, tonic::Status>>,
}

struct Service(mpsc::UnboundedSender<Call>);

#[tonic::async_trait]
impl wire::link_server::Link for Service {
    type FollowStream = ReceiverStream<Result<wire::MemberMessage, tonic::Status>>;

    async fn follow(
        &self,
        request: Request<Streaming<wire::ProxyMessage>>,
    ) -> Result<Response<Self::FollowStream>, tonic::Status> {
        let (answer, answered) = oneshot::channel();
        let metadata = request.metadata().clone();
        let call = Call { metadata, inbound: request.into_inner(), answer };
        self.0.send(call).map_err(|_| tonic::Status::unavailable("the test is over"))?;
        let answer = answered.await.map_err(|_| tonic::Status::unavailable("no answer"))?;
        answer.map(|out| Response::new(ReceiverStream::new(out)))
    }
}

/// A member that listens.
pub(super) struct Member {
    pub(super) address: String,
    calls: mpsc::UnboundedReceiver<Call>,
    server: JoinHandle<()>,
}

impl Member {
    pub(super) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address")).await
    }

    pub(super) async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket").to_string();
        let (sender, calls) = mpsc::unbounded_channel();
        let server = tokio::spawn(async move {
            let server = Server::builder().add_service(LinkServer::new(Service(sender)));
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.expect("it serves");
        });
        Self { address, calls, server }
    }

    /// The next stream that a proxy wants to open.
    pub(super) async fn call(&mut self) -> Call {
        self.calls.recv().await.expect("the server runs")
    }

    /// Accepts the next stream and welcomes the proxy with `topology`.
    pub(super) async fn welcome(&mut self, topology: &pb::Topology) -> (pb::ProxyRegister, Stream) {
        let (register, stream) = self.call().await.accept().await;
        stream.welcome(CLUSTER, &[]).await;
        stream.topology(topology).await;
        (register, stream)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Call {
    pub(super) fn refuse(self, status: tonic::Status) {
        let _ = self.answer.send(Err(status));
    }

    /// Sends the proxy to `leader`.
    pub(super) fn redirect(self, leader: &str) {
        let mut metadata = MetadataMap::new();
        metadata.insert("codis-leader", leader.parse().expect("a value"));
        let code = tonic::Code::Unavailable;
        self.refuse(tonic::Status::with_metadata(code, "this member does not lead", metadata));
    }

    /// The registration, and the open stream.
    pub(super) async fn accept(self) -> (pb::ProxyRegister, Stream) {
        let (out, outbound) = mpsc::channel(64);
        assert!(self.answer.send(Ok(outbound)).is_ok(), "the proxy waits");
        let mut stream = Stream { inbound: self.inbound, out };
        match stream.next().await {
            Some(ProxyBody::Register(register)) => (register, stream),
            other => panic!("no registration but {other:?}"),
        }
    }
}

impl Stream {
    /// What the proxy says next; `None` once it has ended the stream.
    pub(super) async fn next(&mut self) -> Option<ProxyBody> {
        let message = self.inbound.message().await.ok().flatten()?;
        message.body
    }

    /// The next acknowledgement.
    pub(super) async fn ack(&mut self) -> u64 {
        loop {
            match self.next().await.expect("the stream is open") {
                ProxyBody::Ack(ack) => return ack.epoch,
                ProxyBody::Stats(_) => {}
                other => panic!("no acknowledgement but {other:?}"),
            }
        }
    }

    pub(super) async fn say(&self, body: MemberBody) {
        let message = wire::MemberMessage { body: Some(body) };
        self.out.send(Ok(message)).await.expect("the stream is open");
    }

    pub(super) async fn welcome(&self, cluster: u64, members: &[&str]) {
        let members = members.iter().map(|&member| member.to_owned()).collect();
        let welcome = wire::Welcome { proxy_id: 1, cluster, members };
        self.say(MemberBody::Welcome(welcome)).await;
    }

    pub(super) async fn topology(&self, topology: &pb::Topology) {
        self.say(MemberBody::Topology(topology.encode_to_vec().into())).await;
    }

    pub(super) async fn change(&self, from: &pb::Topology, to: &pb::Topology) {
        self.say(MemberBody::Change(delta::diff(from, to).encode_to_vec().into())).await;
    }

    /// Ends the stream with `status`.
    pub(super) async fn end(self, status: tonic::Status) {
        let _ = self.out.send(Err(status)).await;
    }
}

/// A topology of `epoch` whose first `slots` slots are on group 1.
pub(super) fn topology(epoch: u64, slots: usize) -> pb::Topology {
    let group = pb::TopologyGroup { id: 1, master: "10.0.0.1:6379".into(), ..Default::default() };
    let on_it = pb::TopologySlot { kind: pb::SlotKind::Stable.into(), to: 1, ..Default::default() };
    let mut all = vec![pb::TopologySlot::default(); SLOT_COUNT];
    all[..slots].fill(on_it);
    pb::Topology { epoch, groups: vec![group], slots: all, ..Default::default() }
}

/// What is saved of `topology`.
pub(super) fn saved(topology: pb::Topology) -> SavedTopology {
    SavedTopology { cluster: CLUSTER, product: "codis-demo".into(), saved_unix_ms: 1, topology }
}

/// A proxy's link, with two shards that a test plays.
pub(super) struct Proxy {
    pub(super) link: Link,
    pub(super) dir: Arc<DataDir>,
    pub(super) path: TempDir,
}

impl Proxy {
    /// A proxy that looks for its group at `members`, with `topology` on its disk.
    pub(super) fn start(members: &[&str], topology: Option<SavedTopology>) -> Self {
        Self::start_with(members, topology, "")
    }

    pub(super) fn start_with(
        members: &[&str],
        topology: Option<SavedTopology>,
        product_auth: &str,
    ) -> Self {
        let path = TempDir::new().expect("a directory");
        let admin = "127.0.0.1:11080".parse().expect("an address");
        let mut facts = Facts::gather(admin, "127.0.0.1:19000", vec![0, 1], None);
        let dir = Arc::new(DataDir::open(path.path(), &facts.token).expect("it opens"));
        dir.token().clone_into(&mut facts.token);
        let config = ProxyConfig { product_auth: product_auth.into(), ..Default::default() };
        let addresses = members.iter().map(|&member| member.to_owned()).collect();
        let link = LinkConfig { addresses, tls_ca: None };
        let kept = Kept { dir: Arc::clone(&dir), topology };
        let link = Link::start(link, &config, &facts, kept).expect("it starts");
        Self { link, dir, path }
    }

    /// The topology in force, once it is of `epoch`.
    pub(super) async fn receives(&self, epoch: u64) -> Arc<Topology> {
        let mut received = self.link.shared.received.subscribe();
        let is_it = |received: &Option<Received>| {
            received.as_ref().is_some_and(|r| r.topology.epoch == epoch)
        };
        let received = received.wait_for(is_it).await.expect("the link is there");
        Arc::clone(&received.as_ref().expect("just seen").topology)
    }

    /// Both shards work by `epoch`.
    pub(super) fn settle(&self, epoch: u64) {
        self.link.settled(0, epoch);
        self.link.settled(1, epoch);
    }

    /// The status, once it is as `wanted`.
    pub(super) async fn status(&self, wanted: impl FnMut(&Status) -> bool) -> Status {
        let mut status = self.link.status();
        let status = status.wait_for(wanted).await.expect("the link is there");
        status.clone()
    }
}

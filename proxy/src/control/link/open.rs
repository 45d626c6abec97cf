//! Opening a stream: connection, registration, welcome, the first topology.

use super::failure::{Failure, with_sources};
use bytes::Bytes;
use codis_meta::auth::Token;
use codis_proto::link::v1 as wire;
use codis_proto::meta::v1 as pb;
use prost::Message;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use wire::link_client::LinkClient;
use wire::member_message::Body as MemberBody;
use wire::proxy_message::Body as ProxyBody;

/// How long a member may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How often a member is asked whether it is there while the stream is silent.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// How long it may take to answer that.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest message: a full topology of 500 groups takes a tenth of it.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Messages to the group that may wait for the network.
const OUT_MAX: usize = 4;

/// How connections to members are made.
#[derive(Debug, Clone)]
pub(super) struct Dialer {
    tls: Option<ClientTlsConfig>,
    token: Token,
}

/// An open stream.
pub(super) struct Opened {
    /// What the leader sends.
    pub(super) inbound: Streaming<wire::MemberMessage>,
    /// What it is sent.
    pub(super) out: mpsc::Sender<wire::ProxyMessage>,
    /// Its welcome.
    pub(super) welcome: wire::Welcome,
    /// The first topology.
    pub(super) topology: pb::Topology,
}

impl Dialer {
    /// With TLS where there is a CA (PEM) to check members by.
    pub(super) fn new(ca: Option<&[u8]>, token: Token) -> Self {
        let tls = ca.map(|pem| ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)));
        Self { tls, token }
    }

    async fn connect(&self, address: &str) -> Result<Channel, Failure> {
        let failed = |error: tonic::transport::Error| {
            Failure::unreachable(with_sources(&error.to_string(), &error))
        };
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{address}")).map_err(failed)?;
        let mut endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        if let Some(tls) = &self.tls {
            endpoint = endpoint.tls_config(tls.clone()).map_err(failed)?;
        }
        endpoint.connect().await.map_err(failed)
    }

    /// Registers at the member at `address`.
    pub(super) async fn open(
        &self,
        address: &str,
        registration: pb::ProxyRegister,
    ) -> Result<Opened, Failure> {
        let channel = self.connect(address).await?;
        let (out, outbound) = mpsc::channel(OUT_MAX);
        let register = message(ProxyBody::Register(registration));
        if out.try_send(register).is_err() {
            return Err(Failure::unreachable("the stream ended as it began"));
        }
        let mut client = LinkClient::with_interceptor(channel, self.token.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX);
        let failed = |status: tonic::Status| Failure::of_status(&status);
        let response = client.follow(ReceiverStream::new(outbound)).await.map_err(failed)?;
        let mut inbound = response.into_inner();
        let welcome = match next(&mut inbound).await? {
            MemberBody::Welcome(welcome) => welcome,
            _ => return Err(Failure::Nonsense("the first message is no welcome".into())),
        };
        let topology = match next(&mut inbound).await? {
            MemberBody::Topology(bytes) => decode(&bytes)?,
            _ => return Err(Failure::Nonsense("no topology follows the welcome".into())),
        };
        Ok(Opened { inbound, out, welcome, topology })
    }
}

/// A message to the group.
pub(super) fn message(body: ProxyBody) -> wire::ProxyMessage {
    wire::ProxyMessage { body: Some(body) }
}

/// The next message of the group.
pub(super) async fn next(
    inbound: &mut Streaming<wire::MemberMessage>,
) -> Result<MemberBody, Failure> {
    match inbound.message().await {
        Ok(Some(wire::MemberMessage { body: Some(body) })) => Ok(body),
        Ok(Some(_)) => Err(Failure::Nonsense("a message without content".into())),
        Ok(None) => Err(Failure::unreachable("the member ended the stream")),
        Err(status) => Err(Failure::of_status(&status)),
    }
}

/// A message within a message.
pub(super) fn decode<M: Message + Default>(bytes: &Bytes) -> Result<M, Failure> {
    M::decode(bytes.as_ref()).map_err(|error| Failure::Nonsense(error.to_string()))
}

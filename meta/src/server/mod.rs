//! Everything on a member's one port: gRPC for operators, proxies and peers, and HTTP pages.
//!
//! - [`serving`](self): what is served, from the first moment of the process, when there is no member yet, to its last.
//! - `admin`: the operator's calls. `link`: the proxies' streams. `http`: pages for people, probes and Prometheus.
//! - `door`: the members' own service, which is the transport's.
//! - `forward`: calls that only the leader can answer go there. `refused`: what a refusal is as a gRPC status.
//! - `accept`: taking connections in. `deadline`: until when a call is answered.
//! - `health`: the standard health service. [`Tls`]: the certificate of the port.
//!
//! The member itself is [`crate::node`], its peers are reached by [`crate::transport`]; nothing here decides what may
//! change. What speaks to Redis servers ([`Servers`]) is given to it.

mod accept;
mod admin;
mod deadline;
mod door;
mod forward;
mod health;
mod http;
mod link;
mod refused;
mod serving;
mod tls;

use std::convert::Infallible;
use std::time::Duration;

use codis_proto::DESCRIPTORS;
use codis_proto::admin::v1::admin_server::AdminServer;
use codis_proto::link::v1::link_server::LinkServer;
use codis_proto::member::v1::member_server::MemberServer;
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;

pub use serving::{About, Parts, Servers, Services};
pub use tls::{Tls, TlsError};

use crate::transport::reasons;

/// The longest message that is taken in.
const REQUEST_BYTES_MAX: usize = 16 << 20;

/// The longest message that a member takes from another one: the status of a large product, with all that its servers
/// and proxies say of themselves.
pub const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Streams on one connection. Each proxy has a connection of its own; a program that plays many may share one.
const CONNECTION_STREAMS_MAX: u32 = 4096;

/// A peer is asked so often whether it is there, and is gone when it has not answered for so long.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long calls under way may go on when the port is closed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The descriptions of the services cannot be read.
    #[error("the descriptions of the gRPC services cannot be read: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Serving ended.
    #[error("the port cannot be served: {}", reasons(.0))]
    Transport(#[from] tonic::transport::Error),
}

/// Serves the port until `shutdown`; then streams end, and calls under way have a moment to.
///
/// # Errors
/// The certificate cannot be used, or the transport gave up.
pub async fn serve(
    listener: TcpListener,
    services: Services,
    tls: Option<&Tls>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (routes, reporter) = routes(&services)?;
    let health = tokio::spawn(health::report(services.clone(), reporter));
    let mut server = Server::builder()
        .accept_http1(true)
        .max_concurrent_streams(CONNECTION_STREAMS_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT));
    let (closing, closed) = tokio::sync::oneshot::channel::<()>();
    let until_closed = async {
        // Dropped or used, it means the same.
        let _ = closed.await;
    };
    let incoming = accept::connections(listener);
    let router = server.add_routes(routes);
    let ended = async {
        match tls {
            None => {
                let incoming = incoming.map(Ok::<_, Infallible>);
                router.serve_with_incoming_shutdown(incoming, until_closed).await
            }
            Some(tls) => {
                let incoming = tls.accept(incoming).map(Ok::<_, Infallible>);
                router.serve_with_incoming_shutdown(incoming, until_closed).await
            }
        }
    };
    tokio::pin!(ended);
    let result = tokio::select! {
        result = &mut ended => result,
        () = shutdown => {
            services.stop();
            drop(closing);
            tokio::time::timeout(DRAIN_TIMEOUT, ended).await.unwrap_or(Ok(()))
        }
    };
    health.abort();
    Ok(result?)
}

type Reporter = tonic_health::server::HealthReporter;

/// Every service with the checks in front of it.
fn routes(services: &Services) -> Result<(Routes, Reporter), ServeError> {
    let guard = services.guard();
    let admin = AdminServer::new(admin::AdminService::new(services.clone()))
        .max_decoding_message_size(REQUEST_BYTES_MAX);
    let link = LinkServer::new(link::LinkService::new(services.clone()))
        .max_decoding_message_size(REQUEST_BYTES_MAX);
    let member = MemberServer::new(door::Door::new(services.clone()))
        .max_decoding_message_size(REQUEST_BYTES_MAX);
    let (reporter, health) = tonic_health::server::health_reporter();
    let describe = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = Routes::from(http::router(services.clone()))
        .add_service(InterceptedService::new(admin, guard.clone()))
        .add_service(InterceptedService::new(link, guard.clone()))
        .add_service(InterceptedService::new(member, guard))
        .add_service(health)
        .add_service(describe().build_v1()?)
        .add_service(describe().build_v1alpha()?);
    Ok((routes, reporter))
}

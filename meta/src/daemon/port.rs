//! The member's one port.

use std::time::Duration;

use codis_proto::member::v1::member_server::MemberServer;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::auth::Token;
use crate::transport::{MESSAGE_BYTES_MAX, MemberService, reasons};

/// A peer is asked so often whether it is there, and is gone when it has not answered for so long.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long calls under way may go on when the port is closed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A port that is served. Dropping it ends that at once.
pub(super) struct Port {
    task: JoinHandle<Result<(), tonic::transport::Error>>,
    closing: Option<oneshot::Sender<()>>,
}

impl Port {
    pub(super) fn open(listener: TcpListener, member: MemberService, token: &Token) -> Self {
        let member = MemberServer::new(member).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let (closing, closed) = oneshot::channel::<()>();
        let until_closed = async {
            // Dropped or used, it means the same.
            let _ = closed.await;
        };
        let served = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .add_service(InterceptedService::new(member, token.guard()))
            .serve_with_incoming_shutdown(
                TcpIncoming::from(listener).with_nodelay(Some(true)),
                until_closed,
            );
        Self { task: tokio::spawn(served), closing: Some(closing) }
    }

    /// Why it is not served any more. Waits as long as it is.
    pub(super) async fn ended(&mut self) -> String {
        match (&mut self.task).await {
            Ok(Err(error)) => format!("the port cannot be served any more: {}", reasons(&error)),
            _ => "the port is not served any more: see the log".to_owned(),
        }
    }

    /// Takes no more connections, and gives calls under way a moment to end.
    pub(super) async fn close(mut self) {
        self.closing = None;
        let _ = timeout(DRAIN_TIMEOUT, &mut self.task).await;
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.task.abort();
    }
}

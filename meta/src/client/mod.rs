//! A client of the metadata group, for operators' tools.
//!
//! It is given the addresses of some members, and any of them will do: what takes the leader the member passes on. A
//! call that a member could not take, or whose answer was lost, goes to the next one until its time is up, so that a
//! caller notices nothing of an election. Changes carry a request id, drawn once for all their attempts: they run once.

mod error;

use std::path::Path;
use std::time::{Duration, Instant};

use api::admin_client::AdminClient;
use codis_proto::admin::v1 as api;
use tokio::time::{sleep, timeout};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Request, Response, Status};

pub use error::{ClientError, Unreachable};

use crate::auth::Token;
use crate::transport::{Dialer, reasons};

/// The stub that calls are made on.
pub type Api = AdminClient<InterceptedService<Channel, Token>>;

/// How long to wait before members that could not take a call are asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest message that is taken: a large state, as an overview.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// A client of one group.
#[derive(Debug)]
pub struct Client {
    dialer: Dialer,
    members: Vec<String>,
    /// The member that answered last.
    current: usize,
    connected: Option<Api>,
    timeout: Duration,
    client: u64,
    requests: u64,
}

impl Client {
    /// A client of the group that `members` (`host:port` each) belong to. Calls carry `token`; with the certificate
    /// `tls_ca` (PEM) connections are encrypted and the members' certificates checked against it. `timeout` is for a
    /// whole call, all attempts together.
    ///
    /// # Errors
    /// The certificate cannot be read, or no member is named.
    pub fn new(
        members: Vec<String>,
        token: Token,
        tls_ca: Option<&Path>,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        if members.is_empty() {
            return Err(ClientError::NoMembers);
        }
        let tls = tls_ca.map(trust).transpose()?;
        Ok(Self {
            dialer: Dialer::new(token, tls),
            members,
            current: 0,
            connected: None,
            timeout,
            client: fastrand::u64(1..),
            requests: 0,
        })
    }

    /// How a change is to be made: with an id of its own, and a wait of `wait` for the proxies.
    pub fn change(&mut self, wait: Duration) -> api::Call {
        self.requests += 1;
        let id = api::RequestId { client: self.client, request: self.requests };
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        api::Call { id: Some(id), expect_epoch: 0, wait_ms }
    }

    /// Makes a call, at whichever member takes it.
    ///
    /// # Errors
    /// A member refused it for good, or none took it in time.
    pub async fn call<Q: Clone, A>(
        &mut self,
        request: Q,
        method: impl AsyncFn(&mut Api, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, ClientError> {
        self.call_for(self.timeout, request, method).await
    }

    /// As [`Client::call`], for a call that takes `patience` longer than others.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_for<Q: Clone, A>(
        &mut self,
        patience: Duration,
        request: Q,
        method: impl AsyncFn(&mut Api, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, ClientError> {
        let deadline = Instant::now() + patience;
        let mut unreachable = Unreachable::default();
        loop {
            for _ in 0..self.members.len() {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(ClientError::Unreachable(unreachable));
                }
                match self.attempt(left, request.clone(), &method).await {
                    Ok(answer) => return Ok(answer),
                    Err(status) if is_passing(&status) => {
                        unreachable.note(&self.members[self.current], said(&status));
                        self.next_member();
                    }
                    Err(status) => return Err(ClientError::Refused(Box::new(status))),
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            sleep(PAUSE.min(left)).await;
        }
    }

    async fn attempt<Q, A>(
        &mut self,
        left: Duration,
        request: Q,
        method: &impl AsyncFn(&mut Api, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, Status> {
        let late = |_| Status::unavailable("it did not answer in time");
        let stub = timeout(left, self.connection()).await.map_err(late)??;
        let mut request = Request::new(request);
        request.set_timeout(left);
        let answer = timeout(left, method(stub, request)).await.map_err(late)?;
        answer.map(Response::into_inner)
    }

    /// The connection to the current member.
    async fn connection(&mut self) -> Result<&mut Api, Status> {
        if self.connected.is_none() {
            let unreachable = |error: tonic::transport::Error| Status::unavailable(reasons(&error));
            let endpoint =
                self.dialer.endpoint(&self.members[self.current]).map_err(unreachable)?;
            let channel = endpoint.connect().await.map_err(unreachable)?;
            let stub = AdminClient::with_interceptor(channel, self.dialer.token().clone());
            self.connected = Some(stub.max_decoding_message_size(MESSAGE_BYTES_MAX));
        }
        self.connected.as_mut().ok_or_else(|| Status::unavailable("there is no connection"))
    }

    fn next_member(&mut self) {
        self.connected = None;
        self.current = (self.current + 1) % self.members.len();
    }
}

/// Trusts the authority whose certificate is in this file.
fn trust(path: &Path) -> Result<ClientTlsConfig, ClientError> {
    let pem = std::fs::read(path)
        .map_err(|error| ClientError::Certificate { path: path.to_owned(), error })?;
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}

/// Whether another member, or the same one later, may take the call. It runs once however often it is sent.
fn is_passing(status: &Status) -> bool {
    use tonic::Code::{Cancelled, DeadlineExceeded, Unavailable, Unknown};
    match status.code() {
        Unavailable | DeadlineExceeded | Cancelled => true,
        // What a lost connection is called, depending on when it was lost.
        Unknown => std::error::Error::source(status).is_some(),
        _ => false,
    }
}

/// What a status says, with what it comes from.
fn said(status: &Status) -> String {
    match std::error::Error::source(status) {
        Some(source) => format!("{}: {}", status.message(), reasons(source)),
        None => status.message().to_owned(),
    }
}

#[cfg(test)]
mod tests;

//! A client of the metadata group, for operators' tools.
//!
//! It is given the addresses of some members, and any of them will do: what takes the leader the member passes on. A
//! call that a member could not take, or whose answer was lost, goes to the next one until its time is up, so that a
//! caller notices nothing of an election. Changes carry a request id, drawn once for all their attempts: they run once.

mod error;
mod verdict;

use std::path::Path;
use std::time::{Duration, Instant};

use api::admin_client::AdminClient;
use codis_proto::admin::v1 as api;
use tokio::time::{sleep, timeout};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Request, Response, Status};

pub use error::{ClientError, Unreachable};
pub use verdict::Verdict;

use crate::auth::Token;
use crate::transport::{Dialer, reasons, with_tls_hint};

/// The stub that calls are made on.
pub type Api = AdminClient<InterceptedService<Channel, Token>>;

/// How long to wait before members that could not take a call are asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest message that is taken: a large state, as an overview.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// The time that a call has. What a member spends on working counts against its patience first, so that the timeout
/// bounds how long the group may be away and not how long its work takes.
struct Times {
    give_up: Instant,
    patience: Duration,
}

impl Times {
    fn new(timeout: Duration, patience: Duration) -> Self {
        Self { give_up: Instant::now() + timeout, patience }
    }

    /// How long an attempt that begins now may take.
    fn left_at(&self, now: Instant) -> Duration {
        self.give_up.saturating_duration_since(now) + self.patience
    }

    fn worked(&mut self, time: Duration) {
        let time = time.min(self.patience);
        self.give_up += time;
        self.patience -= time;
    }
}

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

    /// As [`Client::call`], for a call that a member may work on for `patience` beyond the timeout. The timeout still
    /// bounds how long the group may be away.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_for<Q: Clone, A>(
        &mut self,
        patience: Duration,
        request: Q,
        method: impl AsyncFn(&mut Api, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, ClientError> {
        self.run(Times::new(self.timeout, patience), request, method).await
    }

    /// Asks every member that was named, and not whichever takes the call; the answers of those that have one within
    /// `time` each.
    pub async fn call_each<Q: Clone, A>(
        &mut self,
        time: Duration,
        request: Q,
        method: impl AsyncFn(&mut Api, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Vec<A> {
        let mut answers = Vec::new();
        for _ in 0..self.members.len() {
            self.next_member();
            let mut times = Times::new(time, Duration::ZERO);
            answers.extend(self.attempt(&mut times, request.clone(), &method).await.ok());
        }
        answers
    }

    async fn run<Q: Clone, A>(
        &mut self,
        mut times: Times,
        request: Q,
        method: impl AsyncFn(&mut Api, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, ClientError> {
        let mut unreachable = Unreachable::default();
        for tried in 1.. {
            match self.attempt(&mut times, request.clone(), &method).await {
                Ok(answer) => return Ok(answer),
                Err(status) => match Verdict::of(&status) {
                    Verdict::Final => return Err(unreachable.refusal(status)),
                    verdict => {
                        let lost = verdict == Verdict::Lost;
                        unreachable.note(&self.members[self.current], said(&status), lost);
                        self.next_member();
                    }
                },
            }
            let pause = if tried % self.members.len() == 0 { PAUSE } else { Duration::ZERO };
            if Instant::now() + pause >= times.give_up {
                break;
            }
            sleep(pause).await;
        }
        Err(ClientError::Unreachable(unreachable))
    }

    async fn attempt<Q, A>(
        &mut self,
        times: &mut Times,
        request: Q,
        method: &impl AsyncFn(&mut Api, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, Status> {
        let to_connect = times.give_up.saturating_duration_since(Instant::now());
        let late = |_| Status::unavailable("it took no connection in time");
        let stub = timeout(to_connect, self.connection()).await.map_err(late)??;
        let began = Instant::now();
        let left = times.left_at(began);
        let mut request = Request::new(request);
        request.set_timeout(left);
        let late = |_| Status::deadline_exceeded("it did not answer in time");
        let answer = timeout(left, method(stub, request)).await;
        times.worked(began.elapsed());
        answer.map_err(late)?.map(Response::into_inner)
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

/// What a status says, with what it comes from.
fn said(status: &Status) -> String {
    let said = match std::error::Error::source(status) {
        Some(source) => format!("{}: {}", status.message(), reasons(source)),
        None => status.message().to_owned(),
    };
    with_tls_hint(said, "--tls-ca")
}

#[cfg(test)]
mod tests;

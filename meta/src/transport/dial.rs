//! How a connection to a member is made.

use std::error::Error;
use std::time::Duration;

use codis_proto::member::v1::member_client::MemberClient;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use super::MESSAGE_BYTES_MAX;
use crate::auth::Token;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A peer is asked so often whether it is there, also when nothing else is said...
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// ... and has so long to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// The stub by which members call each other.
pub(crate) type Client = MemberClient<InterceptedService<Channel, Token>>;

/// What every connection to a member has in common.
#[derive(Debug, Clone)]
pub struct Dialer {
    token: Token,
    tls: Option<ClientTlsConfig>,
}

impl Dialer {
    /// Calls carry `token`; with `tls` they are encrypted, and the member's certificate is checked.
    #[must_use]
    pub fn new(token: Token, tls: Option<ClientTlsConfig>) -> Self {
        Self { token, tls }
    }

    /// The token.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// The way to `address`, a `host:port`.
    ///
    /// # Errors
    /// It is no address, or the certificates cannot be used.
    pub fn endpoint(&self, address: &str) -> Result<Endpoint, tonic::transport::Error> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true);
        match &self.tls {
            Some(tls) => endpoint.tls_config(tls.clone()),
            None => Ok(endpoint),
        }
    }

    /// Connects to the member at `address`.
    ///
    /// # Errors
    /// It cannot be reached.
    pub(crate) async fn connect(&self, address: &str) -> Result<Client, tonic::transport::Error> {
        let channel = self.endpoint(address)?.connect().await?;
        Ok(MemberClient::with_interceptor(channel, self.token.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX))
    }
}

/// What a lost connection said, with a hint where the other side seems to answer in cipher; `key` is where the authority
/// that it is checked by is named.
#[must_use]
pub fn with_tls_hint(said: String, key: &str) -> String {
    // The first bytes of a TLS alert, read as a frame of HTTP/2; or it has closed before the alert could be read.
    let signs = ["frame with invalid size", "stream closed because of a broken pipe"];
    match signs.iter().any(|sign| said.contains(sign)) {
        true => {
            format!("{said}: it may speak TLS alone, name the authority of its certificate ({key})")
        }
        false => said,
    }
}

/// An error with what caused it, in one line: the outer ones alone say little.
#[must_use]
pub fn reasons(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.ends_with(&text) {
            said = format!("{said}: {text}");
        }
        cause = error.source();
    }
    said
}

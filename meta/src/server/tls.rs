//! The certificate of the port.
//!
//! The port's handshake is made here and not by tonic, whose own offers HTTP/2 alone: pages are read by programs that
//! speak HTTP/1.1 too.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tonic::transport::{Certificate, ClientTlsConfig};

/// How long a peer may take to shake hands.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Handshakes at a time.
const HANDSHAKES_MAX: usize = 256;

/// The protocols that the port speaks, in the order in which it wants them.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{key} = {:?} cannot be read: {error}", .path.display())]
    Read {
        /// The key of the configuration that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{key} = {:?} holds no {what}: give a PEM file with one", .path.display())]
    Content {
        /// The key of the configuration that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Certificate and key do not belong together, or are of a kind that is not known.
    #[error("tls_certificate and tls_key cannot be used together: {0}")]
    Pair(tokio_rustls::rustls::Error),
}

/// The port's certificate and key, and whom its clients trust.
#[derive(Clone)]
pub struct Tls {
    server: Arc<ServerConfig>,
    roots: Vec<u8>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads `tls_certificate` (the chain, its own first), `tls_key` and, where there is one, `tls_ca`: what a member
    /// verifies its peers by. Without it peers must have this very certificate.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(certificate: &Path, key: &Path, ca: Option<&Path>) -> Result<Self, TlsError> {
        let chain_pem = read("tls_certificate", certificate)?;
        let chain = certificates("tls_certificate", certificate, &chain_pem)?;
        let key_pem = read("tls_key", key)?;
        let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| TlsError::Content {
            key: "tls_key",
            path: key.to_owned(),
            what: "private key",
        })?;
        let roots = match ca {
            None => chain_pem,
            Some(path) => {
                let pem = read("tls_ca", path)?;
                certificates("tls_ca", path, &pem)?;
                pem
            }
        };
        let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Pair)?;
        server.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Self { server: Arc::new(server), roots })
    }

    /// How a client of the group verifies the member that it speaks to.
    #[must_use]
    pub fn client(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.roots))
    }

    /// The connections of `incoming` after their handshakes; those that fail are passed over.
    pub(super) fn accept(
        &self,
        incoming: impl Stream<Item = TcpStream>,
    ) -> impl Stream<Item = TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.server));
        let shake = move |socket| timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket));
        incoming.map(shake).buffer_unordered(HANDSHAKES_MAX).filter_map(|shaken| async {
            match shaken {
                Ok(Ok(stream)) => Some(stream),
                Ok(Err(error)) => {
                    tracing::debug!("a TLS handshake failed: {error}");
                    None
                }
                Err(_elapsed) => None,
            }
        })
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::Read { key, path: path.to_owned(), error })
}

fn certificates(
    key: &'static str,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Option<Vec<_>> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok();
    found.filter(|found| !found.is_empty()).ok_or_else(|| TlsError::Content {
        key,
        path: path.to_owned(),
        what: "certificate",
    })
}

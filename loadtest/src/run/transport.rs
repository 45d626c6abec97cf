//! Bytes to and from a server, plain or in cipher.

use mio::net::TcpStream;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where systems keep the certificates that they trust.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// How a connection is made secret.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    /// The name that certificates are checked against; the target's host when `None`.
    name: Option<String>,
}

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No file of trusted certificates.
    #[error(
        "no file of trusted certificates was found in the usual places: name one with --tls-ca FILE"
    )]
    NoRoots,
    /// A file that cannot be used.
    #[error("{path} holds no usable certificates: {why}")]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A name that no certificate can have.
    #[error("`{0}` is no name that a certificate can have: give one with --tls-name")]
    Name(String),
    /// Anything else.
    #[error("TLS: {0}")]
    Other(#[from] rustls::Error),
}

impl Tls {
    /// Trusts the certificates in `ca`, or those that this system trusts.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn new(ca: Option<&Path>, name: Option<String>) -> Result<Self, TlsError> {
        let system = || SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.exists());
        let path = ca.map(Path::to_owned).or_else(system).ok_or(TlsError::NoRoots)?;
        let bad = |why: String| TlsError::Roots { path: path.clone(), why };
        let mut roots = RootCertStore::empty();
        for certificate in
            CertificateDer::pem_file_iter(&path).map_err(|error| bad(error.to_string()))?
        {
            let certificate = certificate.map_err(|error| bad(error.to_string()))?;
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(bad("there is none in it".to_owned()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config), name })
    }

    fn session(&self, host: &str) -> Result<ClientConnection, TlsError> {
        let name = self.name.as_deref().unwrap_or(host);
        let name =
            ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))?;
        Ok(ClientConnection::new(Arc::clone(&self.config), name)?)
    }

    /// Checks that there can be a session with `host`.
    ///
    /// # Errors
    /// When its name is none.
    pub fn check(&self, host: &str) -> Result<(), TlsError> {
        self.session(host).map(drop)
    }
}

/// A socket that does not block.
#[derive(Debug)]
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(TcpStream, Box<ClientConnection>),
}

impl Transport {
    pub(crate) fn new(socket: TcpStream, tls: Option<&Tls>, host: &str) -> io::Result<Self> {
        Ok(match tls {
            None => Self::Plain(socket),
            Some(tls) => Self::Tls(socket, Box::new(tls.session(host).map_err(io::Error::other)?)),
        })
    }

    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) | Self::Tls(socket, _) => socket,
        }
    }

    /// Whether there is nothing more to agree on with the server.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Tls(_, session) => !session.is_handshaking(),
        }
    }

    /// Whether a read that filled less than it could has read all there is.
    pub(crate) fn short_read_is_last(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Reads what has come.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(socket, session) => rustls::Stream::new(&mut **session, socket).read(buffer),
        }
    }

    /// Writes some of `bytes`.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(socket, session) => rustls::Stream::new(&mut **session, socket).write(bytes),
        }
    }

    /// Goes on with what the cipher has yet to write.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(socket, session) => {
                while session.wants_write() {
                    match session.write_tls(socket) {
                        Ok(_) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            }
        }
    }
}

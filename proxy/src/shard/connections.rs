//! Which socket belongs to which session or backend, and how sockets are set up.

use crate::clients::ClientInfo;
use crate::engine::{Engine, Segment};
use crate::uring::{Ring, Token};
use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// No socket.
const NONE: Token = Token::MAX;

/// Whose a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Session,
    Backend,
}

/// A socket's user number in the ring, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User {
    pub(super) kind: Kind,
    pub(super) index: u32,
}

impl From<u64> for User {
    #[inline]
    fn from(number: u64) -> Self {
        let kind = if number >> 32 == 0 { Kind::Session } else { Kind::Backend };
        Self { kind, index: number as u32 }
    }
}

impl From<User> for u64 {
    #[inline]
    fn from(user: User) -> Self {
        let kind = match user.kind {
            Kind::Session => 0,
            Kind::Backend => 1 << 32,
        };
        kind | Self::from(user.index)
    }
}

#[derive(Debug, Default)]
struct BackendSocket {
    token: Option<Token>,
    /// Why it is being closed, for the engine.
    reason: String,
}

/// The sockets of a shard's sessions and backends, by their index in the engine.
#[derive(Debug, Default)]
pub(super) struct Connections {
    sessions: Vec<Token>,
    backends: Vec<BackendSocket>,
    /// Backends whose host name is being resolved, by ticket: an answer to an older question must not
    /// connect a backend that has taken over the index.
    resolving: Vec<(u32, u32)>,
    next_ticket: u32,
    load: Option<(Arc<[AtomicUsize]>, usize)>,
}

impl Connections {
    /// The socket of a session that is open.
    #[inline]
    pub(super) fn session(&self, session: u32) -> Token {
        self.sessions[session as usize]
    }

    #[inline]
    pub(super) fn backend(&self, backend: u32) -> Option<Token> {
        self.backends.get(backend as usize)?.token
    }

    pub(super) fn set_session(
        &mut self,
        session: u32,
        token: Token,
        loads: Arc<[AtomicUsize]>,
        shard: usize,
    ) {
        let place = session as usize;
        if self.sessions.len() <= place {
            self.sessions.resize(place + 1, NONE);
        }
        self.sessions[place] = token;
        self.load = Some((loads, shard));
    }

    pub(super) fn set_backend(&mut self, backend: u32, token: Token) {
        let place = backend as usize;
        if self.backends.len() <= place {
            self.backends.resize_with(place + 1, BackendSocket::default);
        }
        self.backends[place] = BackendSocket { token: Some(token), reason: String::new() };
    }

    /// Remembers that a backend waits for its host name; answers the ticket.
    pub(super) fn resolving(&mut self, backend: u32) -> u32 {
        let ticket = self.next_ticket;
        self.next_ticket = self.next_ticket.wrapping_add(1);
        self.resolving.push((ticket, backend));
        ticket
    }

    /// The backend that a ticket belongs to, if it still waits.
    pub(super) fn resolved(&mut self, ticket: u32) -> Option<u32> {
        let place = self.resolving.iter().position(|(known, _)| *known == ticket)?;
        Some(self.resolving.swap_remove(place).1)
    }

    pub(super) fn forget_resolving(&mut self, backend: u32) {
        self.resolving.retain(|(_, waiting)| *waiting != backend);
    }

    /// Bytes were sent.
    #[inline]
    pub(super) fn sent(
        &mut self,
        engine: &mut Engine,
        user: User,
        bytes: usize,
        done: Option<Segment>,
    ) {
        match user.kind {
            Kind::Session => {
                engine.on_client_sent(user.index, bytes);
                if let Some(segment) = done {
                    engine.recycle(segment);
                }
            }
            Kind::Backend => {
                engine.on_backend_sent(user.index, bytes);
                if let Some(segment) = done {
                    engine.recycle_backend(user.index, segment);
                }
            }
        }
    }

    /// A socket cannot be used any more.
    pub(super) fn fail(
        &mut self,
        engine: &mut Engine,
        ring: &mut Ring<Segment>,
        user: User,
        reason: String,
    ) {
        match user.kind {
            Kind::Session => {
                // The engine must know now: an effect for this session that it made after the ring
                // has let the socket go would name nobody, or somebody else.
                engine.on_client_lost(user.index);
                ring.close(self.sessions[user.index as usize]);
            }
            Kind::Backend => {
                let backend = &mut self.backends[user.index as usize];
                if let Some(token) = backend.token {
                    backend.reason = reason;
                    ring.close(token);
                }
            }
        }
    }

    /// A socket is closed: its owner's index may be used again.
    pub(super) fn closed(&mut self, engine: &mut Engine, user: User) {
        match user.kind {
            Kind::Session => {
                self.sessions[user.index as usize] = NONE;
                if let Some((loads, shard)) = &self.load {
                    loads[*shard].fetch_sub(1, Ordering::Relaxed);
                }
                engine.on_client_closed(user.index);
            }
            Kind::Backend => {
                let backend = std::mem::take(&mut self.backends[user.index as usize]);
                engine.on_backend_closed(user.index, &backend.reason);
            }
        }
    }
}

/// A server's address, unless it is a host name.
pub(super) fn parse(address: &str) -> Option<SockAddr> {
    if address.starts_with('/') {
        return SockAddr::unix(Path::new(address)).ok();
    }
    address.parse::<SocketAddr>().ok().map(SockAddr::from)
}

/// A socket to connect to a server.
///
/// # Errors
/// There is no descriptor left.
pub(super) fn socket(address: &SockAddr, keepalive: Option<Duration>) -> io::Result<OwnedFd> {
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    if address.domain() != Domain::UNIX {
        tune(SockRef::from(&socket), keepalive);
    }
    Ok(socket.into())
}

/// Sets up an accepted socket; answers the client's address.
pub(super) fn prepare_client(socket: &OwnedFd, keepalive: Option<Duration>) -> Option<SocketAddr> {
    let socket = SockRef::from(socket);
    let peer = socket.peer_addr().ok().and_then(|peer| peer.as_socket())?;
    tune(socket, keepalive);
    Some(peer)
}

/// No delay, and keepalive as configured. A connection without them still works.
fn tune(socket: SockRef<'_>, keepalive: Option<Duration>) {
    let mut result = socket.set_tcp_nodelay(true);
    if let Some(period) = keepalive {
        let keepalive = TcpKeepalive::new().with_time(period).with_interval(period);
        result = result.and_then(|()| socket.set_tcp_keepalive(&keepalive));
    }
    if let Err(error) = result {
        tracing::debug!(%error, "a socket's options could not be set");
    }
}

/// Adds to `client` what its socket knows.
pub(super) fn describe(socket: &OwnedFd, client: &mut ClientInfo) {
    client.fd = socket.as_raw_fd();
    let ends = SockRef::from(socket);
    client.laddr = ends.local_addr().ok().and_then(|address| address.as_socket());
}

/// An error as it is shown to clients and in the log: without the number.
pub(super) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_ascii_lowercase(),
        None => text,
    }
}

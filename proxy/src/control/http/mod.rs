//! The admin pages: a small HTTP/1.1 server at `admin_addr`.
//!
//! [`pages`] has Codis's JSON pages and calls, [`health`] the check for load balancers, [`metrics`] the
//! page for Prometheus, written by [`exposition`]. Pages only read; calls that change something carry
//! an `xauth` that only those who know the product's password can make.
//!
//! Nobody can hold the server up: each connection has a task, heads and bodies of requests are bounded
//! in time and size, and when too many connections are open the oldest one is closed.

mod exposition;
mod health;
mod metrics;
pub(super) mod pages;
#[cfg(test)]
mod tests;

use super::state::State;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, put};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tracing::warn;

/// The most connections at a time. At one more, the oldest is closed: a monitor that is cut off comes
/// back, while one that holds connections open for nothing must not keep others out.
const CONNECTIONS_MAX: usize = 256;

/// How long a client may take to send the head of a request, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take to send the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest body: every slot with several replicas of long names fits many times over.
const BODY_BYTES_MAX: usize = 2 << 20;

/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// How long bytes that were sent may stay unacknowledged before the connection is given up: a client
/// that does not read its page.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long requests that are being answered may take when the proxy ends.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

/// How long to wait when no connection can be accepted, which happens when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The pages that there are, for those who ask for another.
const PAGES: [&str; 18] = [
    "GET /healthz",
    "GET /metrics",
    "GET /proxy",
    "GET /proxy/model",
    "GET /proxy/stats",
    "GET /proxy/slots",
    "GET /api/proxy/model",
    "GET /api/proxy/xping/{xauth}",
    "GET /api/proxy/stats/{xauth}",
    "GET /api/proxy/stats/{xauth}/{flags}",
    "GET /api/proxy/slots/{xauth}",
    "PUT /api/proxy/start/{xauth}",
    "PUT /api/proxy/stats/reset/{xauth}",
    "PUT /api/proxy/shutdown/{xauth}",
    "PUT /api/proxy/loglevel/{xauth}/{level}",
    "PUT /api/proxy/fillslots/{xauth}",
    "HEAD as GET",
    "GET / leads to /proxy",
];

/// The routes, with the methods that Codis gave them.
fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/proxy") }))
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(metrics::metrics))
        .route("/proxy", get(pages::overview))
        .route("/proxy/model", get(pages::model))
        .route("/proxy/stats", get(pages::stats))
        .route("/proxy/slots", get(pages::slots))
        .route("/api/proxy/model", get(pages::model))
        .route("/api/proxy/xping/{xauth}", get(pages::xping))
        .route("/api/proxy/stats/{xauth}", get(pages::stats_with_xauth))
        .route("/api/proxy/stats/{xauth}/{flags}", get(pages::stats_with_flags))
        .route("/api/proxy/slots/{xauth}", get(pages::slots_with_xauth))
        .route("/api/proxy/start/{xauth}", put(pages::start))
        .route("/api/proxy/stats/reset/{xauth}", put(pages::reset_stats))
        .route("/api/proxy/shutdown/{xauth}", put(pages::shutdown))
        .route("/api/proxy/loglevel/{xauth}/{level}", put(pages::log_level))
        .route("/api/proxy/fillslots/{xauth}", put(pages::fill_slots))
        .fallback(async || hint(StatusCode::NOT_FOUND, "there is no such page"))
        .method_not_allowed_fallback(async || {
            hint(StatusCode::METHOD_NOT_ALLOWED, "the page has another method")
        })
        .with_state(state)
}

/// An error that lists the pages there are.
fn hint(status: StatusCode, error: &str) -> Response {
    json(status, &serde_json::json!({ "error": error, "pages": PAGES }))
}

/// A JSON page, laid out for people.
fn json(status: StatusCode, page: &impl Serialize) -> Response {
    match serde_json::to_vec_pretty(page) {
        Ok(mut body) => {
            body.push(b'\n');
            let kind = [("content-type", "application/json; charset=utf-8")];
            (status, kind, body).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The running server.
pub(super) struct Server {
    accepting: JoinHandle<()>,
    finishing: watch::Sender<bool>,
}

impl Server {
    /// Serves the pages on `listener`.
    pub(super) fn start(listener: TcpListener, state: Arc<State>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (finishing, finish) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, router(state), finish));
        Ok(Self { accepting, finishing })
    }

    /// Accepts no more, and waits a moment for the requests that are being answered.
    pub(super) async fn finish(self) {
        self.finishing.send_replace(true);
        // Whatever is left is cut when the runtime ends.
        let _ = tokio::time::timeout(FINISH_TIMEOUT, self.accepting).await;
    }
}

/// Accepts connections until `finish` says so, then lets the open ones finish.
async fn accept(
    listener: tokio::net::TcpListener,
    router: Router,
    mut finish: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = finish.wait_for(|finish| *finish) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                make_room(&mut open);
                open.push_back(serve(stream, router.clone(), &graceful));
            }
            Err(error) => {
                warn!("cannot accept a connection to the admin pages: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Closes the oldest connections if there are too many, counting one to come.
fn make_room(open: &mut VecDeque<AbortHandle>) {
    if open.len() >= CONNECTIONS_MAX {
        open.retain(|connection| !connection.is_finished());
    }
    while open.len() >= CONNECTIONS_MAX
        && let Some(oldest) = open.pop_front()
    {
        oldest.abort();
    }
}

/// Serves one connection in a task of its own.
fn serve(stream: TcpStream, router: Router, graceful: &GracefulShutdown) -> AbortHandle {
    // Failing to set an option costs the option only.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(UNREAD_TIMEOUT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let connection = graceful.watch(connection);
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("a connection to the admin pages failed: {error}");
        }
    });
    task.abort_handle()
}

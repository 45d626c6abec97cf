//! The pages: for probes, for Prometheus, and Codis's JSON of the whole product.
//!
//! They are open, as Codis's were, and only read. `topom` has Codis's routes and `shapes` and `mapped` what they answer, `metrics` the page for Prometheus,
//! written by `exposition`; `counters` is what is counted for it, `process` what the kernel says of this process.

mod counters;
mod exposition;
mod mapped;
mod metrics;
mod move_metrics;
mod process;
mod shapes;
mod topom;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::health;
use super::serving::Services;

pub(super) use counters::Counters;

/// The pages there are, for those who look for one.
const PAGES: &str = "\
/healthz             whether this member takes part and knows a leader
/metrics             for Prometheus
/topom               the whole product, in Codis's shape; also /topom/model, /topom/stats, /topom/slots
/api/topom/model     the same for Codis's tools; also /api/topom/xping/{xauth}, stats/{xauth}, slots/{xauth}
gRPC                 codis.admin.v1.Admin, codis.link.v1.Link, grpc.health.v1.Health, server reflection
";

/// The routes, with the methods that Codis gave them.
pub(super) fn router(services: Services) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics::page))
        .merge(topom::routes())
        .fallback(no_such_page)
        .with_state(services)
}

async fn index() -> String {
    format!("codis-meta {}\n\n{PAGES}", env!("CARGO_PKG_VERSION"))
}

/// `GET /healthz`: 200, or 503 with the reason.
async fn healthz(State(services): State<Services>) -> (StatusCode, String) {
    match health::complaint(&services) {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

/// What is asked for and not there: in gRPC's own words where it was a call.
async fn no_such_page(request: Request) -> Response {
    let kind = request.headers().get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        let message = format!("there is no method {}", request.uri().path());
        let (head, ()) = tonic::Status::unimplemented(message).into_http::<()>().into_parts();
        return (head, ()).into_response();
    }
    (StatusCode::NOT_FOUND, format!("there is no such page. There are:\n\n{PAGES}")).into_response()
}

//! Codis's JSON of the whole product, with its keys in its order.
//!
//! Tools and dashboards that people have were written against these shapes. What they say comes from the leader: a
//! member that does not lead asks it. Keys that had a meaning only in Codis's own way of doing things are there
//! with the value that says so.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tonic::Status;

use super::mapped::MappedSlot;
use super::shapes::{Config, Model, Overview, Stats};
use crate::server::serving::{Services, Serving};
use crate::server::{admin, forward};

/// Codis's status for an error, which its clients look for.
const STATUS_ERROR: u16 = 800;

pub(super) fn routes() -> Router<Services> {
    Router::new()
        .route("/topom", get(overview))
        .route("/topom/model", get(model))
        .route("/topom/stats", get(stats))
        .route("/topom/slots", get(slots))
        .route("/api/topom/model", get(model))
        .route("/api/topom/xping/{xauth}", get(xping))
        .route("/api/topom/stats/{xauth}", get(stats_with_xauth))
        .route("/api/topom/slots/{xauth}", get(slots_with_xauth))
}

type Shared = State<Services>;

async fn overview(State(services): Shared) -> Response {
    answer(async {
        let serving = services.begun()?;
        let status = status(&serving).await?;
        let settings = own_settings(&serving).await?;
        let model = Model::of(&serving.about, serving.node.id(), status.cluster);
        let config = Config::of(&serving.about, &settings);
        Ok(Overview::new(config, model, Stats::of(&status, &settings)))
    })
    .await
}

async fn model(State(services): Shared) -> Response {
    answer(async {
        let serving = services.begun()?;
        let cluster = serving.node.peek(|state| state.data().cluster).await?;
        Ok(Model::of(&serving.about, serving.node.id(), cluster))
    })
    .await
}

async fn stats(State(services): Shared) -> Response {
    answer(stats_of(&services)).await
}

async fn slots(State(services): Shared) -> Response {
    answer(slots_of(&services)).await
}

async fn xping(State(services): Shared, Path(xauth): Path<String>) -> Response {
    answer(async {
        verify(&services, &xauth)?;
        Ok("OK")
    })
    .await
}

async fn stats_with_xauth(State(services): Shared, Path(xauth): Path<String>) -> Response {
    answer(async {
        verify(&services, &xauth)?;
        stats_of(&services).await
    })
    .await
}

async fn slots_with_xauth(State(services): Shared, Path(xauth): Path<String>) -> Response {
    answer(async {
        verify(&services, &xauth)?;
        slots_of(&services).await
    })
    .await
}

async fn stats_of(services: &Services) -> Result<Stats, Status> {
    let serving = services.begun()?;
    Ok(Stats::of(&status(&serving).await?, &own_settings(&serving).await?))
}

/// Codis's list of slots as proxies were filled with it.
async fn slots_of(services: &Services) -> Result<Vec<MappedSlot>, Status> {
    let serving = services.begun()?;
    let topology = serving.node.read(|state| state.topology().clone()).await?;
    Ok(MappedSlot::all(&topology))
}

/// The leader's status.
async fn status(serving: &Serving) -> Result<api::Status, Status> {
    let request = tonic::Request::new(api::GetStatusRequest {});
    match forward::route(serving, request)? {
        forward::Route::Here(request) => admin::status::get(serving, request).await,
        forward::Route::Leader(mut leader, request) => {
            let answer = leader.get_status(request).await.map_err(forward::failed)?;
            Ok(answer.into_inner())
        }
    }
}

/// The settings, as a state that holds nothing else.
async fn own_settings(serving: &Serving) -> Result<pb::State, Status> {
    let look = |state: &crate::state::State| pb::State {
        settings: state.data().settings.clone(),
        ..pb::State::default()
    };
    Ok(serving.node.peek(look).await?)
}

/// A page as JSON laid out for people, or Codis's error.
async fn answer<T: Serialize>(page: impl Future<Output = Result<T, Status>>) -> Response {
    match page.await {
        Ok(page) => json(StatusCode::OK, &page),
        Err(status) => {
            let code = StatusCode::from_u16(STATUS_ERROR).unwrap_or(StatusCode::BAD_GATEWAY);
            let error = serde_json::json!({ "Cause": status.message(), "Stack": null });
            json(code, &error)
        }
    }
}

fn json(status: StatusCode, page: &impl Serialize) -> Response {
    match serde_json::to_string_pretty(page) {
        Ok(text) => {
            (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], text + "\n")
                .into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Whether `given` is what only those can know who know the product's name.
fn verify(services: &Services, given: &str) -> Result<(), Status> {
    let product = &services.begun()?.about.product;
    if xauth(product).as_bytes().ct_eq(given.as_bytes()).into() {
        return Ok(());
    }
    Err(Status::permission_denied("invalid xauth, please check product name"))
}

/// Codis's proof that a caller means this product.
fn xauth(product: &str) -> String {
    let hash = Sha256::digest(format!("Codis-XAuth-[{product}]"));
    hash[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_xauth_is_the_first_half_of_a_hash_over_the_products_name() {
        // printf 'Codis-XAuth-[codis-demo]' | sha256sum | cut -c1-32
        assert_eq!(xauth("codis-demo"), "95b62887719520f17e312eaa76d28f2b");
    }
}

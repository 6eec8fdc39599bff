//! `/healthz`: this process is up. `/readyz`: the store behind it is ready too.

use std::time::Duration;

use axum::{Router, extract::State, http::StatusCode};
use mayfly_contracts::StoreChannel;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    methods::Only,
    problem::{Body, Problem},
};

/// How long the store may take to answer.
const LIMIT: Duration = Duration::from_secs(3);

pub(crate) fn routes(store: StoreChannel) -> Router {
    Router::new().route("/healthz", Only::Look.route(alive)).route("/readyz", Only::Look.route(ready)).with_state(store)
}

/// This process is up
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "It is.", body = str, example = json!("ok\n"))))]
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// The store behind this process is ready too
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses(
        (status = 200, description = "It is.", body = str, example = json!("ready\n")),
        (
            status = 503,
            description = "It is not, or cannot be reached.",
            body = Body<'static>,
            content_type = "application/problem+json",
            example = json!({ "type": "about:blank", "title": "Service Unavailable", "status": 503, "detail": "the store is not ready" })
        )
    )
)]
pub(crate) async fn ready(State(store): State<StoreChannel>) -> Result<&'static str, Problem> {
    let request = HealthCheckRequest { service: String::new() };
    let asked = tokio::time::timeout(LIMIT, async { HealthClient::new(store).check(request).await }).await;
    match asked {
        Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::Serving => Ok("ready\n"),
        _ => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the store is not ready")),
    }
}

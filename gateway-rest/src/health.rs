//! `/healthz`: this process is alive. `/readyz`: the store behind it is ready too.

use std::time::Duration;

use axum::{Router, extract::State, http::StatusCode};
use mayfly_contracts::StoreChannel;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    allowed_method::AllowedMethod,
    problem::{Problem, ProblemDetails},
};

/// How long the store may take to respond.
const TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) fn routes(store: StoreChannel) -> Router {
    Router::new()
        .route("/healthz", AllowedMethod::GetOrHead.route(alive))
        .route("/readyz", AllowedMethod::GetOrHead.route(ready))
        .with_state(store)
}

/// This process is alive
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "health",
    responses((status = 200, description = "The process is alive.", body = str, example = json!("ok\n")))
)]
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// The store behind this process is ready too
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses(
        (status = 200, description = "The store is ready.", body = str, example = json!("ready\n")),
        (
            status = 503,
            description = "The store is not ready, or cannot be reached.",
            body = ProblemDetails<'static>,
            example = json!({
                "type": "about:blank",
                "title": "Service Unavailable",
                "status": 503,
                "detail": "the store is not ready"
            })
        )
    )
)]
pub(crate) async fn ready(State(store): State<StoreChannel>) -> Result<&'static str, Problem> {
    if is_store_ready(store).await {
        Ok("ready\n")
    } else {
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the store is not ready"))
    }
}

/// Returns `true` if the store responds in time and is ready.
pub(crate) async fn is_store_ready(store: StoreChannel) -> bool {
    let request = HealthCheckRequest { service: String::new() };
    let checked = tokio::time::timeout(TIMEOUT, async { HealthClient::new(store).check(request).await }).await;
    matches!(checked, Ok(Ok(response)) if response.get_ref().status() == ServingStatus::Serving)
}

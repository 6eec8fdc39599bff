//! `/healthz`: this process is up. `/readyz`: the store behind it is ready too.

use std::time::Duration;

use axum::{Router, extract::State, http::StatusCode};
use mayfly_contracts::StoreChannel;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{methods::Only, problem::Problem};

/// How long the store may take to answer.
const LIMIT: Duration = Duration::from_secs(3);

pub(crate) fn routes(store: StoreChannel) -> Router {
    Router::new()
        .route("/healthz", Only::Get.route(|| async { "ok\n" }))
        .route("/readyz", Only::Get.route(ready))
        .with_state(store)
}

async fn ready(State(store): State<StoreChannel>) -> Result<&'static str, Problem> {
    let request = HealthCheckRequest { service: String::new() };
    let asked = tokio::time::timeout(LIMIT, async { HealthClient::new(store).check(request).await }).await;
    match asked {
        Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::Serving => Ok("ready\n"),
        _ => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the store is not ready")),
    }
}

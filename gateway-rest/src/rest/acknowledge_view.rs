//! `POST /api/v1/acknowledge_view`: confirms that a text has arrived, and erases it.

use axum::{
    Json,
    extract::{Request, State},
};
use mayfly_contracts::message::AcknowledgeViewRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    idempotency_key::{self, RequiredIdempotencyKey},
    message_ref::{self, MessageRef},
    responses::{Gone, Unavailable, ValidationErrors},
    store_client::StoreClient,
    time,
};
use crate::{caller::with_caller, problem::Problem};

/// The text is erased.
#[derive(Serialize, ToSchema)]
pub(super) struct AcknowledgedView {
    /// When it was viewed.
    #[schema(format = DateTime, example = "2026-11-23T20:05:40.100000Z")]
    viewed_at: Option<String>,
}

/// Confirms that a text has arrived
///
/// Ends a view with an `Idempotency-Key`, and erases its text. The call can be repeated.
#[utoipa::path(
    post,
    path = "/api/v1/acknowledge_view",
    tag = "messages",
    params(RequiredIdempotencyKey),
    request_body = MessageRef,
    responses((status = 200, description = "The text is erased.", body = AcknowledgedView), ValidationErrors, Gone, Unavailable)
)]
pub(super) async fn acknowledge_view(
    State(store): State<StoreClient>,
    request: Request,
) -> Result<Json<AcknowledgedView>, Problem> {
    let view_id = idempotency_key::require(request.headers())?;
    let headers = request.headers().clone();
    let (id, access_token) = message_ref::read(request).await?;
    let request = AcknowledgeViewRequest { id, access_token, view_id };
    let acknowledged = store.messages().acknowledge_view(with_caller(&headers, request)).await?.into_inner();
    Ok(Json(AcknowledgedView { viewed_at: time::rfc3339(acknowledged.view_time) }))
}

//! `POST /api/v1/acknowledge_view`: confirms that a text has arrived, and erases it.

use axum::{Json, extract::State, http::HeaderMap};
use mayfly_contracts::message::AcknowledgeViewRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    idempotency_key::RequiredIdempotencyKey,
    message_ref::MessageRef,
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
    responses(
        (status = 200, description = "The text is erased.", body = AcknowledgedView),
        ValidationErrors,
        Gone,
        Unavailable
    )
)]
pub(super) async fn acknowledge_view(
    State(store): State<StoreClient>,
    headers: HeaderMap,
    RequiredIdempotencyKey { key: view_id }: RequiredIdempotencyKey,
    MessageRef { id, access_token }: MessageRef,
) -> Result<Json<AcknowledgedView>, Problem> {
    let request = with_caller(&headers, AcknowledgeViewRequest { id, access_token, view_id });
    let acknowledged = store.messages().acknowledge_view(request).await?.into_inner();
    Ok(Json(AcknowledgedView { viewed_at: time::rfc3339(acknowledged.view_time) }))
}

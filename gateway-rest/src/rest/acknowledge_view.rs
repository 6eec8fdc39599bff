//! `POST /api/v1/acknowledge_view`: says that the text of a view with an `Idempotency-Key` has arrived, which erases it.

use axum::{
    Json,
    extract::{Request, State},
};
use mayfly_contracts::message::AcknowledgeViewRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Gateway,
    answers::{BadFields, NoMessage, Troubles},
    idempotency_key::{self, RequiredIdempotencyKey},
    opener::{self, Opener},
    time, with_caller,
};
use crate::problem::Problem;

/// It is erased.
#[derive(Serialize, ToSchema)]
pub(super) struct AcknowledgedView {
    /// When it was viewed.
    #[schema(format = DateTime, example = "2026-11-23T20:05:40.100000Z")]
    viewed_at: Option<String>,
}

/// Says that a text has arrived
///
/// Ends a view with an `Idempotency-Key`, whose text is then erased. Repeating it is a success.
#[utoipa::path(
    post,
    path = "/api/v1/acknowledge_view",
    tag = "messages",
    params(RequiredIdempotencyKey),
    request_body = Opener,
    responses((status = 200, description = "The text is erased.", body = AcknowledgedView), BadFields, NoMessage, Troubles)
)]
pub(super) async fn acknowledge_view(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Json<AcknowledgedView>, Problem> {
    let view_id = idempotency_key::require(request.headers())?;
    let headers = request.headers().clone();
    let (id, access_token) = opener::read(request).await?;
    let request = AcknowledgeViewRequest { id, access_token, view_id };
    let acknowledged = gateway.messages().acknowledge_view(with_caller(&headers, request)).await?.into_inner();
    Ok(Json(AcknowledgedView { viewed_at: time::rfc3339(acknowledged.view_time) }))
}

//! `POST /api/v1/acknowledge_view`: says that the text of a view with an `Idempotency-Key` has arrived, which erases it.

use axum::{
    Json,
    extract::{Request, State},
};
use mayfly_contracts::message::AcknowledgeViewRequest;
use serde::Serialize;

use super::{Gateway, idempotency_key, opener, time};
use crate::problem::Problem;

#[derive(Serialize)]
pub(super) struct AcknowledgedView {
    viewed_at: Option<String>,
}

pub(super) async fn acknowledge_view(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Json<AcknowledgedView>, Problem> {
    let view_id = idempotency_key::require(request.headers())?;
    let (id, access_token) = opener::read(&gateway, request).await?;
    let request = AcknowledgeViewRequest { id, access_token, view_id };
    let acknowledged = gateway.messages().acknowledge_view(request).await?.into_inner();
    Ok(Json(AcknowledgedView { viewed_at: time::rfc3339(acknowledged.view_time) }))
}

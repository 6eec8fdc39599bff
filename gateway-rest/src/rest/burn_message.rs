//! `POST /api/v1/burn_message`: erases a message unread.

use axum::{
    Json,
    extract::{Request, State},
};
use mayfly_contracts::message::BurnMessageRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Gateway,
    answers::{BadFields, NoMessage, Troubles},
    opener::{self, Opener},
    time, with_caller,
};
use crate::problem::Problem;

/// It is erased.
#[derive(Serialize, ToSchema)]
pub(super) struct BurnedMessage {
    /// When it was burned.
    #[schema(format = DateTime, example = "2026-11-23T20:05:40.100000Z")]
    burned_at: Option<String>,
}

/// Erases a message unread
///
/// Repeating it is a success.
#[utoipa::path(
    post,
    path = "/api/v1/burn_message",
    tag = "messages",
    request_body = Opener,
    responses((status = 200, description = "It is erased.", body = BurnedMessage), BadFields, NoMessage, Troubles)
)]
pub(super) async fn burn_message(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Json<BurnedMessage>, Problem> {
    let headers = request.headers().clone();
    let (id, access_token) = opener::read(request).await?;
    let request = with_caller(&headers, BurnMessageRequest { id, access_token });
    let burned = gateway.messages().burn_message(request).await?.into_inner();
    Ok(Json(BurnedMessage { burned_at: time::rfc3339(burned.burn_time) }))
}

//! `POST /api/v1/burn_message`: erases a message unread.

use axum::{Json, extract::State, http::HeaderMap};
use mayfly_contracts::message::BurnMessageRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    message_ref::MessageRef,
    responses::{Gone, Unavailable, ValidationErrors},
    store_client::StoreClient,
    time,
};
use crate::{caller::with_caller, problem::Problem};

/// The message is erased.
#[derive(Serialize, ToSchema)]
pub(super) struct BurnedMessage {
    /// When it was burned.
    #[schema(format = DateTime, example = "2026-11-23T20:05:40.100000Z")]
    burned_at: Option<String>,
}

/// Erases a message unread
///
/// The call can be repeated.
#[utoipa::path(
    post,
    path = "/api/v1/burn_message",
    tag = "messages",
    request_body = MessageRef,
    responses(
        (status = 200, description = "The message is erased.", body = BurnedMessage),
        ValidationErrors,
        Gone,
        Unavailable
    )
)]
pub(super) async fn burn_message(
    State(store): State<StoreClient>,
    headers: HeaderMap,
    MessageRef { id, access_token }: MessageRef,
) -> Result<Json<BurnedMessage>, Problem> {
    let request = with_caller(&headers, BurnMessageRequest { id, access_token });
    let burned = store.messages().burn_message(request).await?.into_inner();
    Ok(Json(BurnedMessage { burned_at: time::rfc3339(burned.burn_time) }))
}

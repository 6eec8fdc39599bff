//! `POST /api/v1/lookup_message`: returns the state of a message. Changes nothing.

use axum::{Json, extract::State, http::HeaderMap};
use mayfly_contracts::message::{LookupMessageRequest, MessageState};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    message_ref::MessageRef,
    responses::{Gone, Unavailable, ValidationErrors},
    store_client::StoreClient,
    time,
};
use crate::{caller::with_caller, problem::Problem};

/// The state of a message.
#[derive(Serialize, ToSchema)]
pub(super) struct MessageLookup {
    /// `unread`, `viewed`, `burned` or `expired`.
    #[schema(example = "unread")]
    state: &'static str,
    /// When the message entered this state.
    #[schema(format = DateTime, example = "2026-11-23T20:01:12.218417Z")]
    state_time: Option<String>,
    /// When it expires. Null: never, or it is gone.
    #[schema(format = DateTime, example = "2026-12-23T20:01:12.218417Z")]
    expires_at: Option<String>,
    /// Whether the reader needs a passphrase.
    needs_passphrase: bool,
    /// Whether the creator encrypted it in a browser. It opens only there.
    is_sealed: bool,
}

/// Returns the state of a message
///
/// Changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/lookup_message",
    tag = "messages",
    request_body = MessageRef,
    responses(
        (status = 200, description = "The token is right.", body = MessageLookup),
        ValidationErrors,
        Gone,
        Unavailable
    )
)]
pub(super) async fn lookup_message(
    State(store): State<StoreClient>,
    headers: HeaderMap,
    MessageRef { id, access_token }: MessageRef,
) -> Result<Json<MessageLookup>, Problem> {
    let request = with_caller(&headers, LookupMessageRequest { id, access_token });
    let found = store.messages().lookup_message(request).await?.into_inner();
    let state = match found.state() {
        MessageState::Unspecified => "unknown",
        MessageState::Unread => "unread",
        MessageState::Viewed => "viewed",
        MessageState::Burned => "burned",
        MessageState::Expired => "expired",
    };
    Ok(Json(MessageLookup {
        state,
        state_time: time::rfc3339(found.state_time),
        expires_at: time::rfc3339(found.expire_time),
        needs_passphrase: found.needs_passphrase,
        is_sealed: found.is_sealed,
    }))
}

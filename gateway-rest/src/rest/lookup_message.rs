//! `POST /api/v1/lookup_message`: tells where a message stands. Changes nothing.

use axum::{
    Json,
    extract::{Request, State},
};
use mayfly_contracts::message::{LookupMessageRequest, MessageState};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Gateway,
    answers::{BadFields, NoMessage, Troubles},
    opener::{self, Opener},
    time, with_caller,
};
use crate::problem::Problem;

/// Where a message stands.
#[derive(Serialize, ToSchema)]
pub(super) struct FoundMessage {
    /// `unread`, `viewed`, `burned` or `expired`.
    #[schema(example = "unread")]
    state: &'static str,
    /// Since when.
    #[schema(format = DateTime, example = "2026-11-23T20:01:12.218417Z")]
    state_time: Option<String>,
    /// Until when it can be read. Null: for ever, or it is gone.
    #[schema(format = DateTime, example = "2026-12-23T20:01:12.218417Z")]
    expires_at: Option<String>,
    /// Whether its reader is asked for a passphrase.
    needs_passphrase: bool,
    /// Whether its creator encrypted it, so that it opens in a browser alone.
    is_sealed: bool,
}

/// Tells where a message stands
///
/// Changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/lookup_message",
    tag = "messages",
    request_body = Opener,
    responses((status = 200, description = "The token is right.", body = FoundMessage), BadFields, NoMessage, Troubles)
)]
pub(super) async fn lookup_message(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Json<FoundMessage>, Problem> {
    let headers = request.headers().clone();
    let (id, access_token) = opener::read(request).await?;
    let request = with_caller(&headers, LookupMessageRequest { id, access_token });
    let found = gateway.messages().lookup_message(request).await?.into_inner();
    let state = match found.state() {
        MessageState::Unspecified => "unknown",
        MessageState::Unread => "unread",
        MessageState::Viewed => "viewed",
        MessageState::Burned => "burned",
        MessageState::Expired => "expired",
    };
    Ok(Json(FoundMessage {
        state,
        state_time: time::rfc3339(found.state_time),
        expires_at: time::rfc3339(found.expire_time),
        needs_passphrase: found.needs_passphrase,
        is_sealed: found.is_sealed,
    }))
}

//! `POST /api/v1/lookup_message`: tells where a message stands. Changes nothing.

use axum::{
    Json,
    extract::{Request, State},
};
use mayfly_contracts::message::{LookupMessageRequest, MessageState};
use serde::Serialize;

use super::{Gateway, opener, time};
use crate::problem::Problem;

#[derive(Serialize)]
pub(super) struct FoundMessage {
    state: &'static str,
    state_time: Option<String>,
    expires_at: Option<String>,
    needs_passphrase: bool,
}

pub(super) async fn lookup_message(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Json<FoundMessage>, Problem> {
    let (id, access_token) = opener::read(&gateway, request).await?;
    let found = gateway.messages().lookup_message(LookupMessageRequest { id, access_token }).await?.into_inner();
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
    }))
}

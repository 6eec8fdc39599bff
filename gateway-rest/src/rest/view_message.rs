//! `POST /api/v1/view_message`: reads a message once. With an `Idempotency-Key`, the call can be repeated.

use axum::{Json, extract::State, http::HeaderMap};
use mayfly_contracts::message::ViewMessageRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    idempotency_key::IdempotencyKey,
    message_ref::MessageRef,
    responses::{Gone, Rejected, Unavailable, ValidationErrors},
    store_client::StoreClient,
    time,
};
use crate::{body::Fields, caller::with_caller, problem::Problem};

/// A message's id and access token, and its passphrase.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the documentation shows it")]
struct ViewMessageFields {
    /// The message's id.
    #[schema(minimum = 1, example = 4)]
    id: i64,
    /// The message's access token.
    #[schema(pattern = "^[0-9a-f]{64}$", example = "0b5e…")]
    access_token: String,
    /// The passphrase that the creator set, if any.
    #[schema(required = false, example = "blue whale")]
    passphrase: Option<String>,
}

/// The text of a message, which is now deleted.
#[derive(Serialize, ToSchema)]
pub(super) struct ViewedMessage {
    /// The text, byte for byte.
    #[schema(example = "your text here")]
    text: String,
    /// When it was stored.
    #[schema(format = DateTime, example = "2026-11-23T20:01:12.218417Z")]
    timestamp: Option<String>,
    /// The end of the time in which the call can be repeated. Null without an `Idempotency-Key`.
    #[schema(format = DateTime, example = "2026-11-23T20:15:40.100000Z")]
    repeat_until: Option<String>,
}

/// Reads a message once
///
/// With an `Idempotency-Key`, callers with the key can repeat the call until `acknowledge_view` or `repeat_until`. That
/// is the end of the store's grace (ten minutes unless set otherwise). Each repeat starts the grace again, up to a day
/// after the read.
#[utoipa::path(
    post,
    path = "/api/v1/view_message",
    tag = "messages",
    params(IdempotencyKey),
    request_body = ViewMessageFields,
    responses(
        (status = 200, description = "The text. The message is deleted.", body = ViewedMessage),
        ValidationErrors,
        Gone,
        Rejected,
        Unavailable
    )
)]
pub(super) async fn view_message(
    State(store): State<StoreClient>,
    headers: HeaderMap,
    IdempotencyKey { key: view_id }: IdempotencyKey,
    mut fields: Fields,
) -> Result<Json<ViewedMessage>, Problem> {
    let MessageRef { id, access_token } = MessageRef::take(&mut fields)?;
    let passphrase = fields.optional_string("passphrase")?.unwrap_or_default();
    // REST returns texts only: the store rejects other content, and the message stays unread.
    let request = ViewMessageRequest { id, access_token, view_id, passphrase, accepts_sealed: false };
    let viewed = store.messages().view_message(with_caller(&headers, request)).await?.into_inner();
    Ok(Json(ViewedMessage {
        timestamp: time::rfc3339(viewed.create_time),
        repeat_until: time::rfc3339(viewed.repeat_until),
        text: viewed.into_text()?,
    }))
}

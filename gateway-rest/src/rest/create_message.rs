//! `POST /api/v1/create_message`: stores a text. With an `Idempotency-Key`, the call can be repeated.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use mayfly_contracts::message::CreateMessageRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    idempotency_key::IdempotencyKey,
    responses::{CreationRejected, Unavailable, ValidationErrors},
    store_client::StoreClient,
    time,
};
use crate::{body::Fields, caller::with_credentials, problem::Problem};

/// The text to store.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the documentation shows it")]
struct NewMessage {
    /// The text, kept byte for byte: 1 byte to the store's limit, 65536 unless set otherwise.
    #[schema(min_length = 1, example = "your text here")]
    text: String,
    /// The lifetime in seconds, up to the store's maximum: 7776000 (90 days) unless set otherwise. If missing, the
    /// store's default: 30 days unless set otherwise.
    #[schema(required = false, minimum = 1, example = 3600)]
    ttl: Option<i64>,
    /// A secret that the reader needs besides the token: 1 to 1024 bytes of UTF-8, in NFC. Not stored.
    #[schema(required = false, min_length = 1, max_length = 1024, example = "blue whale")]
    passphrase: Option<String>,
}

/// The keys of the system that Mayfly replaces, in its order. New keys follow.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedMessage {
    /// The message's id. A reader needs it and the token.
    #[schema(example = 4)]
    id: i64,
    /// The text as it was stored.
    #[schema(example = "your text here")]
    text: String,
    /// 64 hexadecimal digits. No other response contains the token, and the store does not keep it.
    #[schema(example = "0b5e…")]
    access_token: String,
    /// Always false.
    is_viewed: bool,
    /// When it was stored.
    #[schema(format = DateTime, example = "2026-11-23T20:01:12.218417Z")]
    timestamp: Option<String>,
    /// When it expires. Null: never.
    #[schema(format = DateTime, example = "2026-12-23T20:01:12.218417Z")]
    expires_at: Option<String>,
}

/// Stores a text
///
/// With an `Idempotency-Key`, repeated calls create one message. The same key with another text, passphrase or `ttl` is
/// a conflict.
///
/// Some servers let only callers with an API token create messages. Other servers ignore the token. Reading a message
/// never needs one.
#[utoipa::path(
    post,
    path = "/api/v1/create_message",
    tag = "messages",
    security((), ("token" = [])),
    params(IdempotencyKey),
    request_body = NewMessage,
    responses(
        (status = 201, description = "The message is stored.", body = CreatedMessage),
        ValidationErrors,
        CreationRejected,
        Unavailable
    )
)]
pub(super) async fn create_message(
    State(store): State<StoreClient>,
    headers: HeaderMap,
    IdempotencyKey { key: request_id }: IdempotencyKey,
    mut fields: Fields,
) -> Result<(StatusCode, Json<CreatedMessage>), Problem> {
    let text = fields.required_string("text")?;
    let ttl = fields.optional_integer("ttl")?.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
    let passphrase = fields.optional_string("passphrase")?.unwrap_or_default();
    let request =
        CreateMessageRequest { ttl, request_id, passphrase, ..CreateMessageRequest::from_text(text.as_str()) };
    let created = store.messages().create_message(with_credentials(&headers, request)).await?.into_inner();
    let message = CreatedMessage {
        id: created.id,
        text,
        access_token: created.access_token,
        is_viewed: false,
        timestamp: time::rfc3339(created.create_time),
        expires_at: time::rfc3339(created.expire_time),
    };
    Ok((StatusCode::CREATED, Json(message)))
}

//! `POST /api/v1/create_message`: stores a text; with an `Idempotency-Key`, once however often it is sent.

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use mayfly_contracts::message::CreateMessageRequest;
use serde::Serialize;

use super::{Gateway, idempotency_key, time};
use crate::{body::Fields, problem::Problem};

/// The keys of the system that Mayfly replaces, in its order; then ours.
#[derive(Serialize)]
pub(super) struct CreatedMessage {
    id: i64,
    text: String,
    access_token: String,
    is_viewed: bool,
    timestamp: Option<String>,
    expires_at: Option<String>,
}

pub(super) async fn create_message(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<(StatusCode, Json<CreatedMessage>), Problem> {
    let request_id = idempotency_key::read(request.headers())?;
    let mut fields = Fields::read(request, gateway.max_text_bytes).await?;
    let text = fields.required_string("text")?;
    let ttl = fields.optional_integer("ttl")?.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
    let passphrase = fields.optional_string("passphrase")?.unwrap_or_default();
    let request = CreateMessageRequest { text: text.clone(), ttl, request_id, passphrase };
    let created = gateway.messages().create_message(request).await?.into_inner();
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

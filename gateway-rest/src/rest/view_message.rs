//! `POST /api/v1/view_message`: reads a message, once; with an `Idempotency-Key`, again and again for a while.

use axum::{
    Json,
    extract::{Request, State},
};
use mayfly_contracts::message::ViewMessageRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Gateway,
    answers::{BadFields, NoMessage, NotOpened, Troubles},
    idempotency_key::{self, IdempotencyKey},
    opener, time, with_caller,
};
use crate::{body, problem::Problem};

/// What opens a message for its reader.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the documentation shows it")]
struct ReadersOpener {
    /// The message's id.
    #[schema(minimum = 1, example = 4)]
    id: i64,
    /// The message's access token.
    #[schema(pattern = "^[0-9a-f]{64}$", example = "0b5e…")]
    access_token: String,
    /// What the creator asked for beside the token, if anything.
    #[schema(required = false, example = "blue whale")]
    passphrase: Option<String>,
}

/// The text, which nobody else gets from now on.
#[derive(Serialize, ToSchema)]
pub(super) struct ViewedMessage {
    /// The text, byte for byte.
    #[schema(example = "your text here")]
    text: String,
    /// When it was stored.
    #[schema(format = DateTime, example = "2026-11-23T20:01:12.218417Z")]
    timestamp: Option<String>,
    /// Until when the call can be repeated. Null without an `Idempotency-Key`.
    #[schema(format = DateTime, example = "2026-11-23T20:15:40.100000Z")]
    repeat_until: Option<String>,
}

/// Reads a message, once
///
/// With an `Idempotency-Key`, again and again for whoever has the key, until `acknowledge_view` or the end of the store's grace
/// (ten minutes unless set otherwise), which `repeat_until` tells. Each repeat starts the grace again, up to a day after the read.
#[utoipa::path(
    post,
    path = "/api/v1/view_message",
    tag = "messages",
    params(IdempotencyKey),
    request_body = ReadersOpener,
    responses((status = 200, description = "The one read.", body = ViewedMessage), BadFields, NoMessage, NotOpened, Troubles)
)]
pub(super) async fn view_message(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Json<ViewedMessage>, Problem> {
    let headers = request.headers().clone();
    let view_id = idempotency_key::read(&headers)?;
    let mut fields = body::read(request, &["id", "access_token", "passphrase"]).await?;
    let (id, access_token) = opener::of(&mut fields)?;
    let passphrase = fields.optional_string("passphrase")?.unwrap_or_default();
    // REST has texts alone: the store refuses what else there is, and keeps it.
    let request = ViewMessageRequest { id, access_token, view_id, passphrase, accepts_sealed: false };
    let viewed = gateway.messages().view_message(with_caller(&headers, request)).await?.into_inner();
    Ok(Json(ViewedMessage {
        timestamp: time::rfc3339(viewed.create_time),
        repeat_until: time::rfc3339(viewed.repeat_until),
        text: viewed.into_text()?,
    }))
}

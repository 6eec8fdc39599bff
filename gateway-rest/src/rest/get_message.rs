//! `GET /api/v1/get_message/{id}/{token}`: reads a message once. With an `Idempotency-Key`, the call can be repeated.
//!
//! The only GET that deletes a message; the system that Mayfly replaces has it too. The route rejects HEAD, and the
//! handler rejects prefetches.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
};
use mayfly_contracts::message::ViewMessageRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    idempotency_key::{self, IdempotencyKey},
    responses::{Gone, Rejected, Unavailable},
    store_client::StoreClient,
};
use crate::{
    caller::with_caller,
    problem::{Problem, ProblemDetails},
};

/// The headers in which browsers and proxies mark prefetches.
const PREFETCH_HEADERS: [&str; 4] = ["sec-purpose", "purpose", "x-moz", "x-purpose"];
const PREFETCH_PURPOSES: [&str; 3] = ["prefetch", "prerender", "preview"];

/// The text of a message, which is now deleted.
#[derive(Serialize, ToSchema)]
pub(super) struct Message {
    /// The text, byte for byte.
    #[schema(example = "your text here")]
    text: String,
}

/// Reads a message once, by its address
///
/// The address contains the token, as in the system that Mayfly replaces. New clients should use `view_message`, since
/// addresses end up in logs. HEAD requests and prefetches are rejected and read nothing.
#[utoipa::path(
    get,
    path = "/api/v1/get_message/{id}/{token}",
    tag = "messages",
    params(
        ("id" = i64, Path, description = "The message's id.", minimum = 1, example = 4),
        (
            "token" = String,
            Path,
            description = "The message's access token.",
            pattern = "^[0-9a-f]{64}$",
            example = "0b5e…"
        ),
        IdempotencyKey
    ),
    responses(
        (status = 200, description = "The text. The message is deleted.", body = Message),
        (status = 400, description = "The `Idempotency-Key` is not a UUID.", body = ProblemDetails<'static>),
        (status = 404, description = "The id is not an integer above zero.", body = ProblemDetails<'static>),
        Gone,
        Rejected,
        Unavailable
    )
)]
pub(super) async fn get_message(
    State(store): State<StoreClient>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Json<Message>, Problem> {
    if is_prefetch(&headers) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "a prefetch cannot read a message"));
    }
    let invalid_id = || Problem::new(StatusCode::NOT_FOUND, "the id in the path must be an integer greater than zero");
    let Path((id, access_token)) = path.map_err(|_| invalid_id())?;
    let id = parse_id(&id).ok_or_else(invalid_id)?;
    let view_id = idempotency_key::read(&headers)?;
    let request = ViewMessageRequest { id, access_token, view_id, ..ViewMessageRequest::default() };
    let viewed = store.messages().view_message(with_caller(&headers, request)).await?;
    Ok(Json(Message { text: viewed.into_inner().into_text()? }))
}

fn parse_id(digits: &str) -> Option<i64> {
    let id = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?;
    id.filter(|id| *id > 0)
}

fn is_prefetch(headers: &HeaderMap) -> bool {
    let values = PREFETCH_HEADERS.iter().flat_map(|name| headers.get_all(*name));
    let mut values = values.map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    values.any(|value| PREFETCH_PURPOSES.iter().any(|purpose| value.contains(purpose)))
}

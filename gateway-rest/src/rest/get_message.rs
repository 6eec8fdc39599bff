//! `GET /api/v1/get_message/{id}/{token}`: reads a message, once; with an `Idempotency-Key`, again and again for a while.
//!
//! The one GET that consumes, because the system that Mayfly replaces documents it so. HEAD is refused by the route, and
//! browsers that only look ahead are refused here.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
};
use mayfly_contracts::message::ViewMessageRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Gateway,
    answers::{NoMessage, NotOpened, Troubles},
    idempotency_key::{self, IdempotencyKey},
    with_caller,
};
use crate::problem::{Body, Problem};

/// Headers by which browsers say that nobody asked for the page yet.
const LOOKING_AHEAD: [&str; 4] = ["sec-purpose", "purpose", "x-moz", "x-purpose"];
const WAYS_TO_LOOK_AHEAD: [&str; 3] = ["prefetch", "prerender", "preview"];

/// The text, which nobody else gets from now on.
#[derive(Serialize, ToSchema)]
pub(super) struct Message {
    /// The text, byte for byte.
    #[schema(example = "your text here")]
    text: String,
}

/// Reads a message, once, by its address
///
/// The address holds the token, as the system that Mayfly replaces documents it. New programs had better use
/// `view_message`: addresses end up in logs.
/// HEAD and prefetches are refused and read nothing.
#[utoipa::path(
    get,
    path = "/api/v1/get_message/{id}/{token}",
    tag = "messages",
    params(
        ("id" = i64, Path, description = "The message's id.", minimum = 1, example = 4),
        ("token" = String, Path, description = "The message's access token.", pattern = "^[0-9a-f]{64}$", example = "0b5e…"),
        IdempotencyKey
    ),
    responses(
        (status = 200, description = "The one read.", body = Message),
        (status = 400, description = "The `Idempotency-Key` is no UUID.", body = Body<'static>, content_type = "application/problem+json"),
        (status = 404, description = "The id is no integer above zero.", body = Body<'static>, content_type = "application/problem+json"),
        NoMessage,
        NotOpened,
        Troubles
    )
)]
pub(super) async fn get_message(
    State(gateway): State<Gateway>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Json<Message>, Problem> {
    if is_looking_ahead(&headers) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "prefetching reads no message"));
    }
    let no_id = || Problem::new(StatusCode::NOT_FOUND, "the id in the path must be an integer greater than zero");
    let Path((id, access_token)) = path.map_err(|_| no_id())?;
    let id = parse_id(&id).ok_or_else(no_id)?;
    let view_id = idempotency_key::read(&headers)?;
    let request = ViewMessageRequest { id, access_token, view_id, ..ViewMessageRequest::default() };
    let viewed = gateway.messages().view_message(with_caller(&headers, request)).await?;
    Ok(Json(Message { text: viewed.into_inner().into_text()? }))
}

fn parse_id(digits: &str) -> Option<i64> {
    let id = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?;
    id.filter(|id| *id > 0)
}

fn is_looking_ahead(headers: &HeaderMap) -> bool {
    let values = LOOKING_AHEAD.iter().flat_map(|name| headers.get_all(*name));
    let mut values = values.map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    values.any(|value| WAYS_TO_LOOK_AHEAD.iter().any(|way| value.contains(way)))
}

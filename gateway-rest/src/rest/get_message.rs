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

use super::{Gateway, idempotency_key, with_caller};
use crate::problem::Problem;

/// Headers by which browsers say that nobody asked for the page yet.
const LOOKING_AHEAD: [&str; 4] = ["sec-purpose", "purpose", "x-moz", "x-purpose"];
const WAYS_TO_LOOK_AHEAD: [&str; 3] = ["prefetch", "prerender", "preview"];

#[derive(Serialize)]
pub(super) struct Message {
    text: String,
}

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
    let request = ViewMessageRequest { id, access_token, view_id, passphrase: String::new() };
    let viewed = gateway.messages().view_message(with_caller(&headers, request)).await?;
    Ok(Json(Message { text: viewed.into_inner().text }))
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

//! `POST /api/v1/view_message`: reads a message, once.

use axum::{
    Json,
    extract::{Request, State},
};
use mayfly_contracts::message::ViewMessageRequest;
use serde::Serialize;

use super::{Gateway, opener, time};
use crate::problem::Problem;

#[derive(Serialize)]
pub(super) struct ViewedMessage {
    text: String,
    timestamp: Option<String>,
}

pub(super) async fn view_message(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Json<ViewedMessage>, Problem> {
    let (id, access_token) = opener::read(&gateway, request).await?;
    let viewed = gateway.messages().view_message(ViewMessageRequest { id, access_token }).await?.into_inner();
    Ok(Json(ViewedMessage { text: viewed.text, timestamp: time::rfc3339(viewed.create_time) }))
}

//! `POST /api/v1/burn_message`: erases a message unread.

use axum::{
    Json,
    extract::{Request, State},
};
use mayfly_contracts::message::BurnMessageRequest;
use serde::Serialize;

use super::{Gateway, opener, time};
use crate::problem::Problem;

#[derive(Serialize)]
pub(super) struct BurnedMessage {
    burned_at: Option<String>,
}

pub(super) async fn burn_message(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Json<BurnedMessage>, Problem> {
    let (id, access_token) = opener::read(&gateway, request).await?;
    let burned = gateway.messages().burn_message(BurnMessageRequest { id, access_token }).await?.into_inner();
    Ok(Json(BurnedMessage { burned_at: time::rfc3339(burned.burn_time) }))
}

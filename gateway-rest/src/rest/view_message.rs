//! `POST /api/v1/view_message`: reads a message, once; with an `Idempotency-Key`, again and again for a while.

use axum::{
    Json,
    extract::{Request, State},
};
use mayfly_contracts::message::ViewMessageRequest;
use serde::Serialize;

use super::{Gateway, idempotency_key, opener, time, with_caller};
use crate::{body::Fields, problem::Problem};

#[derive(Serialize)]
pub(super) struct ViewedMessage {
    text: String,
    timestamp: Option<String>,
    repeat_until: Option<String>,
}

pub(super) async fn view_message(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Json<ViewedMessage>, Problem> {
    let headers = request.headers().clone();
    let view_id = idempotency_key::read(&headers)?;
    let mut fields = Fields::read(request, gateway.max_text_bytes).await?;
    let (id, access_token) = opener::of(&mut fields)?;
    let passphrase = fields.optional_string("passphrase")?.unwrap_or_default();
    let request = ViewMessageRequest { id, access_token, view_id, passphrase };
    let viewed = gateway.messages().view_message(with_caller(&headers, request)).await?.into_inner();
    Ok(Json(ViewedMessage {
        text: viewed.text,
        timestamp: time::rfc3339(viewed.create_time),
        repeat_until: time::rfc3339(viewed.repeat_until),
    }))
}

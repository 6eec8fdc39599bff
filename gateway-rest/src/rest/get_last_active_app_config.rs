//! `GET /api/v1/get_last_active_app_config`: the bot's configuration, secrets in clear only for callers with a token.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
};
use mayfly_contracts::config::GetLastActiveAppConfigRequest;
use serde::Serialize;
use tonic::metadata::AsciiMetadataValue;

use super::{Gateway, time};
use crate::problem::Problem;

/// The keys of the system that Mayfly replaces, in its order.
#[derive(Serialize)]
pub(super) struct AppConfig {
    id: i64,
    session_name: String,
    api_id: i64,
    api_hash: String,
    is_active: bool,
    is_bot: bool,
    bot_token: String,
    timestamp: Option<String>,
}

pub(super) async fn get_last_active_app_config(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
) -> Result<Json<AppConfig>, Problem> {
    let mut request = tonic::Request::new(GetLastActiveAppConfigRequest {});
    if let Some(authorization) = headers.get(header::AUTHORIZATION) {
        request.metadata_mut().insert("authorization", pass_on(authorization));
    }
    let answer = gateway.configs().get_last_active_app_config(request).await?;
    let config = answer.into_inner().app_config.unwrap_or_default();
    Ok(Json(AppConfig {
        id: config.id,
        is_active: config.is_active(),
        is_bot: config.is_bot(),
        session_name: config.session_name,
        api_id: config.api_id,
        api_hash: config.api_hash,
        bot_token: config.bot_token,
        timestamp: time::rfc3339(config.update_time),
    }))
}

/// What is no metadata is no token either, and must not pass for "no token".
fn pass_on(authorization: &HeaderValue) -> AsciiMetadataValue {
    let unknown = || AsciiMetadataValue::from_static("Bearer");
    authorization.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or_else(unknown)
}

//! `GET /api/v1/get_last_active_app_config`: the bot's configuration, secrets in clear only for callers with a token.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
};
use mayfly_contracts::config::GetLastActiveAppConfigRequest;
use serde::Serialize;
use tonic::metadata::AsciiMetadataValue;
use utoipa::ToSchema;

use super::{Gateway, answers::Troubles, time, with_caller};
use crate::problem::{Body, Problem};

/// The keys of the system that Mayfly replaces, in its order.
#[derive(Serialize, ToSchema)]
pub(super) struct AppConfig {
    /// Its id.
    #[schema(example = 1)]
    id: i64,
    /// A name for people.
    #[schema(example = "default_bot_session")]
    session_name: String,
    /// The application's id from my.telegram.org.
    #[schema(example = 7_278_174)]
    api_id: i64,
    /// The application's hash from my.telegram.org; masked for callers without a token.
    #[schema(example = "b1xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")]
    api_hash: String,
    /// Always true.
    #[schema(example = true)]
    is_active: bool,
    /// Whether it describes a bot, not a person's account.
    #[schema(example = true)]
    is_bot: bool,
    /// The bot's token from @BotFather; masked for callers without a token.
    #[schema(example = "1000000000:AAHxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")]
    bot_token: String,
    /// When it was last changed.
    #[schema(format = DateTime, example = "2026-11-23T20:00:06.849604Z")]
    timestamp: Option<String>,
}

/// The bot's configuration
///
/// The active app config with the highest id. Secrets are in clear for callers with a token, and masked for those without.
#[utoipa::path(
    get,
    path = "/api/v1/get_last_active_app_config",
    tag = "app configs",
    security((), ("token" = [])),
    responses(
        (status = 200, description = "The last active app config.", body = AppConfig),
        (status = 204, description = "None is active."),
        (
            status = 401,
            description = "The bearer token is not known.",
            body = Body<'static>,
            content_type = "application/problem+json",
            headers(("WWW-Authenticate" = String, description = "`Bearer`."))
        ),
        Troubles
    )
)]
pub(super) async fn get_last_active_app_config(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
) -> Result<Json<AppConfig>, Problem> {
    let mut request = with_caller(&headers, GetLastActiveAppConfigRequest {});
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

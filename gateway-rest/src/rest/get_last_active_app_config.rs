//! `GET /api/v1/get_last_active_app_config`: the bot's configuration. Secrets are masked for callers without a token.

use axum::{Json, extract::State, http::HeaderMap};
use mayfly_contracts::config::GetLastActiveAppConfigRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::{responses::Unavailable, store_client::StoreClient, time};
use crate::{
    caller::with_credentials,
    problem::{Problem, ProblemDetails},
};

/// The keys of the system that Mayfly replaces, in its order.
#[derive(Serialize, ToSchema)]
pub(super) struct AppConfig {
    /// The app config's id.
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
    /// Whether it is for a bot, not for a person's account.
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
/// Returns the active app config with the highest id. Its secrets are masked for callers without a token.
#[utoipa::path(
    get,
    path = "/api/v1/get_last_active_app_config",
    tag = "app configs",
    security((), ("token" = [])),
    responses(
        (status = 200, description = "The last active app config.", body = AppConfig),
        (status = 204, description = "No app config is active."),
        (
            status = 401,
            description = "The bearer token is unknown, was revoked or has expired.",
            body = ProblemDetails<'static>,
            headers(("WWW-Authenticate" = String, description = "`Bearer`."))
        ),
        Unavailable
    )
)]
pub(super) async fn get_last_active_app_config(
    State(store): State<StoreClient>,
    headers: HeaderMap,
) -> Result<Json<AppConfig>, Problem> {
    let request = with_credentials(&headers, GetLastActiveAppConfigRequest {});
    let response = store.configs().get_last_active_app_config(request).await?;
    let config = response.into_inner().app_config.unwrap_or_default();
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

//! Logs a bot out of a Bot API server, so that it can use another one.

use mayfly_bootstrap::Secret;
use url::Url;

use crate::{
    error::BotError,
    metrics::BotMetrics,
    telegram::{client::TelegramApi, errors::TelegramError},
    timeouts::Timeouts,
};

/// Why the bot is not logged out.
#[derive(Debug, thiserror::Error)]
pub enum LogOutError {
    /// The call was not made.
    #[error(transparent)]
    Bot(#[from] BotError),
    /// The server does not know the bot, or has logged it out already.
    #[error("the Bot API server refuses it: it does not know the bot token, or the bot is logged out already")]
    Refused,
    /// No response, or a server error.
    #[error("the Bot API server cannot be reached, or failed: try again")]
    Unreachable,
}

/// Logs the bot with `token` out of the Bot API server at `api_url`, so that another server can receive its updates.
/// Telegram's own server rejects the bot for ten minutes afterwards.
///
/// # Errors
///
/// [`LogOutError`]. After [`LogOutError::Unreachable`], the bot may be logged out.
pub async fn log_out(api_url: &Url, token: &Secret) -> Result<(), LogOutError> {
    let telegram = TelegramApi::new(api_url, &Timeouts::default(), BotMetrics::default())?.with_token(token);
    telegram.log_out().await.map_err(|error| match error {
        TelegramError::TokenRefused | TelegramError::Refused => LogOutError::Refused,
        _ => LogOutError::Unreachable,
    })
}

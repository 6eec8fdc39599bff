//! Logs a bot out of a Bot API server, so that it can use another one.

use mayfly_bootstrap::Secret;
use teloxide::{Bot, requests::Requester as _};
use url::Url;

use crate::{
    error::BotError,
    telegram::errors::{TelegramError, classify},
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
    #[error("the Bot API server cannot be reached, or is in trouble: try again")]
    Unreachable,
}

/// Logs the bot with `token` out of the Bot API server at `api_url`, so that another server can receive its updates.
/// Telegram's own server rejects the bot for ten minutes afterwards.
///
/// # Errors
///
/// [`LogOutError`]. After [`LogOutError::Unreachable`], the bot may be logged out.
pub async fn log_out(api_url: &Url, token: &Secret) -> Result<(), LogOutError> {
    let client = teloxide::net::default_reqwest_settings().build();
    let client = client.map_err(|error| BotError::HttpClient(error.into()))?;
    let bot = Bot::with_client(token.expose(), client).set_api_url(api_url.clone());
    match bot.log_out().await {
        Ok(_) => Ok(()),
        // The error itself is not shown, because it may hold the token.
        Err(error) => Err(match classify(&error) {
            TelegramError::TokenRefused | TelegramError::Refused => LogOutError::Refused,
            _ => LogOutError::Unreachable,
        }),
    }
}

//! Leaving a Bot API server for another one.

use mayfly_bootstrap::Secret;
use teloxide::{Bot, requests::Requester as _};
use url::Url;

use crate::{
    error::BotError,
    telegram::errors::{TelegramError, classify},
};

/// Why a bot is not logged out.
#[derive(Debug, thiserror::Error)]
pub enum LogOutError {
    /// Nothing was asked.
    #[error(transparent)]
    Bot(#[from] BotError),
    /// The server knows no such bot, or has logged it out already.
    #[error("the Bot API server refuses it: it does not know the bot token, or the bot is logged out already")]
    Refused,
    /// No answer, or that of a server in trouble.
    #[error("the Bot API server cannot be reached, or is in trouble: try again")]
    Unreachable,
}

/// Logs the bot with `token` out of the Bot API server at `api_url`, so that another server can have its updates. Telegram's own
/// does not take it back for ten minutes.
///
/// # Errors
///
/// [`LogOutError`]. After [`LogOutError::Unreachable`] it may be logged out all the same.
pub async fn log_out(api_url: &Url, token: &Secret) -> Result<(), LogOutError> {
    let client = teloxide::net::default_reqwest_settings().build();
    let client = client.map_err(|error| BotError::HttpClient(error.into()))?;
    let bot = Bot::with_client(token.expose(), client).set_api_url(api_url.clone());
    match bot.log_out().await {
        Ok(_) => Ok(()),
        // As everywhere, the error itself is not shown: it may hold the token.
        Err(error) => Err(match classify(&error) {
            TelegramError::TokenRefused | TelegramError::Refused => LogOutError::Refused,
            _ => LogOutError::Unreachable,
        }),
    }
}

//! Asks the Bot API about a bot, without changing anything and without taking updates from a running bot.

use std::time::{Duration, SystemTime};

use mayfly_bootstrap::Secret;

use crate::{
    error::BotError,
    metrics::BotMetrics,
    settings::BotSettings,
    telegram::{client::TelegramApi, errors::TelegramError},
    timeouts::Timeouts,
};

/// The longest part of a message of Telegram that is shown.
const MAX_MESSAGE_CHARS: usize = 200;

/// What the Bot API reports about a bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelegramProbe {
    /// Its user name, without `@`.
    pub user_name: String,
    /// Its webhook.
    pub webhook: WebhookState,
    /// How many updates wait for it.
    pub pending_updates: u64,
    /// When Telegram last failed to deliver an update to the webhook, and why.
    pub last_error: Option<(SystemTime, String)>,
}

/// The webhook that is set, compared with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookState {
    /// None is set.
    NotSet,
    /// The one of the settings.
    AsConfigured,
    /// One to another address, or with other parameters.
    Other {
        /// Its host. Its path may be a secret.
        host: String,
    },
}

/// The Bot API reports nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The call was not made.
    #[error(transparent)]
    Bot(#[from] BotError),
    /// The token is not valid.
    #[error("the Bot API rejects the bot token")]
    TokenRefused,
    /// No response, or a server error.
    #[error("the Bot API cannot be reached, or failed")]
    Unreachable,
}

/// Asks the Bot API of `settings` about the bot with `token`.
///
/// # Errors
///
/// [`ProbeError`], which does not contain the token.
pub async fn probe(settings: &BotSettings, token: &Secret) -> Result<TelegramProbe, ProbeError> {
    let telegram =
        TelegramApi::new(&settings.telegram_api_url, &Timeouts::default(), BotMetrics::default())?.with_token(token);
    let failed = |error| match error {
        TelegramError::TokenRefused => ProbeError::TokenRefused,
        _ => ProbeError::Unreachable,
    };
    let identity = telegram.identity().await.map_err(failed)?;
    let info = telegram.webhook_info().await.map_err(failed)?;
    let webhook = match settings.webhook() {
        _ if !info.is_set() => WebhookState::NotSet,
        Some(webhook) if info.matches(&webhook) => WebhookState::AsConfigured,
        _ => WebhookState::Other { host: info.host().unwrap_or_else(|| "an unknown host".to_owned()) },
    };
    let message = info.last_error_message.as_deref().map(|message| printable(message, token)).unwrap_or_default();
    let time = |date: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(date.unsigned_abs());
    Ok(TelegramProbe {
        user_name: identity.user_name.unwrap_or(identity.display_name),
        webhook,
        pending_updates: info.pending_update_count,
        last_error: info.last_error_date.map(|date| (time(date), message)),
    })
}

/// The message in one line, unless it quotes the token or an address, whose path may be a secret.
fn printable(message: &str, token: &Secret) -> String {
    if message.contains(token.expose()) || message.contains("://") {
        return "(the reason contains an address)".to_owned();
    }
    message.chars().filter(|char| !char.is_control()).take(MAX_MESSAGE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_the_token_or_an_address_is_not_shown() {
        let token = Secret::new("1:canary".to_owned());
        let shown = |message| printable(message, &token);
        assert_eq!(shown("Connection refused\n"), "Connection refused");
        for message in ["bad token 1:canary", "no route to https://host.example/secret-path"] {
            assert_eq!(shown(message), "(the reason contains an address)", "{message}");
        }
        assert_eq!(shown(&"x".repeat(1000)).len(), 200);
    }
}

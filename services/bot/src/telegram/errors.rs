//! The errors of the Bot API, reduced to what the bot does about them.
//!
//! The errors of teloxide are never logged or shown: a broken connection prints the URL, which holds the bot token, and
//! a response that cannot be parsed prints the response, which holds texts.

use std::time::Duration;

use teloxide::{ApiError, RequestError};

/// Why a call to Telegram failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TelegramError {
    /// Flood control: retry after this time.
    Flood(Duration),
    /// No response, or a server error.
    Unreachable,
    /// The bot token is invalid.
    TokenRefused,
    /// Another process polls with the same token.
    AnotherPoller,
    /// A webhook is set, so polling is impossible.
    WebhookIsSet,
    /// The chat is gone, or the user blocked the bot.
    ChatGone,
    /// Telegram rejects the text: it is empty or too long.
    TextUnfit,
    /// Any other permanent error.
    Refused,
}

/// Classifies an error of teloxide.
pub(crate) fn classify(error: &RequestError) -> TelegramError {
    match error {
        // Zero would cause a busy loop.
        RequestError::RetryAfter(pause) => TelegramError::Flood(pause.duration().max(Duration::from_secs(1))),
        RequestError::Network(_) | RequestError::Io(_) | RequestError::InvalidJson { .. } => TelegramError::Unreachable,
        // A private chat does not become a supergroup.
        RequestError::MigrateToChatId(_) => TelegramError::ChatGone,
        RequestError::Api(error) => api_error(error),
    }
}

fn api_error(error: &ApiError) -> TelegramError {
    match error {
        ApiError::InvalidToken => TelegramError::TokenRefused,
        ApiError::TerminatedByOtherGetUpdates => TelegramError::AnotherPoller,
        ApiError::CantGetUpdates => TelegramError::WebhookIsSet,
        ApiError::BotBlocked
        | ApiError::ChatNotFound
        | ApiError::UserDeactivated
        | ApiError::CantInitiateConversation
        | ApiError::CantTalkWithBots => TelegramError::ChatGone,
        ApiError::MessageTextIsEmpty | ApiError::MessageIsTooLong => TelegramError::TextUnfit,
        ApiError::Unknown(description) => error_by_description(description),
        // All others are permanent.
        _ => TelegramError::Refused,
    }
}

/// teloxide does not expose the error code, but Telegram's descriptions start with its name.
fn error_by_description(description: &str) -> TelegramError {
    let begins = |name| description.starts_with(name);
    if begins("Bad Request: text must be non-empty") {
        TelegramError::TextUnfit
    } else if begins("Conflict") {
        if description.contains("webhook") { TelegramError::WebhookIsSet } else { TelegramError::AnotherPoller }
    } else if begins("Forbidden") {
        TelegramError::ChatGone
    } else if begins("Unauthorized") {
        TelegramError::TokenRefused
    } else if begins("Bad Request") {
        TelegramError::Refused
    } else {
        TelegramError::Unreachable
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn classified(description: &str) -> TelegramError {
        api_error(&serde_json::from_value(Value::String(description.to_owned())).unwrap())
    }

    #[test]
    fn telegrams_descriptions_are_sorted_by_what_to_do() {
        let table = [
            ("Unauthorized", TelegramError::TokenRefused),
            ("Not Found", TelegramError::TokenRefused),
            (
                "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
                TelegramError::AnotherPoller,
            ),
            (
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the \
                 webhook first",
                TelegramError::WebhookIsSet,
            ),
            ("Forbidden: bot was blocked by the user", TelegramError::ChatGone),
            ("Forbidden: something new", TelegramError::ChatGone),
            ("Bad Request: chat not found", TelegramError::ChatGone),
            ("Bad Request: message text is empty", TelegramError::TextUnfit),
            ("Bad Request: text must be non-empty", TelegramError::TextUnfit),
            ("Bad Request: something new", TelegramError::Refused),
            ("Internal Server Error", TelegramError::Unreachable),
            ("Bad Gateway", TelegramError::Unreachable),
            ("Too Many Requests", TelegramError::Unreachable),
        ];
        for (description, expected) in table {
            assert_eq!(classified(description), expected, "{description}");
        }
    }
}

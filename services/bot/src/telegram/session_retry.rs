//! Records the errors of Telegram that keep a session from serving, and says when to retry.

use std::time::Duration;

use crate::{
    status::{
        error_log::ErrorLog,
        tracker::{State, StatusTracker},
    },
    telegram::errors::TelegramError,
    timeouts::{Backoff, Timeouts},
};

/// The current errors of one part of a session, and the delay before the next attempt.
pub(crate) struct SessionRetry {
    pub error_log: ErrorLog,
    backoff: Backoff,
    timeouts: Timeouts,
}

impl SessionRetry {
    pub(crate) fn new(timeouts: &Timeouts, status: StatusTracker) -> Self {
        let backoff = Backoff::new(timeouts.telegram_backoff);
        Self { error_log: ErrorLog::new(status), backoff, timeouts: timeouts.clone() }
    }

    /// Records that the session can serve. Logs `news` if it could not.
    pub(crate) fn succeeded(&mut self, news: &'static str) {
        self.backoff.reset();
        self.error_log.clear(State::Serving, news);
    }

    /// Records an error. Returns when to retry.
    pub(crate) fn failed(&mut self, error: TelegramError) -> Duration {
        let (state, message, pause) = match error {
            TelegramError::Flood(pause) => {
                self.error_log.record("Telegram asks the bot to call less often");
                return pause;
            }
            TelegramError::TokenRefused => (
                State::TokenRefused,
                "Telegram refuses the bot token of the last active app config",
                self.timeouts.rejected_retry_interval,
            ),
            TelegramError::AnotherPoller => (
                State::Conflict,
                "another program polls with the same bot token: stop one of the two, or neither will work",
                self.timeouts.conflict_retry_interval,
            ),
            TelegramError::WebhookIsSet => (
                State::Conflict,
                "a webhook is set for this bot, so it cannot poll: deleting the webhook, waiting updates are kept",
                self.backoff.next(),
            ),
            TelegramError::Unreachable
            | TelegramError::ChatGone
            | TelegramError::TextUnfit
            | TelegramError::Refused => (
                State::TelegramUnreachable,
                "Telegram cannot be reached, or fails to carry out calls",
                self.backoff.next(),
            ),
        };
        self.error_log.report(state, message);
        pause
    }
}

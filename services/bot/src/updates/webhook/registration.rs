//! Keeps the webhook registered at Telegram.

use std::time::Duration;

use mayfly_bootstrap::Secret;

use crate::{
    settings::Webhook,
    status::tracker::{State, StatusTracker},
    telegram::{client::Telegram, errors::TelegramError, payloads::WebhookInfo, session_retry::SessionRetry},
    timeouts::Timeouts,
};

/// The webhook of one bot.
pub(super) struct Registration<'settings> {
    telegram: Telegram,
    webhook: &'settings Webhook,
    secret: Secret,
    timeouts: Timeouts,
    retry: SessionRetry,
    /// Telegram does not return the secret, so each process sets the webhook once, with the same secret.
    is_set: bool,
    /// When Telegram last failed to deliver an update, if known.
    last_error: Option<i64>,
}

impl<'settings> Registration<'settings> {
    pub(super) fn new(
        telegram: Telegram,
        webhook: &'settings Webhook,
        secret: Secret,
        timeouts: Timeouts,
        status: StatusTracker,
    ) -> Self {
        let retry = SessionRetry::new(&timeouts, status);
        Self { telegram, webhook, secret, timeouts, retry, is_set: false, last_error: None }
    }

    /// Sets the webhook, and sets it again whenever another process changed it. Never returns.
    pub(super) async fn run(mut self) {
        loop {
            let pause = match self.check().await {
                Ok(()) => self.timeouts.webhook_check_interval,
                Err(error) => self.handle_error(error),
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn check(&mut self) -> Result<(), TelegramError> {
        let info = self.telegram.webhook_info().await?;
        self.record_failed_deliveries(&info);
        let is_unchanged = self.is_set && info.matches(self.webhook);
        if is_unchanged {
            self.retry.succeeded("the webhook is set as configured again");
            return Ok(());
        }
        if self.is_set {
            self.retry.error_log.report(
                State::Conflict,
                "another program changed the webhook of this bot: setting it again; stop one of the two",
            );
        }
        self.telegram.set_webhook(self.webhook, &self.secret).await?;
        if !self.is_set {
            self.is_set = true;
            tracing::info!("the webhook is set");
            self.retry.succeeded("the webhook could be set after all");
        }
        Ok(())
    }

    fn record_failed_deliveries(&mut self, info: &WebhookInfo) {
        let is_news = info.last_error_date > self.last_error && self.is_set;
        self.last_error = self.last_error.max(info.last_error_date);
        if is_news {
            self.retry.error_log.record("Telegram could not deliver an update to the webhook, and tries again");
        }
    }

    fn handle_error(&mut self, error: TelegramError) -> Duration {
        if error != TelegramError::Refused {
            return self.retry.failed(error);
        }
        self.retry.error_log.report(
            State::WebhookRefused,
            "Telegram refuses --webhook-url: it must begin with https, have one of the ports 443, 80, 88 and 8443, and \
             lead from the internet to this bot",
        );
        self.timeouts.rejected_retry_interval
    }
}

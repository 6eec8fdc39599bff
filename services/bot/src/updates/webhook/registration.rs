//! Keeps the webhook set at Telegram.

use std::time::Duration;

use mayfly_bootstrap::Secret;

use crate::{
    settings::Webhook,
    status::{
        board::{State, StatusBoard},
        error_log::Troubles,
    },
    telegram::client::{Fault, Telegram, WebhookInfo},
    timeouts::{Backoff, Timing},
};

/// The webhook of one bot.
pub(super) struct Registration<'settings> {
    telegram: Telegram,
    webhook: &'settings Webhook,
    secret: Secret,
    timing: Timing,
    backoff: Backoff,
    troubles: Troubles,
    /// Telegram does not tell which secret it has, so each process sets the webhook once, to the same.
    is_set: bool,
    /// When Telegram last failed to deliver, as far as that is known.
    last_error: Option<i64>,
}

impl<'settings> Registration<'settings> {
    pub(super) fn new(
        telegram: Telegram,
        webhook: &'settings Webhook,
        secret: Secret,
        timing: Timing,
        board: StatusBoard,
    ) -> Self {
        let backoff = timing.telegram_pauses.start();
        let troubles = Troubles::new(board);
        Self { telegram, webhook, secret, timing, backoff, troubles, is_set: false, last_error: None }
    }

    /// Sets the webhook, and again whenever somebody took it away. Never ends.
    pub(super) async fn run(mut self) {
        loop {
            let pause = match self.check().await {
                Ok(()) => {
                    self.backoff.reset();
                    self.timing.webhook_check
                }
                Err(fault) => self.endure(fault),
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn check(&mut self) -> Result<(), Fault> {
        let info = self.telegram.webhook_info().await?;
        self.note_failed_deliveries(&info);
        let is_as_it_should_be = self.is_set && info.leads_to(self.webhook);
        if is_as_it_should_be {
            self.troubles.are_over(State::Serving, "the webhook is as it should be again");
            return Ok(());
        }
        if self.is_set {
            self.troubles.report(
                State::Conflict,
                "another program changed the webhook of this bot: setting it again; stop one of the two",
            );
        }
        self.telegram.set_webhook(self.webhook, &self.secret).await?;
        if !self.is_set {
            self.is_set = true;
            tracing::info!("the webhook is set");
            self.troubles.are_over(State::Serving, "the webhook could be set after all");
        }
        Ok(())
    }

    fn note_failed_deliveries(&mut self, info: &WebhookInfo) {
        let is_news = info.last_error_date > self.last_error && self.is_set;
        self.last_error = self.last_error.max(info.last_error_date);
        if is_news {
            self.troubles.note("Telegram could not deliver an update to the webhook, and tries again");
        }
    }

    fn endure(&mut self, fault: Fault) -> Duration {
        match fault {
            Fault::Flood(pause) => pause,
            Fault::TokenRefused => {
                let what = "Telegram refuses the bot token of the last active app config";
                self.troubles.report(State::TokenRefused, what);
                self.timing.refused_pause
            }
            Fault::Refused => {
                self.troubles.report(
                    State::WebhookRefused,
                    "Telegram refuses --webhook-url: it must begin with https, have one of the ports 443, 80, 88 and 8443, and \
                     lead from the internet to this bot",
                );
                self.timing.refused_pause
            }
            Fault::Unreachable | Fault::AnotherPoller | Fault::WebhookIsSet | Fault::ChatGone | Fault::TextUnfit => {
                let what = "cannot set the webhook: Telegram cannot be reached or is in trouble";
                self.troubles.report(State::TelegramUnreachable, what);
                self.backoff.next()
            }
        }
    }
}

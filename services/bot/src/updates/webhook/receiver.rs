//! Receives updates from the webhook endpoint for one bot.

use mayfly_bootstrap::Secret;
use tokio_util::sync::CancellationToken;

use super::{endpoint::WebhookEndpoint, registration::Registration, secret};
use crate::{
    settings::Webhook,
    status::tracker::{Mode, StatusTracker},
    telegram::client::Telegram,
    timeouts::Timeouts,
    updates::dispatcher::Dispatcher,
};

/// Receives for one bot.
pub(crate) struct UpdateReceiver<'session> {
    pub telegram: Telegram,
    pub bot_token: &'session Secret,
    pub webhook: &'session Webhook,
    pub endpoint: &'session WebhookEndpoint,
    pub dispatcher: Dispatcher,
    pub timeouts: Timeouts,
    pub status: StatusTracker,
}

impl UpdateReceiver<'_> {
    /// Receives until `session_stop` is cancelled, then drains. If `stop` is cancelled too, the process shuts down and
    /// draining has less time. The webhook stays set.
    pub(crate) async fn run(self, session_stop: &CancellationToken, stop: &CancellationToken) {
        let Self { telegram, bot_token, webhook, endpoint, mut dispatcher, timeouts, status } = self;
        status.set_mode(Mode::Webhook);
        let secret = secret::derive(bot_token);
        let mut deliveries = endpoint.open(secret.clone());
        let receiving = async {
            loop {
                endpoint.set_in_flight(dispatcher.in_flight());
                tokio::select! {
                    // The requests learn the results, and so does Telegram.
                    _ = dispatcher.next_result() => {}
                    Some((update, handled)) = deliveries.recv() => dispatcher.accept(update, Some(handled)).await,
                }
            }
        };
        let registration = Registration::new(telegram, webhook, secret, timeouts, status);
        tokio::select! {
            () = session_stop.cancelled() => {}
            () = registration.run() => {}
            () = receiving => {}
        }
        endpoint.close();
        drop(deliveries);
        dispatcher.drain(stop).await;
        endpoint.set_in_flight(0);
    }
}

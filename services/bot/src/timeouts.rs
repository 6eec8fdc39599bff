//! The timeouts, intervals and rates of the bot. Only tests use other values.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::gcra::Rate;

/// How many events one chat may send at once.
pub(crate) const INBOUND_CHAT_BURST: u32 = 10;

/// The timeouts, intervals and rates of the bot.
#[derive(Clone, Debug)]
pub(crate) struct Timeouts {
    /// How long Telegram may hold a poll while no update is in flight. Whole seconds. Telegram's limit is 50.
    pub long_poll: Duration,
    /// The pause after a poll that returned only updates in flight.
    pub duplicate_poll_interval: Duration,
    /// How long an update is in flight before it is spooled, so that the next updates can arrive.
    pub spool_after: Duration,
    /// Between retries while Telegram is unreachable.
    pub telegram_backoff: ExponentialBuilder,
    /// Between retries with a token that Telegram rejects.
    pub rejected_retry_interval: Duration,
    /// Between retries while another process polls with the same token, or sets a webhook.
    pub conflict_retry_interval: Duration,
    /// How fast one chat may send events. Slower than the outbound rate, so that few events of one chat are in flight.
    pub inbound_chat_rate: Rate,
    /// How fast the bot sends to one chat.
    pub outbound_chat_rate: Rate,
    /// How fast the bot sends to all chats together.
    pub outbound_total_rate: Rate,
    /// Between checks that the webhook is unchanged.
    pub webhook_check_interval: Duration,
    /// The maximum time that a webhook request waits until its update is handled. Telegram's limit is about a minute,
    /// but it may have only one connection for all chats.
    pub webhook_hold_timeout: Duration,
    /// How long the bot retries a reply while Telegram answers other calls. There is no limit while Telegram answers
    /// none.
    pub send_timeout: Duration,
    /// How long Telegram's flood control may delay a message. Nothing else holds the text that was viewed, or the token
    /// of the text that was stored.
    pub message_flood_timeout: Duration,
    /// The same for all other calls. A chat with one update in flight for longer is stuck.
    pub flood_timeout: Duration,
    /// The longest interval between checks that a chat is writable.
    pub flood_check_interval: Duration,
    /// How often the bot renews its claim on a viewed text while it waits for Telegram to accept the message.
    pub claim_renewal_interval: Duration,
    /// Between retries while the store is unreachable.
    pub store_backoff: ExponentialBuilder,
    /// How long the store may be unreachable before the bot tells the sender.
    pub store_timeout: Duration,
    /// The same for users of the simulator.
    pub simulator_store_timeout: Duration,
    /// How long draining may take at shutdown. With `confirm_timeout`, shorter than the drain timeout of the process.
    pub stop_drain_timeout: Duration,
    /// How long draining may take when another app config becomes active.
    pub replaced_drain_timeout: Duration,
    /// How long the last poll may take, which confirms the handled updates.
    pub confirm_timeout: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            long_poll: Duration::from_secs(40),
            duplicate_poll_interval: Duration::from_millis(500),
            spool_after: Duration::from_secs(3),
            telegram_backoff: backoff(Duration::from_millis(500), Duration::from_secs(30)),
            rejected_retry_interval: Duration::from_secs(60),
            conflict_retry_interval: Duration::from_secs(10),
            inbound_chat_rate: Rate::per_minute(30, INBOUND_CHAT_BURST),
            outbound_chat_rate: Rate { burst: 3, interval: Duration::from_secs(1) },
            outbound_total_rate: Rate::per_second(30),
            webhook_check_interval: Duration::from_secs(60),
            webhook_hold_timeout: Duration::from_secs(3),
            send_timeout: Duration::from_secs(600),
            message_flood_timeout: Duration::from_hours(24),
            flood_timeout: Duration::from_secs(600),
            flood_check_interval: Duration::from_secs(5),
            claim_renewal_interval: Duration::from_secs(60),
            store_backoff: backoff(Duration::from_millis(250), Duration::from_secs(5)),
            store_timeout: Duration::from_secs(600),
            simulator_store_timeout: Duration::from_secs(5),
            stop_drain_timeout: Duration::from_secs(5),
            replaced_drain_timeout: Duration::from_secs(30),
            confirm_timeout: Duration::from_secs(2),
        }
    }
}

impl Timeouts {
    /// Returns when draining must end: after `replaced_drain_timeout`, or `stop_drain_timeout` after `stop` is
    /// cancelled.
    pub(crate) fn drain_timeout(&self, stop: &CancellationToken) -> impl Future<Output = ()> + use<> {
        let Self { replaced_drain_timeout, stop_drain_timeout, .. } = *self;
        let stop = stop.clone();
        async move {
            tokio::select! {
                () = sleep(replaced_drain_timeout) => {}
                () = async { stop.cancelled().await; sleep(stop_drain_timeout).await } => {}
            }
        }
    }
}

/// Delays that double from `min` to `max`, with jitter, so that processes that fail together do not retry together.
pub(crate) const fn backoff(min: Duration, max: Duration) -> ExponentialBuilder {
    ExponentialBuilder::new().with_min_delay(min).with_max_delay(max).without_max_times().with_jitter()
}

/// The state of a sequence of retries.
#[derive(Debug)]
pub(crate) struct Backoff {
    policy: ExponentialBuilder,
    delays: ExponentialBackoff,
}

impl Backoff {
    /// Starts with the first delay.
    pub(crate) fn new(policy: ExponentialBuilder) -> Self {
        Self { policy, delays: policy.build() }
    }

    /// Returns the next delay.
    pub(crate) fn next(&mut self) -> Duration {
        // The policies have no end.
        self.delays.next().unwrap_or_default()
    }

    /// Restarts with the first delay.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.policy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum_with_jitter_and_restart() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new(backoff(seconds(1), seconds(3)));
        // Jitter adds up to the delay itself.
        for delay in [1, 2, 3, 3].map(seconds) {
            assert!((delay..delay * 2).contains(&backoff.next()));
        }
        backoff.reset();
        assert!(backoff.next() < seconds(2));
    }

    #[test]
    fn a_stopping_bot_is_done_before_the_process_is_cut_short() {
        let Timeouts { stop_drain_timeout, confirm_timeout, .. } = Timeouts::default();
        assert!(stop_drain_timeout + confirm_timeout < mayfly_bootstrap::DRAIN_TIMEOUT);
    }
}

//! How long the bot waits for what, in one place. Tests use shorter times; nothing else does.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::gcra::Rate;

/// So much may a chat write at once.
pub(crate) const INBOUND_CHAT_BURST: u32 = 10;

/// So much may all chats together write at once: what the bot answers in this time.
pub(crate) const INBOUND_TOTAL_BURST: Duration = Duration::from_secs(10);

/// The bot's patience.
#[derive(Clone, Debug)]
pub(crate) struct Timeouts {
    /// How long Telegram may hold a poll when nothing is in hand. Whole seconds; Telegram's own limit is 50.
    pub long_poll: Duration,
    /// How long to wait before the next poll when the last one brought nothing but updates already in hand.
    pub duplicate_poll_interval: Duration,
    /// How long an update may be in hand before it is set aside for others that wait behind it.
    pub spool_after: Duration,
    /// Pauses between tries while Telegram cannot be reached.
    pub telegram_backoff: BackoffPolicy,
    /// Between tries with a token that Telegram refuses.
    pub rejected_retry_interval: Duration,
    /// Between tries while another program polls with the same token, or a webhook keeps coming back.
    pub conflict_retry_interval: Duration,
    /// How fast a chat may write to the bot. Slower than the bot may answer it, so that little of one chat is ever in hand.
    pub inbound_chat_rate: Rate,
    /// How fast all chats together may write to the bot before each of them is held to a fair share.
    pub inbound_total_rate: Rate,
    /// How often the bot writes to one chat.
    pub outbound_chat_rate: Rate,
    /// How often the bot writes to all chats together.
    pub outbound_total_rate: Rate,
    /// How often to make sure that the webhook is still ours.
    pub webhook_check_interval: Duration,
    /// How long a request of the webhook is held while its update is not handled, at most. Telegram's own limit is about a minute,
    /// but it may have no other connection for all other chats.
    pub webhook_hold_timeout: Duration,
    /// How long an answer is offered to Telegram while it fails with server errors or broken connections, and Telegram does
    /// other things for us meanwhile. While it does nothing, there is no limit.
    pub send_timeout: Duration,
    /// How long a message may altogether be held up by Telegram's flood control. Nothing else has the text that was read,
    /// nor the token of one that was kept.
    pub message_flood_timeout: Duration,
    /// The same for all other calls. A chat that is served for longer is stuck.
    pub flood_timeout: Duration,
    /// The longest pause before another look whether a chat can be written to.
    pub flood_check_interval: Duration,
    /// How often a view is repeated while its text waits to be sent, so that the store keeps the claim.
    pub claim_renewal_interval: Duration,
    /// Pauses between tries while the store is away.
    pub store_backoff: BackoffPolicy,
    /// How long the store may be away before senders are told.
    pub store_timeout: Duration,
    /// How long whoever tries the bot in the simulator waits for the store.
    pub simulator_store_timeout: Duration,
    /// How long the updates in hand may take when the process stops. With `confirm_timeout` shorter than the time that
    /// the process has for its end.
    pub stop_drain_timeout: Duration,
    /// How long the updates in hand may take when another app config takes over.
    pub replaced_drain_timeout: Duration,
    /// How long the last poll, which confirms what was handled, may take.
    pub confirm_timeout: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            long_poll: Duration::from_secs(40),
            duplicate_poll_interval: Duration::from_millis(500),
            spool_after: Duration::from_secs(3),
            telegram_backoff: BackoffPolicy { initial: Duration::from_millis(500), max: Duration::from_secs(30) },
            rejected_retry_interval: Duration::from_secs(60),
            conflict_retry_interval: Duration::from_secs(10),
            inbound_chat_rate: Rate::per_minute(30, INBOUND_CHAT_BURST),
            inbound_total_rate: Rate::per_second(30).with_burst_over(INBOUND_TOTAL_BURST),
            outbound_chat_rate: Rate { burst: 3, interval: Duration::from_secs(1) },
            outbound_total_rate: Rate::per_second(30),
            webhook_check_interval: Duration::from_secs(60),
            webhook_hold_timeout: Duration::from_secs(3),
            send_timeout: Duration::from_secs(600),
            message_flood_timeout: Duration::from_hours(24),
            flood_timeout: Duration::from_secs(600),
            flood_check_interval: Duration::from_secs(5),
            claim_renewal_interval: Duration::from_secs(60),
            store_backoff: BackoffPolicy { initial: Duration::from_millis(250), max: Duration::from_secs(5) },
            store_timeout: Duration::from_secs(600),
            simulator_store_timeout: Duration::from_secs(5),
            stop_drain_timeout: Duration::from_secs(5),
            replaced_drain_timeout: Duration::from_secs(30),
            confirm_timeout: Duration::from_secs(2),
        }
    }
}

impl Timeouts {
    /// Comes back when the updates in hand had their time to be finished: less of it when `stop` is cancelled.
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

/// Growing pauses: the first, then twice as long each time, up to the longest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BackoffPolicy {
    pub initial: Duration,
    pub max: Duration,
}

impl BackoffPolicy {
    /// A sequence that starts with the first pause.
    pub(crate) fn start(self) -> Backoff {
        Backoff { policy: self, next: self.initial }
    }
}

/// Where a sequence of growing pauses stands.
#[derive(Debug)]
pub(crate) struct Backoff {
    policy: BackoffPolicy,
    next: Duration,
}

impl Backoff {
    /// The pause to make now.
    pub(crate) fn next(&mut self) -> Duration {
        let now = self.next.min(self.policy.max);
        self.next = now.saturating_mul(2);
        now
    }

    /// Begins again with the first pause.
    pub(crate) fn reset(&mut self) {
        self.next = self.policy.initial;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest_and_begin_again() {
        let mut backoff = BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(3) }.start();
        assert_eq!([backoff.next(), backoff.next(), backoff.next()].map(|pause| pause.as_secs()), [1, 2, 3]);
        backoff.reset();
        assert_eq!(backoff.next().as_secs(), 1);
    }

    #[test]
    fn a_stopping_bot_is_done_before_the_process_is_cut_short() {
        let Timeouts { stop_drain_timeout, confirm_timeout, .. } = Timeouts::default();
        assert!(stop_drain_timeout + confirm_timeout < mayfly_bootstrap::DRAIN_TIMEOUT);
    }
}

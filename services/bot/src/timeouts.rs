//! How long the bot waits for what, in one place. Tests use shorter times; nothing else does.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::gcra::Rate;

/// So much may a chat write at once.
pub(crate) const FLOOD_BURST: u32 = 10;

/// So much may all chats together write at once: what the bot answers in this time.
pub(crate) const CROWD_BURST: Duration = Duration::from_secs(10);

/// The bot's patience.
#[derive(Clone, Debug)]
pub(crate) struct Timing {
    /// How long Telegram may hold a poll when nothing is in hand. Whole seconds; Telegram's own limit is 50.
    pub long_poll: Duration,
    /// How long to wait before the next poll when the last one brought nothing but updates already in hand.
    pub known_pause: Duration,
    /// How long an update may be in hand before it is set aside for others that wait behind it.
    pub set_aside_after: Duration,
    /// Pauses between tries while Telegram cannot be reached.
    pub telegram_pauses: Pauses,
    /// Between tries with a token that Telegram refuses.
    pub refused_pause: Duration,
    /// Between tries while another program polls with the same token, or a webhook keeps coming back.
    pub conflict_pause: Duration,
    /// How fast a chat may write to the bot. Slower than the bot may answer it, so that little of one chat is ever in hand.
    pub flood_rate: Rate,
    /// How fast all chats together may write to the bot before each of them is held to a fair share.
    pub crowd_rate: Rate,
    /// How often the bot writes to one chat.
    pub chat_rate: Rate,
    /// How often the bot writes to all chats together.
    pub overall_rate: Rate,
    /// How often to make sure that the webhook is still ours.
    pub webhook_check: Duration,
    /// How long a request of the webhook is held while its update is not handled, at most. Telegram's own limit is about a minute,
    /// but it may have no other connection for all other chats.
    pub webhook_hold: Duration,
    /// How long an answer is offered to Telegram while it fails with server errors or broken connections, and Telegram does
    /// other things for us meanwhile. While it does nothing, there is no limit.
    pub send_patience: Duration,
    /// How long a message may altogether be held up by Telegram's flood control. Nothing else has the text that was read,
    /// nor the token of one that was kept.
    pub message_patience: Duration,
    /// The same for all other calls. A chat that is served for longer is stuck.
    pub flood_patience: Duration,
    /// The longest pause before another look whether a chat can be written to.
    pub flood_check: Duration,
    /// How often a view is repeated while its text waits to be sent, so that the store keeps the claim.
    pub claim_renewal: Duration,
    /// Pauses between tries while the store is away.
    pub store_pauses: Pauses,
    /// How long the store may be away before senders are told.
    pub store_patience: Duration,
    /// How long whoever tries the bot in the simulator waits for the store.
    pub simulator_patience: Duration,
    /// How long the updates in hand may take when the process stops. With `confirm_limit` shorter than the time that
    /// the process has for its end.
    pub stop_limit: Duration,
    /// How long the updates in hand may take when another app config takes over.
    pub replaced_limit: Duration,
    /// How long the last poll, which confirms what was handled, may take.
    pub confirm_limit: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            long_poll: Duration::from_secs(40),
            known_pause: Duration::from_millis(500),
            set_aside_after: Duration::from_secs(3),
            telegram_pauses: Pauses { first: Duration::from_millis(500), longest: Duration::from_secs(30) },
            refused_pause: Duration::from_secs(60),
            conflict_pause: Duration::from_secs(10),
            flood_rate: Rate::per_minute(30, FLOOD_BURST),
            crowd_rate: Rate::per_second(30).with_burst_of(CROWD_BURST),
            chat_rate: Rate { burst: 3, interval: Duration::from_secs(1) },
            overall_rate: Rate::per_second(30),
            webhook_check: Duration::from_secs(60),
            webhook_hold: Duration::from_secs(3),
            send_patience: Duration::from_secs(600),
            message_patience: Duration::from_hours(24),
            flood_patience: Duration::from_secs(600),
            flood_check: Duration::from_secs(5),
            claim_renewal: Duration::from_secs(60),
            store_pauses: Pauses { first: Duration::from_millis(250), longest: Duration::from_secs(5) },
            store_patience: Duration::from_secs(600),
            simulator_patience: Duration::from_secs(5),
            stop_limit: Duration::from_secs(5),
            replaced_limit: Duration::from_secs(30),
            confirm_limit: Duration::from_secs(2),
        }
    }
}

impl Timing {
    /// Comes back when the updates in hand had their time to be finished: less of it when `stop` is cancelled.
    pub(crate) fn drain_limit(&self, stop: &CancellationToken) -> impl Future<Output = ()> + use<> {
        let Self { replaced_limit, stop_limit, .. } = *self;
        let stop = stop.clone();
        async move {
            tokio::select! {
                () = sleep(replaced_limit) => {}
                () = async { stop.cancelled().await; sleep(stop_limit).await } => {}
            }
        }
    }
}

/// Growing pauses: the first, then twice as long each time, up to the longest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    pub first: Duration,
    pub longest: Duration,
}

impl Pauses {
    /// A sequence that starts with the first pause.
    pub(crate) fn start(self) -> Backoff {
        Backoff { pauses: self, next: self.first }
    }
}

/// Where a sequence of growing pauses stands.
#[derive(Debug)]
pub(crate) struct Backoff {
    pauses: Pauses,
    next: Duration,
}

impl Backoff {
    /// The pause to make now.
    pub(crate) fn next(&mut self) -> Duration {
        let now = self.next.min(self.pauses.longest);
        self.next = now.saturating_mul(2);
        now
    }

    /// Begins again with the first pause.
    pub(crate) fn reset(&mut self) {
        self.next = self.pauses.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest_and_begin_again() {
        let mut backoff = Pauses { first: Duration::from_secs(1), longest: Duration::from_secs(3) }.start();
        assert_eq!([backoff.next(), backoff.next(), backoff.next()].map(|pause| pause.as_secs()), [1, 2, 3]);
        backoff.reset();
        assert_eq!(backoff.next().as_secs(), 1);
    }

    #[test]
    fn a_stopping_bot_is_done_before_the_process_is_cut_short() {
        let Timing { stop_limit, confirm_limit, .. } = Timing::default();
        assert!(stop_limit + confirm_limit < mayfly_bootstrap::DRAIN_TIMEOUT);
    }
}

//! The flood limit: how fast one chat may send events. Pure: `dispatcher.rs` acts on it.
//!
//! An event counts as flooding only if both its send time and its arrival time exceed the limit. After an outage of the
//! bot, many events arrive at once. The clocks of Telegram and of the bot may differ, and redelivered updates are old.
//!
//! A chat that exceeds its limit gets one reply that says so, and the event is ignored. There is no limit for all chats
//! together: Telegram holds back what the bot has not confirmed.

use teloxide::types::ChatId;
use tokio::time::Instant;

use crate::gcra::{Limiter, PerChat, Rate};

/// What to do with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Serve,
    /// Reply that the limit is exceeded.
    SlowDown,
    /// Do nothing: the chat was notified.
    Ignore,
}

/// The flood limit and its state.
#[derive(Debug)]
pub(crate) struct FloodLimiter {
    rate: Rate,
    chats: PerChat<ChatState>,
}

/// When an event was sent, if known, and when it arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timestamps {
    pub sent_at: Option<Instant>,
    pub received_at: Instant,
}

/// The events of one chat, by send time and by arrival time.
#[derive(Debug, Default)]
struct ChatState {
    sent_at: Limiter,
    received_at: Limiter,
    /// Whether the chat was notified and has not been quiet since.
    is_notified: bool,
}

impl FloodLimiter {
    /// Limits each chat to `rate`.
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, chats: PerChat::default() }
    }

    /// Checks an event of `chat` against the limit.
    pub(crate) fn check(&mut self, chat: ChatId, Timestamps { sent_at, received_at }: Timestamps) -> Verdict {
        let is_quiet = |state: &ChatState| state.received_at.is_full(received_at);
        let state = self.chats.get(chat, is_quiet);
        if is_quiet(state) {
            state.is_notified = false;
        }
        let is_within = |limiter: &Limiter, at| limiter.wait(self.rate, at).is_zero();
        if is_within(&state.received_at, received_at) || sent_at.is_some_and(|at| is_within(&state.sent_at, at)) {
            state.received_at.take(self.rate, received_at);
            if let Some(at) = sent_at {
                state.sent_at.take(self.rate, at);
            }
            return Verdict::Serve;
        }
        if std::mem::replace(&mut state.is_notified, true) { Verdict::Ignore } else { Verdict::SlowDown }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Duration;

    use super::{
        Verdict::{Ignore, Serve, SlowDown},
        *,
    };

    const RATE: Rate = Rate { burst: 3, interval: Duration::from_secs(2) };
    const ANN: ChatId = ChatId(7);

    /// Checks an event that arrives at the time it was sent.
    fn check(flood: &mut FloodLimiter, chat: ChatId, now: Instant) -> Verdict {
        flood.check(chat, Timestamps { sent_at: Some(now), received_at: now })
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_chat_that_exceeds_its_limit_is_notified_once_per_flood() {
        let (mut flood, start) = (FloodLimiter::new(RATE), Instant::now());
        let mut at = |second| check(&mut flood, ANN, start + seconds(second));
        assert_eq!([at(0), at(0), at(0), at(0), at(0), at(0)], [Serve, Serve, Serve, SlowDown, Ignore, Ignore]);
        // At the rate limit and above: the same flood.
        assert_eq!([at(2), at(2), at(4), at(4)], [Serve, Ignore, Serve, Ignore]);
        // Quiet for long enough.
        assert_eq!([at(10), at(10), at(10), at(10)], [Serve, Serve, Serve, SlowDown]);
    }

    #[test]
    fn a_backlog_of_one_chat_is_no_flood() {
        let (mut flood, received_at) = (FloodLimiter::new(RATE), Instant::now() + seconds(100));
        let mut at = |age: u64| flood.check(ANN, Timestamps { sent_at: Some(received_at - seconds(age)), received_at });
        assert_eq!([at(60), at(58), at(56), at(54), at(52), at(50)], [Serve; 6]);
        assert_eq!([at(20), at(20), at(20), at(20)], [Serve, Serve, Serve, SlowDown], "but a flood is one");
    }

    #[test]
    fn a_clock_that_is_wrong_makes_no_flood() {
        let (mut flood, start) = (FloodLimiter::new(RATE), Instant::now() + seconds(10_000));
        let mut at = |second, sent_at| flood.check(ANN, Timestamps { sent_at, received_at: start + seconds(second) });
        assert_eq!([at(0, Some(start)), at(0, None)], [Serve; 2]);
        // All of it claims to be hours old.
        let long_ago = Some(start - seconds(9_000));
        assert_eq!([at(2, long_ago), at(4, long_ago), at(6, long_ago), at(8, long_ago)], [Serve; 4]);
    }

    #[test]
    fn a_chat_that_floods_takes_nothing_from_another() {
        let (mut flood, now) = (FloodLimiter::new(RATE), Instant::now());
        for _ in 0..1_000 {
            check(&mut flood, ANN, now);
        }
        assert_eq!(check(&mut flood, ChatId(8), now), Serve);
    }

    #[test]
    fn notified_chats_are_forgotten() {
        let (mut flood, start) = (FloodLimiter::new(RATE), Instant::now());
        for chat in 0..5_000 {
            let now = start + seconds(u64::try_from(chat).unwrap());
            for _ in 0..4 {
                check(&mut flood, ChatId(chat), now);
            }
        }
        assert!(flood.chats.len() < 2_100, "{}", flood.chats.len());
    }
}

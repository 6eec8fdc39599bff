//! Flood control: limits how fast one chat, and all chats together, may send events. Pure: `dispatcher.rs` acts on it.
//!
//! An event counts as flooding only if both its send time and its arrival time exceed the limit. After an outage of the
//! bot, many events arrive at once. The clocks of Telegram and of the bot may differ, and redelivered updates are old.
//!
//! A chat that exceeds its limit gets one reply that says so, and the event is ignored. If all chats together exceed
//! the global limit, each chat may send one event a minute, and gets one reply that says so. So a quiet chat is never
//! ignored because of others, and ignored events leave the queue of Telegram at once.

use std::collections::HashSet;

use teloxide::types::ChatId;
use tokio::time::{Duration, Instant};

use crate::conversation::flood_reply::FloodScope;
use crate::gcra::{ChatLimiters, Limiter, Rate};

/// How many notified chats are remembered before the quiet ones are removed.
const MAX_NOTIFIED: usize = 1024;
/// The limit of each chat while the global limit is exceeded.
const FAIR_SHARE: Rate = Rate { burst: 1, interval: Duration::from_secs(60) };

/// What to do with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Serve,
    /// Reply that the limit is exceeded.
    SlowDown(FloodScope),
    /// Do nothing: the chat was notified.
    Ignore,
}

/// The flood limits and their state.
#[derive(Debug)]
pub(crate) struct FloodLimiter {
    per_chat: Limit,
    fair_share: Limit,
    global_rate: Rate,
    global: ByTime<Limiter>,
}

/// When an event was sent, if known, and when it arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timestamps {
    pub sent_at: Option<Instant>,
    pub received_at: Instant,
}

/// One limiter by send time and one by arrival time.
#[derive(Debug, Default)]
struct ByTime<M> {
    sent_at: M,
    received_at: M,
}

impl FloodLimiter {
    /// Limits each chat to `per_chat` and all chats together to `global_rate`.
    pub(crate) fn new(per_chat: Rate, global_rate: Rate) -> Self {
        let (per_chat, fair_share) = (Limit::new(per_chat), Limit::new(FAIR_SHARE));
        Self { per_chat, fair_share, global_rate, global: ByTime::default() }
    }

    /// Checks an event of `chat` against the limits.
    pub(crate) fn check(&mut self, chat: ChatId, timestamps: Timestamps) -> Verdict {
        let is_overloaded = !self.global.as_mut().is_within(self.global_rate, timestamps);
        let is_within_share = self.fair_share.is_within(chat, timestamps);
        let verdict = if !self.per_chat.is_within(chat, timestamps) {
            self.per_chat.reject(chat, timestamps.received_at, FloodScope::PerChat)
        } else if is_overloaded && !is_within_share {
            self.fair_share.reject(chat, timestamps.received_at, FloodScope::Global)
        } else {
            self.per_chat.take(chat, timestamps);
            if is_within_share {
                self.fair_share.take(chat, timestamps);
            }
            Verdict::Serve
        };
        // A notification is a reply too.
        if verdict != Verdict::Ignore {
            self.global.as_mut().take(self.global_rate, timestamps);
        }
        verdict
    }
}

impl ByTime<Limiter> {
    fn as_mut(&mut self) -> ByTime<&mut Limiter> {
        ByTime { sent_at: &mut self.sent_at, received_at: &mut self.received_at }
    }
}

impl ByTime<ChatLimiters> {
    fn of(&mut self, chat: ChatId, now: Instant) -> ByTime<&mut Limiter> {
        ByTime { sent_at: self.sent_at.get(chat, now), received_at: self.received_at.get(chat, now) }
    }
}

impl ByTime<&mut Limiter> {
    fn is_within(&self, rate: Rate, timestamps: Timestamps) -> bool {
        let is_within = |limiter: &Limiter, at| limiter.wait(rate, at).is_zero();
        is_within(self.received_at, timestamps.received_at)
            || timestamps.sent_at.is_some_and(|sent_at| is_within(self.sent_at, sent_at))
    }

    fn take(self, rate: Rate, timestamps: Timestamps) {
        self.received_at.take(rate, timestamps.received_at);
        if let Some(sent_at) = timestamps.sent_at {
            self.sent_at.take(rate, sent_at);
        }
    }
}

/// One limit for each chat.
#[derive(Debug)]
struct Limit {
    rate: Rate,
    limiters: ByTime<ChatLimiters>,
    /// The chats that were notified and have not been quiet since.
    notified: HashSet<ChatId>,
    /// How many there may be before the quiet ones are removed.
    notified_limit: usize,
}

impl Limit {
    fn new(rate: Rate) -> Self {
        Self { rate, limiters: ByTime::default(), notified: HashSet::new(), notified_limit: MAX_NOTIFIED }
    }

    fn is_within(&mut self, chat: ChatId, timestamps: Timestamps) -> bool {
        let limiters = self.limiters.of(chat, timestamps.received_at);
        if limiters.received_at.is_full(timestamps.received_at) {
            self.notified.remove(&chat);
        }
        limiters.is_within(self.rate, timestamps)
    }

    fn take(&mut self, chat: ChatId, timestamps: Timestamps) {
        self.limiters.of(chat, timestamps.received_at).take(self.rate, timestamps);
    }

    fn reject(&mut self, chat: ChatId, now: Instant, flood: FloodScope) -> Verdict {
        if !self.notified.insert(chat) {
            return Verdict::Ignore;
        }
        if self.notified.len() > self.notified_limit {
            self.notified.retain(|chat| !self.limiters.received_at.get(*chat, now).is_full(now));
            self.notified_limit = MAX_NOTIFIED.max(self.notified.len() * 2);
        }
        Verdict::SlowDown(flood)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        FloodScope::{Global, PerChat},
        Verdict::{Ignore, Serve, SlowDown},
        *,
    };

    const RATE: Rate = Rate { burst: 3, interval: Duration::from_secs(2) };
    /// Never exceeded in these tests.
    const ENDLESS: Rate = Rate { burst: 1_000_000, interval: Duration::from_millis(1) };
    const ANN: ChatId = ChatId(7);

    fn alone() -> FloodLimiter {
        FloodLimiter::new(RATE, ENDLESS)
    }

    /// All chats together may send 10 events at once, and then one every thousand seconds.
    fn crowd() -> FloodLimiter {
        FloodLimiter::new(ENDLESS, Rate { burst: 10, interval: seconds(1_000) })
    }

    /// Checks an event that arrives at the time it was sent.
    fn check(flood: &mut FloodLimiter, chat: ChatId, now: Instant) -> Verdict {
        flood.check(chat, Timestamps { sent_at: Some(now), received_at: now })
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_chat_that_exceeds_its_limit_is_notified_once_per_flood() {
        let (mut flood, start) = (alone(), Instant::now());
        let mut at = |second| check(&mut flood, ANN, start + seconds(second));
        assert_eq!(
            [at(0), at(0), at(0), at(0), at(0), at(0)],
            [Serve, Serve, Serve, SlowDown(PerChat), Ignore, Ignore]
        );
        // At the rate limit and above: the same flood.
        assert_eq!([at(2), at(2), at(4), at(4)], [Serve, Ignore, Serve, Ignore]);
        // Quiet for long enough.
        assert_eq!([at(10), at(10), at(10), at(10)], [Serve, Serve, Serve, SlowDown(PerChat)]);
    }

    #[test]
    fn a_backlog_of_one_chat_is_no_flood() {
        let (mut flood, received_at) = (alone(), Instant::now() + seconds(100));
        let mut at = |age: u64| flood.check(ANN, Timestamps { sent_at: Some(received_at - seconds(age)), received_at });
        assert_eq!([at(60), at(58), at(56), at(54), at(52), at(50)], [Serve; 6]);
        assert_eq!([at(20), at(20), at(20), at(20)], [Serve, Serve, Serve, SlowDown(PerChat)], "but a flood is one");
    }

    #[test]
    fn a_backlog_of_many_chats_does_not_exceed_the_global_limit() {
        let (mut flood, received_at) = (FloodLimiter::new(ENDLESS, RATE), Instant::now() + seconds(100));
        let verdicts = [60, 58, 56, 54, 52, 50]
            .map(|age| flood.check(ANN, Timestamps { sent_at: Some(received_at - seconds(age)), received_at }));
        assert_eq!(verdicts, [Serve; 6]);
    }

    #[test]
    fn a_clock_that_is_wrong_makes_no_flood() {
        let (mut flood, start) = (alone(), Instant::now() + seconds(10_000));
        let mut at = |second, sent_at| flood.check(ANN, Timestamps { sent_at, received_at: start + seconds(second) });
        assert_eq!([at(0, Some(start)), at(0, None)], [Serve; 2]);
        // All of it claims to be hours old.
        let long_ago = Some(start - seconds(9_000));
        assert_eq!([at(2, long_ago), at(4, long_ago), at(6, long_ago), at(8, long_ago)], [Serve; 4]);
    }

    #[test]
    fn a_chat_that_floods_takes_nothing_from_another() {
        let (mut flood, now) = (alone(), Instant::now());
        for _ in 0..1_000 {
            check(&mut flood, ANN, now);
        }
        assert_eq!(check(&mut flood, ChatId(8), now), Serve);
    }

    #[test]
    fn one_flooding_chat_does_not_exceed_the_global_limit() {
        let (mut flood, now) = (FloodLimiter::new(RATE, Rate { burst: 10, interval: seconds(10) }), Instant::now());
        for _ in 0..1_000 {
            check(&mut flood, ANN, now);
        }
        let others = [8, 8, 8].map(|chat| check(&mut flood, ChatId(chat), now));
        assert_eq!(others, [Serve; 3], "four answers were given to the one that floods, and six are left");
    }

    #[test]
    fn above_the_global_limit_each_chat_gets_one_event_a_minute_and_one_notification() {
        let (mut flood, start) = (crowd(), Instant::now());
        for chat in 1..=10 {
            assert_eq!(check(&mut flood, ChatId(chat), start), Serve);
        }
        let mut at = |chat, second: u64| check(&mut flood, ChatId(chat), start + seconds(second));
        assert_eq!([at(1, 1), at(1, 1), at(1, 59)], [SlowDown(Global), Ignore, Ignore]);
        assert_eq!([at(11, 1), at(11, 2), at(11, 3)], [Serve, SlowDown(Global), Ignore], "who was quiet is served");
        assert_eq!([at(1, 60), at(1, 61), at(1, 62)], [Serve, SlowDown(Global), Ignore], "and who is quiet again");
        // Much later, no chat is limited any more.
        assert_eq!([at(1, 100_000), at(1, 100_000), at(1, 100_000)], [Serve; 3]);
    }

    #[test]
    fn below_the_global_limit_no_chat_is_limited_to_its_share() {
        let (mut flood, now) = (crowd(), Instant::now());
        for _ in 0..10 {
            assert_eq!(check(&mut flood, ANN, now), Serve);
        }
        assert_eq!(check(&mut flood, ANN, now), SlowDown(Global));
    }

    #[test]
    fn notified_chats_are_forgotten() {
        let (mut flood, start) = (alone(), Instant::now());
        for chat in 0..5_000 {
            let now = start + seconds(u64::try_from(chat).unwrap());
            for _ in 0..4 {
                check(&mut flood, ChatId(chat), now);
            }
        }
        assert!(flood.per_chat.notified.len() < 2_100, "{}", flood.per_chat.notified.len());
    }
}

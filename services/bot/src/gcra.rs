//! Rate limiting with the generic cell rate algorithm (ITU-T I.371). Pure: the callers pass the time.
//!
//! The state of a limiter is one instant: when the whole burst is available again.

use std::{collections::HashMap, time::Duration};

use teloxide::types::ChatId;
use tokio::time::Instant;

/// How many limiters are kept before the full ones are removed.
const MAX_LIMITERS: usize = 1024;

/// `burst` at once, and one more each `interval`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub burst: u32,
    pub interval: Duration,
}

impl Rate {
    /// `count` per second, one at a time.
    pub(crate) fn per_second(count: u32) -> Self {
        Self { burst: 1, interval: Duration::from_secs(1) / count.max(1) }
    }

    /// With the burst that the rate allows in `time`.
    pub(crate) fn with_burst_over(self, time: Duration) -> Self {
        let burst = time.as_nanos() / self.interval.as_nanos().max(1);
        Self { burst: u32::try_from(burst).unwrap_or(u32::MAX).max(1), ..self }
    }

    /// `count` per minute, `burst` of them at once.
    pub(crate) fn per_minute(count: u32, burst: u32) -> Self {
        Self { burst, interval: Duration::from_secs(60) / count.max(1) }
    }
}

/// How much of a rate is used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limiter {
    /// When the whole burst is available again. `None`: it was never used.
    full_at: Option<Instant>,
}

impl Limiter {
    /// Returns how long to wait from `now` until the next one is within `rate`.
    pub(crate) fn wait(&self, rate: Rate, now: Instant) -> Duration {
        (self.used(now) + rate.interval).saturating_sub(rate.interval * rate.burst)
    }

    /// Uses one at `at`.
    pub(crate) fn take(&mut self, rate: Rate, at: Instant) {
        self.full_at = Some(at + self.used(at) + rate.interval);
    }

    /// Returns `true` if the whole burst is available.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.used(now).is_zero()
    }

    fn used(&self, now: Instant) -> Duration {
        self.full_at.map_or(Duration::ZERO, |full_at| full_at.saturating_duration_since(now))
    }
}

/// One limiter for each chat. Full ones are removed.
#[derive(Debug, Default)]
pub(crate) struct ChatLimiters {
    limiters: HashMap<ChatId, Limiter>,
    /// How many there may be before the full ones are removed.
    limit: usize,
}

impl ChatLimiters {
    /// Returns the limiter of this chat.
    pub(crate) fn get(&mut self, chat: ChatId, now: Instant) -> &mut Limiter {
        if self.limiters.len() >= self.limit.max(MAX_LIMITERS) {
            self.limiters.retain(|_, limiter| !limiter.is_full(now));
            self.limit = self.limiters.len() * 2;
        }
        self.limiters.entry(chat).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, interval: Duration::from_secs(10) };

    fn waits(limiter: &Limiter, now: Instant) -> u64 {
        limiter.wait(RATE, now).as_secs()
    }

    #[test]
    fn a_burst_is_free_and_then_each_waits_for_its_turn() {
        let (mut limiter, start) = (Limiter::default(), Instant::now());
        for _ in 0..3 {
            assert_eq!(waits(&limiter, start), 0);
            limiter.take(RATE, start);
        }
        assert_eq!(waits(&limiter, start), 10);
        let later = start + Duration::from_secs(10);
        assert_eq!(waits(&limiter, later), 0);
        limiter.take(RATE, later);
        assert_eq!(waits(&limiter, later), 10);
    }

    #[test]
    fn a_burst_can_be_given_as_a_time() {
        let rate = Rate::per_second(30).with_burst_over(Duration::from_secs(10));
        assert_eq!((rate.burst, rate.interval), (300, Duration::from_secs(1) / 30));
        assert_eq!(RATE.with_burst_over(Duration::from_secs(1)).burst, 1, "one at least");
    }

    #[test]
    fn unused_capacity_does_not_accumulate() {
        let (mut limiter, start) = (Limiter::default(), Instant::now());
        limiter.take(RATE, start);
        let much_later = start + Duration::from_secs(1_000);
        for _ in 0..3 {
            assert_eq!(waits(&limiter, much_later), 0);
            limiter.take(RATE, much_later);
        }
        assert_eq!(waits(&limiter, much_later), 10);
    }

    #[test]
    fn chats_that_are_quiet_again_are_forgotten() {
        let (mut limiters, start) = (ChatLimiters::default(), Instant::now());
        for chat in 0..2_000 {
            limiters.get(ChatId(chat), start).take(RATE, start);
        }
        assert_eq!(limiters.limiters.len(), 2_000, "none is fresh");
        let later = start + Duration::from_secs(11);
        for chat in 2_000..5_000 {
            limiters.get(ChatId(chat), later).take(RATE, later);
        }
        assert!(limiters.limiters.len() < 4_000, "{}", limiters.limiters.len());
    }
}

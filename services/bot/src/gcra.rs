//! Rate limiting with the generic cell rate algorithm (ITU-T I.371). Pure: the callers pass the time.
//!
//! The state of a limiter is one instant: when the whole burst is available again.

use std::{collections::HashMap, time::Duration};

use teloxide::types::ChatId;
use tokio::time::Instant;

/// How many states are kept before the idle ones are removed.
const MAX_STATES: usize = 1024;

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

/// A state for each chat. Idle ones are removed.
#[derive(Debug, Default)]
pub(crate) struct PerChat<S> {
    states: HashMap<ChatId, S>,
    /// How many there may be before the idle ones are removed.
    limit: usize,
}

impl<S: Default> PerChat<S> {
    /// Returns the state of this chat. A state that `is_idle` says the same as none.
    pub(crate) fn get(&mut self, chat: ChatId, is_idle: impl Fn(&S) -> bool) -> &mut S {
        if self.states.len() >= self.limit.max(MAX_STATES) {
            self.states.retain(|_, state| !is_idle(state));
            self.limit = self.states.len() * 2;
        }
        self.states.entry(chat).or_default()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.states.len()
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
        let (mut limiters, start) = (PerChat::<Limiter>::default(), Instant::now());
        for chat in 0..2_000 {
            limiters.get(ChatId(chat), |limiter| limiter.is_full(start)).take(RATE, start);
        }
        assert_eq!(limiters.len(), 2_000, "none is fresh");
        let later = start + Duration::from_secs(11);
        for chat in 2_000..5_000 {
            limiters.get(ChatId(chat), |limiter| limiter.is_full(later)).take(RATE, later);
        }
        assert!(limiters.len() < 4_000, "{}", limiters.len());
    }
}

//! Flood control: how fast one chat may write. Pure; `chats.rs` acts on it.
//!
//! What is written faster is not served, and its sender is told so, once. All chats together need no such limit: what is in hand
//! is bounded, `pacing.rs` answers at the rate that Telegram allows, and everything beyond waits at Telegram, in its order, for a day;
//! nobody is refused because of others.

use std::collections::HashSet;

use teloxide::types::ChatId;
use tokio::time::Instant;

use crate::rate::{ChatMeters, Rate};

/// As many chats as are remembered to have been told, without a look at which of them are quiet again.
const TOLD_KEPT: usize = 1024;

/// What to do with something that a chat wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Serve,
    /// Say that it is too much.
    SlowDown,
    /// Nothing: that it is too much was said.
    Ignore,
}

/// What chats have used up of their rate.
#[derive(Debug)]
pub(crate) struct Flood {
    rate: Rate,
    meters: ChatMeters,
    /// Who was told, and has not been quiet since for as long as it takes to begin anew.
    told: HashSet<ChatId>,
    limit: usize,
}

impl Flood {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, meters: ChatMeters::default(), told: HashSet::new(), limit: TOLD_KEPT }
    }

    /// Judges something that `chat` wrote `now`.
    pub(crate) fn judge(&mut self, chat: ChatId, now: Instant) -> Verdict {
        let meter = self.meters.of(chat, now);
        if meter.is_fresh(now) {
            self.told.remove(&chat);
        }
        if meter.wait(self.rate, now).is_zero() {
            meter.take(self.rate, now);
            return Verdict::Serve;
        }
        if !self.told.insert(chat) {
            return Verdict::Ignore;
        }
        if self.told.len() > self.limit {
            self.told.retain(|chat| !self.meters.of(*chat, now).is_fresh(now));
            self.limit = TOLD_KEPT.max(self.told.len() * 2);
        }
        Verdict::SlowDown
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate { burst: 3, interval: Duration::from_secs(2) };
    const ANN: ChatId = ChatId(7);

    #[test]
    fn too_much_is_announced_once_and_then_ignored_until_the_chat_was_quiet() {
        use Verdict::{Ignore, Serve, SlowDown};
        let (mut flood, start) = (Flood::new(RATE), Instant::now());
        let mut at = |seconds| flood.judge(ANN, start + Duration::from_secs(seconds));
        assert_eq!([at(0), at(0), at(0), at(0), at(0), at(0)], [Serve, Serve, Serve, SlowDown, Ignore, Ignore]);
        // As fast as it may, and faster: still the same flood.
        assert_eq!([at(2), at(2), at(4), at(4)], [Serve, Ignore, Serve, Ignore]);
        // Quiet for long enough.
        assert_eq!([at(10), at(10), at(10), at(10)], [Serve, Serve, Serve, SlowDown]);
    }

    #[test]
    fn a_chat_that_floods_takes_nothing_from_another() {
        let (mut flood, now) = (Flood::new(RATE), Instant::now());
        for _ in 0..1_000 {
            flood.judge(ANN, now);
        }
        assert_eq!(flood.judge(ChatId(8), now), Verdict::Serve);
    }

    #[test]
    fn who_was_told_is_forgotten_in_the_end() {
        let (mut flood, start) = (Flood::new(RATE), Instant::now());
        for chat in 0..5_000 {
            let now = start + Duration::from_secs(u64::try_from(chat).unwrap());
            for _ in 0..4 {
                flood.judge(ChatId(chat), now);
            }
        }
        assert!(flood.told.len() < 2_100, "{}", flood.told.len());
    }
}

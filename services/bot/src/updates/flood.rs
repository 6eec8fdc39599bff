//! Flood control: how fast one chat may write, and how fast all of them together. Pure; `chats.rs` acts on it.
//!
//! Too fast is only what was written too fast *and* came too fast. What was written in an hour in which the bot was away comes
//! all at once; and what Telegram's clock and ours disagree about, or what comes again, may seem to be written at any time.
//!
//! What a chat writes faster than it may is not served, and the chat is told so, once. When all together write more than the bot
//! may answer, nobody who has been quiet is refused because of others: each chat has one message a minute then, and whoever writes more
//! is told so, once. So what many write is answered after the first message of everybody else, and what nobody has to
//! answer leaves Telegram's queue at once.

use std::collections::HashSet;

use teloxide::types::ChatId;
use tokio::time::{Duration, Instant};

use crate::gcra::{ChatMeters, Meter, Rate};

/// As many chats as are remembered to have been told, without a look at which of them are quiet again.
const TOLD_KEPT: usize = 1024;
/// What a chat may write while all together write too much.
const FAIR_SHARE: Rate = Rate { burst: 1, interval: Duration::from_secs(60) };

/// What to do with something that a chat wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Serve,
    /// Say that it is too much.
    SlowDown(Flood),
    /// Nothing: that it is too much was said.
    Ignore,
}

/// Who writes too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    /// This chat.
    OfOne,
    /// All together.
    OfAll,
}

/// What chats have used up of what they may write.
#[derive(Debug)]
pub(crate) struct FloodControl {
    of_one: Limit,
    in_a_crowd: Limit,
    over_all: Rate,
    all: Meters<Meter>,
}

/// When something was written, if that is known, and when it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct When {
    pub written: Option<Instant>,
    pub came: Instant,
}

/// What was used up by the one time and by the other.
#[derive(Debug, Default)]
struct Meters<M> {
    written: M,
    came: M,
}

impl FloodControl {
    /// Each chat may write at the rate `of_one`, all of them together at the rate `over_all`.
    pub(crate) fn new(of_one: Rate, over_all: Rate) -> Self {
        let (of_one, in_a_crowd) = (Limit::new(of_one), Limit::new(FAIR_SHARE));
        Self { of_one, in_a_crowd, over_all, all: Meters::default() }
    }

    /// Judges something that `chat` wrote.
    pub(crate) fn judge(&mut self, chat: ChatId, when: When) -> Verdict {
        let is_crowd = !self.all.as_mut().has_room(self.over_all, when);
        let has_its_share = self.in_a_crowd.has_room(chat, when);
        let verdict = if !self.of_one.has_room(chat, when) {
            self.of_one.refuse(chat, when.came, Flood::OfOne)
        } else if is_crowd && !has_its_share {
            self.in_a_crowd.refuse(chat, when.came, Flood::OfAll)
        } else {
            self.of_one.take(chat, when);
            if has_its_share {
                self.in_a_crowd.take(chat, when);
            }
            Verdict::Serve
        };
        // To say that it is too much is an answer too.
        if verdict != Verdict::Ignore {
            self.all.as_mut().take(self.over_all, when);
        }
        verdict
    }
}

impl Meters<Meter> {
    fn as_mut(&mut self) -> Meters<&mut Meter> {
        Meters { written: &mut self.written, came: &mut self.came }
    }
}

impl Meters<ChatMeters> {
    fn of(&mut self, chat: ChatId, now: Instant) -> Meters<&mut Meter> {
        Meters { written: self.written.of(chat, now), came: self.came.of(chat, now) }
    }
}

impl Meters<&mut Meter> {
    fn has_room(&self, rate: Rate, when: When) -> bool {
        let has_room = |meter: &Meter, at| meter.wait(rate, at).is_zero();
        has_room(self.came, when.came) || when.written.is_some_and(|written| has_room(self.written, written))
    }

    fn take(self, rate: Rate, when: When) {
        self.came.take(rate, when.came);
        if let Some(written) = when.written {
            self.written.take(rate, written);
        }
    }
}

/// One rate for each chat.
#[derive(Debug)]
struct Limit {
    rate: Rate,
    meters: Meters<ChatMeters>,
    /// Who was told, and has not been quiet since for as long as it takes to begin anew.
    told: HashSet<ChatId>,
    /// How many may be among these before those who are quiet again are forgotten.
    told_limit: usize,
}

impl Limit {
    fn new(rate: Rate) -> Self {
        Self { rate, meters: Meters::default(), told: HashSet::new(), told_limit: TOLD_KEPT }
    }

    fn has_room(&mut self, chat: ChatId, when: When) -> bool {
        let meters = self.meters.of(chat, when.came);
        if meters.came.is_fresh(when.came) {
            self.told.remove(&chat);
        }
        meters.has_room(self.rate, when)
    }

    fn take(&mut self, chat: ChatId, when: When) {
        self.meters.of(chat, when.came).take(self.rate, when);
    }

    fn refuse(&mut self, chat: ChatId, now: Instant, flood: Flood) -> Verdict {
        if !self.told.insert(chat) {
            return Verdict::Ignore;
        }
        if self.told.len() > self.told_limit {
            self.told.retain(|chat| !self.meters.came.of(*chat, now).is_fresh(now));
            self.told_limit = TOLD_KEPT.max(self.told.len() * 2);
        }
        Verdict::SlowDown(flood)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Flood::{OfAll, OfOne},
        Verdict::{Ignore, Serve, SlowDown},
        *,
    };

    const RATE: Rate = Rate { burst: 3, interval: Duration::from_secs(2) };
    /// More than anybody writes here.
    const ENDLESS: Rate = Rate { burst: 1_000_000, interval: Duration::from_millis(1) };
    const ANN: ChatId = ChatId(7);

    fn alone() -> FloodControl {
        FloodControl::new(RATE, ENDLESS)
    }

    /// All together may write 10 messages at once, and then one every thousand seconds.
    fn crowd() -> FloodControl {
        FloodControl::new(ENDLESS, Rate { burst: 10, interval: seconds(1_000) })
    }

    /// Of something that came as soon as it was written.
    fn judge(flood: &mut FloodControl, chat: ChatId, now: Instant) -> Verdict {
        flood.judge(chat, When { written: Some(now), came: now })
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_writes_too_fast_is_told_once_and_again_only_after_a_pause() {
        let (mut flood, start) = (alone(), Instant::now());
        let mut at = |second| judge(&mut flood, ANN, start + seconds(second));
        assert_eq!([at(0), at(0), at(0), at(0), at(0), at(0)], [Serve, Serve, Serve, SlowDown(OfOne), Ignore, Ignore]);
        // As fast as it may, and faster: still the same flood.
        assert_eq!([at(2), at(2), at(4), at(4)], [Serve, Ignore, Serve, Ignore]);
        // Quiet for long enough.
        assert_eq!([at(10), at(10), at(10), at(10)], [Serve, Serve, Serve, SlowDown(OfOne)]);
    }

    #[test]
    fn what_was_written_slowly_and_comes_at_once_is_no_flood() {
        let (mut flood, came) = (alone(), Instant::now() + seconds(100));
        let mut at = |age: u64| flood.judge(ANN, When { written: Some(came - seconds(age)), came });
        assert_eq!([at(60), at(58), at(56), at(54), at(52), at(50)], [Serve; 6]);
        assert_eq!([at(20), at(20), at(20), at(20)], [Serve, Serve, Serve, SlowDown(OfOne)], "but a flood is one");
    }

    #[test]
    fn what_many_wrote_slowly_and_comes_at_once_is_no_crowd() {
        let (mut flood, came) = (FloodControl::new(ENDLESS, RATE), Instant::now() + seconds(100));
        let verdicts =
            [60, 58, 56, 54, 52, 50].map(|age| flood.judge(ANN, When { written: Some(came - seconds(age)), came }));
        assert_eq!(verdicts, [Serve; 6]);
    }

    #[test]
    fn a_clock_that_is_wrong_makes_no_flood() {
        let (mut flood, start) = (alone(), Instant::now() + seconds(10_000));
        let mut at = |second, written| flood.judge(ANN, When { written, came: start + seconds(second) });
        assert_eq!([at(0, Some(start)), at(0, None)], [Serve; 2]);
        // All of it seems to be from hours ago.
        let long_ago = Some(start - seconds(9_000));
        assert_eq!([at(2, long_ago), at(4, long_ago), at(6, long_ago), at(8, long_ago)], [Serve; 4]);
    }

    #[test]
    fn a_chat_that_floods_takes_nothing_from_another() {
        let (mut flood, now) = (alone(), Instant::now());
        for _ in 0..1_000 {
            judge(&mut flood, ANN, now);
        }
        assert_eq!(judge(&mut flood, ChatId(8), now), Serve);
    }

    #[test]
    fn a_chat_that_floods_is_no_crowd() {
        let (mut flood, now) = (FloodControl::new(RATE, Rate { burst: 10, interval: seconds(10) }), Instant::now());
        for _ in 0..1_000 {
            judge(&mut flood, ANN, now);
        }
        let others = [8, 8, 8].map(|chat| judge(&mut flood, ChatId(chat), now));
        assert_eq!(others, [Serve; 3], "four answers were given to the one that floods, and six are left");
    }

    #[test]
    fn when_all_write_too_much_everybody_has_one_message_a_minute_and_is_told_once() {
        let (mut flood, start) = (crowd(), Instant::now());
        for chat in 1..=10 {
            assert_eq!(judge(&mut flood, ChatId(chat), start), Serve);
        }
        let mut at = |chat, second: u64| judge(&mut flood, ChatId(chat), start + seconds(second));
        assert_eq!([at(1, 1), at(1, 1), at(1, 59)], [SlowDown(OfAll), Ignore, Ignore]);
        assert_eq!([at(11, 1), at(11, 2), at(11, 3)], [Serve, SlowDown(OfAll), Ignore], "who was quiet is served");
        assert_eq!([at(1, 60), at(1, 61), at(1, 62)], [Serve, SlowDown(OfAll), Ignore], "and who is quiet again");
        // Long after, nobody is refused any more.
        assert_eq!([at(1, 100_000), at(1, 100_000), at(1, 100_000)], [Serve; 3]);
    }

    #[test]
    fn before_all_write_too_much_nobody_is_held_to_one_message_a_minute() {
        let (mut flood, now) = (crowd(), Instant::now());
        for _ in 0..10 {
            assert_eq!(judge(&mut flood, ANN, now), Serve);
        }
        assert_eq!(judge(&mut flood, ANN, now), SlowDown(OfAll));
    }

    #[test]
    fn who_was_told_is_forgotten_in_the_end() {
        let (mut flood, start) = (alone(), Instant::now());
        for chat in 0..5_000 {
            let now = start + seconds(u64::try_from(chat).unwrap());
            for _ in 0..4 {
                judge(&mut flood, ChatId(chat), now);
            }
        }
        assert!(flood.of_one.told.len() < 2_100, "{}", flood.of_one.told.len());
    }
}

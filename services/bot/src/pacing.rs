//! Telegram's limits for what a bot sends, kept to before Telegram has to say so.
//!
//! Telegram's FAQ for bots: no more than one message a second in a chat, with short bursts now and then, and no more than 30
//! a second over all. teloxide has an adaptor for this, but when Telegram tells one chat to wait, that one holds all others up too,
//! and it counts 20 messages a minute in every chat, which Telegram does in groups only.

use std::sync::{Arc, Mutex, PoisonError};

use teloxide::types::ChatId;
use tokio::time::{Instant, sleep_until};

use crate::rate::{ChatMeters, Meter, Rate};

/// Gives everybody who wants to send something a turn. Clones share the turns.
#[derive(Clone)]
pub(crate) struct Pacing {
    in_a_chat: Rate,
    over_all: Rate,
    meters: Arc<Mutex<Meters>>,
}

#[derive(Default)]
struct Meters {
    chats: ChatMeters,
    all: Meter,
}

impl Pacing {
    pub(crate) fn new(in_a_chat: Rate, over_all: Rate) -> Self {
        Self { in_a_chat, over_all, meters: Arc::default() }
    }

    /// Waits until a message may be sent to `chat`. First come, first served.
    pub(crate) async fn turn(&self, chat: ChatId) {
        sleep_until(self.reserve(|meters, now| take(meters.chats.of(chat, now), self.in_a_chat, now))).await;
        // Only now, so that a chat that waits for its own turn keeps no other from theirs.
        sleep_until(self.reserve(|meters, now| take(&mut meters.all, self.over_all, now))).await;
    }

    fn reserve(&self, take: impl FnOnce(&mut Meters, Instant) -> Instant) -> Instant {
        take(&mut self.meters.lock().unwrap_or_else(PoisonError::into_inner), Instant::now())
    }
}

/// Takes the next turn, and answers when that is.
fn take(meter: &mut Meter, rate: Rate, now: Instant) -> Instant {
    let turn = now + meter.wait(rate, now);
    meter.take(rate, turn);
    turn
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ANN: ChatId = ChatId(7);

    fn pacing() -> Pacing {
        Pacing::new(Rate { burst: 2, interval: Duration::from_secs(1) }, Rate::per_second(10))
    }

    #[tokio::test(start_paused = true)]
    async fn a_chat_gets_a_burst_and_then_one_turn_a_second() {
        let (pacing, start) = (pacing(), Instant::now());
        let mut turns = Vec::new();
        for _ in 0..4 {
            pacing.turn(ANN).await;
            turns.push(start.elapsed().as_secs_f64().round());
        }
        assert_eq!(turns, [0.0, 0.0, 1.0, 2.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn all_together_get_no_more_than_the_limit_in_their_order() {
        let (pacing, start) = (pacing(), Instant::now());
        let turns = (0..30).map(|chat| {
            let pacing = pacing.clone();
            async move {
                pacing.turn(ChatId(chat)).await;
                start.elapsed()
            }
        });
        let turns = futures_util::future::join_all(turns).await;
        assert!(turns.is_sorted());
        assert_eq!(turns.last().unwrap().as_millis() / 100, 29);
    }

    #[tokio::test(start_paused = true)]
    async fn a_chat_that_waits_for_its_turn_keeps_no_other_from_theirs() {
        let (pacing, start) = (pacing(), Instant::now());
        let flood = (0..50).map(|_| pacing.turn(ANN));
        let flood = futures_util::future::join_all(flood);
        let other = async {
            pacing.turn(ChatId(8)).await;
            start.elapsed()
        };
        let (_, waited) = tokio::join!(flood, other);
        assert!(waited < Duration::from_secs(1), "{waited:?}");
    }
}

//! Keeps to Telegram's limits for outgoing messages.
//!
//! Telegram's FAQ for bots: at most one message per second in a chat, with short bursts, and at most 30 per second
//! overall. teloxide has an adaptor for this. But there, a flood wait of one chat delays all others, and the limit of
//! 20 messages per minute applies to every chat, while Telegram applies it to groups only.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use teloxide::types::ChatId;
use tokio::time::{Duration, Instant, sleep_until};

use crate::gcra::{Limiter, PerChat, Rate};

/// Limits the rate of outgoing messages. Clones share the limits.
#[derive(Clone)]
pub(crate) struct SendRateLimit {
    per_chat: Rate,
    global: Rate,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    chats: PerChat<Limiter>,
    all: Limiter,
    flood_waits: FloodWaits,
}

/// The flood waits that Telegram reported.
#[derive(Default)]
struct FloodWaits {
    /// By chat. Expired waits are removed when another is added.
    chats: HashMap<ChatId, Instant>,
    /// The chats with a flood wait since Telegram last accepted a message.
    in_a_row: HashSet<ChatId>,
    /// The first end of the waits of `in_a_row`.
    first_end: Option<Instant>,
}

impl FloodWaits {
    /// This many chats in a row count as a wait for all chats. A bot in private chats hardly ever exceeds the limit of
    /// two chats at once.
    const ALL: usize = 2;

    fn add(&mut self, chat: ChatId, end: Instant, now: Instant) {
        self.chats.retain(|_, end| *end > now);
        self.chats.insert(chat, end);
        self.in_a_row.insert(chat);
        self.first_end = Some(self.first_end.filter(|first| *first > now).map_or(end, |first| first.min(end)));
    }

    fn end(&mut self, chat: ChatId) {
        self.chats.remove(&chat);
        self.in_a_row.clear();
        self.first_end = None;
    }

    fn of(&self, chat: ChatId) -> Option<Instant> {
        let all = self.first_end.filter(|_| self.in_a_row.len() >= Self::ALL);
        self.chats.get(&chat).copied().max(all)
    }
}

impl SendRateLimit {
    pub(crate) fn new(per_chat: Rate, global: Rate) -> Self {
        Self { per_chat, global, state: Arc::default() }
    }

    /// Waits until the limits allow a message to `chat`. First come, first served.
    pub(crate) async fn acquire(&self, chat: ChatId) {
        sleep_until(
            self.reserve(|state, now| take(state.chats.get(chat, |limiter| limiter.is_full(now)), self.per_chat, now)),
        )
        .await;
        // After the limit of the chat, so that a waiting chat delays no other.
        sleep_until(self.reserve(|state, now| take(&mut state.all, self.global, now))).await;
    }

    /// Records a flood wait for `chat`.
    pub(crate) fn flood(&self, chat: ChatId, wait: Duration) {
        let now = Instant::now();
        self.with_state(|state| state.flood_waits.add(chat, now + wait, now));
    }

    /// Records that Telegram accepted a message for `chat`.
    pub(crate) fn sent(&self, chat: ChatId) {
        self.with_state(|state| state.flood_waits.end(chat));
    }

    /// Returns the remaining flood wait for `chat`, of this chat or of several in a row.
    pub(crate) fn flood_wait(&self, chat: ChatId) -> Option<Duration> {
        let end = self.with_state(|state| state.flood_waits.of(chat))?;
        Some(end.saturating_duration_since(Instant::now())).filter(|wait| !wait.is_zero())
    }

    fn with_state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn reserve(&self, take: impl FnOnce(&mut State, Instant) -> Instant) -> Instant {
        self.with_state(|state| take(state, Instant::now()))
    }
}

/// Reserves the next slot and returns its time.
fn take(limiter: &mut Limiter, rate: Rate, now: Instant) -> Instant {
    let acquire = now + limiter.wait(rate, now);
    limiter.take(rate, acquire);
    acquire
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: ChatId = ChatId(7);

    fn rate_limit() -> SendRateLimit {
        SendRateLimit::new(Rate { burst: 2, interval: Duration::from_secs(1) }, Rate::per_second(10))
    }

    #[tokio::test(start_paused = true)]
    async fn a_chat_gets_a_burst_and_then_one_turn_a_second() {
        let (rate_limit, start) = (rate_limit(), Instant::now());
        let mut turns = Vec::new();
        for _ in 0..4 {
            rate_limit.acquire(ANN).await;
            turns.push(start.elapsed().as_secs_f64().round());
        }
        assert_eq!(turns, [0.0, 0.0, 1.0, 2.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn all_together_get_no_more_than_the_limit_in_their_order() {
        let (rate_limit, start) = (rate_limit(), Instant::now());
        let turns = (0..30).map(|chat| {
            let rate_limit = rate_limit.clone();
            async move {
                rate_limit.acquire(ChatId(chat)).await;
                start.elapsed()
            }
        });
        let turns = futures_util::future::join_all(turns).await;
        assert!(turns.is_sorted());
        assert_eq!(turns.last().unwrap().as_millis() / 100, 29);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_wait_of_one_chat_is_none_of_others_and_that_of_two_in_a_row_is() {
        let (bob, carol) = (ChatId(8), ChatId(9));
        let (rate_limit, seconds) = (rate_limit(), Duration::from_secs);
        rate_limit.flood(ANN, seconds(700));
        assert_eq!([ANN, bob].map(|chat| rate_limit.flood_wait(chat)), [Some(seconds(700)), None]);
        rate_limit.flood(bob, seconds(690));
        assert_eq!(rate_limit.flood_wait(carol), Some(seconds(690)));
        tokio::time::advance(seconds(10)).await;
        assert_eq!(rate_limit.flood_wait(carol), Some(seconds(680)));
        // Telegram accepts messages again, but not from all chats.
        rate_limit.sent(bob);
        assert_eq!([ANN, bob, carol].map(|chat| rate_limit.flood_wait(chat)), [Some(seconds(690)), None, None]);
        tokio::time::advance(seconds(690)).await;
        assert_eq!(rate_limit.flood_wait(ANN), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_chat_that_waits_for_its_turn_keeps_no_other_from_theirs() {
        let (rate_limit, start) = (rate_limit(), Instant::now());
        let flood = (0..50).map(|_| rate_limit.acquire(ANN));
        let flood = futures_util::future::join_all(flood);
        let other = async {
            rate_limit.acquire(ChatId(8)).await;
            start.elapsed()
        };
        let (_, waited) = tokio::join!(flood, other);
        assert!(waited < Duration::from_secs(1), "{waited:?}");
    }
}

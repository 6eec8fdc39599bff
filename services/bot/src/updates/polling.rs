//! The polling loop: fetches updates, dispatches them, and confirms each one only after it is handled.
//!
//! The listeners of teloxide confirm an update when it arrives, so a crash loses it. Here, the offset of a poll is the
//! lowest update in flight (see `offset_tracker.rs`). While there is one, Telegram answers every poll at once with the
//! known updates. Then the loop waits until one is handled, or for an interval, before it polls again. A poll returns
//! at most 100 updates, so the loop spools slow updates (see `spool.rs`) when the others fill a poll.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    status::tracker::{Mode, State, StatusTracker},
    telegram::{
        client::{MAX_UPDATES_PER_POLL, Telegram},
        errors::TelegramError,
        session_retry::SessionRetry,
        update::Update,
    },
    timeouts::{Backoff, Timeouts},
    updates::{dispatcher::Dispatcher, offset_tracker::OffsetTracker},
};

/// Polls for one bot.
pub(crate) struct Polling {
    telegram: Telegram,
    dispatcher: Dispatcher,
    timeouts: Timeouts,
    status: StatusTracker,
    tracker: OffsetTracker,
    retry: SessionRetry,
}

/// When to poll again.
struct Next {
    pause: Duration,
    /// Whether a handled update ends the pause.
    sooner_when_handled: bool,
}

const AT_ONCE: Next = Next { pause: Duration::ZERO, sooner_when_handled: true };

impl Polling {
    pub(crate) fn new(telegram: Telegram, dispatcher: Dispatcher, timeouts: Timeouts, status: StatusTracker) -> Self {
        status.set_mode(Mode::Polling);
        let retry = SessionRetry::new(&timeouts, status.clone());
        Self { telegram, dispatcher, timeouts, status, tracker: OffsetTracker::default(), retry }
    }

    /// Polls until `session_stop` is cancelled, then drains and confirms. If `stop` is cancelled too, the process shuts
    /// down and draining has less time.
    pub(crate) async fn run(mut self, session_stop: &CancellationToken, stop: &CancellationToken) {
        // Telegram may hold the first poll for long.
        self.status.set_state(State::Serving);
        session_stop.run_until_cancelled(self.poll()).await;
        for result in self.dispatcher.drain(stop).await {
            self.tracker.record(result);
        }
        self.confirm().await;
    }

    async fn poll(&mut self) {
        let mut next = AT_ONCE;
        loop {
            self.wait(&next).await;
            let offset = self.tracker.offset();
            let hold = if self.tracker.is_idle() { self.timeouts.long_poll } else { Duration::ZERO };
            let polled_at = Instant::now();
            let polled = self.ask(offset, hold).await;
            next = match polled {
                Ok(updates) => {
                    self.retry.succeeded("polling works again");
                    if let Some(offset) = offset {
                        self.tracker.confirmed(offset);
                    }
                    self.forget_lost(offset, &updates);
                    let answered_early = polled_at.elapsed() < hold / 2;
                    let is_full = updates.len() >= usize::from(MAX_UPDATES_PER_POLL);
                    let next = self.take(updates, answered_early).await;
                    if is_full && next.pause > Duration::ZERO {
                        self.dispatcher.spool_slow_updates().await;
                    }
                    next
                }
                Err(error) => self.handle_error(error).await,
            };
        }
    }

    async fn wait(&mut self, next: &Next) {
        let pause = sleep(next.pause);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return,
                result = self.dispatcher.next_result() => {
                    self.tracker.record(result);
                    if next.sooner_when_handled {
                        return;
                    }
                }
            }
        }
    }

    async fn ask(&mut self, offset: Option<i64>, hold: Duration) -> Result<Vec<Update>, TelegramError> {
        let telegram = self.telegram.clone();
        let polled_updates = telegram.updates(offset, hold);
        tokio::pin!(polled_updates);
        loop {
            tokio::select! {
                polled = &mut polled_updates => return polled,
                result = self.dispatcher.next_result() => self.tracker.record(result),
            }
        }
    }

    /// Forgets postponed updates that Telegram does not have any more.
    fn forget_lost(&mut self, offset: Option<i64>, updates: &[Update]) {
        let lost = self.tracker.forget_lost(offset, &updates.iter().map(|update| update.id).collect());
        if lost > 0 {
            tracing::warn!(count = lost, "Telegram lost postponed updates");
        }
        for _ in 0..lost {
            self.status.record_failed_update("Telegram lost an update before it was handled");
        }
    }

    /// Dispatches the new ones of `updates`.
    async fn take(&mut self, updates: Vec<Update>, answered_early: bool) -> Next {
        let nothing_came = updates.is_empty();
        let mut is_any_new = false;
        self.record_ready();
        for update in updates {
            if self.tracker.track(update.id) {
                is_any_new = true;
                self.dispatcher.accept(update, None).await;
            }
        }
        self.record_ready();
        // Telegram does not answer a held poll early without updates. Some substitutes do, and would cause a busy loop.
        let must_wait = nothing_came && answered_early;
        let only_known = !is_any_new && !self.tracker.is_idle();
        if must_wait || only_known {
            return Next { pause: self.timeouts.duplicate_poll_interval, sooner_when_handled: true };
        }
        AT_ONCE
    }

    fn record_ready(&mut self) {
        while let Some(result) = self.dispatcher.ready_result() {
            self.tracker.record(result);
        }
    }

    /// Records why a poll failed, and returns when to retry.
    async fn handle_error(&mut self, error: TelegramError) -> Next {
        let pause = self.retry.failed(error);
        if error == TelegramError::WebhookIsSet
            && let Err(error) = self.telegram.delete_webhook().await
        {
            tracing::debug!(?error, "could not delete the webhook");
        }
        Next { pause, sooner_when_handled: false }
    }

    /// Otherwise Telegram would redeliver the last updates, to this process or to the next one.
    async fn confirm(&self) {
        let Some(offset) = self.tracker.offset() else { return };
        let confirmed = timeout(self.timeouts.confirm_timeout, async {
            let mut backoff = Backoff::new(self.timeouts.telegram_backoff);
            while let Err(TelegramError::Unreachable | TelegramError::AnotherPoller) =
                self.telegram.confirm(offset).await
            {
                sleep(backoff.next()).await;
            }
        });
        if confirmed.await.is_err() {
            tracing::warn!("could not confirm the last updates; Telegram will redeliver them");
        }
    }
}

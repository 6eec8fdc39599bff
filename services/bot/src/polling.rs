//! The polling loop: fetches updates, hands them to the chats, and confirms each only after it was handled.
//!
//! teloxide's own listeners confirm an update as soon as it has arrived, so that a crash loses it. Here the offset of a
//! poll is the lowest update in hand (see `window.rs`). While one is in hand Telegram answers every poll at once, with
//! what we know already; then the loop waits for one to be finished, or for a moment, before it asks again.
//! Since a poll brings at most 100 updates, that many can be in hand.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    chats::{Chats, Served},
    incoming::{Incoming, Update},
    status::{Mode, State, StatusBoard},
    telegram::{Fault, Telegram},
    timing::{Backoff, Timing},
    troubles::Troubles,
    window::Window,
};

/// Polls for one bot.
pub(crate) struct Polling {
    telegram: Telegram,
    chats: Chats,
    timing: Timing,
    board: StatusBoard,
    window: Window,
    backoff: Backoff,
    troubles: Troubles,
}

/// When to poll again.
struct Next {
    pause: Duration,
    /// Whether an update that is served ends the pause.
    sooner_when_served: bool,
}

const AT_ONCE: Next = Next { pause: Duration::ZERO, sooner_when_served: true };

impl Polling {
    pub(crate) fn new(telegram: Telegram, chats: Chats, timing: Timing, board: StatusBoard) -> Self {
        let backoff = timing.telegram_pauses.start();
        board.set_mode(Mode::Polling);
        let troubles = Troubles::new(board.clone());
        Self { telegram, chats, timing, board, window: Window::default(), backoff, troubles }
    }

    /// Polls until `leave` is cancelled, then finishes what is in hand, and confirms it. When `stop` is cancelled too the
    /// process is ending, and there is less time for that.
    pub(crate) async fn run(mut self, leave: &CancellationToken, stop: &CancellationToken) {
        // The first poll may be held for long, and that is what it should be.
        self.board.set_state(State::Serving);
        leave.run_until_cancelled(self.poll()).await;
        self.drain(stop).await;
        self.confirm().await;
    }

    async fn poll(&mut self) {
        let mut next = AT_ONCE;
        loop {
            self.wait(&next).await;
            let offset = self.window.offset();
            let hold = if self.window.is_idle() { self.timing.long_poll } else { Duration::ZERO };
            let asked = Instant::now();
            let polled = self.ask(offset, hold).await;
            next = match polled {
                Ok(updates) => {
                    self.all_is_well();
                    if let Some(offset) = offset {
                        self.window.confirmed(offset);
                    }
                    let answered_early = asked.elapsed() < hold / 2;
                    self.take(updates, answered_early)
                }
                Err(fault) => self.endure(fault).await,
            };
        }
    }

    async fn wait(&mut self, next: &Next) {
        let pause = sleep(next.pause);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return,
                served = self.chats.next_served() => {
                    self.finish(served);
                    if next.sooner_when_served {
                        return;
                    }
                }
            }
        }
    }

    async fn ask(&mut self, offset: Option<i64>, hold: Duration) -> Result<Vec<Update>, Fault> {
        let telegram = self.telegram.clone();
        let answer = telegram.updates(offset, hold);
        tokio::pin!(answer);
        loop {
            tokio::select! {
                polled = &mut answer => return polled,
                served = self.chats.next_served() => self.finish(served),
            }
        }
    }

    /// Takes the new ones of `updates` in hand.
    fn take(&mut self, updates: Vec<Update>, answered_early: bool) -> Next {
        let nothing_came = updates.is_empty();
        let mut is_any_new = false;
        for update in updates {
            let id = update.id;
            if !self.window.admit(id) {
                continue;
            }
            is_any_new = true;
            self.board.update_came();
            match Incoming::of(update) {
                Some(incoming) => self.chats.accept(incoming).into_iter().for_each(|served| self.finish(served)),
                None => {
                    tracing::debug!("left an update alone");
                    self.finish(Served::Handled(id));
                }
            }
        }
        self.board.set_queued_updates(self.window.unfinished());
        // Telegram does not answer a held poll early with nothing. Some stand-ins for it do, and would keep us spinning.
        let has_no_patience = nothing_came && answered_early;
        let only_known = !is_any_new && !self.window.is_idle();
        if has_no_patience || only_known {
            return Next { pause: self.timing.known_pause, sooner_when_served: true };
        }
        AT_ONCE
    }

    /// Notes that an update was handled, or left for later.
    fn finish(&mut self, served: Served) {
        match served {
            Served::Handled(id) => self.window.finish(id),
            Served::LeftForLater(ids) => ids.into_iter().for_each(|id| self.window.leave(id)),
        }
        self.board.set_queued_updates(self.window.unfinished());
    }

    fn all_is_well(&mut self) {
        self.backoff.reset();
        self.troubles.are_over(State::Serving, "polling works again");
    }

    /// Reports why a poll failed, and says when to try again.
    async fn endure(&mut self, fault: Fault) -> Next {
        let pause = match fault {
            Fault::Flood(pause) => {
                self.troubles.report(State::Serving, "Telegram asks the bot to poll less often");
                pause
            }
            Fault::AnotherPoller => {
                self.troubles.report(
                    State::Conflict,
                    "another program polls with the same bot token: stop one of the two, or neither will work",
                );
                self.timing.conflict_pause
            }
            Fault::WebhookIsSet => {
                self.troubles
                    .report(State::Conflict, "a webhook was set for this bot: deleting it, waiting updates are kept");
                match self.telegram.delete_webhook().await {
                    Ok(()) => self.backoff.next(),
                    Err(_) => self.timing.conflict_pause,
                }
            }
            Fault::TokenRefused => {
                self.troubles
                    .report(State::TokenRefused, "Telegram refuses the bot token of the last active app config");
                self.timing.refused_pause
            }
            Fault::Unreachable | Fault::ChatGone | Fault::TextUnfit | Fault::Refused => {
                self.troubles
                    .report(State::TelegramUnreachable, "cannot poll: Telegram cannot be reached or is in trouble");
                self.backoff.next()
            }
        };
        Next { pause, sooner_when_served: false }
    }

    async fn drain(&mut self, stop: &CancellationToken) {
        let limit = self.timing.drain_limit(stop);
        tokio::pin!(limit);
        while !self.chats.is_idle() {
            tokio::select! {
                served = self.chats.next_served() => self.finish(served),
                () = &mut limit => {
                    tracing::warn!("updates are left unfinished; Telegram will deliver them again");
                    return;
                }
            }
        }
    }

    /// Without this Telegram would deliver the last updates again, to us or to who comes after us.
    async fn confirm(&self) {
        let Some(offset) = self.window.offset() else { return };
        let confirmed = timeout(self.timing.confirm_limit, async {
            let mut pauses = self.timing.telegram_pauses.start();
            while let Err(Fault::Unreachable | Fault::AnotherPoller) = self.telegram.confirm(offset).await {
                sleep(pauses.next()).await;
            }
        });
        if confirmed.await.is_err() {
            tracing::warn!("could not confirm the last updates; Telegram will deliver them again");
        }
    }
}

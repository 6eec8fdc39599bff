//! The polling loop: fetches updates, hands them to the chats, and confirms each only after it was handled.
//!
//! teloxide's own listeners confirm an update as soon as it has arrived, so that a crash loses it. Here the offset of a
//! poll is the lowest update in hand (see `window.rs`). While one is in hand Telegram answers every poll at once, with
//! what we know already; then the loop waits for one to be finished, or for a moment, before it asks again.
//! Since a poll brings at most 100 updates from there on, what takes long is set aside (see `set_aside.rs`) when nothing else
//! would come otherwise.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    status::{
        board::{Mode, State, StatusBoard},
        error_log::Troubles,
    },
    telegram::client::{Fault, Telegram, UPDATES_AT_ONCE},
    timeouts::{Backoff, Timing},
    updates::{
        dispatcher::{Chats, Served},
        event::{Incoming, Update},
        offset_tracker::Window,
        spool::SetAside,
    },
};

/// Polls for one bot.
pub(crate) struct Polling {
    telegram: Telegram,
    chats: Chats,
    timing: Timing,
    board: StatusBoard,
    window: Window,
    set_aside: SetAside,
    /// What is in hand and not set aside, and since when.
    in_hand: BTreeMap<u32, (Instant, Update)>,
    /// Whether something that is set aside was left for later.
    is_aside_left: bool,
    backoff: Backoff,
    troubles: Troubles,
}

/// So many updates are set aside at most. More come when some of these are finished.
const MOST_ASIDE: usize = 1_000;

/// When to poll again.
struct Next {
    pause: Duration,
    /// Whether an update that is served ends the pause.
    sooner_when_served: bool,
}

const AT_ONCE: Next = Next { pause: Duration::ZERO, sooner_when_served: true };

impl Polling {
    pub(crate) fn new(
        telegram: Telegram,
        chats: Chats,
        set_aside: SetAside,
        timing: Timing,
        board: StatusBoard,
    ) -> Self {
        let backoff = timing.telegram_pauses.start();
        board.set_mode(Mode::Polling);
        let troubles = Troubles::new(board.clone());
        Self {
            telegram,
            chats,
            timing,
            board,
            window: Window::default(),
            set_aside,
            in_hand: BTreeMap::new(),
            // From before, perhaps.
            is_aside_left: true,
            backoff,
            troubles,
        }
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
            self.take_up_again().await;
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
                    self.give_up_lost(offset, &updates);
                    let answered_early = asked.elapsed() < hold / 2;
                    let is_full = updates.len() >= usize::from(UPDATES_AT_ONCE);
                    let next = self.take(updates, answered_early);
                    if is_full && next.pause > Duration::ZERO {
                        self.make_way().await;
                    }
                    next
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

    /// Goes on without what was left for later and does not come again.
    fn give_up_lost(&mut self, offset: Option<i64>, updates: &[Update]) {
        let lost = self.window.give_up_lost(offset, &updates.iter().map(|update| update.id).collect());
        if lost > 0 {
            tracing::warn!(count = lost, "Telegram does not have updates any more that were left for later");
        }
        for _ in 0..lost {
            self.board.update_failed("Telegram lost an update before it could be answered");
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
            self.in_hand.insert(id, (Instant::now(), update.clone()));
            self.begin(update);
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

    fn begin(&mut self, update: Update) {
        let id = update.id;
        match Incoming::of(update) {
            Some(incoming) => self.chats.accept(incoming).into_iter().for_each(|served| self.finish(served)),
            None => {
                tracing::debug!("left an update alone");
                self.finish(Served::Handled(id));
            }
        }
    }

    /// Sets aside what has been in hand for long, so that what waits behind it can come.
    async fn make_way(&mut self) {
        let room = MOST_ASIDE.saturating_sub(self.window.aside());
        let is_long = |since: &Instant| since.elapsed() > self.timing.set_aside_after;
        let long: Vec<_> = self.in_hand.values().filter(|(since, _)| is_long(since)).take(room).collect();
        let updates: Vec<_> = long.into_iter().map(|(_, update)| update.clone()).collect();
        let ids: Vec<_> = updates.iter().map(|update| update.id).collect();
        if ids.is_empty() {
            return;
        }
        match self.set_aside.put(updates).await {
            Ok(()) => {
                tracing::info!(count = ids.len(), "set updates aside that take long, so that others can come");
                for id in ids {
                    self.in_hand.remove(&id);
                    self.window.set_aside(id);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "cannot set updates aside");
                self.troubles.note("cannot set updates aside that take long: the data directory cannot be written to");
            }
        }
    }

    /// Takes up what was set aside and then left for later, by this session or by one before.
    async fn take_up_again(&mut self) {
        if !self.is_aside_left {
            return;
        }
        match self.set_aside.all().await {
            Ok(updates) => {
                self.is_aside_left = false;
                for update in updates {
                    let id = update.id;
                    if !self.window.admit_aside(id) {
                        continue;
                    }
                    match Incoming::of(update) {
                        Some(incoming) => self.chats.accept_again(incoming),
                        None => self.finish(Served::Handled(id)),
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, "cannot read what was set aside");
                self.troubles.note("cannot read the updates that were set aside: trying again");
            }
        }
    }

    /// Notes that an update was handled, or left for later.
    fn finish(&mut self, served: Served) {
        match served {
            Served::Handled(id) => {
                self.in_hand.remove(&id);
                if self.window.finish(id) {
                    self.set_aside.remove(id);
                }
            }
            Served::LeftForLater(ids) => {
                for id in ids {
                    self.in_hand.remove(&id);
                    self.is_aside_left |= self.window.leave(id);
                }
            }
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

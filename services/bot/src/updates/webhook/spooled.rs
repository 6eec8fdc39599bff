//! What a poller set aside, once the bot has a webhook: it is confirmed, so Telegram does not bring it again.

use std::{collections::HashSet, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::{
    status::board::StatusBoard,
    updates::{event::Update, spool::SetAside},
};

/// The updates that were set aside.
pub(super) struct Leftovers {
    set_aside: SetAside,
    in_hand: HashSet<u32>,
    /// When to look for those that are not in hand. Unset: there are none.
    look_at: Option<Instant>,
    /// How long to wait with what could not be read or was left for later.
    pause: Duration,
    board: StatusBoard,
}

impl Leftovers {
    pub(super) fn new(set_aside: SetAside, pause: Duration, board: StatusBoard) -> Self {
        Self { set_aside, in_hand: HashSet::new(), look_at: Some(Instant::now()), pause, board }
    }

    /// How many are in hand.
    pub(super) fn in_hand(&self) -> usize {
        self.in_hand.len()
    }

    /// Comes back when some are to be taken up. Safe to drop and call again.
    pub(super) async fn are_due(&self) {
        match self.look_at {
            Some(time) => sleep_until(time).await,
            None => std::future::pending().await,
        }
    }

    /// Takes those in hand that are not yet, and answers them in their order.
    pub(super) async fn take_up(&mut self) -> Vec<Update> {
        match self.set_aside.all().await {
            Ok(updates) => {
                self.look_at = None;
                updates.into_iter().filter(|update| self.in_hand.insert(update.id)).collect()
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read the updates that were set aside: trying again");
                self.board.note_error("cannot read the updates that were set aside: trying again");
                self.look_later();
                Vec::new()
            }
        }
    }

    /// Notes that an update was handled. Does nothing about one that is not in hand here.
    pub(super) fn finish(&mut self, id: u32) {
        if self.in_hand.remove(&id) {
            self.set_aside.remove(id);
        }
    }

    /// Notes that an update was left for later. Does nothing about one that is not in hand here.
    pub(super) fn leave(&mut self, id: u32) {
        if self.in_hand.remove(&id) {
            self.look_later();
        }
    }

    fn look_later(&mut self) {
        self.look_at = Some(Instant::now() + self.pause);
    }
}

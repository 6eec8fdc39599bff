//! What a poller set aside, once the bot has a webhook: it is confirmed, so Telegram does not bring it again.

use std::{collections::HashSet, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::{status::board::StatusTracker, telegram::update::Update, updates::spool::Spool};

/// The updates that were set aside.
pub(super) struct SpooledUpdates {
    spool: Spool,
    in_flight: HashSet<u32>,
    /// When to look for those that are not in hand. Unset: there are none.
    next_attempt: Option<Instant>,
    /// How long to wait with what could not be read or was left for later.
    retry_interval: Duration,
    board: StatusTracker,
}

impl SpooledUpdates {
    pub(super) fn new(spool: Spool, retry_interval: Duration, board: StatusTracker) -> Self {
        Self { spool, in_flight: HashSet::new(), next_attempt: Some(Instant::now()), retry_interval, board }
    }

    /// How many are in hand.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Comes back when some are to be taken up. Safe to drop and call again.
    pub(super) async fn due(&self) {
        match self.next_attempt {
            Some(time) => sleep_until(time).await,
            None => std::future::pending().await,
        }
    }

    /// Takes those in hand that are not yet, and answers them in their order.
    pub(super) async fn resume(&mut self) -> Vec<Update> {
        match self.spool.all().await {
            Ok(updates) => {
                self.next_attempt = None;
                updates.into_iter().filter(|update| self.in_flight.insert(update.id)).collect()
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read the updates that were set aside: trying again");
                self.board.record_error("cannot read the updates that were set aside: trying again");
                self.retry_later();
                Vec::new()
            }
        }
    }

    /// Notes that an update was handled. Does nothing about one that is not in hand here.
    pub(super) fn finish(&mut self, id: u32) {
        if self.in_flight.remove(&id) {
            self.spool.remove(id);
        }
    }

    /// Notes that an update was left for later. Does nothing about one that is not in hand here.
    pub(super) fn postpone(&mut self, id: u32) {
        if self.in_flight.remove(&id) {
            self.retry_later();
        }
    }

    fn retry_later(&mut self) {
        self.next_attempt = Some(Instant::now() + self.retry_interval);
    }
}

//! Resumes the updates that polling spooled before the webhook was enabled. They are confirmed, so Telegram does not
//! redeliver them.

use std::{collections::HashSet, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::{status::tracker::StatusTracker, telegram::update::Update, updates::spool::Spool};

/// The spooled updates of one bot.
pub(super) struct SpooledUpdates {
    spool: Spool,
    in_flight: HashSet<u32>,
    /// When to read the spool again. `None`: nothing is left.
    next_attempt: Option<Instant>,
    /// How long to wait after an error or a postponed update.
    retry_interval: Duration,
    status: StatusTracker,
}

impl SpooledUpdates {
    pub(super) fn new(spool: Spool, retry_interval: Duration, status: StatusTracker) -> Self {
        Self { spool, in_flight: HashSet::new(), next_attempt: Some(Instant::now()), retry_interval, status }
    }

    /// Returns the number of updates in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Returns when some must be resumed. Cancel safe.
    pub(super) async fn due(&self) {
        match self.next_attempt {
            Some(time) => sleep_until(time).await,
            None => std::future::pending().await,
        }
    }

    /// Returns the updates that are not in flight, ordered by id, and tracks them.
    pub(super) async fn resume(&mut self) -> Vec<Update> {
        match self.spool.all().await {
            Ok(updates) => {
                self.next_attempt = None;
                updates.into_iter().filter(|update| self.in_flight.insert(update.id)).collect()
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read the spooled updates: retrying");
                self.status.record_error("cannot read the spooled updates: retrying");
                self.retry_later();
                Vec::new()
            }
        }
    }

    /// Records that an update is handled. Ignores updates from elsewhere.
    pub(super) fn finish(&mut self, id: u32) {
        if self.in_flight.remove(&id) {
            self.spool.remove(id);
        }
    }

    /// Records that an update is postponed. Ignores updates from elsewhere.
    pub(super) fn postpone(&mut self, id: u32) {
        if self.in_flight.remove(&id) {
            self.retry_later();
        }
    }

    fn retry_later(&mut self) {
        self.next_attempt = Some(Instant::now() + self.retry_interval);
    }
}

//! The current errors of a session: recorded in the status each time, logged once until they are over.

use std::collections::HashSet;

use crate::status::tracker::{State, StatusTracker};

/// The current errors of one session.
pub(crate) struct ErrorLog {
    status: StatusTracker,
    logged: HashSet<&'static str>,
}

impl ErrorLog {
    pub(crate) fn new(status: StatusTracker) -> Self {
        Self { status, logged: HashSet::new() }
    }

    /// Records an error that prevents the bot from serving.
    pub(crate) fn report(&mut self, state: State, message: &'static str) {
        self.status.set_state(state);
        self.record(message);
    }

    /// Records an error that does not prevent the bot from serving.
    pub(crate) fn record(&mut self, message: &'static str) {
        self.status.record_error(message);
        if self.logged.insert(message) {
            tracing::warn!("{message}");
        }
    }

    /// Records that all errors are over. Logs `news` if there were any.
    pub(crate) fn clear(&mut self, state: State, news: &'static str) {
        self.status.set_state(state);
        if !self.logged.is_empty() {
            self.logged.clear();
            tracing::info!("{news}");
        }
    }
}

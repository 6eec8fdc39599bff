//! What goes wrong with Telegram at present: shown on the board each time, logged once until it is over.

use std::collections::HashSet;

use crate::status::board::{State, StatusTracker};

/// The troubles of one session.
pub(crate) struct ErrorLog {
    board: StatusTracker,
    logged: HashSet<&'static str>,
}

impl ErrorLog {
    pub(crate) fn new(board: StatusTracker) -> Self {
        Self { board, logged: HashSet::new() }
    }

    /// Notes what keeps the bot from serving, or would if it went on.
    pub(crate) fn report(&mut self, state: State, message: &'static str) {
        self.board.set_state(state);
        self.record(message);
    }

    /// Notes what does not keep the bot from serving.
    pub(crate) fn record(&mut self, message: &'static str) {
        self.board.record_error(message);
        if self.logged.insert(message) {
            tracing::warn!("{message}");
        }
    }

    /// Notes that all is well, with `news` for the log if it was not.
    pub(crate) fn clear(&mut self, state: State, news: &'static str) {
        self.board.set_state(state);
        if !self.logged.is_empty() {
            self.logged.clear();
            tracing::info!("{news}");
        }
    }
}

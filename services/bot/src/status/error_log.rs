//! What goes wrong with Telegram at present: shown on the board each time, logged once until it is over.

use std::collections::HashSet;

use crate::status::board::{State, StatusBoard};

/// The troubles of one session.
pub(crate) struct Troubles {
    board: StatusBoard,
    logged: HashSet<&'static str>,
}

impl Troubles {
    pub(crate) fn new(board: StatusBoard) -> Self {
        Self { board, logged: HashSet::new() }
    }

    /// Notes what keeps the bot from serving, or would if it went on.
    pub(crate) fn report(&mut self, state: State, what: &'static str) {
        self.board.set_state(state);
        self.note(what);
    }

    /// Notes what does not keep the bot from serving.
    pub(crate) fn note(&mut self, what: &'static str) {
        self.board.note_error(what);
        if self.logged.insert(what) {
            tracing::warn!("{what}");
        }
    }

    /// Notes that all is well, with `news` for the log if it was not.
    pub(crate) fn are_over(&mut self, state: State, news: &'static str) {
        self.board.set_state(state);
        if !self.logged.is_empty() {
            self.logged.clear();
            tracing::info!("{news}");
        }
    }
}

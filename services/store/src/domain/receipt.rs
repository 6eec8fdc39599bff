//! [`Receipt`]: how and when a message ended.

use super::time::Timestamp;

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its content was returned to its one reader.
    Viewed,
    /// A holder of its token erased it unread.
    Burned,
    /// It was erased unread when its lifetime ended.
    Expired,
}

/// How and when a message ended. Contains nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// How it ended.
    pub outcome: Outcome,
    /// When.
    pub time: Timestamp,
}

//! `/start`, `/help`, and everything that is not understood: how to use the bot.

use super::Answer;
use crate::replies;

pub(super) fn handle() -> Answer {
    Answer::new(replies::help(), "explained")
}

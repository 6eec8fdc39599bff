//! `/start`, `/help`, and everything that is not understood: how to use the bot.

use crate::{answer::Answer, replies};

pub(super) fn handle() -> Answer {
    Answer::saying(replies::help(), "explained")
}

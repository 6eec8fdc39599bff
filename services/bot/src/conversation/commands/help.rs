//! Explains the bot: `/start`, `/help` and every text that is no command.

use crate::conversation::{language::Language, reply::Reply, texts::Phrase, wording};

pub(super) fn run(language: Language) -> Reply {
    Reply::message(wording::help(language), "explained")
}

/// Also explains that the text is probably the second part of a text that the sender's app split in two.
pub(super) fn run_for_split_text(language: Language) -> Reply {
    Reply::message(format!("{}\n\n{}", language.text(Phrase::CutText), wording::help(language)), "explained")
}

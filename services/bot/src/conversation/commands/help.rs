//! `/start`, `/help`, and everything that is not understood: how to use the bot.

use crate::conversation::{language::Language, reply::Reply, texts::Phrase, wording};

/// Nobody writes as much by mistake. What is longer and not understood is likely to be the rest of a text that the sender's app cut
/// in two, since it does so without a word.
const LONG: usize = 500;

pub(crate) fn handle(language: Language) -> Reply {
    Reply::message(wording::help(language), "explained")
}

pub(crate) fn handle_unknown(language: Language, text: &str) -> Reply {
    if text.chars().nth(LONG).is_none() {
        return handle(language);
    }
    Reply::message(format!("{}\n\n{}", language.text(Phrase::CutText), wording::help(language)), "explained")
}

//! One file per thing the bot does. Each has a `handle` that answers what to send; none of them sends.

mod create;
mod derived_id;
mod help;
mod view;

use mayfly_bootstrap::Secret;

use crate::{
    answer::{Answer, Notice},
    incoming::{Content, Incoming},
    intent::Intent,
    replies::{self, Asked},
    store::{Failure, Store},
};

/// What a handler needs.
pub(crate) struct Tools {
    pub store: Store,
    /// The token of the bot that got the update.
    pub bot_token: Secret,
}

/// The bot stops before there was an answer, or cannot give it any more: the update is not handled, and Telegram will bring it
/// again.
#[derive(Debug)]
pub(crate) struct Stopping;

/// The name of what is wanted, for the log.
pub(crate) fn intent_name(content: &Content) -> &'static str {
    match content {
        Content::Text { text, .. } => Intent::of(text).name(),
        Content::NotText => "not_text",
        Content::Press(_) => "press",
    }
}

/// Answers what somebody did. Needs no Telegram, and can be repeated: the same update asks the store for the same again.
pub(crate) async fn handle(tools: &Tools, incoming: &Incoming) -> Result<Answer, Stopping> {
    let update_id = incoming.update_id;
    let text = match &incoming.content {
        Content::Text { text, .. } => text,
        Content::NotText => return Ok(Answer::saying(replies::ONLY_TEXT.to_owned(), "explained")),
        Content::Press(_) => return Ok(Answer::new("unknown button")),
    };
    match Intent::of(text) {
        Intent::Create { text } => create::handle(tools, update_id, text).await,
        Intent::View { id, access_token } => view::handle(tools, incoming.chat, id, access_token).await,
        Intent::Mistyped => Ok(Answer::saying(replies::mistyped(), "explained")),
        Intent::Help | Intent::Unknown => Ok(help::handle()),
    }
}

/// Answers something that came too fast to be served. The press of a button is told in a notice, as any other.
pub(crate) fn slow_down(incoming: &Incoming) -> Answer {
    let sentence = replies::TOO_FAST.to_owned();
    match incoming.content {
        Content::Press(_) => {
            Answer { notice: Some(Notice { text: sentence, stays_until_closed: true }), ..Answer::new("too fast") }
        }
        Content::Text { .. } | Content::NotText => Answer::saying(sentence, "too fast"),
    }
}

/// The answer to a call that the store refused, or never answered.
fn refused(asked: Asked, failure: &Failure) -> Result<Answer, Stopping> {
    match failure {
        Failure::Said(situation) => Ok(Answer::saying(replies::sentence(asked, situation), situation.reason.name())),
        Failure::Stopping => Err(Stopping),
    }
}

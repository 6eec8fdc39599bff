//! One file per thing the bot does. Each has a `handle` that answers what to send; none of them sends.

mod create;
mod help;
mod view;

use mayfly_bootstrap::Secret;

use crate::{
    incoming::Content,
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

/// What to send back, and the word for the log about how it went. No `Debug`: the text may be a secret.
pub(crate) struct Answer {
    pub text: String,
    pub outcome: &'static str,
}

/// The bot stops before there was an answer: the update is not handled, and Telegram will bring it again.
#[derive(Debug)]
pub(crate) struct Stopping;

/// The name of what `content` wants, for the log.
pub(crate) fn intent_name(content: &Content) -> &'static str {
    match content {
        Content::Text(text) => Intent::of(text).name(),
        Content::NotText => "not_text",
    }
}

/// Answers `content`, which came with the update `update_id`.
pub(crate) async fn handle(tools: &Tools, update_id: u32, content: &Content) -> Result<Answer, Stopping> {
    let Content::Text(text) = content else {
        return Ok(Answer { text: replies::ONLY_TEXT.to_owned(), outcome: "explained" });
    };
    match Intent::of(text) {
        Intent::Create { text } => create::handle(tools, update_id, text).await,
        Intent::View { id, access_token } => view::handle(tools, id, access_token).await,
        Intent::Mistyped => Ok(Answer { text: replies::mistyped(), outcome: "explained" }),
        Intent::Help | Intent::Unknown => Ok(help::handle()),
    }
}

/// The answer to a call that the store refused, or never answered.
fn refused(asked: Asked, failure: &Failure) -> Result<Answer, Stopping> {
    match failure {
        Failure::Said { situation, in_doubt } => {
            Ok(Answer { text: replies::sentence(asked, situation, *in_doubt), outcome: situation.reason.name() })
        }
        Failure::Stopping => Err(Stopping),
    }
}

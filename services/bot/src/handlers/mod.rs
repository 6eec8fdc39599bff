//! One file per thing the bot does. Each has a `handle` that answers what to send; none of them sends.

mod create;
mod derived_id;
mod help;
mod view;

use mayfly_bootstrap::Secret;
use mayfly_contracts::message::AcknowledgeViewRequest;

use crate::{
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

/// What to send back, and the word for the log about how it went. No `Debug`: the text may be a secret.
pub(crate) struct Answer {
    pub text: String,
    pub outcome: &'static str,
    /// What the store is told once Telegram has the text.
    pub once_sent: Option<AcknowledgeViewRequest>,
}

impl Answer {
    fn new(text: String, outcome: &'static str) -> Self {
        Self { text, outcome, once_sent: None }
    }
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

/// Answers what came in.
pub(crate) async fn handle(tools: &Tools, incoming: &Incoming) -> Result<Answer, Stopping> {
    let Incoming { update_id, chat, content } = incoming;
    let Content::Text(text) = content else {
        return Ok(Answer::new(replies::ONLY_TEXT.to_owned(), "explained"));
    };
    match Intent::of(text) {
        Intent::Create { text } => create::handle(tools, *update_id, text).await,
        Intent::View { id, access_token } => view::handle(tools, *chat, id, access_token).await,
        Intent::Mistyped => Ok(Answer::new(replies::mistyped(), "explained")),
        Intent::Help | Intent::Unknown => Ok(help::handle()),
    }
}

/// The answer to a call that the store refused, or never answered.
fn refused(asked: Asked, failure: &Failure) -> Result<Answer, Stopping> {
    match failure {
        Failure::Said(situation) => Ok(Answer::new(replies::sentence(asked, situation), situation.reason.name())),
        Failure::Stopping => Err(Stopping),
    }
}

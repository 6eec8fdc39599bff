//! What the bot does beside its keywords, one file for each. A handler answers what to send; none of them sends.

pub(crate) mod derived_id;
mod help;
mod open;
mod press;
mod view;

use mayfly_contracts::Situation;
use url::Url;

use crate::{
    answer::Answer,
    bot_key::BotKey,
    buttons::Pressed,
    flood::Flood,
    incoming::{Content, Incoming},
    intent::{self, Intent},
    language::Language,
    replies::{self, Asked},
    store::{Failure, Store},
    texts::Phrase,
};

/// What a handler needs.
pub(crate) struct Tools {
    pub store: Store,
    /// The key of the bot that got the update.
    pub bot_key: BotKey,
    /// Its user name, without which nobody can be led to it.
    pub bot_name: Option<String>,
    /// Where browsers find the gateway, if they do.
    pub public_url: Option<Url>,
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
        Content::InGroup { .. } => "in_group",
        Content::Press(press) => Pressed::parse(&press.data).map_or("press_unknown", |(pressed, _)| pressed.name()),
    }
}

/// Whether it was meant for this bot: commands in groups may be for another.
pub(crate) fn is_for_us(tools: &Tools, content: &Content) -> bool {
    match content {
        Content::InGroup { text } => intent::is_command_for(tools.bot_name.as_deref(), text),
        Content::Text { .. } | Content::NotText | Content::Press(_) => true,
    }
}

/// Answers what somebody did. Needs no Telegram, and can be repeated: the same update asks the store for the same again.
pub(crate) async fn handle(tools: &Tools, incoming: &Incoming) -> Result<Answer, Stopping> {
    let language = incoming.language;
    match &incoming.content {
        Content::Text { text, .. } => handle_text(tools, incoming, text).await,
        Content::NotText => Ok(Answer::saying(language.say(Phrase::OnlyText), "explained")),
        Content::InGroup { .. } => Ok(Answer::saying(language.say(Phrase::PrivateOnly), "explained")),
        Content::Press(press) => press::handle(tools, incoming, press).await,
    }
}

async fn handle_text(tools: &Tools, incoming: &Incoming, text: &str) -> Result<Answer, Stopping> {
    match Intent::of(text) {
        Intent::Keyword { request, .. } => request.handle(tools, incoming).await,
        Intent::View(opener) => view::handle(tools, incoming, &opener).await,
        Intent::Open(opener) => open::handle(tools, incoming, &opener).await,
        Intent::Mistaken(mistake) => Ok(Answer::saying(replies::mistake(incoming.language, &mistake), "explained")),
        Intent::Help => Ok(help::handle(incoming.language)),
        Intent::Unknown => Ok(help::handle_unknown(incoming.language, text)),
    }
}

/// Answers something that came too fast to be served. The press of a button is told in a notice, as any other; a group, where
/// others read along, is told nothing.
pub(crate) fn slow_down(incoming: &Incoming, flood: Flood) -> Answer {
    let (phrase, outcome) = match flood {
        Flood::OfOne => (Phrase::TooFast, "too fast"),
        Flood::OfAll => (Phrase::TooCrowded, "too crowded"),
    };
    let sentence = incoming.language.say(phrase);
    match incoming.content {
        Content::Press(_) => Answer::noting(sentence, outcome),
        Content::Text { .. } | Content::NotText => Answer::saying(sentence, outcome),
        Content::InGroup { .. } => Answer::new(outcome),
    }
}

/// The answer to a call that the store refused, or never answered.
pub(crate) fn refused(language: Language, asked: Asked, failure: Failure) -> Result<Answer, Stopping> {
    let situation = said(failure)?;
    Ok(Answer::saying(replies::sentence(language, asked, &situation), situation.reason.name()))
}

/// What the store said instead of doing what it was asked for.
fn said(failure: Failure) -> Result<Situation, Stopping> {
    match failure {
        Failure::Said(situation) => Ok(situation),
        Failure::Stopping => Err(Stopping),
    }
}

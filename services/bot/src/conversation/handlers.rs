//! What the bot does beside its keywords, one file for each. A handler answers what to send; none of them sends.

use mayfly_contracts::ErrorInfo;
use url::Url;

use super::{
    callbacks,
    commands::{help, open, view},
};
use crate::{
    bot_key::BotKey,
    conversation::{
        buttons::Pressed,
        command::{self, Intent},
        language::Language,
        message_ref::Opener,
        reply::Answer,
        texts::Phrase,
        wording::{self, Asked},
    },
    store_client::{Failure, Store},
    updates::{
        event::{Content, Incoming},
        flood::Flood,
    },
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

/// What somebody wants, understood once, for the handlers and for the log. No `Debug`: it holds secrets.
pub(crate) enum Wanted<'content> {
    Text {
        text: &'content str,
        intent: Intent,
    },
    NotText,
    Edited,
    InGroup,
    /// Unset: it is none of our buttons, or not any more.
    Press(Option<(Pressed, Opener)>),
}

impl<'content> Wanted<'content> {
    /// Pure and total, as what it is made of.
    pub(crate) fn of(content: &'content Content) -> Self {
        match content {
            Content::Text { text, .. } => Self::Text { text, intent: Intent::of(text) },
            Content::NotText => Self::NotText,
            Content::Edited => Self::Edited,
            Content::InGroup { .. } => Self::InGroup,
            Content::Press(press) => Self::Press(Pressed::parse(&press.data)),
        }
    }

    /// Whether a text is read for it.
    pub(crate) fn reads_text(&self) -> bool {
        matches!(self, Self::Text { intent: Intent::View(_), .. } | Self::Press(Some((Pressed::Reveal, _))))
    }

    /// Whether it concerns a message in the store, so that its answer may open one.
    pub(crate) fn concerns_message(&self) -> bool {
        matches!(self, Self::Text { intent: Intent::Keyword { .. } | Intent::View(_) | Intent::Open(_), .. })
    }

    /// Its name in logs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Text { intent, .. } => intent.name(),
            Self::NotText => "not_text",
            Self::Edited => "edited",
            Self::InGroup => "in_group",
            Self::Press(Some((pressed, _))) => pressed.name(),
            Self::Press(None) => "press_unknown",
        }
    }
}

/// Whether it was meant for this bot: commands in groups may be for another.
pub(crate) fn is_for_us(tools: &Tools, content: &Content) -> bool {
    match content {
        Content::InGroup { text } => command::is_command_for(tools.bot_name.as_deref(), text),
        Content::Text { .. } | Content::NotText | Content::Edited | Content::Press(_) => true,
    }
}

/// Answers what somebody did, `wanted` being what its content wants. Needs no Telegram, and can be repeated: the same update asks the
/// store for the same again.
pub(crate) async fn handle(tools: &Tools, incoming: &Incoming, wanted: &Wanted<'_>) -> Result<Answer, Stopping> {
    let language = incoming.language;
    match wanted {
        Wanted::Text { text, intent } => handle_text(tools, incoming, text, intent).await,
        Wanted::NotText => Ok(Answer::saying(language.say(Phrase::OnlyText), "explained")),
        Wanted::Edited => Ok(Answer::saying(language.say(Phrase::Edited), "explained")),
        Wanted::InGroup => Ok(Answer::saying(language.say(Phrase::PrivateOnly), "explained")),
        Wanted::Press(pressed) => callbacks::handle(tools, incoming, pressed.as_ref()).await,
    }
}

async fn handle_text(tools: &Tools, incoming: &Incoming, text: &str, intent: &Intent) -> Result<Answer, Stopping> {
    match intent {
        Intent::Keyword { operation, .. } => operation.handle(tools, incoming).await,
        Intent::View(opener) => view::handle(tools, incoming, opener).await,
        Intent::Open(opener) => open::handle(tools, incoming, opener).await,
        Intent::Mistaken(mistake) => Ok(Answer::saying(wording::mistake(incoming.language, mistake), "explained")),
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
        Content::Text { .. } | Content::NotText | Content::Edited => Answer::saying(sentence, outcome),
        Content::InGroup { .. } => Answer::new(outcome),
    }
}

/// The answer to a call that the store refused, or never answered.
pub(crate) fn refused(language: Language, asked: Asked, failure: Failure) -> Result<Answer, Stopping> {
    let situation = said(failure)?;
    Ok(Answer::saying(wording::sentence(language, asked, &situation), situation.reason.name()))
}

/// What the store said instead of doing what it was asked for.
pub(super) fn said(failure: Failure) -> Result<ErrorInfo, Stopping> {
    match failure {
        Failure::Said(situation) => Ok(situation),
        Failure::Stopping => Err(Stopping),
    }
}

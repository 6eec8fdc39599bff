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
        buttons::CallbackAction,
        command::{self, Command},
        language::Language,
        message_ref::MessageRef,
        reply::Reply,
        texts::Phrase,
        wording::{self, Asked},
    },
    store_client::{StoreClient, StoreError},
    updates::{
        event::{ChatEvent, Content},
        flood::FloodScope,
    },
};

/// What a handler needs.
pub(crate) struct Context {
    pub store: StoreClient,
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
pub(crate) struct ShuttingDown;

/// What somebody wants, understood once, for the handlers and for the log. No `Debug`: it holds secrets.
pub(crate) enum Wanted<'content> {
    Text {
        text: &'content str,
        intent: Command,
    },
    NotText,
    Edited,
    InGroup,
    /// Unset: it is none of our buttons, or not any more.
    Press(Option<(CallbackAction, MessageRef)>),
}

impl<'content> Wanted<'content> {
    /// Pure and total, as what it is made of.
    pub(crate) fn of(content: &'content Content) -> Self {
        match content {
            Content::Text { text, .. } => Self::Text { text, intent: Command::of(text) },
            Content::NotText => Self::NotText,
            Content::Edited => Self::Edited,
            Content::InGroup { .. } => Self::InGroup,
            Content::Press(press) => Self::Press(CallbackAction::parse(&press.data)),
        }
    }

    /// Whether a text is read for it.
    pub(crate) fn reads_text(&self) -> bool {
        matches!(self, Self::Text { intent: Command::View(_), .. } | Self::Press(Some((CallbackAction::Reveal, _))))
    }

    /// Whether it concerns a message in the store, so that its answer may open one.
    pub(crate) fn concerns_message(&self) -> bool {
        matches!(self, Self::Text { intent: Command::Keyword { .. } | Command::View(_) | Command::Open(_), .. })
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
pub(crate) fn is_for_us(tools: &Context, content: &Content) -> bool {
    match content {
        Content::InGroup { text } => command::is_command_for(tools.bot_name.as_deref(), text),
        Content::Text { .. } | Content::NotText | Content::Edited | Content::Press(_) => true,
    }
}

/// Answers what somebody did, `wanted` being what its content wants. Needs no Telegram, and can be repeated: the same update asks the
/// store for the same again.
pub(crate) async fn handle(tools: &Context, event: &ChatEvent, wanted: &Wanted<'_>) -> Result<Reply, ShuttingDown> {
    let language = event.language;
    match wanted {
        Wanted::Text { text, intent } => handle_text(tools, event, text, intent).await,
        Wanted::NotText => Ok(Reply::message(language.text(Phrase::OnlyText), "explained")),
        Wanted::Edited => Ok(Reply::message(language.text(Phrase::Edited), "explained")),
        Wanted::InGroup => Ok(Reply::message(language.text(Phrase::PrivateOnly), "explained")),
        Wanted::Press(pressed) => callbacks::handle(tools, event, pressed.as_ref()).await,
    }
}

async fn handle_text(tools: &Context, event: &ChatEvent, text: &str, intent: &Command) -> Result<Reply, ShuttingDown> {
    match intent {
        Command::Keyword { operation, .. } => operation.handle(tools, event).await,
        Command::View(message_ref) => view::handle(tools, event, message_ref).await,
        Command::Open(message_ref) => open::handle(tools, event, message_ref).await,
        Command::Mistaken(mistake) => {
            Ok(Reply::message(wording::parse_error_text(event.language, mistake), "explained"))
        }
        Command::Help => Ok(help::handle(event.language)),
        Command::Unknown => Ok(help::handle_unknown(event.language, text)),
    }
}

/// Answers something that came too fast to be served. The press of a button is told in a notice, as any other; a group, where
/// others read along, is told nothing.
pub(crate) fn slow_down(event: &ChatEvent, flood: FloodScope) -> Reply {
    let (phrase, outcome) = match flood {
        FloodScope::PerChat => (Phrase::TooFast, "too fast"),
        FloodScope::Global => (Phrase::TooCrowded, "too crowded"),
    };
    let sentence = event.language.text(phrase);
    match event.content {
        Content::Press(_) => Reply::alert(sentence, outcome),
        Content::Text { .. } | Content::NotText | Content::Edited => Reply::message(sentence, outcome),
        Content::InGroup { .. } => Reply::new(outcome),
    }
}

/// The answer to a call that the store refused, or never answered.
pub(crate) fn refused(language: Language, asked: Asked, failure: StoreError) -> Result<Reply, ShuttingDown> {
    let situation = said(failure)?;
    Ok(Reply::message(wording::error_text(language, asked, &situation), situation.reason.name()))
}

/// What the store said instead of doing what it was asked for.
pub(super) fn said(failure: StoreError) -> Result<ErrorInfo, ShuttingDown> {
    match failure {
        StoreError::Rejected(situation) => Ok(situation),
        StoreError::ShuttingDown => Err(ShuttingDown),
    }
}

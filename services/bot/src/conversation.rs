//! What an event means, and what the bot replies. Independent of the Bot API.

mod buttons;
pub(crate) mod callback_data;
mod callbacks;
pub(crate) mod command;
mod commands;
pub(crate) mod context;
pub(crate) mod event;
pub(crate) mod language;
pub(crate) mod link;
pub(crate) mod reply;
mod request_ids;
pub(crate) mod texts;
pub(crate) mod wording;

use self::{
    context::Context,
    event::{ChatEvent, Content},
    reply::Reply,
    texts::Phrase,
};
use crate::store_client::ShuttingDown;

/// Handles an event. Sends nothing to Telegram. Idempotent: the same update makes the same calls to the store.
pub(crate) async fn handle(context: &Context, event: &ChatEvent) -> Result<Reply, ShuttingDown> {
    let explain = |phrase| Ok(Reply::message(event.language.text(phrase), "explained"));
    match &event.content {
        Content::Text { command, .. } => commands::run(context, event, command).await,
        Content::Callback(query) => callbacks::run(context, event, query.callback.as_ref()).await,
        Content::NotText => explain(Phrase::TextOnly),
        Content::Edited => explain(Phrase::EditIgnored),
        Content::GroupCommand(_) => explain(Phrase::PrivateChatOnly),
    }
}

/// Returns the reply to an event that exceeds the flood limit. A callback query gets an alert. A group gets no reply,
/// because other members read it.
pub(crate) fn slow_down(event: &ChatEvent) -> Reply {
    let (text, outcome) = (event.language.text(Phrase::FloodLimitExceeded), "too fast");
    match event.content {
        Content::Callback(_) => Reply::alert(text, outcome),
        Content::Text { .. } | Content::NotText | Content::Edited => Reply::message(text, outcome),
        Content::GroupCommand(_) => Reply::new(outcome),
    }
}

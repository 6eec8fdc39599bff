//! The reply to an event that exceeds a flood limit.

use crate::conversation::{
    event::{ChatEvent, Content},
    reply::Reply,
    texts::Phrase,
};

/// The flood limit that is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FloodScope {
    /// The limit of this chat.
    PerChat,
    /// The limit of all chats together.
    Global,
}

/// Returns the reply that asks the sender to slow down. A callback query gets an alert. A group gets no reply, because
/// other members read it.
pub(crate) fn flood_reply(event: &ChatEvent, scope: FloodScope) -> Reply {
    let (phrase, outcome) = match scope {
        FloodScope::PerChat => (Phrase::TooFast, "too fast"),
        FloodScope::Global => (Phrase::TooCrowded, "too crowded"),
    };
    let text = event.language.text(phrase);
    match event.content {
        Content::Callback(_) => Reply::alert(text, outcome),
        Content::Text { .. } | Content::NotText | Content::Edited => Reply::message(text, outcome),
        Content::GroupCommand(_) => Reply::new(outcome),
    }
}

//! An event in a chat: what a user did, independent of the Bot API.

use std::time::{Duration, SystemTime};

use teloxide::types::{ChatId, MessageId};

use crate::conversation::{
    callback_data::{Callback, CallbackAction},
    command::{Command, GroupCommand},
    language::Language,
};

/// What a user did in a chat with the bot. No `Debug`: it may hold a secret.
pub(crate) struct ChatEvent {
    pub update_id: u32,
    /// When it was sent, to the second. `None` if Telegram does not say.
    pub sent_at: Option<SystemTime>,
    pub chat: ChatId,
    /// The topic of the chat, if it has topics. All replies go there.
    pub thread: Option<i32>,
    /// The language of the sender's app.
    pub language: Language,
    /// A key that all events share which get one reply together.
    pub group: Option<String>,
    pub content: Content,
}

/// The kind of an event.
pub(crate) enum Content {
    /// A text message.
    Text {
        message_id: Option<MessageId>,
        command: Command,
        /// The formatting marks that the sender's app may have removed from the text.
        lost_marks: Vec<&'static str>,
    },
    /// A photo, a sticker, a voice message or another message without text.
    NotText,
    /// A message was edited.
    Edited,
    /// A command in a group or a channel, where others read it.
    GroupCommand(GroupCommand),
    /// A button was pressed.
    Callback(CallbackQuery),
}

/// A press of a button. The sender's app waits for an answer.
pub(crate) struct CallbackQuery {
    pub id: String,
    /// The message with the button. `None` if Telegram does not know it any more.
    pub message_id: Option<MessageId>,
    /// `None` if the button is not from this release.
    pub callback: Option<Callback>,
}

impl ChatEvent {
    /// Returns the minimum time since the event was sent.
    pub(crate) fn age(&self, now: SystemTime) -> Option<Duration> {
        let since = now.duration_since(self.sent_at?).unwrap_or_default();
        Some(since.saturating_sub(Duration::from_secs(1)))
    }

    /// Returns the text message that was sent. `None` for all other events.
    pub(crate) fn message_id(&self) -> Option<MessageId> {
        match self.content {
            Content::Text { message_id, .. } => message_id,
            Content::NotText | Content::Edited | Content::GroupCommand(_) | Content::Callback(_) => None,
        }
    }

    /// Returns `false` for a command in a group that is unknown or names another bot.
    pub(crate) fn is_for(&self, bot_name: Option<&str>) -> bool {
        match &self.content {
            Content::GroupCommand(command) => command.is_for(bot_name),
            Content::Text { .. } | Content::NotText | Content::Edited | Content::Callback(_) => true,
        }
    }

    /// Returns `true` if the handler views the text of a message.
    pub(crate) fn views_text(&self) -> bool {
        match &self.content {
            Content::Text { command, .. } => matches!(command, Command::View(_)),
            Content::Callback(query) => {
                query.callback.as_ref().is_some_and(|callback| callback.action == CallbackAction::Reveal)
            }
            Content::NotText | Content::Edited | Content::GroupCommand(_) => false,
        }
    }

    /// Returns `true` if the event is a command on a stored message. The reply to it may hold an id and its token.
    pub(crate) fn targets_message(&self) -> bool {
        let Content::Text { command, .. } = &self.content else { return false };
        match command {
            Command::New(_) | Command::View(_) | Command::Look(_) | Command::Burn(_) | Command::Open(_) => true,
            Command::Help | Command::Invalid(_) | Command::Unknown { .. } => false,
        }
    }

    /// The name for logs.
    pub(crate) fn name(&self) -> &'static str {
        match &self.content {
            Content::Text { command, .. } => command.name(),
            Content::NotText => "not_text",
            Content::Edited => "edited",
            Content::GroupCommand(_) => "in_group",
            Content::Callback(query) => {
                query.callback.as_ref().map_or("press_unknown", |callback| callback.action.name())
            }
        }
    }
}

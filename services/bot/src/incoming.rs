//! From Telegram's updates to the few facts the bot acts on.

use serde_json::Value;
use teloxide::types::{ChatId, MediaKind, Message, MessageKind, Update, UpdateKind};

/// A message that somebody wrote to the bot in a private chat. No `Debug`: its text may be a secret.
pub(crate) struct Incoming {
    pub update_id: u32,
    pub chat: ChatId,
    pub content: Content,
}

/// What the message consists of.
pub(crate) enum Content {
    Text(String),
    /// A photo, a sticker, a voice message, …
    NotText,
}

impl Incoming {
    /// `None` for everything the bot leaves alone: groups and channels, edited messages, messages from bots or from
    /// nobody, and Telegram's own notices.
    pub(crate) fn of(update: Update) -> Option<Self> {
        let update_id = update.id.0;
        match update.kind {
            UpdateKind::Message(message) => Self::of_message(update_id, message),
            UpdateKind::Error(json) => Self::of_json(update_id, &json),
            _ => None,
        }
    }

    fn of_message(update_id: u32, message: Message) -> Option<Self> {
        let by_a_person = message.from.as_ref().is_some_and(|user| !user.is_bot);
        if !message.chat.is_private() || !by_a_person {
            return None;
        }
        let MessageKind::Common(common) = message.kind else { return None };
        let content = match common.media_kind {
            MediaKind::Text(media) => Content::Text(media.text),
            _ => Content::NotText,
        };
        Some(Self { update_id, chat: message.chat.id, content })
    }

    /// teloxide hands over what it cannot parse as JSON, and one formatting mark that it does not know yet is enough for
    /// that. The few fields we need have been the same since the Bot API began.
    fn of_json(update_id: u32, update: &Value) -> Option<Self> {
        let message = update.get("message")?;
        let is_private = message.pointer("/chat/type")?.as_str()? == "private";
        let is_bot = message.pointer("/from/is_bot")?.as_bool()?;
        if !is_private || is_bot {
            return None;
        }
        let chat = ChatId(message.pointer("/chat/id")?.as_i64()?);
        // What is neither text nor known to teloxide may just as well be a notice as a new kind of photo: silence.
        let text = message.get("text")?.as_str()?;
        Some(Self { update_id, chat, content: Content::Text(text.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn update(kind: &str, message: Value) -> Update {
        serde_json::from_value(json!({ "update_id": 5, kind: message })).unwrap()
    }

    fn message(extra: Value) -> Value {
        let mut message = json!({
            "message_id": 1, "date": 1_637_568_164,
            "chat": { "id": 7, "type": "private", "first_name": "Ann" },
            "from": { "id": 7, "is_bot": false, "first_name": "Ann" },
        });
        for (key, value) in extra.as_object().unwrap() {
            message[key] = value.clone();
        }
        message
    }

    fn text_of(update: Update) -> Option<String> {
        match Incoming::of(update)?.content {
            Content::Text(text) => Some(text),
            Content::NotText => Some("(not text)".to_owned()),
        }
    }

    #[test]
    fn a_private_text_is_taken() {
        assert_eq!(text_of(update("message", message(json!({ "text": "hi" })))).as_deref(), Some("hi"));
    }

    #[test]
    fn other_content_is_taken_as_not_text() {
        let dice = message(json!({ "dice": { "emoji": "🎲", "value": 3 } }));
        assert_eq!(text_of(update("message", dice)).as_deref(), Some("(not text)"));
    }

    #[test]
    fn groups_edits_bots_and_notices_are_left_alone() {
        let group = json!({ "text": "hi", "chat": { "id": -7, "type": "group", "title": "g" } });
        let bot = json!({ "text": "hi", "from": { "id": 8, "is_bot": true, "first_name": "b" } });
        let nobody = json!({ "text": "hi", "from": null });
        let notice = json!({ "message_auto_delete_timer_changed": { "message_auto_delete_time": 5 } });
        for ignored in [group, bot, nobody, notice] {
            assert_eq!(text_of(update("message", message(ignored.clone()))), None, "{ignored}");
        }
        assert_eq!(text_of(update("edited_message", message(json!({ "text": "hi" })))), None);
    }

    #[test]
    fn a_text_with_formatting_unknown_to_the_library_is_still_taken() {
        let json = json!({ "update_id": 5, "message": message(json!({ "text": "hi" })) });
        let update = Update { id: teloxide::types::UpdateId(5), kind: UpdateKind::Error(json) };
        assert_eq!(text_of(update).as_deref(), Some("hi"));
    }
}

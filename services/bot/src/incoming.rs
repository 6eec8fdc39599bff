//! From Telegram's updates to the few facts the bot acts on.
//!
//! Only these facts are read. teloxide's `Update` would take a whole message apart, and a message with one formatting mark
//! that it does not know yet comes out of it without its text.

use std::collections::HashMap;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use teloxide::types::ChatId;

/// What somebody can send instead of a text: the fields of a Bot API message that hold it. Other messages without a
/// text are Telegram's own notices.
const CONTENT_THAT_IS_NO_TEXT: [&str; 17] = [
    "animation",
    "audio",
    "checklist",
    "contact",
    "dice",
    "document",
    "game",
    "location",
    "paid_media",
    "photo",
    "poll",
    "sticker",
    "story",
    "venue",
    "video",
    "video_note",
    "voice",
];

/// An update as it comes from Telegram. No `Debug`: its message may hold a secret.
#[derive(Deserialize)]
pub(crate) struct Update {
    #[serde(rename = "update_id")]
    pub id: u32,
    /// A new message. Unset: any other kind of update, an edited message for example.
    message: Option<Value>,
}

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

#[derive(Deserialize)]
struct Message {
    chat: Chat,
    from: Option<User>,
    text: Option<String>,
    #[serde(flatten)]
    others: HashMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
struct Chat {
    id: ChatId,
    r#type: String,
}

#[derive(Deserialize)]
struct User {
    is_bot: bool,
}

impl Incoming {
    /// `None` for everything the bot leaves alone: groups and channels, edited messages, messages from bots or from
    /// nobody, and Telegram's own notices.
    pub(crate) fn of(update: Update) -> Option<Self> {
        let Message { chat, from, text, others } = serde_json::from_value(update.message?).ok()?;
        if chat.r#type != "private" || from?.is_bot {
            return None;
        }
        let content = match text {
            Some(text) => Content::Text(text),
            None if CONTENT_THAT_IS_NO_TEXT.iter().any(|kind| others.contains_key(*kind)) => Content::NotText,
            None => return None,
        };
        Some(Self { update_id: update.id, chat: chat.id, content })
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
    fn an_update_of_an_unknown_shape_still_has_its_id() {
        for odd in [json!({}), json!([]), json!(7)] {
            let odd = update("message", odd);
            assert_eq!(odd.id, 5);
            assert!(Incoming::of(odd).is_none());
        }
    }
}

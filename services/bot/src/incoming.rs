//! From Telegram's updates to the few facts the bot acts on.
//!
//! Only these facts are read. teloxide's `Update` would take a whole message apart, and a message with one formatting mark
//! that it does not know yet comes out of it without its text.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::Value;
use teloxide::types::{ChatId, MessageId};

use crate::{
    language::Language,
    rich_text::{RichText, marks_of, plain_text_of},
};

/// The fields of a Bot API message that make it a notice of Telegram's own about a private chat. A message without a
/// text and without any of these was sent by somebody, who gets a reply: Telegram adds kinds of content all the time.
const NOTICES: [&str; 37] = [
    "boost_added",
    "chat_background_set",
    "chat_owner_changed",
    "chat_owner_left",
    "chat_shared",
    "checklist_tasks_added",
    "checklist_tasks_done",
    "connected_website",
    "direct_message_price_changed",
    "forum_topic_closed",
    "forum_topic_created",
    "forum_topic_edited",
    "forum_topic_reopened",
    "general_forum_topic_hidden",
    "general_forum_topic_unhidden",
    "gift",
    "gift_upgrade_sent",
    "giveaway",
    "giveaway_completed",
    "giveaway_created",
    "giveaway_winners",
    "managed_bot_created",
    "message_auto_delete_timer_changed",
    "paid_message_price_changed",
    "passport_data",
    "pinned_message",
    "poll_option_added",
    "poll_option_deleted",
    "proximity_alert_triggered",
    "refunded_payment",
    "successful_payment",
    "unique_gift",
    "users_shared",
    "video_chat_ended",
    "video_chat_started",
    "web_app_data",
    "write_access_allowed",
];

/// The kinds of updates that the bot acts on, as Telegram is asked for them.
pub(crate) const KINDS_OF_UPDATES: [&str; 3] = ["message", "channel_post", "callback_query"];

/// An update as it comes from Telegram. No `Debug`: it may hold a secret.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Update {
    #[serde(rename = "update_id")]
    pub id: u32,
    /// A new message.
    message: Option<Value>,
    /// A new post in a channel that the bot looks after.
    channel_post: Option<Value>,
    /// The press of a button under one of our messages.
    callback_query: Option<Value>,
}

/// What somebody did in a chat with the bot. No `Debug`: it may hold a secret.
pub(crate) struct Incoming {
    pub update_id: u32,
    /// Within a second. `None`: Telegram does not say.
    pub written: Option<SystemTime>,
    pub chat: ChatId,
    /// The topic of the chat, if it has topics. Whatever the bot sends goes there.
    pub thread: Option<i32>,
    /// What the sender's app is set to.
    pub language: Language,
    pub content: Content,
}

/// What was done.
pub(crate) enum Content {
    /// A text was written.
    Text {
        message_id: MessageId,
        text: String,
        /// Which characters the sender's app may have taken out of the text to format it.
        lost_marks: Vec<&'static str>,
    },
    /// A photo, a sticker, a voice message, … was sent; `album` is what all pictures of one album have in common.
    NotText { album: Option<String> },
    /// A command was given where others read along: in a group or a channel.
    InGroup { text: String },
    /// A button was pressed.
    Press(Press),
}

/// The press of a button. Its sender waits until it is answered.
pub(crate) struct Press {
    /// By which Telegram knows the press.
    pub query_id: String,
    /// The message that the button is under. Unset when Telegram does not know it any more.
    pub message_id: Option<MessageId>,
    /// What we put into the button.
    pub data: String,
}

#[derive(Deserialize)]
struct Message {
    message_id: i32,
    /// Seconds since 1970.
    date: Option<u64>,
    chat: Chat,
    from: Option<User>,
    text: Option<String>,
    #[serde(default)]
    entities: Value,
    rich_message: Option<Value>,
    media_group_id: Option<Value>,
    message_thread_id: Option<Value>,
    #[serde(default)]
    is_topic_message: bool,
    #[serde(flatten)]
    others: HashMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
struct CallbackQuery {
    id: String,
    from: User,
    message: Option<PressedMessage>,
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
struct PressedMessage {
    message_id: i32,
    message_thread_id: Option<Value>,
    chat: Chat,
}

#[derive(Deserialize)]
struct Chat {
    id: ChatId,
    r#type: String,
}

#[derive(Deserialize)]
struct User {
    id: ChatId,
    is_bot: bool,
    language_code: Option<String>,
}

impl User {
    fn language(&self) -> Language {
        Language::of_code(self.language_code.as_deref().unwrap_or_default())
    }
}

impl Incoming {
    /// How long ago it was written, at least.
    pub(crate) fn age(&self, now: SystemTime) -> Option<Duration> {
        let since = now.duration_since(self.written?).unwrap_or_default();
        Some(since.saturating_sub(Duration::from_secs(1)))
    }

    /// The message that was written; `None` for a pressed button.
    pub(crate) fn message_id(&self) -> Option<MessageId> {
        match self.content {
            Content::Text { message_id, .. } => Some(message_id),
            Content::NotText { .. } | Content::InGroup { .. } | Content::Press(_) => None,
        }
    }

    /// `None` for everything the bot leaves alone: what is no command in groups and channels, edited messages, messages from
    /// bots, and Telegram's own notices.
    pub(crate) fn of(update: Update) -> Option<Self> {
        let Update { id, message, channel_post, callback_query } = update;
        let press = || Self::of_press(id, callback_query?);
        message.or(channel_post).map_or_else(press, |message| Self::of_message(id, message))
    }

    fn of_message(update_id: u32, message: Value) -> Option<Self> {
        let Ok(message) = Message::deserialize(&message) else { return Self::of_odd_message(update_id, &message) };
        let Message {
            message_id,
            date,
            chat,
            from,
            text,
            entities,
            rich_message,
            media_group_id,
            message_thread_id,
            is_topic_message,
            others,
        } = message;
        // Who writes as a group or as a channel has a bot of Telegram's for a sender.
        let is_person = others.contains_key("sender_chat");
        if from.as_ref().is_some_and(|from| from.is_bot && !is_person) {
            return None;
        }
        let text = match text {
            Some(text) => Some(RichText { text, marks: marks_of(&entities) }),
            None => rich_message.as_ref().and_then(plain_text_of),
        };
        let content = match text {
            Some(RichText { text, .. })
                if matches!(chat.r#type.as_str(), "group" | "supergroup" | "channel") && text.starts_with('/') =>
            {
                Content::InGroup { text }
            }
            _ if chat.r#type != "private" => return None,
            Some(RichText { text, marks }) => {
                Content::Text { message_id: MessageId(message_id), text, lost_marks: marks }
            }
            None if NOTICES.iter().any(|notice| others.contains_key(*notice)) => return None,
            None => Content::NotText { album: media_group_id.as_ref().and_then(Value::as_str).map(str::to_owned) },
        };
        // In groups without topics, replies to replies have a thread too, in which nobody can write.
        let thread = message_thread_id.filter(|_| chat.r#type == "private" || is_topic_message);
        // A private chat has one person in it, named or not.
        let language = from.map(|from| from.language()).unwrap_or_default();
        let written = date.and_then(|date| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(date)));
        Some(Self { update_id, written, chat: chat.id, thread: thread_id(thread), language, content })
    }

    /// A message with fields of other types than those we know. Its sender gets a reply all the same, if its chat is private.
    fn of_odd_message(update_id: u32, message: &Value) -> Option<Self> {
        let chat = Chat::deserialize(message.get("chat")?).ok().filter(|chat| chat.r#type == "private")?;
        let from = message.get("from").and_then(|from| User::deserialize(from).ok());
        if from.as_ref().is_some_and(|from| from.is_bot) {
            return None;
        }
        let language = from.map(|from| from.language()).unwrap_or_default();
        let (written, thread, content) = (None, None, Content::NotText { album: None });
        Some(Self { update_id, written, chat: chat.id, thread, language, content })
    }

    fn of_press(update_id: u32, callback_query: Value) -> Option<Self> {
        let CallbackQuery { id, from, message, data } = serde_json::from_value(callback_query).ok()?;
        let language = from.language();
        // A person's id is also that of the chat with them.
        let chat = message.as_ref().map_or(from.id, |message| message.chat.id);
        if message.as_ref().is_some_and(|message| message.chat.r#type != "private") {
            return None;
        }
        let thread = message.as_ref().and_then(|message| thread_id(message.message_thread_id.clone()));
        let message_id = message.map(|message| MessageId(message.message_id));
        let content = Content::Press(Press { query_id: id, message_id, data });
        Some(Self { update_id, written: None, chat, thread, language, content })
    }
}

/// Threads are known by the number of their first message.
fn thread_id(value: Option<Value>) -> Option<i32> {
    i32::try_from(value?.as_i64()?).ok()
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
            Content::Text { text, .. } => Some(text),
            Content::NotText { .. } => Some("(not text)".to_owned()),
            Content::InGroup { text } => Some(format!("(in a group) {text}")),
            Content::Press(press) => Some(format!("(pressed {})", press.data)),
        }
    }

    #[test]
    fn a_private_text_is_taken() {
        assert_eq!(text_of(update("message", message(json!({ "text": "hi" })))).as_deref(), Some("hi"));
    }

    #[test]
    fn other_content_is_taken_as_not_text_also_if_nobody_knows_it_yet() {
        for content in [
            json!({ "dice": { "emoji": "🎲", "value": 3 } }),
            json!({ "hologram": { "file_id": "x" } }),
            json!({ "rich_message": { "blocks": [{ "type": "hologram" }] } }),
            json!({}),
        ] {
            assert_eq!(
                text_of(update("message", message(content.clone()))).as_deref(),
                Some("(not text)"),
                "{content}"
            );
        }
    }

    #[test]
    fn a_private_message_with_fields_of_other_types_is_taken_as_not_text() {
        for odd in [
            json!({ "text": { "plain": "new:x" } }),
            json!({ "date": "today" }),
            json!({ "message_id": 5_000_000_000_u64 }),
            json!({ "from": { "id": 7 } }),
            json!({ "is_topic_message": null }),
        ] {
            let taken = text_of(update("message", message(odd.clone())));
            assert_eq!(taken.as_deref(), Some("(not text)"), "{odd}");
        }
        let bot = json!({ "date": "today", "from": { "id": 8, "is_bot": true } });
        let group = json!({ "date": "today", "chat": { "id": -7, "type": "group" } });
        for ignored in [bot, group] {
            assert_eq!(text_of(update("message", message(ignored.clone()))), None, "{ignored}");
        }
    }

    #[test]
    fn a_rich_message_is_taken_as_its_text() {
        let text = json!(["new:my ", { "type": "bold", "text": "x" }]);
        let rich = json!({ "rich_message": { "blocks": [{ "type": "paragraph", "text": text }] } });
        let Content::Text { text, lost_marks, .. } = Incoming::of(update("message", message(rich))).unwrap().content
        else {
            panic!("not a text")
        };
        assert_eq!((text.as_str(), lost_marks), ("new:my x", vec!["**"]));
    }

    #[test]
    fn groups_edits_bots_and_notices_are_left_alone() {
        let group = json!({ "text": "hi", "chat": { "id": -7, "type": "group", "title": "g" } });
        let bot = json!({ "text": "hi", "from": { "id": 8, "is_bot": true, "first_name": "b" } });
        let notice = json!({ "message_auto_delete_timer_changed": { "message_auto_delete_time": 5 } });
        let unknown = json!({ "text": "/help", "chat": { "id": -8, "type": "none of these" } });
        for ignored in [group, bot, notice, unknown] {
            assert_eq!(text_of(update("message", message(ignored.clone()))), None, "{ignored}");
        }
        for kind in ["edited_message", "edited_channel_post", "business_message"] {
            assert_eq!(text_of(update(kind, message(json!({ "text": "hi" })))), None, "{kind}");
        }
    }

    #[test]
    fn a_command_in_a_group_or_a_channel_is_taken() {
        for (kind, place) in [("message", "group"), ("message", "supergroup"), ("channel_post", "channel")] {
            let command = json!({ "text": "/help", "chat": { "id": -7, "type": place, "title": "g" } });
            assert_eq!(text_of(update(kind, message(command))).as_deref(), Some("(in a group) /help"));
        }
    }

    #[test]
    fn a_private_text_from_nobody_is_taken() {
        assert_eq!(text_of(update("message", message(json!({ "text": "hi", "from": null })))).as_deref(), Some("hi"));
    }

    fn press(extra: Value) -> Update {
        let mut query = json!({
            "id": "q", "chat_instance": "c", "data": "look",
            "from": { "id": 7, "is_bot": false, "first_name": "Ann", "language_code": "ko" },
        });
        for (key, value) in extra.as_object().unwrap() {
            query[key] = value.clone();
        }
        update("callback_query", query)
    }

    #[test]
    fn a_press_is_taken_with_its_message_or_without() {
        let message = message(json!({}));
        let pressed = Incoming::of(press(json!({ "message": message }))).unwrap();
        assert_eq!((pressed.chat, pressed.language), (ChatId(7), Language::Korean));
        let Content::Press(taken) = pressed.content else { panic!("not a press") };
        assert_eq!((taken.query_id.as_str(), taken.message_id, taken.data.as_str()), ("q", Some(MessageId(1)), "look"));

        let forgotten = Incoming::of(press(json!({}))).unwrap();
        assert_eq!(forgotten.chat, ChatId(7), "the chat with the person who pressed");
        assert!(matches!(forgotten.content, Content::Press(Press { message_id: None, .. })));
    }

    #[test]
    fn a_message_and_a_press_are_in_the_topic_that_they_were_made_in() {
        let thread = |extra: Value| Incoming::of(update("message", message(extra))).unwrap().thread;
        assert_eq!(thread(json!({ "text": "hi", "message_thread_id": 116_834 })), Some(116_834));
        assert_eq!(thread(json!({ "text": "hi" })), None);
        assert_eq!(thread(json!({ "text": "hi", "message_thread_id": "odd" })), None, "it is answered all the same");
        let chat = json!({ "id": -7, "type": "supergroup", "title": "g" });
        let in_group = json!({ "text": "/help", "message_thread_id": 5, "chat": chat });
        assert_eq!(thread(in_group.clone()), None, "a thread of replies is no topic");
        let mut in_topic = in_group;
        in_topic["is_topic_message"] = json!(true);
        assert_eq!(thread(in_topic), Some(5));
        let pressed = press(json!({ "message": message(json!({ "message_thread_id": 116_834 })) }));
        assert_eq!(Incoming::of(pressed).unwrap().thread, Some(116_834));
    }

    #[test]
    fn a_press_in_a_group_is_left_alone() {
        let message = json!({ "message_id": 1, "chat": { "id": -7, "type": "group", "title": "g" } });
        assert!(Incoming::of(press(json!({ "message": message }))).is_none());
    }

    #[test]
    fn an_update_of_an_unknown_shape_still_has_its_id() {
        for odd in [json!({}), json!([]), json!(7)] {
            for kind in KINDS_OF_UPDATES {
                let odd = update(kind, odd.clone());
                assert_eq!(odd.id, 5);
                assert!(Incoming::of(odd).is_none());
            }
        }
    }
}

//! Parses updates of the Bot API into events.
//!
//! Reads each field on its own. The `Update` of teloxide parses a whole message, and loses the text of a message with
//! an unknown kind of formatting.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use teloxide::types::ChatId;

use crate::{
    conversation::{
        callback_data::Callback,
        command::{Command, GroupCommand},
        event::{CallbackQuery, ChatEvent, Content},
        language::Language,
    },
    telegram::update::{Update, message_id},
    updates::rich_text::{RichText, marks_of, plain_text_of},
};

/// The fields that mark a service message of a private chat, which gets no reply. A message without a text and without
/// any of these fields gets a reply, because Telegram adds kinds of content all the time.
const SERVICE_MESSAGE_FIELDS: [&str; 24] = [
    "boost_added",
    "chat_background_set",
    "chat_owner_changed",
    "chat_owner_left",
    "connected_website",
    "direct_message_price_changed",
    "forum_topic_closed",
    "forum_topic_created",
    "forum_topic_edited",
    "forum_topic_reopened",
    "general_forum_topic_hidden",
    "general_forum_topic_unhidden",
    "giveaway_completed",
    "giveaway_created",
    "managed_bot_created",
    "message_auto_delete_timer_changed",
    "paid_message_price_changed",
    "pinned_message",
    "proximity_alert_triggered",
    "refunded_payment",
    "video_chat_ended",
    "video_chat_scheduled",
    "video_chat_started",
    "write_access_allowed",
];

impl ChatEvent {
    /// Returns `None` for what the bot ignores: texts in groups and channels that are no commands, messages from bots,
    /// and service messages.
    pub(crate) fn parse(update: &Update) -> Option<Self> {
        let Update { id, message, edited_message, channel_post, callback_query } = update;
        if let Some(message) = message.as_ref().or(channel_post.as_ref()) {
            Self::parse_message(*id, message)
        } else if let Some(edited) = edited_message {
            Self::parse_edit(*id, edited)
        } else {
            Self::parse_callback_query(*id, callback_query.as_ref()?)
        }
    }

    /// Reads each field on its own, so that a malformed field hides no other.
    fn parse_message(update_id: u32, message: &Value) -> Option<Self> {
        let chat = chat_id(message.get("chat")?)?;
        let chat_type = text_at(message, "/chat/type")?;
        let has = |field| message.get(field).is_some_and(|value| !value.is_null());
        // A message in the name of a group or a channel has a bot as its sender.
        if is_true(message, "/from/is_bot") && !has("sender_chat") {
            return None;
        }
        let text = text_at(message, "/text").map(|text| RichText {
            text: text.to_owned(),
            marks: marks_of(message.get("entities").unwrap_or(&Value::Null)),
        });
        let text = text.or_else(|| message.get("rich_message").and_then(plain_text_of));
        let content = match text {
            Some(RichText { text, .. }) if matches!(chat_type, "group" | "supergroup" | "channel") => {
                Content::GroupCommand(GroupCommand::parse(&text)?)
            }
            _ if chat_type != "private" => return None,
            Some(RichText { text, marks }) => {
                Content::Text { message_id: message_id(message), command: Command::parse(&text), lost_marks: marks }
            }
            None if SERVICE_MESSAGE_FIELDS.iter().any(|field| has(field)) => return None,
            None => Content::NotText,
        };
        let group = message.get("media_group_id").filter(|_| matches!(content, Content::NotText));
        Some(Self {
            update_id,
            sent_at: time_at(message, "date"),
            chat,
            // In groups without topics, replies to replies also have a thread, but nobody can send to it.
            thread: thread_id(message).filter(|_| chat_type == "private" || is_true(message, "/is_topic_message")),
            language: language_of(message),
            group: group.filter(|album| !album.is_null()).map(|album| format!("album {album}")),
            content,
        })
    }

    /// An edited message is not handled again, because it was handled when it arrived first. The sender gets a reply
    /// that says so.
    fn parse_edit(update_id: u32, message: &Value) -> Option<Self> {
        // There is no date if Telegram edited the message itself. Live locations are edited automatically.
        let date = message.get("edit_date")?.as_u64()?;
        if message.get("location").is_some() {
            return None;
        }
        let edited = Self::parse_message(update_id, message)?;
        let id = message.get("message_id").unwrap_or(&Value::Null);
        let group = match edited.content {
            Content::Text { .. } => format!("edit {id} of {date}"),
            // For example a checklist, which other users edit.
            Content::NotText => format!("edit {id}"),
            Content::Edited | Content::GroupCommand(_) | Content::Callback(_) => return None,
        };
        let sent_at = time_at(message, "edit_date");
        Some(Self { sent_at, group: Some(group), content: Content::Edited, ..edited })
    }

    fn parse_callback_query(update_id: u32, query: &Value) -> Option<Self> {
        let id = text_at(query, "/id")?.to_owned();
        let message = query.get("message").filter(|message| !message.is_null());
        if message.is_some_and(|message| text_at(message, "/chat/type") != Some("private")) {
            return None;
        }
        // The id of a user is also the id of the private chat with them.
        let chat = message.and_then(|message| message.get("chat")).or_else(|| query.get("from"))?;
        let callback = text_at(query, "/data").and_then(Callback::parse);
        Some(Self {
            update_id,
            sent_at: None,
            chat: chat_id(chat)?,
            thread: message.and_then(thread_id),
            language: language_of(query),
            group: None,
            content: Content::Callback(CallbackQuery { id, message_id: message.and_then(message_id), callback }),
        })
    }
}

fn text_at<'value>(value: &'value Value, pointer: &str) -> Option<&'value str> {
    value.pointer(pointer)?.as_str()
}

fn is_true(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool) == Some(true)
}

fn chat_id(chat_or_user: &Value) -> Option<ChatId> {
    chat_or_user.get("id")?.as_i64().map(ChatId)
}

/// The id of a thread is the id of its first message.
fn thread_id(message: &Value) -> Option<i32> {
    i32::try_from(message.get("message_thread_id")?.as_i64()?).ok()
}

/// Parses seconds since 1970.
fn time_at(message: &Value, field: &str) -> Option<SystemTime> {
    let seconds = message.get(field)?.as_u64()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// A private chat has one user, with or without a sender.
fn language_of(message_or_query: &Value) -> Language {
    Language::of_code(text_at(message_or_query, "/from/language_code").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use mayfly_contracts::MessageRef;
    use serde_json::json;
    use teloxide::types::MessageId;

    use super::*;
    use crate::{conversation::callback_data::CallbackAction, telegram::update::UPDATE_KINDS};

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
        match ChatEvent::parse(&update)?.content {
            Content::Text { command: Command::New(new), .. } => Some(new.text),
            Content::Text { command, .. } => Some(format!("({})", command.name())),
            Content::NotText => Some("(not text)".to_owned()),
            Content::Edited => Some("(edited)".to_owned()),
            Content::GroupCommand(_) => Some("(in a group)".to_owned()),
            Content::Callback(_) => Some("(pressed)".to_owned()),
        }
    }

    #[test]
    fn a_private_text_is_taken() {
        assert_eq!(text_of(update("message", message(json!({ "text": "new:hi" })))).as_deref(), Some("hi"));
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
    fn a_field_of_another_type_hides_no_other_field() {
        for odd in [json!({ "text": { "plain": "new:x" } }), json!({ "text": 7, "date": "today" })] {
            let taken = text_of(update("message", message(odd.clone())));
            assert_eq!(taken.as_deref(), Some("(not text)"), "{odd}");
        }
        for odd in [
            json!({ "date": "today" }),
            json!({ "message_id": 5_000_000_000_u64 }),
            json!({ "message_id": null }),
            json!({ "from": { "id": 7 } }),
            json!({ "from": "Ann" }),
            json!({ "is_topic_message": null }),
            json!({ "message_thread_id": "5" }),
            json!({ "entities": "bold" }),
        ] {
            let mut odd = odd;
            odd["text"] = json!("new:hi");
            let taken = text_of(update("message", message(odd.clone())));
            assert_eq!(taken.as_deref(), Some("hi"), "{odd}");
        }
        let odd = json!({
            "date": "today", "voice": {}, "message_thread_id": 5, "media_group_id": 9,
            "from": { "language_code": "ko" },
        });
        let taken = ChatEvent::parse(&update("message", message(odd))).unwrap();
        assert_eq!(
            (taken.thread, taken.group.as_deref(), taken.language),
            (Some(5), Some("album 9"), Language::Korean)
        );
        let bot = json!({ "date": "today", "from": { "id": 8, "is_bot": true } });
        let group = json!({ "date": "today", "chat": { "id": -7, "type": "group" } });
        for ignored in [bot, group] {
            assert_eq!(text_of(update("message", message(ignored.clone()))), None, "{ignored}");
        }
    }

    #[test]
    fn an_edited_message_is_taken_as_one_whatever_it_holds() {
        for (content, group) in [
            (json!({ "text": "new:x" }), "edit 1 of 9"),
            (json!({ "rich_message": [{ "text": "new:x" }] }), "edit 1 of 9"),
            (json!({ "photo": [], "caption": "new:x", "media_group_id": "7" }), "edit 1"),
            (json!({ "hologram": {} }), "edit 1"),
        ] {
            let mut edited = message(content.clone());
            (edited["edit_date"], edited["message_thread_id"]) = (json!(9), json!(5));
            let taken = ChatEvent::parse(&update("edited_message", edited)).unwrap();
            assert!(matches!(taken.content, Content::Edited), "{content}");
            assert_eq!((taken.group.as_deref(), taken.thread), (Some(group), Some(5)), "{content}");
            assert_eq!(taken.sent_at, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(9)), "not when it was first");
        }
    }

    #[test]
    fn automatic_edits_are_ignored() {
        let by_telegram = message(json!({ "text": "new:x" }));
        let position = message(json!({ "location": { "live_period": 60 }, "edit_date": 9 }));
        let in_a_group = message(json!({ "text": "/help", "edit_date": 9, "chat": { "id": -7, "type": "group" } }));
        for ignored in [by_telegram, position, in_a_group] {
            assert_eq!(text_of(update("edited_message", ignored.clone())), None, "{ignored}");
        }
    }

    #[test]
    fn a_rich_message_is_taken_as_its_text() {
        let text = json!(["new:my ", { "type": "bold", "text": "x" }]);
        let rich = json!({ "rich_message": { "blocks": [{ "type": "paragraph", "text": text }] } });
        let Content::Text { command: Command::New(new), lost_marks, .. } =
            ChatEvent::parse(&update("message", message(rich))).unwrap().content
        else {
            panic!("not a text")
        };
        assert_eq!((new.text.as_str(), lost_marks), ("my x", vec!["**"]));
    }

    #[test]
    fn groups_bots_and_service_messages_are_ignored() {
        let group = json!({ "text": "hi", "chat": { "id": -7, "type": "group", "title": "g" } });
        let bot = json!({ "text": "hi", "from": { "id": 8, "is_bot": true, "first_name": "b" } });
        let notice = json!({ "message_auto_delete_timer_changed": { "message_auto_delete_time": 5 } });
        let unknown = json!({ "text": "/help", "chat": { "id": -8, "type": "none of these" } });
        for ignored in [group, bot, notice, unknown] {
            assert_eq!(text_of(update("message", message(ignored.clone()))), None, "{ignored}");
        }
        let edit = json!({ "text": "hi", "edit_date": 9 });
        for kind in ["edited_channel_post", "business_message", "edited_business_message", "guest_message"] {
            assert_eq!(text_of(update(kind, message(edit.clone()))), None, "{kind}");
        }
    }

    #[test]
    fn a_command_in_a_group_or_a_channel_is_taken() {
        for (kind, chat_type) in [("message", "group"), ("message", "supergroup"), ("channel_post", "channel")] {
            let command = json!({ "text": "/help", "chat": { "id": -7, "type": chat_type, "title": "g" } });
            assert_eq!(text_of(update(kind, message(command))).as_deref(), Some("(in a group)"));
        }
    }

    #[test]
    fn a_private_text_from_nobody_is_taken() {
        assert_eq!(
            text_of(update("message", message(json!({ "text": "new:hi", "from": null })))).as_deref(),
            Some("hi")
        );
    }

    fn message_ref() -> MessageRef {
        MessageRef { id: 7, access_token: "0b".repeat(32) }
    }

    fn press(extra: Value) -> Update {
        let mut query = json!({
            "id": "q", "chat_instance": "c", "data": Callback::data(CallbackAction::Look, &message_ref()),
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
        let pressed = ChatEvent::parse(&press(json!({ "message": message }))).unwrap();
        assert_eq!((pressed.chat, pressed.language), (ChatId(7), Language::Korean));
        let Content::Callback(query) = pressed.content else { panic!("not a callback query") };
        let look = Callback { action: CallbackAction::Look, message_ref: message_ref() };
        assert_eq!((query.id.as_str(), query.message_id, query.callback), ("q", Some(MessageId(1)), Some(look)));

        let odd = json!({ "message_id": "odd", "chat": { "id": 7, "type": "private" } });
        let odd = ChatEvent::parse(&press(json!({ "message": odd, "from": { "id": 7 }, "data": 5 }))).unwrap();
        assert!(matches!(odd.content, Content::Callback(CallbackQuery { message_id: None, callback: None, .. })));

        let forgotten = ChatEvent::parse(&press(json!({}))).unwrap();
        assert_eq!(forgotten.chat, ChatId(7), "the chat with the person who pressed");
        assert!(matches!(forgotten.content, Content::Callback(CallbackQuery { message_id: None, .. })));
    }

    #[test]
    fn a_message_and_a_press_are_in_the_topic_that_they_were_made_in() {
        let thread = |extra: Value| ChatEvent::parse(&update("message", message(extra))).unwrap().thread;
        assert_eq!(thread(json!({ "text": "hi", "message_thread_id": 116_834 })), Some(116_834));
        assert_eq!(thread(json!({ "text": "new:hi" })), None);
        assert_eq!(thread(json!({ "text": "hi", "message_thread_id": "odd" })), None, "it is answered all the same");
        let chat = json!({ "id": -7, "type": "supergroup", "title": "g" });
        let in_group = json!({ "text": "/help", "message_thread_id": 5, "chat": chat });
        assert_eq!(thread(in_group.clone()), None, "a thread of replies is no topic");
        let mut in_topic = in_group;
        in_topic["is_topic_message"] = json!(true);
        assert_eq!(thread(in_topic), Some(5));
        let pressed = press(json!({ "message": message(json!({ "message_thread_id": 116_834 })) }));
        assert_eq!(ChatEvent::parse(&pressed).unwrap().thread, Some(116_834));
    }

    #[test]
    fn a_callback_in_a_group_is_ignored() {
        let message = json!({ "message_id": 1, "chat": { "id": -7, "type": "group", "title": "g" } });
        assert!(ChatEvent::parse(&press(json!({ "message": message }))).is_none());
    }

    #[test]
    fn of_an_update_that_is_nested_too_deep_the_sender_is_known() {
        let deep = (0..500).fold(json!("new:x"), |text, _| json!([text]));
        for (kind, expected) in [("message", "(not text)"), ("edited_message", "(edited)")] {
            let deep = message(json!({ "text": "new:x", "rich_message": deep.clone(), "edit_date": 9 }));
            let update = json!({ "update_id": 5, kind: deep }).to_string();
            let read = Update::from_json(update.as_bytes()).unwrap();
            assert_eq!((read.id, text_of(read).as_deref()), (5, Some(expected)));
        }
        for none in ["", "[]", "{}", r#"{ "update_id": "x" }"#] {
            assert!(Update::from_json(none.as_bytes()).is_none(), "{none}");
        }
    }

    #[test]
    fn an_update_of_an_unknown_shape_still_has_its_id() {
        for odd in [json!({}), json!([]), json!(7)] {
            for kind in UPDATE_KINDS {
                let odd = update(kind, odd.clone());
                assert_eq!(odd.id, 5);
                assert!(ChatEvent::parse(&odd).is_none());
            }
        }
    }
}

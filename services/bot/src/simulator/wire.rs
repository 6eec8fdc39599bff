//! The JSON format of the simulator: objects of Pyrogram, as documented by the system that Mayfly replaces. A request
//! is a `Message`, or a `CallbackQuery` for a pressed button. A response is a list of `Message`s, with an `edit_date`
//! if the pressed one changed, and a `BotCallbackAnswer` for an alert.

use std::time::SystemTime;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    conversation::reply::{Button, ButtonAction, Buttons, MessageEdit, Reply},
    telegram::update::Update,
};

/// The documented time format, in UTC.
const DATE: &str = "%Y-%m-%d %H:%M:%S";
/// The user id of the bot in its own chat. No bot of Telegram has this id.
const BOT_ID: i64 = 0;

/// The posted event. No `Debug`: it may hold a secret.
pub(super) struct PostedEvent {
    /// The posted object, unchanged.
    object: Value,
    kind: Kind,
    /// The message that was sent, or the message with the pressed button.
    message: PostedMessage,
}

#[derive(Clone, Copy)]
enum Kind {
    Message,
    CallbackQuery,
}

#[derive(Deserialize)]
struct PostedMessage {
    message_id: i32,
    chat: Chat,
    #[serde(default)]
    text: String,
}

#[derive(Clone, Deserialize, Serialize)]
struct Chat {
    #[serde(rename = "_", default = "chat_name")]
    name: String,
    id: i64,
    r#type: String,
    #[serde(flatten)]
    flags: Flags,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
}

fn chat_name() -> String {
    "Chat".to_owned()
}

/// What both users and chats can be.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
struct Flags {
    is_verified: bool,
    is_restricted: bool,
    is_scam: bool,
    is_fake: bool,
    is_support: bool,
}

/// One action of the bot.
#[derive(Serialize)]
#[serde(tag = "_")]
pub(super) enum BotAction {
    Message(Box<Message>),
    /// An alert.
    #[serde(rename = "BotCallbackAnswer")]
    CallbackAnswer {
        message: String,
        /// Whether it stays until the user closes it.
        alert: bool,
    },
}

/// A message of the bot. The keys are in the documented order.
#[derive(Serialize)]
pub(super) struct Message {
    message_id: i32,
    from_user: User,
    date: String,
    chat: Chat,
    #[serde(skip_serializing_if = "Option::is_none")]
    edit_date: Option<String>,
    mentioned: bool,
    scheduled: bool,
    from_scheduled: bool,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_markup: Option<Keyboard>,
    outgoing: bool,
}

#[derive(Default, Serialize)]
#[serde(tag = "_")]
struct User {
    id: i64,
    is_self: bool,
    is_contact: bool,
    is_mutual_contact: bool,
    is_deleted: bool,
    is_bot: bool,
    #[serde(flatten)]
    flags: Flags,
    first_name: &'static str,
}

#[derive(Serialize)]
#[serde(tag = "_", rename = "InlineKeyboardMarkup")]
struct Keyboard {
    inline_keyboard: Vec<Vec<Value>>,
}

impl PostedEvent {
    /// Returns `None` if the object does not have the documented format.
    pub(super) fn of(object: Value) -> Option<Self> {
        let (kind, message) = match object.get("_")?.as_str()? {
            "Message" => (Kind::Message, &object),
            "CallbackQuery" => (Kind::CallbackQuery, object.get("message")?),
            _ => return None,
        };
        let message = PostedMessage::deserialize(message).ok()?;
        Some(Self { kind, message, object })
    }

    /// Converts the event to an update of Telegram, so that both are handled alike.
    pub(super) fn update(&self, id: u32) -> Option<Update> {
        let kind = match self.kind {
            Kind::Message => "message",
            Kind::CallbackQuery => "callback_query",
        };
        serde_json::from_value(json!({ "update_id": id, kind: in_words_of_the_bot_api(self.object.clone()) })).ok()
    }

    /// Converts a reply to the list of actions, in their order.
    pub(super) fn into_actions(self, reply: Reply) -> Vec<BotAction> {
        let Reply { message, alert, edit, follow_up, .. } = reply;
        let now = DateTime::<Utc>::from(SystemTime::now()).format(DATE).to_string();
        let sent = message.map(|message| {
            let id = self.message.message_id.saturating_add(1);
            self.message(id, message.text, &message.buttons, now.clone())
        });
        let remarked = follow_up.map(|follow_up| {
            self.message(self.message.message_id.saturating_add(2), follow_up, &Buttons::new(), now.clone())
        });
        let noticed = alert.map(|message| BotAction::CallbackAnswer { message, alert: true });
        let changed = edit.map(|edit| {
            let (text, buttons) = match edit {
                MessageEdit::Buttons(buttons) => (self.message.text.clone(), buttons),
                MessageEdit::Text(text) => (text, Buttons::new()),
            };
            Message {
                edit_date: Some(now.clone()),
                ..self.message(self.message.message_id, text, &buttons, now.clone())
            }
        });
        let message = |message| BotAction::Message(Box::new(message));
        [sent.map(message), remarked.map(message), noticed, changed.map(message)].into_iter().flatten().collect()
    }

    fn message(&self, message_id: i32, text: String, buttons: &Buttons, date: String) -> Message {
        let reply_markup = (!buttons.is_empty()).then(|| Keyboard {
            inline_keyboard: buttons.iter().map(|row| row.iter().map(button).collect()).collect(),
        });
        Message {
            message_id,
            from_user: User { id: BOT_ID, is_self: true, is_bot: true, first_name: "Mayfly", ..User::default() },
            date,
            chat: self.message.chat.clone(),
            edit_date: None,
            mentioned: false,
            scheduled: false,
            from_scheduled: false,
            text,
            reply_markup,
            outgoing: true,
        }
    }
}

fn button(button: &Button) -> Value {
    let (does, with) = match &button.action {
        ButtonAction::Callback(data) => ("callback_data", data),
        ButtonAction::CopyText(text) => ("copy_text", text),
        ButtonAction::OpenUrl(url) => ("url", url),
    };
    json!({ "_": "InlineKeyboardButton", "text": button.label, does: with })
}

/// Pyrogram has other names for a few fields, and formats times.
fn in_words_of_the_bot_api(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(object.into_iter().filter_map(entry).collect::<Map<_, _>>()),
        Value::Array(values) => Value::Array(values.into_iter().map(in_words_of_the_bot_api).collect()),
        other => other,
    }
}

fn entry((key, value): (String, Value)) -> Option<(String, Value)> {
    match key.as_str() {
        "_" => None,
        "from_user" => Some(("from".to_owned(), in_words_of_the_bot_api(value))),
        "date" => {
            let date = value.as_str().and_then(|date| NaiveDateTime::parse_from_str(date, DATE).ok());
            Some((key, date.map_or(value, |date| date.and_utc().timestamp().into())))
        }
        _ => Some((key, in_words_of_the_bot_api(value))),
    }
}

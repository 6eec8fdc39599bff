//! The methods of the Bot API that differ from those of teloxide.
//!
//! Their responses are plain JSON. teloxide would parse a whole message, and return an error for one that was sent but
//! has an unknown field.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};
use teloxide::{
    requests::Payload,
    types::{ChatId, MessageId},
};
use url::Url;

use crate::{
    conversation::{
        event::ChatEvent,
        reply::{Button, ButtonAction, Buttons},
    },
    settings::Webhook,
    telegram::update::{UPDATE_KINDS, Update},
};

/// A chat, or one of its topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recipient {
    pub chat: ChatId,
    pub thread: Option<i32>,
}

impl Recipient {
    /// Returns the recipient of the reply to an event.
    pub(crate) fn of(event: &ChatEvent) -> Self {
        Self { chat: event.chat, thread: event.thread }
    }
}

/// What users may do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Everything.
    None,
    /// Not forward or save it, and not copy it in most apps.
    NoCopies,
}

/// `getUpdates` with our type of an update; see `updates/event.rs` for the reason.
#[derive(Clone, Serialize)]
pub(super) struct GetUpdates {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    pub limit: u8,
    /// Seconds.
    pub timeout: u64,
    pub allowed_updates: [&'static str; UPDATE_KINDS.len()],
}

impl Payload for GetUpdates {
    type Output = Vec<Update>;
    const NAME: &'static str = "GetUpdates";
}

/// `setWebhook` with our update kinds.
#[derive(Clone, Serialize)]
pub(super) struct SetWebhook {
    pub url: Url,
    pub max_connections: u8,
    pub allowed_updates: [&'static str; UPDATE_KINDS.len()],
    pub drop_pending_updates: bool,
    pub secret_token: String,
}

impl Payload for SetWebhook {
    type Output = Value;
    const NAME: &'static str = "SetWebhook";
}

/// `sendChatAction`: shows for some seconds that the bot is typing. Telegram rejects it where it rejects messages.
#[derive(Clone, Serialize)]
pub(super) struct SendChatAction {
    chat_id: ChatId,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_thread_id: Option<i32>,
    action: &'static str,
}

impl SendChatAction {
    pub(super) fn typing(Recipient { chat, thread }: Recipient) -> Self {
        Self { chat_id: chat, message_thread_id: thread, action: "typing" }
    }
}

impl Payload for SendChatAction {
    type Output = Value;
    const NAME: &'static str = "SendChatAction";
}

/// `getWebhookInfo`.
#[derive(Clone, Serialize)]
pub(super) struct GetWebhookInfo {}

impl Payload for GetWebhookInfo {
    type Output = WebhookInfo;
    const NAME: &'static str = "GetWebhookInfo";
}

/// The current webhook.
#[derive(Deserialize)]
pub(crate) struct WebhookInfo {
    /// Empty if none is set.
    url: String,
    max_connections: Option<u8>,
    allowed_updates: Option<Vec<String>>,
    /// When Telegram last failed to deliver an update, in seconds since 1970.
    pub last_error_date: Option<i64>,
}

impl WebhookInfo {
    /// Returns `true` if the webhook is set as in `webhook`.
    pub(crate) fn matches(&self, webhook: &Webhook) -> bool {
        self.url == webhook.url.as_str()
            && self.max_connections == Some(webhook.connections)
            && self.allowed_updates.as_ref().is_some_and(|kinds| {
                kinds.len() == UPDATE_KINDS.len() && kinds.iter().all(|kind| UPDATE_KINDS.contains(&kind.as_str()))
            })
    }
}

/// `sendMessage`: a text without a parse mode and a preview.
#[derive(Clone, Serialize)]
pub(super) struct SendMessage {
    chat_id: ChatId,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_thread_id: Option<i32>,
    text: String,
    link_preview_options: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_markup: Option<Keyboard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protect_content: Option<bool>,
}

impl SendMessage {
    pub(super) fn new(
        recipient: Recipient,
        text: &str,
        reply_markup: Option<Keyboard>,
        protection: Protection,
    ) -> Self {
        let Recipient { chat: chat_id, thread: message_thread_id } = recipient;
        let link_preview_options = json!({ "is_disabled": true });
        let protect_content = (protection == Protection::NoCopies).then_some(true);
        Self { chat_id, message_thread_id, text: text.to_owned(), link_preview_options, reply_markup, protect_content }
    }
}

impl Payload for SendMessage {
    type Output = Value;
    const NAME: &'static str = "SendMessage";
}

/// `answerCallbackQuery`.
#[derive(Clone, Serialize)]
pub(super) struct AnswerCallbackQuery {
    callback_query_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Alerts stay until the user closes them.
    show_alert: bool,
}

impl AnswerCallbackQuery {
    pub(super) fn new(query_id: &str, alert: Option<&str>) -> Self {
        Self { callback_query_id: query_id.to_owned(), text: alert.map(str::to_owned), show_alert: alert.is_some() }
    }
}

impl Payload for AnswerCallbackQuery {
    type Output = Value;
    const NAME: &'static str = "AnswerCallbackQuery";
}

/// `editMessageReplyMarkup`: replaces the buttons of a message.
#[derive(Clone, Serialize)]
pub(super) struct EditMessageReplyMarkup {
    chat_id: ChatId,
    message_id: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_markup: Option<Keyboard>,
}

impl EditMessageReplyMarkup {
    pub(super) fn new(chat_id: ChatId, message: MessageId, buttons: &Buttons) -> Self {
        Self { chat_id, message_id: message.0, reply_markup: Keyboard::of(buttons) }
    }
}

impl Payload for EditMessageReplyMarkup {
    type Output = Value;
    const NAME: &'static str = "EditMessageReplyMarkup";
}

/// `editMessageText`: replaces the text of a message and removes its buttons.
#[derive(Clone, Serialize)]
pub(super) struct EditMessageText {
    chat_id: ChatId,
    message_id: i32,
    text: String,
    link_preview_options: Value,
}

impl EditMessageText {
    pub(super) fn new(chat_id: ChatId, message: MessageId, text: &str) -> Self {
        let link_preview_options = json!({ "is_disabled": true });
        Self { chat_id, message_id: message.0, text: text.to_owned(), link_preview_options }
    }
}

impl Payload for EditMessageText {
    type Output = Value;
    const NAME: &'static str = "EditMessageText";
}

/// `deleteMessage`.
#[derive(Clone, Serialize)]
pub(super) struct DeleteMessage {
    chat_id: ChatId,
    message_id: i32,
}

impl DeleteMessage {
    pub(super) fn new(chat_id: ChatId, message: MessageId) -> Self {
        Self { chat_id, message_id: message.0 }
    }
}

impl Payload for DeleteMessage {
    type Output = Value;
    const NAME: &'static str = "DeleteMessage";
}

/// `setMyCommands`: the command menu of private chats.
#[derive(Clone, Serialize)]
pub(super) struct SetMyCommands {
    commands: Vec<Value>,
    scope: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    language_code: Option<&'static str>,
}

impl SetMyCommands {
    pub(super) fn new(language_code: Option<&'static str>, commands: &[(&str, String)]) -> Self {
        let command = |(name, description): &(&str, String)| json!({ "command": name, "description": description });
        let scope = json!({ "type": "all_private_chats" });
        Self { commands: commands.iter().map(command).collect(), scope, language_code }
    }
}

impl Payload for SetMyCommands {
    type Output = Value;
    const NAME: &'static str = "SetMyCommands";
}

/// The buttons under a message, in the format of Telegram.
#[derive(Clone, Serialize)]
pub(super) struct Keyboard {
    inline_keyboard: Vec<Vec<Key>>,
}

impl Keyboard {
    /// Returns `None` if there are no buttons.
    pub(super) fn of(buttons: &Buttons) -> Option<Self> {
        let rows = buttons.iter().map(|row| row.iter().cloned().map(Key).collect());
        (!buttons.is_empty()).then(|| Self { inline_keyboard: rows.collect() })
    }
}

#[derive(Clone)]
struct Key(Button);

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Button { label, action } = &self.0;
        let key = match action {
            ButtonAction::Callback(data) => json!({ "text": label, "callback_data": data }),
            ButtonAction::CopyText(text) => json!({ "text": label, "copy_text": { "text": text } }),
            ButtonAction::OpenUrl(url) => json!({ "text": label, "url": url }),
        };
        key.serialize(serializer)
    }
}

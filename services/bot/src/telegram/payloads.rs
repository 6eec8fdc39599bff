//! The methods of the Bot API that differ from those of teloxide, with their parameters as JSON.
//!
//! Their responses are plain JSON. teloxide would parse a whole message, and return an error for one that was sent but
//! has an unknown field.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use teloxide::{requests::Payload, types::ChatId};
use url::Url;

use crate::{
    conversation::{
        event::ChatEvent,
        reply::{Button, ButtonAction, Buttons},
    },
    metrics::Method,
    settings::Webhook,
    telegram::update::{UPDATE_KINDS, Update},
};

/// A method that is counted.
pub(super) trait Measurable {
    /// As which it is counted.
    const METHOD: Method;
}

/// Declares methods with the types of their results.
macro_rules! methods {
    ($($name:ident -> $result:ty,)*) => {$(
        /// The parameters of this method. No `Debug`: they may be secrets.
        #[derive(Clone, Serialize)]
        pub(super) struct $name(Value);

        impl $name {
            /// Takes the parameters by their names. Leaves out those that are null.
            pub(super) fn new(mut parameters: Value) -> Self {
                if let Some(parameters) = parameters.as_object_mut() {
                    parameters.retain(|_, value| !value.is_null());
                }
                Self(parameters)
            }
        }

        impl Payload for $name {
            type Output = $result;
            const NAME: &'static str = stringify!($name);
        }

        impl Measurable for $name {
            const METHOD: Method = Method::$name;
        }
    )*};
}

methods! {
    GetUpdates -> Vec<Update>,
    SetWebhook -> Value,
    GetWebhookInfo -> WebhookInfo,
    SendChatAction -> Value,
    SendMessage -> Value,
    AnswerCallbackQuery -> Value,
    EditMessageReplyMarkup -> Value,
    EditMessageText -> Value,
    DeleteMessage -> Value,
    SetMyCommands -> Value,
}

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

/// The current webhook.
#[derive(Deserialize)]
pub(crate) struct WebhookInfo {
    /// Empty if none is set.
    url: String,
    max_connections: Option<u8>,
    allowed_updates: Option<Vec<String>>,
    /// When Telegram last failed to deliver an update, in seconds since 1970.
    pub last_error_date: Option<i64>,
    /// Why. May name the webhook, whose path may be a secret.
    pub last_error_message: Option<String>,
    /// How many updates wait for the bot.
    #[serde(default)]
    pub pending_update_count: u64,
}

impl WebhookInfo {
    /// Returns `true` if a webhook is set.
    pub(crate) fn is_set(&self) -> bool {
        !self.url.is_empty()
    }

    /// The host of the webhook.
    pub(crate) fn host(&self) -> Option<String> {
        Url::parse(&self.url).ok()?.host_str().map(str::to_owned)
    }

    /// Returns `true` if the webhook is set as in `webhook`.
    pub(crate) fn matches(&self, webhook: &Webhook) -> bool {
        self.url == webhook.url.as_str()
            && self.max_connections == Some(webhook.connections)
            && self.allowed_updates.as_ref().is_some_and(|kinds| {
                kinds.len() == UPDATE_KINDS.len() && kinds.iter().all(|kind| UPDATE_KINDS.contains(&kind.as_str()))
            })
    }
}

/// Converts buttons to the format of Telegram. Returns `None` if there are none.
pub(super) fn keyboard(buttons: &Buttons) -> Option<Value> {
    let key = |Button { label, action }: &Button| match action {
        ButtonAction::Callback(data) => json!({ "text": label, "callback_data": data }),
        ButtonAction::CopyText(text) => json!({ "text": label, "copy_text": { "text": text } }),
        ButtonAction::OpenUrl(url) => json!({ "text": label, "url": url }),
    };
    let rows: Vec<Vec<_>> = buttons.iter().map(|row| row.iter().map(key).collect()).collect();
    (!rows.is_empty()).then(|| json!({ "inline_keyboard": rows }))
}

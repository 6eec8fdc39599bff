//! What tests see of chats, and the faults that they inject.

use serde_json::Value;

use super::keyboard;

/// A message or document that the bot sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The chat that the bot sent it to.
    pub chat_id: i64,
    /// The id of the message in its chat.
    pub message_id: i64,
    /// The text of the message, trimmed as Telegram shows it, or the content of the document.
    pub text: String,
    /// The file name of a document.
    pub document: Option<String>,
    /// The parameters of the call, without files.
    pub params: Value,
}

/// A message in a chat.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The id of the message in its chat.
    pub message_id: i64,
    /// Whether the bot sent the message.
    pub is_from_bot: bool,
    /// The text; empty for a message without text.
    pub text: String,
    /// The buttons of the message, as the bot sent them.
    pub reply_markup: Option<Value>,
    /// Whether the message can neither be forwarded nor saved.
    pub is_protected: bool,
    /// The topic of the message in its chat.
    pub thread: Option<i64>,
}

impl Message {
    /// The labels of the buttons, row by row.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let labels = keyboard::buttons(self.reply_markup.as_ref()).map(|button| button["text"].as_str());
        labels.map(|label| label.unwrap_or_default().to_owned()).collect()
    }

    /// The button with this label, as the bot sent it.
    #[must_use]
    pub fn button(&self, label: &str) -> Option<&Value> {
        keyboard::buttons(self.reply_markup.as_ref()).find(|button| button["text"] == label)
    }
}

/// The answer to a callback query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackAnswer {
    /// The text; `None` if the answer only ends the progress indicator of the button.
    pub text: Option<String>,
    /// Whether Telegram shows an alert that the user must close.
    pub is_alert: bool,
}

/// A fault of a call. Unless noted, the call has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429 with this `retry_after`.
    TooManyRequests {
        /// Seconds to wait.
        retry_after: u32,
    },
    /// 500 with Telegram's JSON.
    ServerError,
    /// 502 with an HTML page, as from a proxy.
    BadGateway,
    /// The connection breaks before the call has an effect.
    DisconnectBefore,
    /// The connection breaks after the call had its effect.
    DisconnectAfter,
    /// The server never responds.
    NoResponse,
}

/// A fault of a delivery to the webhook. Telegram delivers the update again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryFault {
    /// Delivers the update twice at the same time, and again only if one of the deliveries fails.
    Duplicate,
    /// The response of the bot is lost.
    LoseResponse,
    /// Telegram disconnects right after the request.
    Disconnect,
}

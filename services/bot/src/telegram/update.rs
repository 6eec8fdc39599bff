//! An update of the Bot API.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use teloxide::types::MessageId;

/// The update kinds that the bot requests from Telegram.
pub(crate) const UPDATE_KINDS: [&str; 4] = ["message", "edited_message", "channel_post", "callback_query"];

/// An update of the Bot API. No `Debug`: it may hold a secret.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Update {
    #[serde(rename = "update_id")]
    pub id: u32,
    /// A new message.
    pub message: Option<Value>,
    /// A new version of a message.
    pub edited_message: Option<Value>,
    /// A new post in a channel of the bot.
    pub channel_post: Option<Value>,
    /// A press of a button under a message of the bot.
    pub callback_query: Option<Value>,
}

/// Returns the id of a message.
pub(crate) fn message_id(message: &Value) -> Option<MessageId> {
    i32::try_from(message.get("message_id")?.as_i64()?).ok().map(MessageId)
}

/// An update with only the envelopes of its messages.
#[derive(Deserialize)]
struct Envelopes {
    update_id: u32,
    message: Option<Envelope>,
    edited_message: Option<Envelope>,
}

/// The fields of a message that identify the sender and the recipient.
#[derive(Deserialize, Serialize)]
struct Envelope {
    message_id: Option<Value>,
    date: Option<Value>,
    edit_date: Option<Value>,
    chat: Option<Value>,
    from: Option<Value>,
    message_thread_id: Option<Value>,
    media_group_id: Option<Value>,
}

impl Update {
    /// Parses an update. If its JSON is nested too deeply, the messages have no content, but their senders still get a
    /// reply. Returns `None` if it has no id.
    pub(crate) fn from_json(json: &[u8]) -> Option<Self> {
        let whole = serde_json::from_slice(json).ok();
        whole.or_else(|| {
            let Envelopes { update_id: id, message, edited_message } = serde_json::from_slice(json).ok()?;
            let [message, edited_message] =
                [message, edited_message].map(|envelope| serde_json::to_value(envelope?).ok());
            Some(Self { id, message, edited_message, channel_post: None, callback_query: None })
        })
    }
}

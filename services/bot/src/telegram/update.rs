//! An update of the Bot API.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The kinds of updates that the bot acts on, as Telegram is asked for them.
pub(crate) const UPDATE_KINDS: [&str; 4] = ["message", "edited_message", "channel_post", "callback_query"];

/// An update as it comes from Telegram. No `Debug`: it may hold a secret.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Update {
    #[serde(rename = "update_id")]
    pub id: u32,
    /// A new message.
    pub message: Option<Value>,
    /// The new version of a message that was brought before.
    pub edited_message: Option<Value>,
    /// A new post in a channel that the bot looks after.
    pub channel_post: Option<Value>,
    /// The press of a button under one of our messages.
    pub callback_query: Option<Value>,
}

/// An update of which only the envelopes of messages are read.
#[derive(Deserialize)]
struct Envelopes {
    update_id: u32,
    message: Option<Envelope>,
    edited_message: Option<Envelope>,
}

/// The fields of a message that say who gets a reply, and where.
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
    /// Reads an update. JSON that is nested too deep is read as messages without content, whose senders get a reply.
    /// `None` when it has no id.
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

//! The reply to an event. `delivery.rs` turns it into calls of the Bot API, the simulator into JSON.

use mayfly_contracts::message::AcknowledgeViewRequest;

/// A reply. The fields take effect in their order.
///
/// No `Debug`: the texts may be secrets.
pub(crate) struct Reply {
    /// A new message in the chat.
    pub message: Option<OutgoingMessage>,
    /// The view to acknowledge to the store after Telegram accepted the message.
    pub acknowledge_after_send: Option<AcknowledgeViewRequest>,
    /// The alert for a callback query, at most 200 characters. Every callback query is answered, with or without an
    /// alert.
    pub alert: Option<String>,
    /// The edit of the message whose button was pressed.
    pub edit: Option<MessageEdit>,
    /// A second message, sent after the first.
    pub follow_up: Option<String>,
    /// Whether the event was a message whose text the store holds now.
    pub stores_request: bool,
    /// The outcome for the log.
    pub outcome: &'static str,
}

/// A message to send.
pub(crate) struct OutgoingMessage {
    /// Sent unchanged.
    pub text: String,
    /// Rows of buttons under the message.
    pub buttons: Buttons,
    /// Whether it is the text of a stored message.
    pub is_revealed: bool,
}

/// Rows of buttons.
pub(crate) type Buttons = Vec<Vec<Button>>;

/// A button under a message.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Button {
    pub label: String,
    pub action: ButtonAction,
}

/// What a button does when it is pressed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum ButtonAction {
    /// Sends a callback query with this data, 1 to 64 bytes.
    Callback(String),
    /// Copies this text to the clipboard, 1 to 256 characters.
    CopyText(String),
    /// Opens this URL.
    OpenUrl(String),
}

/// An edit of a message of the bot.
pub(crate) enum MessageEdit {
    /// Replaces the buttons. Keeps the text.
    Buttons(Buttons),
    /// Replaces the text. Removes the buttons.
    Text(String),
}

impl Reply {
    /// A reply that does nothing.
    pub(crate) fn new(outcome: &'static str) -> Self {
        Self {
            message: None,
            acknowledge_after_send: None,
            alert: None,
            edit: None,
            follow_up: None,
            stores_request: false,
            outcome,
        }
    }

    /// A reply with one message without buttons.
    pub(crate) fn message(text: String, outcome: &'static str) -> Self {
        Self { message: Some(OutgoingMessage::new(text)), ..Self::new(outcome) }
    }

    /// A reply to a callback query with an alert.
    pub(crate) fn alert(sentence: String, outcome: &'static str) -> Self {
        Self { alert: Some(sentence), ..Self::new(outcome) }
    }
}

impl OutgoingMessage {
    /// A message without buttons.
    pub(crate) fn new(text: String) -> Self {
        Self { text, buttons: Buttons::new(), is_revealed: false }
    }

    /// Returns `true` if it is a text, or holds an id and a token. Every button of the bot holds these.
    pub(crate) fn is_secret(&self) -> bool {
        self.is_revealed || !self.buttons.is_empty()
    }
}

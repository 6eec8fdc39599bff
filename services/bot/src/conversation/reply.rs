//! What a handler answers, said in facts. `delivery.rs` turns it into calls to Telegram, the simulator into its page.

use mayfly_contracts::message::AcknowledgeViewRequest;

/// What comes of something that somebody did. Whatever is there is done, in the order of the fields.
///
/// No `Debug`: the texts may be secrets.
pub(crate) struct Reply {
    /// A new message in the chat.
    pub message: Option<OutgoingMessage>,
    /// What the store is told once Telegram has the message.
    pub acknowledge_after_send: Option<AcknowledgeViewRequest>,
    /// What whoever pressed a button is shown above the chat, at most 200 characters. A press is answered in any case.
    pub alert: Option<String>,
    /// What becomes of the message whose button was pressed.
    pub edit: Option<MessageEdit>,
    /// What is said beside the message, in one of its own after it.
    pub follow_up: Option<String>,
    /// Whether the message that asked held a secret that is kept in the store now.
    pub stores_request: bool,
    /// The word for the log about how it went.
    pub outcome: &'static str,
}

/// A message to send.
pub(crate) struct OutgoingMessage {
    /// Sent exactly as it is.
    pub text: String,
    /// Rows of buttons under it.
    pub buttons: Buttons,
    /// Whether it is somebody's secret, shown to its reader.
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

/// What a button does.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum ButtonAction {
    /// Comes back as a press with this, 1 to 64 bytes.
    Callback(String),
    /// Puts this on the clipboard, 1 to 256 characters.
    CopyText(String),
    /// Opens this address.
    OpenUrl(String),
}

/// A change of a message that we sent.
pub(crate) enum MessageEdit {
    /// Other buttons, or none; the text stays.
    Buttons(Buttons),
    /// Another text, without buttons.
    Text(String),
}

impl Reply {
    /// Nothing yet.
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

    /// A message that only says something.
    pub(crate) fn message(text: String, outcome: &'static str) -> Self {
        Self { message: Some(OutgoingMessage::new(text)), ..Self::new(outcome) }
    }

    /// A sentence above the chat.
    pub(crate) fn alert(sentence: String, outcome: &'static str) -> Self {
        Self { alert: Some(sentence), ..Self::new(outcome) }
    }
}

impl OutgoingMessage {
    /// A text without buttons.
    pub(crate) fn new(text: String) -> Self {
        Self { text, buttons: Buttons::new(), is_revealed: false }
    }

    /// Whether it is a text, or opens one: all buttons of the bot hold an id and its token.
    pub(crate) fn is_secret(&self) -> bool {
        self.is_revealed || !self.buttons.is_empty()
    }
}

//! The arguments of a keyword, and what can be wrong with them.

use mayfly_contracts::MessageRef;

/// The text that follows a keyword.
#[derive(Clone, Copy)]
pub(super) enum Arguments<'text> {
    /// `keyword argument:rest`.
    Prefix {
        /// Without white space around it. Usually empty.
        argument: &'text str,
        /// Everything after the first colon, unchanged.
        rest: &'text str,
    },
    /// `/keyword tail`, as Telegram's command menu writes it. The tail is unchanged.
    Slash { tail: &'text str },
}

impl Arguments<'_> {
    /// Parses the `id:token` after a keyword that takes nothing else.
    pub(super) fn message_ref(self) -> Result<MessageRef, ParseError> {
        let text = match self {
            Self::Prefix { argument: "", rest } => rest,
            Self::Prefix { .. } => return Err(ParseError::MessageRef),
            Self::Slash { tail } => tail,
        };
        MessageRef::parse(text).ok_or(ParseError::MessageRef)
    }
}

/// Why a text is not a valid command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParseError {
    /// There is no text to store.
    NoText,
    /// The lifetime is not a duration. Holds the first characters of it.
    Lifetime(String),
    /// `id:token` is malformed.
    MessageRef,
    /// A link to a message is damaged.
    Link,
}

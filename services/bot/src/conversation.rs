//! What an update means, and what the bot replies. Independent of the Bot API.

pub(crate) mod buttons;
mod callbacks;
mod command;
pub(crate) mod commands;
pub(crate) mod handlers;
pub(crate) mod language;
pub(crate) mod message_ref;
pub(crate) mod reply;
pub(crate) mod request_ids;
pub(crate) mod texts;
pub(crate) mod wording;

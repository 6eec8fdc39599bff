//! The Bot API: the client and what the bot does with it.

pub(crate) mod client;
pub(crate) mod command_menu;
pub(crate) mod deletions;
pub(crate) mod delivery;
pub(crate) mod log_out;
mod payloads;
mod rate_limit;

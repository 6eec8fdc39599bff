//! The Bot API: its client, and what the bot sends through it.

pub(crate) mod client;
pub(crate) mod command_menu;
pub(crate) mod deletions;
pub(crate) mod delivery;
pub(crate) mod errors;
pub(crate) mod log_out;
pub(crate) mod payloads;
pub(crate) mod probe;
mod rate_limit;
mod retry;
pub(crate) mod session_retry;
pub(crate) mod update;

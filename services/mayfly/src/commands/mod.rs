//! The command-line client: each command in its own file, all of one shape: settings, `run`, and what it prints.

mod bearer;
pub(crate) mod burn;
pub(crate) mod config;
pub(crate) mod healthcheck;
pub(crate) mod keys;
pub(crate) mod lookup;
pub(crate) mod migrate;
pub(crate) mod new;
mod one_message;
mod passphrase;
mod print;
mod retry;
pub(crate) mod telegram;
pub(crate) mod token;
pub(crate) mod view;

pub(crate) use one_message::OneMessageSettings;
pub(crate) use print::write_out;

//! The command line client. Each command has a file with the same structure: settings, `run`, and output.

pub(crate) mod backup;
mod bearer;
pub(crate) mod burn;
mod caller;
pub(crate) mod certs;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod healthcheck;
mod interrupt;
mod keyring_passphrase;
pub(crate) mod keys;
pub(crate) mod lookup;
mod message_settings;
pub(crate) mod migrate;
pub(crate) mod new;
mod passphrase;
mod print;
pub(crate) mod restore;
mod retry;
pub(crate) mod telegram;
pub(crate) mod token;
pub(crate) mod tokens;
pub(crate) mod view;

pub(crate) use message_settings::MessageSettings;
pub(crate) use print::write_stdout;

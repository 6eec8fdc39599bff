//! Where messages and app configs lie: the only code that sees the database.
//!
//! [`Messages`] and [`AppConfigs`] are the collections; their methods are intentions. Messages change only through the
//! [`Writer`](writer::Writer), unless a key is retired that they need ([`KeyRetirement`]).

mod app_configs;
mod batch;
mod database;
mod entities;
mod failure;
mod messages;
mod passphrase_tries;
mod sealing_keys;
mod writer;

pub(crate) use app_configs::AppConfigs;
pub use database::{Database, DatabaseError};
pub(crate) use messages::{Messages, NewMessage, Retention, Stored, View, Viewed};
pub use sealing_keys::KeyringMismatch;
pub(crate) use sealing_keys::{KeyRetirement, claim_database};

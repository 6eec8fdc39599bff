//! Where messages and app configs lie: the only code that sees the database.
//!
//! [`Messages`] and [`AppConfigs`] are the collections; their methods are intentions. Messages change only through the
//! [`Writer`](writer::Writer), unless a key is retired that they need ([`KeyRetirement`]).

mod app_configs;
mod batch;
mod capacity;
mod database;
mod entities;
mod failure;
mod instance;
mod messages;
mod passphrase_tries;
mod sealing_keys;
mod usage;
mod writer;

pub(crate) use app_configs::AppConfigs;
pub(crate) use capacity::StorageLimits;
pub use database::{Database, DatabaseError};
pub(crate) use instance::public_ids;
pub(crate) use messages::{Messages, MessagesSettings, NewMessage, Retention, Stored, View, Viewed};
pub use sealing_keys::KeyringMismatch;
pub(crate) use sealing_keys::{KeyRetirement, claim_database};

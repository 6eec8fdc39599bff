//! The database: the only code that accesses it.
//!
//! Messages change only through the [`Writer`](writer::Writer), except when a key is retired ([`KeyRetirement`]).

mod api_tokens;
mod app_configs;
mod backup;
mod batch;
mod capacity;
mod database;
mod db_error;
mod entities;
mod inspection;
mod instance;
mod key_retirement;
mod lane_connection;
mod message_table;
mod passphrase_tries;
mod rows;
mod sealing_keys;
mod sqlite_connection;
mod traced;
mod usage;
mod writer;

pub(crate) use api_tokens::{ApiTokens, NewApiToken};
pub(crate) use app_configs::AppConfigs;
pub(crate) use backup::Restoration;
pub use backup::{BackupError, ExistingDatabase, RestoreError, Restored, UnreadMessages, back_up};
pub(crate) use batch::{
    Acknowledgement, Creation, CreationRequest, Erasure, ErasureReason, Output, Retention, Swept, Work,
};
pub use capacity::FreeSpace;
pub(crate) use capacity::{Capacity, StorageLimits};
pub use database::{Database, DatabaseError};
pub use inspection::{ClockOffset, Content, InspectError, Inspection, PostgresInfo, Server, inspect};
pub(crate) use instance::public_ids;
pub(crate) use key_retirement::KeyRetirement;
pub(crate) use message_table::{MessageTable, MessagesSettings, ProtectedMessage};
pub(crate) use passphrase_tries::PassphraseTry;
pub(crate) use sealing_keys::{KeyTimes, register_keys};
pub use sealing_keys::{KeyringMismatch, RegisteredKeys};

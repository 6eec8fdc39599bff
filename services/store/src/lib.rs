//! The store: `MessageService`, `ConfigService` and `ApiTokenService`, and the only code that accesses the database.
//!
//! `grpc/` converts calls into [`domain`] values, `messages.rs` seals and opens messages, and `storage/` stores them. A
//! call passes `grpc/message_service.rs` → `messages.rs` → `storage/writer.rs` → `storage/batch/`.

mod active_config;
mod domain;
mod error;
mod grpc;
mod keyring_file;
mod messages;
mod metrics;
mod restore;
mod settings;
mod storage;
mod store;

pub use active_config::{ActiveConfigError, active_bot_token};
pub use domain::{Clock, InvalidInput, InvalidKeyring, Lifetime, Outcome, Receipt, SystemClock, Timestamp};
pub use error::StoreError;
pub use keyring_file::{KeyInfo, KeyringComparison, KeyringError, KeyringFile, MissingKeys};
pub use mayfly_migrations::{MigrationError, SchemaState};
pub use restore::{RestoreOptions, restore};
pub use settings::{
    CreateAccess, DataSettings, DatabaseSettings, KeyringSettings, LifetimeSettings, LimitSettings, MissingToken,
    RateSettings, SettingsError, StorageSettings, StoreSettings, TokenSettings,
};
pub use storage::{
    BackupError, ClockOffset, Content, Database, DatabaseError, ExistingDatabase, FreeSpace, InspectError, Inspection,
    KeyringMismatch, PostgresInfo, RegisteredKeys, RestoreError, Restored, Server, UnreadMessages, back_up, inspect,
};
pub use store::{OpenError, OpenSettings, Store};

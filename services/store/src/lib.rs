//! The store: `MessageService` and `ConfigService` over a database. The only code that sees the database.
//!
//! `grpc/` turns calls into [`domain`] values, `storage/` keeps them, `domain/` knows neither. A call travels
//! `grpc/message_service.rs` → `storage/messages.rs` → `storage/writer.rs` → `storage/batch/`, and back once.

mod domain;
mod error;
mod grpc;
mod keys;
mod settings;
mod storage;
mod store;
mod stretcher;

pub use domain::{Clock, InvalidKeyring, Lifetime, Outcome, Receipt, SystemClock, Timestamp};
pub use error::StoreError;
pub use keys::{KeyInfo, KeyringError, KeyringFile};
pub use settings::{
    DataSettings, DatabaseSettings, KeyringSettings, LifetimeSettings, LimitSettings, MissingToken, RateSettings,
    SettingsError, StorageSettings, StoreSettings, TokenSettings,
};
pub use storage::{Database, DatabaseError, KeyringMismatch};
pub use store::{OpenError, OpenSettings, Store};

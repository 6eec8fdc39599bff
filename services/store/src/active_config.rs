//! Reads the last active app config without a store, to check it.

use std::sync::Arc;

use mayfly_bootstrap::Secret;

use crate::{
    domain::{SharedKeyring, SystemClock},
    error::StoreError,
    keyring_file::{KeyringError, KeyringFile},
    storage::{AppConfigs, Database, InspectError},
};

/// The app config cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ActiveConfigError {
    /// The keyring cannot be used.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The database cannot be read.
    #[error(transparent)]
    Database(#[from] InspectError),
    /// The database failed, or the keyring does not decrypt the app config. The log has the cause.
    #[error("the app config cannot be read or decrypted")]
    Store(#[from] StoreError),
}

/// The token of the bot that the last active app config is for. Changes nothing.
///
/// # Errors
///
/// [`ActiveConfigError`]
pub async fn active_bot_token(database: &Database, keyring: &KeyringFile) -> Result<Option<Secret>, ActiveConfigError> {
    let keyring = SharedKeyring::new(keyring.read()?);
    let connection = database.connect_read_only().await?;
    let configs = AppConfigs::open(database, connection, keyring, Arc::new(SystemClock));
    let config = configs.last_active().await?;
    Ok(config
        .map(|config| config.settings)
        .filter(|config| config.is_bot)
        .map(|config| Secret::new(config.bot_token.expose().to_owned())))
}

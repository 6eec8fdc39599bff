//! Puts a backup of a SQLite database back. The keyring must be there already, since it is no part of the backup.

use std::path::Path;

use crate::{
    domain::Clock,
    keyring_file::{KeyringError, KeyringFile},
    storage::{Database, ExistingDatabase, Restoration, RestoreError, Restored, UnreadMessages},
};

/// What a restore does with unread messages and with an existing database.
#[derive(Clone, Copy, Debug)]
pub struct RestoreOptions {
    /// The unread messages of the backup.
    pub unread: UnreadMessages,
    /// The database that is there already.
    pub existing: ExistingDatabase,
}

/// Restores the backup in the file `from` as `database`, which no store may use.
///
/// # Errors
///
/// `Ok(Err(_))` when the keyring cannot be read; [`RestoreError`] otherwise. Nothing was changed then.
pub async fn restore(
    database: &Database,
    keyring: &KeyringFile,
    from: &Path,
    options: RestoreOptions,
    clock: &dyn Clock,
) -> Result<Result<Restored, KeyringError>, RestoreError> {
    let keyring = match keyring.read() {
        Ok(keyring) => keyring,
        Err(error) => return Ok(Err(error)),
    };
    let RestoreOptions { unread, existing } = options;
    let restoration = Restoration { database, from, keyring: &keyring, unread, existing, now: clock.now() };
    restoration.run().await.map(Ok)
}

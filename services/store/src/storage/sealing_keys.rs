//! The key ids of a database. They show whether a keyring fits the database, and which keys are being retired and must
//! not seal any more.

use std::collections::BTreeSet;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait, DbBackend, DbErr, EntityTrait as _, QueryFilter as _, QuerySelect as _,
    QueryTrait as _,
    sea_query::{LockType, OnConflict, SelectStatement},
};

use super::{
    database::{Database, WriteConnection},
    db_error::{log_error, read_with_timeout},
    entities::sealing_keys,
};
use crate::{
    domain::{KeyId, Keyring, Timestamp},
    error::StoreError,
};

/// The keyring lacks keys of this database.
#[derive(Debug, thiserror::Error)]
#[error(
    "the keyring (--keyring) does not fit this database (--database-url): it lacks the key {}. Give this store \
     the keyring that the database was used with before. Only if that key was destroyed for good, and this is an older copy \
     of the database, run `mayfly keys retire` with it once more",
    missing.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
)]
pub struct KeyringMismatch {
    missing: BTreeSet<String>,
}

/// When a key of the database was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyTimes {
    pub(crate) id: KeyId,
    pub(crate) create_time: Timestamp,
    /// `true` once its retirement began.
    pub(crate) is_retiring: bool,
}

/// The keys of the database.
///
/// # Errors
///
/// [`StoreError`] when the database fails.
pub(super) async fn times(connection: &impl ConnectionTrait) -> Result<Vec<KeyTimes>, StoreError> {
    let keys = Box::pin(sealing_keys::Entity::find().all(connection));
    let keys = read_with_timeout("reading the keys", keys).await?;
    let keys = keys.into_iter().map(|row| KeyTimes {
        id: KeyId::from_column(row.key_id),
        create_time: Timestamp::from_micros(row.create_time),
        is_retiring: row.retire_time.is_some(),
    });
    Ok(keys.collect())
}

/// Checks that `keyring` has all keys of `database`, and registers its keys there.
///
/// # Errors
///
/// `Ok(Err(_))` when keys are missing, [`StoreError`] when the database fails.
pub(crate) async fn register_keys(
    database: &Database,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Result<(), KeyringMismatch>, StoreError> {
    let mut connection = WriteConnection::new(database.clone());
    let registered = async {
        let transaction = connection.begin().await?;
        // One store at a time: otherwise two stores with two new keyrings do not see each other. SQLite has one writer.
        if transaction.get_database_backend() == DbBackend::Postgres {
            transaction.execute_unprepared("LOCK TABLE sealing_keys IN EXCLUSIVE MODE").await?;
        }
        let ours = keyring.keys().map(|key| sealing_keys::ActiveModel {
            key_id: Set(key.id().as_str().to_owned()),
            create_time: Set(now.micros()),
            retire_time: Set(None),
        });
        let if_new = OnConflict::column(sealing_keys::Column::KeyId).do_nothing().to_owned();
        sealing_keys::Entity::insert_many(ours).on_conflict(if_new).exec_without_returning(&transaction).await?;
        let registered = registered(&transaction).await?;
        match registered.check(keyring) {
            Ok(()) => transaction.commit().await?,
            Err(mismatch) => {
                transaction.rollback().await?;
                return Ok(Err(mismatch));
            }
        }
        Ok(Ok(()))
    }
    .await
    .map_err(|error| log_error("checking the keyring", &error));
    connection.discard();
    registered
}

/// The key ids of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisteredKeys {
    /// Keys that may have sealed rows of this database.
    pub(crate) used: BTreeSet<String>,
    /// Keys whose retirement began and did not end.
    pub(crate) retiring: BTreeSet<String>,
}

impl RegisteredKeys {
    /// Returns `true` if no store has used the database yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used.is_empty() && self.retiring.is_empty()
    }

    /// Checks that `keyring` has all keys of the database. It may already lack a key that is being retired.
    pub(crate) fn check(&self, keyring: &Keyring) -> Result<(), KeyringMismatch> {
        let known: BTreeSet<_> = keyring.keys().map(|key| key.id().as_str()).collect();
        let missing: BTreeSet<_> = self.used.iter().filter(|id| !known.contains(id.as_str())).cloned().collect();
        if missing.is_empty() { Ok(()) } else { Err(KeyringMismatch { missing }) }
    }
}

/// The key ids that are registered in the database.
pub(super) async fn registered(connection: &impl ConnectionTrait) -> Result<RegisteredKeys, DbErr> {
    let mut keys = RegisteredKeys::default();
    for sealing_keys::Model { key_id, retire_time, .. } in sealing_keys::Entity::find().all(connection).await? {
        let of_its_kind = if retire_time.is_some() { &mut keys.retiring } else { &mut keys.used };
        of_its_kind.insert(key_id);
    }
    Ok(keys)
}

/// Finds the key if it may seal. Then it cannot be retired before the transaction ends.
pub(super) fn usable(key_id: &KeyId) -> SelectStatement {
    let usable = sealing_keys::Entity::find_by_id(key_id.as_str()).filter(sealing_keys::Column::RetireTime.is_null());
    usable.lock(LockType::Share).into_query()
}

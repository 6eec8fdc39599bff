//! The key ids of a database. They show whether a keyring fits the database, and which keys are being retired and must
//! not seal any more.

use std::collections::BTreeSet;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, EntityTrait as _, QueryFilter as _,
    QuerySelect as _,
    sea_query::{LockType, OnConflict},
};

use super::{
    database::{Database, WriteConnection},
    db_error::log_error,
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
        // The keyring may already lack a key that is being retired.
        let used = sealing_keys::Entity::find().filter(sealing_keys::Column::RetireTime.is_null());
        let used = used.all(&transaction).await?;

        let known: BTreeSet<_> = keyring.keys().map(|key| key.id().as_str()).collect();
        let missing: BTreeSet<_> =
            used.into_iter().map(|key| key.key_id).filter(|id| !known.contains(id.as_str())).collect();
        if missing.is_empty() {
            transaction.commit().await?;
            Ok(Ok(()))
        } else {
            transaction.rollback().await?;
            Ok(Err(KeyringMismatch { missing }))
        }
    }
    .await
    .map_err(|error| log_error("checking the keyring", &error));
    connection.discard();
    registered
}

/// Returns `true` if the key may seal. It cannot be retired before the transaction ends.
pub(super) async fn is_usable(transaction: &DatabaseTransaction, key_id: &KeyId) -> Result<bool, DbErr> {
    let usable = sealing_keys::Entity::find_by_id(key_id.as_str())
        .filter(sealing_keys::Column::RetireTime.is_null())
        .lock(LockType::Share)
        .one(transaction);
    Ok(usable.await?.is_some())
}

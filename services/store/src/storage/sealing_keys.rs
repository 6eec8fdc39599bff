//! The keys of a database: it remembers the names of those it was sealed with, so a keyring either fits or does not.

use std::collections::BTreeSet;

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, EntityTrait as _,
    PaginatorTrait as _, QueryFilter as _, sea_query::OnConflict,
};

use super::{
    database::{Database, WriteConnection},
    entities::{claims, messages, sealing_keys},
    failure::report,
};
use crate::{
    StoreError,
    domain::{Key, KeyId, Keyring, Timestamp},
};

/// The keyring lacks keys that this database was sealed with.
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

/// Makes sure that `keyring` opens everything in `database`, and notes its keys there.
///
/// # Errors
///
/// `Ok(Err(_))` when it does not fit, [`StoreError`] when the database fails.
pub(crate) async fn claim_database(
    database: &Database,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Result<(), KeyringMismatch>, StoreError> {
    let mut connection = WriteConnection::new(database.clone());
    let claimed = async {
        let transaction = connection.begin().await?;
        // One store at a time, or two with two new keyrings would not see each other. SQLite has one writer anyway.
        if transaction.get_database_backend() == DbBackend::Postgres {
            transaction.execute_unprepared("LOCK TABLE sealing_keys IN EXCLUSIVE MODE").await?;
        }
        let ours = keyring.keys().map(|key| sealing_keys::ActiveModel {
            key_id: Set(key.id().as_str().to_owned()),
            create_time: Set(now.micros()),
        });
        let noted = OnConflict::column(sealing_keys::Column::KeyId).do_nothing().to_owned();
        sealing_keys::Entity::insert_many(ours).on_conflict(noted).exec_without_returning(&transaction).await?;
        let used = sealing_keys::Entity::find().all(&transaction).await?;

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
    .map_err(|error| report("checking the keyring", &error));
    connection.discard();
    claimed
}

/// The end of one key, as far as the database is concerned.
pub(crate) struct KeyRetirement<'call> {
    database: &'call Database,
    id: &'call KeyId,
}

impl<'call> KeyRetirement<'call> {
    pub(crate) fn new(database: &'call Database, id: &'call KeyId) -> Self {
        Self { database, id }
    }

    /// Seals app configs anew that need the key, with `successor`. Messages that need it are in the way, `Ok(Err(how many))`,
    /// or with `force` erased.
    pub(crate) async fn prepare(
        &self,
        keyring: &Keyring,
        successor: &Key,
        force: bool,
    ) -> Result<Result<(), u64>, StoreError> {
        let prepared = self.transact(async |transaction| {
            let id = self.id.as_str();
            let messages = messages::Entity::find().filter(messages::Column::KeyId.eq(id)).count(transaction).await?
                + claims::Entity::find().filter(claims::Column::KeyId.eq(id)).count(transaction).await?;
            if messages > 0 && !force {
                return Ok(Err(messages));
            }
            messages::Entity::delete_many().filter(messages::Column::KeyId.eq(id)).exec(transaction).await?;
            claims::Entity::delete_many().filter(claims::Column::KeyId.eq(id)).exec(transaction).await?;
            super::app_configs::seal_anew(transaction, keyring, self.id, successor).await?;
            Ok(Ok(()))
        });
        prepared.await
    }

    /// Forgets that the database was sealed with the key; answers whether it knew.
    pub(crate) async fn forget(&self) -> Result<bool, StoreError> {
        let forgotten = self.transact(async |transaction| {
            let forget = sealing_keys::Entity::delete_many().filter(sealing_keys::Column::KeyId.eq(self.id.as_str()));
            Ok(forget.exec(transaction).await?.rows_affected > 0)
        });
        forgotten.await
    }

    async fn transact<T>(
        &self,
        work: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T, DbErr>,
    ) -> Result<T, StoreError> {
        let mut connection = WriteConnection::new(self.database.clone());
        let done = async {
            let transaction = connection.begin().await?;
            let done = work(&transaction).await?;
            transaction.commit().await?;
            Ok(done)
        };
        let done = done.await.map_err(|error| report("retiring a key", &error));
        connection.discard();
        done
    }
}

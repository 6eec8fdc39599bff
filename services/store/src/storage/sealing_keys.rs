//! The keys of a database: it remembers the names of those it was sealed with, so a keyring either fits or does not, and which
//! of them are being retired, so that nothing more is sealed with those.

use std::collections::{BTreeSet, HashSet};

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, EntityTrait as _, QueryFilter as _,
    QuerySelect as _,
    sea_query::{Expr, LockType, OnConflict},
};

use super::{
    database::{Database, WriteConnection},
    entities::{claims, messages, receipts, sealing_keys},
    failure::{Failure, report},
    usage::{self, Usage, UsageChanges},
};
use crate::{
    StoreError,
    domain::{Key, KeyId, Keyring, Timestamp},
};

/// How often a retirement is tried that the database undid because another transaction was in its way.
const TRIES: u32 = 5;
/// In which row of the usage retirements count.
const SHARD: i32 = 0;

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
            retire_time: Set(None),
        });
        let noted = OnConflict::column(sealing_keys::Column::KeyId).do_nothing().to_owned();
        sealing_keys::Entity::insert_many(ours).on_conflict(noted).exec_without_returning(&transaction).await?;
        // A key that is being retired may be gone from the keyring already.
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
    .map_err(|error| report("checking the keyring", &error));
    connection.discard();
    claimed
}

/// Those of the keys that may seal. None of them can be retired before the transaction ends.
pub(super) async fn living(
    transaction: &DatabaseTransaction,
    key_ids: impl Iterator<Item = &KeyId>,
) -> Result<HashSet<String>, DbErr> {
    let key_ids: HashSet<_> = key_ids.map(KeyId::as_str).collect();
    let living: Vec<String> = sealing_keys::Entity::find()
        .select_only()
        .column(sealing_keys::Column::KeyId)
        .filter(sealing_keys::Column::KeyId.is_in(key_ids))
        .filter(sealing_keys::Column::RetireTime.is_null())
        .lock(LockType::Share)
        .into_tuple()
        .all(transaction)
        .await?;
    Ok(living.into_iter().collect())
}

/// The end of one key, as far as the database is concerned.
pub(crate) struct KeyRetirement<'call> {
    database: Database,
    id: &'call KeyId,
}

impl<'call> KeyRetirement<'call> {
    pub(crate) fn new(database: &Database, id: &'call KeyId) -> Self {
        // What a forced retirement erases may be much.
        Self { database: database.without_limits(), id }
    }

    /// Has nothing more sealed with the key from the commit on, and seals app configs that need it anew, with `successor`.
    /// Messages that need it are in the way, `Ok(Err(how many))`, or with `force` erased.
    pub(crate) async fn prepare(
        &self,
        keyring: &Keyring,
        successor: &Key,
        force: bool,
        now: Timestamp,
    ) -> Result<Result<(), i64>, StoreError> {
        let prepared = self.transact(async |transaction| {
            let id = self.id.as_str();
            sealing_keys::Entity::update_many()
                .col_expr(sealing_keys::Column::RetireTime, Expr::value(now.micros()))
                .filter(sealing_keys::Column::KeyId.eq(id))
                .exec(transaction)
                .await?;
            if force && transaction.get_database_backend() == DbBackend::Postgres {
                // The writers lock the key first, too.
                let lock = "LOCK TABLE messages, claims, receipts IN SHARE ROW EXCLUSIVE MODE";
                transaction.execute_unprepared(lock).await?;
            }
            let Usage { messages, claims, receipts, .. } = usage::under_key(transaction, id).await?;
            if messages + claims > 0 && !force {
                return Ok(Err(messages + claims));
            }
            if messages + claims > 0 {
                erase_under(transaction, id).await?;
            }
            if receipts > 0 {
                // The token of a repeated creation cannot be derived any more: it makes a new message.
                receipts::Entity::update_many()
                    .col_expr(receipts::Column::RequestHash, Expr::value(None::<Vec<u8>>))
                    .filter(receipts::Column::KeyId.eq(id))
                    .exec(transaction)
                    .await?;
            }
            super::app_configs::seal_anew(transaction, keyring, self.id, successor).await?;
            Ok(Ok(()))
        });
        prepared.await
    }

    /// Forgets that the database was sealed with the key; returns `true` if it was.
    pub(crate) async fn forget(&self) -> Result<bool, StoreError> {
        let forgotten = self.transact(async |transaction| {
            let forget = sealing_keys::Entity::delete_many().filter(sealing_keys::Column::KeyId.eq(self.id.as_str()));
            Ok(Ok(forget.exec(transaction).await?.rows_affected > 0))
        });
        Ok(forgotten.await? == Ok(true))
    }

    /// Commits what `work` did, or takes it back if it returns `Ok(Err(_))`. Tries again when another transaction was in its way.
    async fn transact<T>(
        &self,
        work: impl AsyncFn(&DatabaseTransaction) -> Result<Result<T, i64>, DbErr>,
    ) -> Result<Result<T, i64>, StoreError> {
        let mut tries = 1;
        loop {
            let mut connection = WriteConnection::new(self.database.clone());
            let done = async {
                let transaction = connection.begin().await?;
                let done = work(&transaction).await?;
                match done {
                    Ok(_) => transaction.commit().await?,
                    Err(_) => transaction.rollback().await?,
                }
                Ok(done)
            };
            let done = done.await;
            connection.discard();
            match done {
                Err(error) if Failure::of(&error) == Failure::Conflict && tries < TRIES => tries += 1,
                done => return done.map_err(|error| report("retiring a key", &error)),
            }
        }
    }
}

/// Erases the messages and claims under a key. No other transaction changes any meanwhile.
async fn erase_under(transaction: &DatabaseTransaction, id: &str) -> Result<(), DbErr> {
    let before = usage::under_key(transaction, id).await?;
    messages::Entity::delete_many().filter(messages::Column::KeyId.eq(id)).exec(transaction).await?;
    claims::Entity::delete_many().filter(claims::Column::KeyId.eq(id)).exec(transaction).await?;
    let mut changes = UsageChanges::default();
    changes.subtract(id, before);
    changes.add(id, Usage::receipts(before.receipts));
    changes.record(transaction, SHARD).await
}

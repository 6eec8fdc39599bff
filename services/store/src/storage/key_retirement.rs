//! [`KeyRetirement`]: removes a key from a database before its destruction.

use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, EntityTrait as _, QueryFilter as _,
    sea_query::Expr,
};

use super::{
    app_configs,
    database::{Database, WriteConnection},
    db_error::{DbErrorKind, log_error},
    entities::{claims, messages, receipts, sealing_keys},
    usage::{self, Usage, UsageChanges},
};
use crate::{
    domain::{Key, KeyId, Keyring, Timestamp},
    error::StoreError,
};

/// How often a retirement is attempted that conflicts with other transactions.
const MAX_ATTEMPTS: u32 = 5;
/// In which rows of the usage a retirement counts.
const SHARD: i32 = 0;

/// The retirement of a key in the database.
pub(crate) struct KeyRetirement<'call> {
    database: Database,
    id: &'call KeyId,
}

impl<'call> KeyRetirement<'call> {
    pub(crate) fn new(database: &Database, id: &'call KeyId) -> Self {
        // A forced retirement may erase many rows.
        Self { database: database.without_timeouts(), id }
    }

    /// Excludes the key from sealing, and reseals app configs with `successor`. If messages need the key, changes
    /// nothing and returns `Ok(Err(count))`, or with `force` erases them.
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
                // Writers lock the key before these tables too.
                let lock = "LOCK TABLE messages, claims, receipts IN SHARE ROW EXCLUSIVE MODE";
                transaction.execute_unprepared(lock).await?;
            }
            let Usage { messages, claims, receipts, .. } = usage::for_key(transaction, id).await?;
            if messages + claims > 0 && !force {
                return Ok(Err(messages + claims));
            }
            if messages + claims > 0 {
                erase_under(transaction, id).await?;
            }
            if receipts > 0 {
                // A repeated creation cannot derive its token any more, and creates a new message.
                receipts::Entity::update_many()
                    .col_expr(receipts::Column::RequestHash, Expr::value(None::<Vec<u8>>))
                    .filter(receipts::Column::KeyId.eq(id))
                    .exec(transaction)
                    .await?;
            }
            app_configs::reseal(transaction, keyring, self.id, successor).await?;
            Ok(Ok(()))
        });
        prepared.await
    }

    /// Deletes the key id from the database. Returns `true` if it was there.
    pub(crate) async fn forget(&self) -> Result<bool, StoreError> {
        let forgotten = self.transact(async |transaction| {
            let forget = sealing_keys::Entity::delete_many().filter(sealing_keys::Column::KeyId.eq(self.id.as_str()));
            Ok(Ok(forget.exec(transaction).await?.rows_affected > 0))
        });
        Ok(forgotten.await? == Ok(true))
    }

    /// Runs `work` in a transaction. Rolls back if it returns `Ok(Err(_))`. Retries conflicts with other transactions.
    async fn transact<T>(
        &self,
        work: impl AsyncFn(&DatabaseTransaction) -> Result<Result<T, i64>, DbErr>,
    ) -> Result<Result<T, i64>, StoreError> {
        let mut attempts = 1;
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
                Err(error) if DbErrorKind::of(&error) == DbErrorKind::Conflict && attempts < MAX_ATTEMPTS => {
                    attempts += 1
                }
                done => return done.map_err(|error| log_error("retiring a key", &error)),
            }
        }
    }
}

/// Erases the messages and claims of a key. The caller has locked them.
async fn erase_under(transaction: &DatabaseTransaction, id: &str) -> Result<(), DbErr> {
    let before = usage::for_key(transaction, id).await?;
    messages::Entity::delete_many().filter(messages::Column::KeyId.eq(id)).exec(transaction).await?;
    claims::Entity::delete_many().filter(claims::Column::KeyId.eq(id)).exec(transaction).await?;
    let mut changes = UsageChanges::default();
    changes.subtract(id, before);
    changes.add(id, Usage::receipts(before.receipts));
    if let Some(statement) = changes.statement(transaction.get_database_backend(), SHARD) {
        transaction.execute_raw(statement).await?;
    }
    Ok(())
}

//! The schema, one file per change. What a column means stands with the entity that uses it, in the store.
//!
//! [`apply`] is the only way in. All pending changes are made in one transaction, under a lock, so any number of stores may
//! start at once: one changes the schema, the others wait and find it changed.

use sea_orm_migration::{
    MigrationTrait, MigratorTrait,
    sea_orm::{
        ConnectionTrait as _, DatabaseConnection, DbBackend, DbErr, SqliteTransactionMode, TransactionOptions,
        TransactionTrait as _,
    },
};

mod m20261129_000001_baseline;

/// The changes, oldest first.
struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20261129_000001_baseline::Migration)]
    }
}

/// Any number will do, as long as nothing else in the same PostgreSQL database locks it.
const LOCK: &str = "SELECT pg_advisory_xact_lock(5204815990213547)";

/// Brings the schema up to date and answers how many changes that took. Changes nothing when it fails.
///
/// # Errors
///
/// When the database cannot be reached or changed, or was changed by a newer Mayfly.
pub async fn apply(database: &DatabaseConnection) -> Result<usize, DbErr> {
    let options =
        TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
    let transaction = database.begin_with_options(options).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        transaction.execute_unprepared(LOCK).await?;
    }
    let pending = Migrator::get_pending_migrations(&transaction).await?.len();
    Migrator::up(&transaction, None).await?;
    transaction.commit().await?;
    Ok(pending)
}

/// Takes every change back, newest first, and with it all data. For tests of the changes themselves.
///
/// # Errors
///
/// When the database cannot be reached or changed.
pub async fn revert_all(database: &DatabaseConnection) -> Result<(), DbErr> {
    Migrator::down(database, None).await
}

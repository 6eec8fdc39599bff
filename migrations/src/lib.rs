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

mod m20261123_000001_create_messages;
mod m20261123_000002_create_receipts;
mod m20261123_000003_create_app_configs;
mod m20261123_000004_create_sealing_keys;
mod m20261123_000005_create_claims;
mod m20261123_000006_add_passphrases;
mod m20261125_000007_add_content_kinds;
mod m20261125_000008_add_expiry_to_receipts;

/// The changes, oldest first.
struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261123_000001_create_messages::Migration),
            Box::new(m20261123_000002_create_receipts::Migration),
            Box::new(m20261123_000003_create_app_configs::Migration),
            Box::new(m20261123_000004_create_sealing_keys::Migration),
            Box::new(m20261123_000005_create_claims::Migration),
            Box::new(m20261123_000006_add_passphrases::Migration),
            Box::new(m20261125_000007_add_content_kinds::Migration),
            Box::new(m20261125_000008_add_expiry_to_receipts::Migration),
        ]
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

//! The schema, one file per change. What a column means stands with the entity that uses it, in the store.
//!
//! [`apply`] is the only way in. All pending changes are made in one transaction, under a lock, so any number of stores
//! may start at once: one changes the schema, the others wait and find it changed.

use std::collections::HashSet;

use sea_orm_migration::{
    MigrationTrait, MigratorTrait,
    prelude::{DeriveIden, Order, Query, SchemaManager},
    sea_orm::{
        self, ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, EntityTrait as _,
        SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
    },
    seaql_migrations,
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

/// This program's version.
const PROGRAM_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Which program versions changed the schema; the last one has the highest id.
#[derive(DeriveIden)]
enum SchemaChanges {
    Table,
    Id,
    ProgramVersion,
}

/// Why the schema cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A newer program has changed the schema, in a way that this one does not know.
    #[error(
        "Mayfly {} has changed the database schema ({change}): use that version or a newer one, \
         this is {PROGRAM_VERSION}",
        program_version.as_deref().unwrap_or("of a newer version")
    )]
    Newer {
        /// The first change that this program does not know.
        change: String,
        /// The version of the program that made the last change, if that program wrote it down.
        program_version: Option<String>,
    },
    /// The database cannot be reached or changed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// Brings the schema up to date and answers how many changes that took. Changes nothing when it fails.
///
/// # Errors
///
/// [`MigrationError`]
pub async fn apply(database: &DatabaseConnection) -> Result<usize, MigrationError> {
    let options =
        TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
    let transaction = database.begin_with_options(options).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        transaction.execute_unprepared(LOCK).await?;
    }
    let applied = applied(&transaction).await?;
    refuse_newer(&transaction, &applied).await?;
    let pending = Migrator::migrations().len().saturating_sub(applied.len());
    if pending > 0 {
        Migrator::up(&transaction, None).await?;
        let change = Query::insert()
            .into_table(SchemaChanges::Table)
            .columns([SchemaChanges::ProgramVersion])
            .values_panic([PROGRAM_VERSION.into()])
            .to_owned();
        transaction.execute(&change).await?;
    }
    transaction.commit().await?;
    Ok(pending)
}

/// The names of the changes that were made. Makes no table, so a role that may only read and write rows can ask.
async fn applied(database: &DatabaseTransaction) -> Result<Vec<String>, DbErr> {
    if !SchemaManager::new(database).has_table("seaql_migrations").await? {
        return Ok(Vec::new());
    }
    let changes = seaql_migrations::Entity::find().all(database).await?;
    Ok(changes.into_iter().map(|change| change.version).collect())
}

/// Leaves a schema alone that this program does not know.
async fn refuse_newer(database: &DatabaseTransaction, applied: &[String]) -> Result<(), MigrationError> {
    let known: HashSet<_> = Migrator::migrations().iter().map(|change| change.name().to_owned()).collect();
    match applied.iter().find(|change| !known.contains(*change)) {
        None => Ok(()),
        Some(change) => {
            let program_version = last_program_version(database).await?;
            Err(MigrationError::Newer { change: change.clone(), program_version })
        }
    }
}

async fn last_program_version(database: &DatabaseTransaction) -> Result<Option<String>, DbErr> {
    if !SchemaManager::new(database).has_table("schema_changes").await? {
        return Ok(None);
    }
    let last = Query::select()
        .column(SchemaChanges::ProgramVersion)
        .from(SchemaChanges::Table)
        .order_by(SchemaChanges::Id, Order::Desc)
        .limit(1)
        .to_owned();
    let row = database.query_one(&last).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}

/// Takes every change back, newest first, and with it all data. For tests of the changes themselves.
///
/// # Errors
///
/// When the database cannot be reached or changed.
pub async fn revert_all(database: &DatabaseConnection) -> Result<(), DbErr> {
    Migrator::down(database, None).await
}

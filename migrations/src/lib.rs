//! The database schema, one file per migration. The entities of the store document the columns.
//!
//! [`apply`] runs all pending migrations in one transaction and under a lock. So any number of stores may start at
//! once: one migrates the schema, and the others wait.

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
mod m20261130_000002_add_api_tokens;

/// The migrations, oldest first.
struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20261129_000001_baseline::Migration), Box::new(m20261130_000002_add_api_tokens::Migration)]
    }
}

/// An arbitrary number. Nothing else in the same PostgreSQL database may lock it.
const LOCK_STATEMENT: &str = "SELECT pg_advisory_xact_lock(5204815990213547)";

/// This program's version.
const PROGRAM_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The program versions that migrated the schema; the last one has the highest id.
#[derive(DeriveIden)]
enum SchemaChanges {
    Table,
    Id,
    ProgramVersion,
}

/// The schema cannot be migrated.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A newer program migrated the schema.
    #[error(
        "Mayfly {} has changed the database schema ({change}): use that version or a newer one, \
         this is {PROGRAM_VERSION}",
        program_version.as_deref().unwrap_or("of a newer version")
    )]
    Newer {
        /// The first migration that this program does not know.
        change: String,
        /// The version of the program that made the last migration, if it recorded it.
        program_version: Option<String>,
    },
    /// The database cannot be reached or changed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// Runs pending migrations, and returns their number. Changes nothing when it fails.
///
/// # Errors
///
/// [`MigrationError`]
pub async fn apply(database: &DatabaseConnection) -> Result<usize, MigrationError> {
    let options =
        TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
    let transaction = database.begin_with_options(options).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        transaction.execute_unprepared(LOCK_STATEMENT).await?;
    }
    let applied = applied(&transaction).await?;
    reject_newer(&transaction, &applied).await?;
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

/// The names of the applied migrations. Creates no table, so a role without DDL permissions can call it.
async fn applied(database: &DatabaseTransaction) -> Result<Vec<String>, DbErr> {
    if !SchemaManager::new(database).has_table("seaql_migrations").await? {
        return Ok(Vec::new());
    }
    let changes = seaql_migrations::Entity::find().all(database).await?;
    Ok(changes.into_iter().map(|change| change.version).collect())
}

/// Rejects a schema of a newer program.
async fn reject_newer(database: &DatabaseTransaction, applied: &[String]) -> Result<(), MigrationError> {
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

/// The state of a schema that this program knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaState {
    /// How many migrations were applied. 0: the database has no schema yet.
    pub applied: usize,
    /// How many migrations the next start of this program applies.
    pub pending: usize,
    /// The version of the program that made the last migration, if it recorded it.
    pub program_version: Option<String>,
}

/// The state of the schema of `database`. Changes nothing.
///
/// # Errors
///
/// [`MigrationError`]; also when a newer program made it.
pub async fn state(database: &DatabaseConnection) -> Result<SchemaState, MigrationError> {
    let transaction = database.begin().await?;
    let applied = applied(&transaction).await?;
    reject_newer(&transaction, &applied).await?;
    let program_version = last_program_version(&transaction).await?;
    transaction.rollback().await?;
    let pending = Migrator::migrations().len().saturating_sub(applied.len());
    Ok(SchemaState { applied: applied.len(), pending, program_version })
}

/// Returns `true` if a Mayfly program made the schema of `database`, this one or an older one. Changes nothing.
///
/// # Errors
///
/// [`MigrationError`]; also when a newer program made it.
pub async fn is_known(database: &DatabaseConnection) -> Result<bool, MigrationError> {
    let transaction = database.begin().await?;
    // Other programs use tables with the names of SeaORM, too.
    let is_ours = SchemaManager::new(&transaction).has_table("schema_changes").await?;
    let applied = applied(&transaction).await?;
    if is_ours {
        reject_newer(&transaction, &applied).await?;
    }
    transaction.rollback().await?;
    Ok(is_ours && !applied.is_empty())
}

/// Reverts all migrations, newest first, and deletes all data. For tests of the migrations.
///
/// # Errors
///
/// When the database cannot be reached or changed.
pub async fn revert_all(database: &DatabaseConnection) -> Result<(), DbErr> {
    Migrator::down(database, None).await
}

//! [`LaneConnection`]: the connection of the write lane, its transactions, and their rows.

use rusqlite::types::FromSql;
use sea_orm::{
    ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, QueryResult, Statement, StatementBuilder, TryGetable,
};

use super::{
    database::{Database, WriteConnection},
    sqlite_connection::{SqliteConnection, failure},
    traced::{traced, traced_commit},
};

/// The connection of the write lane, connected when needed. It is closed and replaced after every error.
pub(super) enum LaneConnection {
    Sqlite { database: Database, connection: Option<SqliteConnection> },
    Postgres(WriteConnection),
}

impl LaneConnection {
    pub(super) fn new(database: Database) -> Self {
        match database.backend() {
            DbBackend::Sqlite => Self::Sqlite { database, connection: None },
            _ => Self::Postgres(WriteConnection::new(database)),
        }
    }

    /// Begins a transaction: IMMEDIATE on SQLite, READ COMMITTED on PostgreSQL.
    pub(super) async fn begin(&mut self) -> Result<Transaction<'_>, DbErr> {
        match self {
            Self::Sqlite { database, connection } => {
                let connection = match connection {
                    Some(connection) => connection,
                    None => connection.insert(database.connect_lane()?),
                };
                connection.run("BEGIN IMMEDIATE")?;
                Ok(Transaction::Sqlite(connection))
            }
            Self::Postgres(connection) => connection.begin().await.map(Transaction::Postgres),
        }
    }

    /// Closes the connection. The next [`begin`](Self::begin) connects again.
    pub(super) fn discard(&mut self) {
        match self {
            Self::Sqlite { connection, .. } => *connection = None,
            Self::Postgres(connection) => connection.discard(),
        }
    }

    /// The connection, if it is one to SQLite.
    pub(super) fn sqlite(&self) -> Option<&SqliteConnection> {
        match self {
            Self::Sqlite { connection, .. } => connection.as_ref(),
            Self::Postgres(_) => None,
        }
    }
}

/// A transaction. Unless it is committed, the connection must be discarded, which rolls it back.
pub(super) enum Transaction<'lane> {
    Sqlite(&'lane SqliteConnection),
    Postgres(DatabaseTransaction),
}

impl Transaction<'_> {
    pub(super) fn backend(&self) -> DbBackend {
        match self {
            Self::Sqlite(_) => DbBackend::Sqlite,
            Self::Postgres(_) => DbBackend::Postgres,
        }
    }

    /// Runs a statement, such as `DELETE` on `messages`.
    pub(super) async fn execute(
        &self,
        operation: &'static str,
        table: &'static str,
        statement: Statement,
    ) -> Result<(), DbErr> {
        let running = async {
            match self {
                Self::Sqlite(connection) => connection.execute(&statement),
                Self::Postgres(transaction) => transaction.execute_raw(statement).await.map(drop),
            }
        };
        traced(self.backend(), operation, table, running).await
    }

    /// Runs a statement, and returns its rows.
    pub(super) async fn query<T: FromRow>(
        &self,
        operation: &'static str,
        table: &'static str,
        statement: Statement,
    ) -> Result<Vec<T>, DbErr> {
        let running = async {
            match self {
                Self::Sqlite(connection) => connection.query(&statement, |row| T::from_row(&Row::Sqlite(row))),
                Self::Postgres(transaction) => {
                    let rows = transaction.query_all_raw(statement).await?;
                    rows.iter().map(|row| T::from_row(&Row::Postgres(row))).collect()
                }
            }
        };
        traced(self.backend(), operation, table, running).await
    }

    /// The statement of a query of SeaORM.
    pub(super) fn build(&self, query: &impl StatementBuilder) -> Statement {
        self.backend().build(query)
    }

    pub(super) async fn commit(self) -> Result<(), DbErr> {
        let backend = self.backend();
        let committing = async {
            match self {
                Self::Sqlite(connection) => connection.run("COMMIT"),
                Self::Postgres(transaction) => transaction.commit().await,
            }
        };
        traced_commit(backend, committing).await
    }
}

/// A row of a result.
pub(super) enum Row<'result> {
    Sqlite(&'result rusqlite::Row<'result>),
    Postgres(&'result QueryResult),
}

impl Row<'_> {
    /// The value of a column. PostgreSQL reads an `i64` from a `bigint` only, so other integers need a cast.
    pub(super) fn get<T: FromSql + TryGetable>(&self, column: &str) -> Result<T, DbErr> {
        match self {
            Self::Sqlite(row) => row.get(column).map_err(failure),
            Self::Postgres(row) => row.try_get("", column),
        }
    }
}

/// What is read from a row.
pub(super) trait FromRow: Sized {
    fn from_row(row: &Row<'_>) -> Result<Self, DbErr>;
}

impl FromRow for () {
    fn from_row(_: &Row<'_>) -> Result<Self, DbErr> {
        Ok(())
    }
}

/// Implements [`FromRow`] for structs whose fields have the names of their columns.
macro_rules! from_row {
    ($type:ty { $($field:ident),+ $(,)? }) => {
        impl $crate::storage::lane_connection::FromRow for $type {
            fn from_row(row: &$crate::storage::lane_connection::Row<'_>) -> Result<Self, sea_orm::DbErr> {
                Ok(Self { $($field: row.get(stringify!($field))?),+ })
            }
        }
    };
}
pub(super) use from_row;

//! [`SqliteConnection`]: SQLite on the thread of its caller.
//!
//! sqlx runs SQLite on a thread of its own, so each statement makes two threads wait for each other. The write lane has a
//! thread of its own already, and a batch has many statements.

use std::{borrow::Cow, error::Error, path::Path, sync::Arc, time::Duration};

use rusqlite::{
    CachedStatement, Connection, OpenFlags, Row,
    types::{FromSql, ToSqlOutput, Value as AnyValue, ValueRef},
};
use sea_orm::{
    DbBackend, DbErr, RuntimeErr, Statement, Value,
    sqlx::{
        self,
        error::{DatabaseError, ErrorKind},
    },
};

/// How many statements stay prepared: those of the lane, for each power of two of their rows.
const PREPARED_STATEMENTS: usize = 128;
/// How long a checkpoint waits for readers of the write-ahead log. The lane waits too.
const CHECKPOINT_BUSY_TIMEOUT: Duration = Duration::from_millis(100);
/// How many free pages a file keeps for reuse: 16 MiB.
const MIN_FREE_PAGES: i64 = 4096;
/// How many free pages a large file keeps: the number of its pages divided by this.
const FREE_PAGES_DIVISOR: i64 = 8;
/// How many pages are freed in one step: 1 MiB, some milliseconds.
const VACUUM_PAGES: i64 = 256;

/// A connection whose statements block the thread that runs them.
#[derive(Debug)]
pub(super) struct SqliteConnection {
    connection: Connection,
    /// How long a statement waits for another connection.
    busy_timeout: Duration,
}

impl SqliteConnection {
    /// Opens an existing file.
    pub(super) fn open(file: &Path, busy_timeout: Duration) -> Result<Self, DbErr> {
        // The type prevents that two threads use the connection at once, so it needs no lock.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(file, flags);
        let connection = opened.map_err(|error| DbErr::Conn(runtime_error(error)))?;
        connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
        connection.busy_timeout(busy_timeout).map_err(failure)?;
        Ok(Self { connection, busy_timeout })
    }

    /// Runs a statement without parameters to its end, and ignores its rows.
    pub(super) fn run(&self, sql: &str) -> Result<(), DbErr> {
        self.query(&Statement::from_string(DbBackend::Sqlite, sql), |_| Ok(())).map(drop)
    }

    /// Sets a pragma, and returns its value.
    pub(super) fn set_pragma(&self, name: &str, value: &str) -> Result<String, DbErr> {
        self.run(&format!("PRAGMA {name} = {value}"))?;
        match self.pragma(name)? {
            AnyValue::Text(text) => Ok(text),
            AnyValue::Integer(number) => Ok(number.to_string()),
            _ => Err(DbErr::Type(format!("PRAGMA {name} has another type"))),
        }
    }

    /// The first column of a pragma's first row.
    fn pragma<T: FromSql>(&self, pragma: &str) -> Result<T, DbErr> {
        self.connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).map_err(failure)
    }

    /// Empties the write-ahead log, which still contains deleted rows. Returns `false` if a reader uses it for longer
    /// than [`CHECKPOINT_BUSY_TIMEOUT`].
    pub(super) fn checkpoint(&self) -> Result<bool, DbErr> {
        self.connection.busy_timeout(CHECKPOINT_BUSY_TIMEOUT).map_err(failure)?;
        let is_busy: bool = self.pragma("wal_checkpoint(TRUNCATE)")?;
        self.connection.busy_timeout(self.busy_timeout).map_err(failure)?;
        Ok(!is_busy)
    }

    /// Returns some free pages to the file system, if there are too many. Returns `true` if there still are.
    pub(super) fn vacuum(&self) -> Result<bool, DbErr> {
        let free_pages = || self.pragma::<i64>("freelist_count");
        let kept = MIN_FREE_PAGES.max(self.pragma::<i64>("page_count")? / FREE_PAGES_DIVISOR);
        let before = free_pages()?;
        if before <= kept {
            return Ok(false);
        }
        // Each step of the statement frees one page.
        self.run(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
        let after = free_pages()?;
        // A file without `auto_vacuum` frees nothing.
        Ok(after < before && after > kept)
    }

    /// Runs a statement to its end.
    pub(super) fn execute(&self, statement: &Statement) -> Result<(), DbErr> {
        let mut prepared = self.prepare(statement)?;
        prepared.raw_execute().map(drop).map_err(failure)
    }

    /// Runs a statement to its end, and returns its rows as `read` reads them.
    pub(super) fn query<T>(
        &self,
        statement: &Statement,
        read: impl Fn(&Row<'_>) -> Result<T, DbErr>,
    ) -> Result<Vec<T>, DbErr> {
        let mut prepared = self.prepare(statement)?;
        let mut rows = prepared.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failure)? {
            found.push(read(row)?);
        }
        Ok(found)
    }

    fn prepare(&self, statement: &Statement) -> Result<CachedStatement<'_>, DbErr> {
        let mut prepared = self.connection.prepare_cached(&statement.sql).map_err(failure)?;
        for (index, value) in statement.values.iter().flat_map(|values| &values.0).enumerate() {
            prepared.raw_bind_parameter(index + 1, parameter(value)?).map_err(failure)?;
        }
        Ok(prepared)
    }
}

/// A parameter of a statement.
fn parameter(value: &Value) -> Result<ToSqlOutput<'_>, DbErr> {
    let integer = |number: Option<i64>| number.map_or(ValueRef::Null, ValueRef::Integer);
    Ok(ToSqlOutput::Borrowed(match value {
        Value::Bool(value) => integer(value.map(i64::from)),
        Value::Int(value) => integer(value.map(i64::from)),
        Value::BigInt(value) => integer(*value),
        Value::BigUnsigned(value) => {
            let value = value.map(i64::try_from).transpose();
            integer(value.map_err(|_| DbErr::Type("a parameter needs more than 63 bits".to_owned()))?)
        }
        Value::String(value) => value.as_ref().map_or(ValueRef::Null, |value| ValueRef::Text(value.as_bytes())),
        Value::Bytes(value) => value.as_ref().map_or(ValueRef::Null, |value| ValueRef::Blob(value)),
        _ => return Err(DbErr::Type("a parameter has a type that no column has".to_owned())),
    }))
}

/// An error of SQLite, or of a value in a row, as an error of SeaORM.
pub(super) fn failure(error: rusqlite::Error) -> DbErr {
    DbErr::Exec(runtime_error(error))
}

fn runtime_error(error: rusqlite::Error) -> RuntimeErr {
    RuntimeErr::SqlxError(Arc::new(sqlx::Error::Database(Box::new(SqliteError { message: error.to_string(), error }))))
}

/// An error of SQLite in the form of sqlx, so that the errors of both are classified by the same code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct SqliteError {
    message: String,
    error: rusqlite::Error,
}

impl DatabaseError for SqliteError {
    fn message(&self) -> &str {
        &self.message
    }

    /// The extended result code.
    fn code(&self) -> Option<Cow<'_, str>> {
        self.error.sqlite_error().map(|error| error.extended_code.to_string().into())
    }

    fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::{super::db_error::DbErrorKind, *};

    fn open() -> (tempfile::TempDir, SqliteConnection) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("test.db");
        std::fs::File::create(&file).unwrap();
        let connection = SqliteConnection::open(&file, Duration::ZERO).unwrap();
        connection.run("CREATE TABLE rows (number bigint, word text, bytes blob)").unwrap();
        (dir, connection)
    }

    fn statement(sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
        Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
    }

    type Columns = (Option<i64>, Option<String>, Option<Vec<u8>>);

    fn read(row: &Row<'_>) -> Result<Columns, DbErr> {
        let values = <Columns>::try_from(row).map_err(failure)?;
        Ok(values)
    }

    #[test]
    fn values_are_read_as_they_were_written() {
        let (_dir, connection) = open();
        let insert = "INSERT INTO rows VALUES (?, ?, ?), (?, ?, ?) RETURNING number, word, bytes";
        let nulls = [Value::BigInt(None), Value::String(None), Value::Bytes(None)];
        let values = [i64::MIN.into(), "word".into(), vec![0_u8, 255].into()].into_iter().chain(nulls);
        let rows = connection.query(&statement(insert, values), read).unwrap();
        let full = (Some(i64::MIN), Some("word".to_owned()), Some(vec![0, 255]));
        assert_eq!(rows, [full, (None, None, None)]);
    }

    #[test]
    fn a_cached_statement_forgets_its_parameters() {
        let (_dir, connection) = open();
        let select = |number: i64| statement("SELECT ?, NULL, NULL", [number.into()]);
        assert_eq!(connection.query(&select(1), read).unwrap()[0].0, Some(1));
        assert_eq!(connection.query(&select(2), read).unwrap()[0].0, Some(2));
    }

    #[test]
    fn a_parameter_that_no_column_can_store_is_an_error() {
        let (_dir, connection) = open();
        for value in [u64::MAX.into(), 1.5_f64.into()] {
            let error = connection.execute(&statement("INSERT INTO rows (number) VALUES (?)", [value]));
            assert!(matches!(error, Err(DbErr::Type(_))), "{error:?}");
        }
    }

    #[test]
    fn errors_are_classified_by_their_code() {
        let (dir, connection) = open();
        connection.run("BEGIN IMMEDIATE").unwrap();
        let other = SqliteConnection::open(&dir.path().join("test.db"), Duration::ZERO).unwrap();
        let busy = other.run("BEGIN IMMEDIATE").unwrap_err();
        assert_eq!(DbErrorKind::of(&busy), DbErrorKind::Conflict, "{busy}");
        let wrong = connection.execute(&statement("DELETE FROM nothing", [])).unwrap_err();
        assert_eq!(DbErrorKind::of(&wrong), DbErrorKind::Unexpected, "{wrong}");
        let missing = SqliteConnection::open(&dir.path().join("missing.db"), Duration::ZERO).unwrap_err();
        assert_eq!(DbErrorKind::of(&missing), DbErrorKind::Disconnected, "{missing}");
    }
}

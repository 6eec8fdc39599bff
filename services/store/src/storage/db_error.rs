//! Classifies database errors: retryable, unavailable or unexpected.

use std::{future::Future, pin::Pin, time::Duration};

use mayfly_bootstrap::ErrorChain;
use sea_orm::{DbErr, RuntimeErr, sqlx};

use crate::error::StoreError;

/// How long a read may take. Equals the statement timeout of PostgreSQL sessions.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The kind of a database error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DbErrorKind {
    /// The database rolled back the transaction because of another one. A retry may succeed.
    Conflict,
    /// There is no connection.
    Disconnected,
    /// The database cannot do it now: full disk, read-only, too many connections, too slow.
    Unavailable,
    /// The statement or the data is wrong, which is a bug.
    Unexpected,
}

impl DbErrorKind {
    /// The error for the caller.
    pub(super) fn to_store_error(self) -> StoreError {
        match self {
            Self::Conflict | Self::Disconnected | Self::Unavailable => StoreError::Unavailable,
            Self::Unexpected => StoreError::Internal,
        }
    }

    pub(super) fn of(error: &DbErr) -> Self {
        match error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Self::Disconnected,
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => {
                Self::of_sqlx(cause)
            }
            _ => Self::Unexpected,
        }
    }

    fn of_sqlx(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::WorkerCrashed => Self::Disconnected,
            sqlx::Error::Database(error) => {
                let code = error.code();
                let code = code.as_deref().unwrap_or_default();
                match error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
                    Some(_) => Self::of_sqlstate(code),
                    None => Self::of_sqlite_code(code),
                }
            }
            _ => Self::Unexpected,
        }
    }

    /// <https://sqlite.org/rescode.html>: an extended result code, whose low byte is the primary one.
    fn of_sqlite_code(code: &str) -> Self {
        match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(5 | 6) => Self::Conflict,               // BUSY, LOCKED
            Ok(8 | 10 | 13 | 14) => Self::Unavailable, // READONLY, IOERR, FULL, CANTOPEN
            _ => Self::Unexpected,
        }
    }

    /// <https://www.postgresql.org/docs/15/errcodes-appendix.html>
    fn of_sqlstate(code: &str) -> Self {
        match code {
            "40001" | "40P01" | "55P03" => Self::Conflict, // serialization failure, deadlock, lock not available
            "57P01" | "57P02" | "57P03" => Self::Disconnected, // the server shuts down, crashes or starts
            "25006" | "57014" => Self::Unavailable,        // read-only, cancelled by a timeout
            _ if code.starts_with("08") => Self::Disconnected, // connection exceptions
            _ if code.starts_with("53") || code.starts_with("58") => Self::Unavailable, // no resources; I/O errors
            _ => Self::Unexpected,
        }
    }
}

/// Waits for a read, for at most [`READ_TIMEOUT`]: a frozen server or a broken link never responds.
///
/// The future of a query of SeaORM has 18 KiB. Unless it is boxed, each future around it is as large, and is copied by
/// calls that read nothing.
pub(super) async fn read_with_timeout<T>(
    doing: &'static str,
    reading: Pin<Box<impl Future<Output = Result<T, DbErr>>>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(READ_TIMEOUT, reading).await {
        Ok(found) => found.map_err(|error| log_error(doing, &error)),
        Err(_) => {
            tracing::error!(doing, "the database did not respond in time");
            Err(StoreError::Unavailable)
        }
    }
}

/// Logs `error` with its causes, and returns the error for the caller.
pub(super) fn log_error(doing: &'static str, error: &DbErr) -> StoreError {
    let kind = DbErrorKind::of(error);
    tracing::error!(doing, ?kind, error = %ErrorChain(error), "the database failed");
    kind.to_store_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_read_that_never_ends_times_out() {
        let never = std::future::pending::<Result<(), DbErr>>();
        assert!(matches!(read_with_timeout("waiting", Box::pin(never)).await, Err(StoreError::Unavailable)));
    }

    #[test]
    fn error_codes_are_classified() {
        assert_eq!(DbErrorKind::of_sqlite_code("5"), DbErrorKind::Conflict);
        assert_eq!(DbErrorKind::of_sqlite_code("261"), DbErrorKind::Conflict, "BUSY_RECOVERY");
        assert_eq!(DbErrorKind::of_sqlite_code("13"), DbErrorKind::Unavailable);
        assert_eq!(DbErrorKind::of_sqlite_code("4874"), DbErrorKind::Unavailable, "IOERR_SHMSIZE");
        assert_eq!(DbErrorKind::of_sqlite_code("1"), DbErrorKind::Unexpected);
        assert_eq!(DbErrorKind::of_sqlstate("40P01"), DbErrorKind::Conflict);
        assert_eq!(DbErrorKind::of_sqlstate("08006"), DbErrorKind::Disconnected);
        assert_eq!(DbErrorKind::of_sqlstate("53100"), DbErrorKind::Unavailable, "disk full");
        assert_eq!(DbErrorKind::of_sqlstate("42P01"), DbErrorKind::Unexpected, "undefined table");
    }
}

//! What a failed statement means: try again, not available, or a fault of ours.

use std::{future::Future, time::Duration};

use mayfly_bootstrap::ErrorChain;
use sea_orm::{DbErr, RuntimeErr, sqlx};

use crate::StoreError;

/// How long a read may take; as long as PostgreSQL is told that a statement may.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// What a database error means for whoever met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The database undid the transaction because another was in its way; the same again may succeed.
    Conflict,
    /// The connection is gone or was never made.
    Disconnected,
    /// The database is there, but cannot do it now: full disk, read-only, too many connections, too slow.
    Unavailable,
    /// The statement or the data is wrong, which is our fault.
    Fault,
}

impl Failure {
    /// What the caller gets to know.
    pub(super) fn situation(self) -> StoreError {
        match self {
            Self::Conflict | Self::Disconnected | Self::Unavailable => StoreError::Unavailable,
            Self::Fault => StoreError::Internal,
        }
    }

    pub(super) fn of(error: &DbErr) -> Self {
        match error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Self::Disconnected,
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => {
                Self::of_sqlx(cause)
            }
            _ => Self::Fault,
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
                match error.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
                    Some(_) => Self::of_sqlite_code(code),
                    None => Self::of_sqlstate(code),
                }
            }
            _ => Self::Fault,
        }
    }

    /// <https://sqlite.org/rescode.html>: an extended result code, whose low byte is the primary one.
    fn of_sqlite_code(code: &str) -> Self {
        match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(5 | 6) => Self::Conflict,               // BUSY, LOCKED
            Ok(8 | 10 | 13 | 14) => Self::Unavailable, // READONLY, IOERR, FULL, CANTOPEN
            _ => Self::Fault,
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
            _ => Self::Fault,
        }
    }
}

/// Waits for a read, for at most [`READ_LIMIT`]: a server that is frozen, or behind a link that fell silent, never answers.
pub(super) async fn read<T>(
    doing: &'static str,
    reading: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(READ_LIMIT, reading).await {
        Ok(found) => found.map_err(|error| report(doing, &error)),
        Err(_) => {
            tracing::error!(doing, "the database did not answer in time");
            Err(StoreError::Unavailable)
        }
    }
}

/// Logs `error` with its causes, once and here, and says what the caller gets to know.
pub(super) fn report(doing: &'static str, error: &DbErr) -> StoreError {
    let failure = Failure::of(error);
    tracing::error!(doing, ?failure, error = %ErrorChain(error), "the database failed");
    failure.situation()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_read_that_never_ends_is_given_up() {
        let never = std::future::pending::<Result<(), DbErr>>();
        assert!(matches!(read("waiting", never).await, Err(StoreError::Unavailable)));
    }

    #[test]
    fn codes_are_known() {
        assert_eq!(Failure::of_sqlite_code("5"), Failure::Conflict);
        assert_eq!(Failure::of_sqlite_code("261"), Failure::Conflict, "BUSY_RECOVERY");
        assert_eq!(Failure::of_sqlite_code("13"), Failure::Unavailable);
        assert_eq!(Failure::of_sqlite_code("4874"), Failure::Unavailable, "IOERR_SHMSIZE");
        assert_eq!(Failure::of_sqlite_code("1"), Failure::Fault);
        assert_eq!(Failure::of_sqlstate("40P01"), Failure::Conflict);
        assert_eq!(Failure::of_sqlstate("08006"), Failure::Disconnected);
        assert_eq!(Failure::of_sqlstate("53100"), Failure::Unavailable, "disk full");
        assert_eq!(Failure::of_sqlstate("42P01"), Failure::Fault, "undefined table");
    }
}

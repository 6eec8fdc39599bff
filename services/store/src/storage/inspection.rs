//! [`inspect`]: what an operator's check reads of a database. It changes nothing, also beside a running store.

use std::{os::unix::fs::FileExt as _, path::PathBuf, time::Duration};

use mayfly_bootstrap::Secret;
use mayfly_migrations::{MigrationError, SchemaState};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DbBackend, DbErr, EntityTrait, FromQueryResult, QueryOrder as _,
    QuerySelect as _, Statement,
};

use super::{
    database::{Database, DatabaseError, read_pragma},
    entities::{app_configs, messages, receipts, sealing_keys},
    sealing_keys::{RegisteredKeys, registered},
    usage,
};
use crate::domain::{Clock, Timestamp};

/// How often the clock of PostgreSQL is read. The fastest response has the smallest error.
const CLOCK_READINGS: usize = 5;
/// How often SQLite is read, and how long to wait in between. Beside a store, a reader without write access sometimes
/// has to wait until the store reads.
const SQLITE_ATTEMPTS: usize = 8;
const SQLITE_PAUSE: Duration = Duration::from_millis(500);

/// What is known of a database.
#[derive(Debug)]
pub struct Inspection {
    /// Its server or library.
    pub server: Server,
    /// Its schema.
    pub schema: Result<SchemaState, MigrationError>,
    /// What is stored. `None` without a schema that this program knows.
    pub content: Option<Content>,
}

/// The server of a database, or the library that reads it.
#[derive(Clone, Debug)]
pub enum Server {
    /// SQLite.
    Sqlite {
        /// The version of the library.
        version: String,
        /// `true` if the file has a write-ahead log, as a store needs and sets.
        has_log: bool,
        /// `true` if the file gets smaller after rows were deleted.
        can_shrink: bool,
    },
    /// PostgreSQL.
    Postgres(PostgresInfo),
}

/// The properties of a PostgreSQL server, and of the session with it.
#[derive(Clone, Debug, FromQueryResult)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent settings of the server")]
pub struct PostgresInfo {
    /// Its version, for people.
    pub version: String,
    /// Its version as a number: 150004 is 15.4.
    pub version_number: i32,
    /// `true` if the role may do everything.
    pub is_superuser: bool,
    /// `true` if it accepts no writes: a standby, or a server that was demoted.
    pub is_read_only: bool,
    /// The setting `fsync`.
    pub fsync: bool,
    /// The setting `full_page_writes`.
    pub full_page_writes: bool,
    /// The setting `synchronous_commit`.
    pub synchronous_commit: String,
    /// `true` if the session has TLS.
    pub has_tls: bool,
    /// `true` if the server is reached over a socket of this machine.
    pub is_local: bool,
    /// The setting `max_connections`.
    pub max_connections: i32,
    /// How its clock differs from that of this machine.
    #[sea_orm(skip)]
    pub clock: ClockOffset,
}

/// By how much a clock is ahead of that of this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockOffset {
    /// The measured difference in microseconds.
    pub micros: i64,
    /// The largest error of the measurement: half of the time that the response took.
    pub error_micros: i64,
}

impl ClockOffset {
    /// By how much the clocks differ at least.
    #[must_use]
    pub fn at_least(self) -> Duration {
        Duration::from_micros(self.micros.unsigned_abs().saturating_sub(self.error_micros.unsigned_abs()))
    }
}

/// What is stored.
#[derive(Clone, Debug)]
pub struct Content {
    /// The keys of the database.
    pub keys: RegisteredKeys,
    /// The number of unread messages, as counted.
    pub messages: i64,
    /// The bytes of messages, claims and receipts, as counted.
    pub bytes: i64,
    /// The newest time that a store recorded.
    pub newest: Option<Timestamp>,
}

/// A database cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// There is no SQLite file yet.
    #[error("there is no database at {}", path.display())]
    NoDatabase {
        /// The file.
        path: PathBuf,
    },
    /// The write-ahead log of a process that was killed has no index. Reading it would create one.
    #[error("{} is the log of a store that was killed, and cannot be read without changing files", path.display())]
    NeedsRecovery {
        /// The log.
        path: PathBuf,
    },
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database cannot be read.
    #[error("cannot read the database (--database-url)")]
    Read(#[from] DbErr),
}

/// Reads what is known of `database`. Changes neither rows nor files.
///
/// # Errors
///
/// [`InspectError`]
pub async fn inspect(database: &Database, clock: &dyn Clock) -> Result<Inspection, InspectError> {
    database.check().await?;
    let mut attempts = SQLITE_ATTEMPTS;
    loop {
        let inspected = inspect_once(database, clock).await;
        attempts -= 1;
        match inspected {
            Err(InspectError::Read(_) | InspectError::Database(_))
                if database.backend() == DbBackend::Sqlite && attempts > 0 && database.is_in_use() =>
            {
                tokio::time::sleep(SQLITE_PAUSE).await;
            }
            inspected => return inspected,
        }
    }
}

async fn inspect_once(database: &Database, clock: &dyn Clock) -> Result<Inspection, InspectError> {
    let connection = database.connect_read_only().await?;
    let inspected = read(database, &connection, clock).await;
    // Nothing was written, so a failure does not matter.
    drop(connection.close().await);
    inspected
}

async fn read(
    database: &Database,
    connection: &DatabaseConnection,
    clock: &dyn Clock,
) -> Result<Inspection, InspectError> {
    let server = match connection.get_database_backend() {
        DbBackend::Postgres => Server::Postgres(postgres_info(connection, clock).await?),
        _ => Server::Sqlite {
            version: read_text(connection, "SELECT sqlite_version()").await?,
            has_log: database.file().is_none_or(has_log),
            can_shrink: read_pragma(connection, "auto_vacuum").await? == "2",
        },
    };
    let schema = match mayfly_migrations::state(connection).await {
        Err(MigrationError::Database(error)) => return Err(error.into()),
        schema => schema,
    };
    let content = match &schema {
        Ok(SchemaState { applied: 1.., .. }) => Some(content(connection).await?),
        _ => None,
    };
    Ok(Inspection { server, schema, content })
}

/// Returns `false` if the header of the file says that it has no write-ahead log. The pragma does not tell for a file that
/// is opened as immutable.
fn has_log(file: &std::path::Path) -> bool {
    const WRITE_VERSION: u64 = 18;
    const WITHOUT_LOG: u8 = 1;
    let mut version = [0];
    let read = std::fs::File::open(file).and_then(|file| file.read_exact_at(&mut version, WRITE_VERSION));
    read.is_err() || version != [WITHOUT_LOG]
}

async fn content(connection: &DatabaseConnection) -> Result<Content, DbErr> {
    let usage::Usage { messages, bytes, .. } = usage::total(connection).await?;
    // By the newest ids, because no index has the times.
    let newest = [
        newest::<messages::Entity>(connection, messages::Column::CreateTime, messages::Column::Id).await?,
        newest::<receipts::Entity>(connection, receipts::Column::CreateTime, receipts::Column::MessageId).await?,
        newest::<sealing_keys::Entity>(connection, sealing_keys::Column::CreateTime, sealing_keys::Column::CreateTime)
            .await?,
        newest::<app_configs::Entity>(connection, app_configs::Column::UpdateTime, app_configs::Column::UpdateTime)
            .await?,
    ];
    let newest = newest.into_iter().flatten().max().map(Timestamp::from_micros);
    Ok(Content { keys: registered(connection).await?, messages, bytes, newest })
}

/// The time in the row with the highest `order`.
async fn newest<E: EntityTrait>(
    connection: &DatabaseConnection,
    time: E::Column,
    order: E::Column,
) -> Result<Option<i64>, DbErr> {
    E::find().select_only().column(time).order_by_desc(order).limit(1).into_tuple::<i64>().one(connection).await
}

async fn read_text(connection: &DatabaseConnection, query: &str) -> Result<String, DbErr> {
    let statement = Statement::from_string(connection.get_database_backend(), query);
    let row = connection.query_one_raw(statement).await?;
    row.ok_or_else(|| DbErr::RecordNotFound(query.to_owned()))?.try_get_by_index(0)
}

/// `reset_val` is the setting of the server, role and database, which the session replaces.
const POSTGRES_QUERY: &str = "SELECT current_setting('server_version') AS version, \
    current_setting('server_version_num')::int AS version_number, \
    coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = current_user), false) AS is_superuser, \
    pg_is_in_recovery() AS is_read_only, \
    current_setting('fsync')::bool AS fsync, current_setting('full_page_writes')::bool AS full_page_writes, \
    (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit') AS synchronous_commit, \
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS has_tls, \
    coalesce(inet_client_addr() = inet_server_addr(), true) AS is_local, \
    current_setting('max_connections')::int AS max_connections";

async fn postgres_info(connection: &DatabaseConnection, clock: &dyn Clock) -> Result<PostgresInfo, DbErr> {
    let statement = Statement::from_string(DbBackend::Postgres, POSTGRES_QUERY);
    let info = PostgresInfo::find_by_statement(statement).one(connection).await?;
    let info = info.ok_or_else(|| DbErr::RecordNotFound("the settings of PostgreSQL".to_owned()))?;
    Ok(PostgresInfo { clock: measure_clock(connection, clock).await?, ..info })
}

async fn measure_clock(connection: &DatabaseConnection, clock: &dyn Clock) -> Result<ClockOffset, DbErr> {
    let query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    let mut best: Option<ClockOffset> = None;
    for _ in 0..CLOCK_READINGS {
        let before = clock.now().micros();
        let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, query)).await?;
        let after = clock.now().micros();
        let theirs: i64 = row.ok_or_else(|| DbErr::RecordNotFound(query.to_owned()))?.try_get_by_index(0)?;
        let error_micros = (after - before).abs() / 2;
        let reading = ClockOffset { micros: theirs - (before + error_micros), error_micros };
        best = Some(best.filter(|best| best.error_micros <= error_micros).unwrap_or(reading));
    }
    best.ok_or_else(|| DbErr::RecordNotFound(query.to_owned()))
}

impl Database {
    /// A connection that writes neither rows nor files.
    pub(crate) async fn connect_read_only(&self) -> Result<DatabaseConnection, InspectError> {
        let mut options = self.single_connection();
        match self.file() {
            Some(file) => {
                let url = read_only_url(file)?;
                options.map_sqlx_sqlite_opts(move |options| {
                    options.filename(url.expose()).read_only(true).create_if_missing(false)
                });
                Ok(sea_orm::Database::connect(options).await.map_err(DatabaseError::Connect)?)
            }
            None => {
                let connection = sea_orm::Database::connect(options).await.map_err(DatabaseError::Connect)?;
                connection.execute_unprepared("SET default_transaction_read_only = on").await?;
                Ok(connection)
            }
        }
    }

    /// Returns `true` if a store uses the SQLite file, or was killed while it did.
    fn is_in_use(&self) -> bool {
        self.file().is_some_and(|file| with_suffix(file, "-shm").exists())
    }
}

fn with_suffix(file: &std::path::Path, suffix: &str) -> PathBuf {
    let mut path = file.to_owned().into_os_string();
    path.push(suffix);
    path.into()
}

/// The URI with which SQLite opens the file without creating, changing or locking others.
fn read_only_url(file: &std::path::Path) -> Result<Secret, InspectError> {
    let invalid = || InspectError::Database(DatabaseError::UnknownKind);
    if !file.exists() {
        return Err(InspectError::NoDatabase { path: file.to_owned() });
    }
    let absolute = std::path::absolute(file).map_err(|_| invalid())?;
    let mut url = url::Url::from_file_path(absolute).map_err(|()| invalid())?;
    let (log, index) = (with_suffix(file, "-wal"), with_suffix(file, "-shm"));
    let log_bytes = std::fs::metadata(&log).ok().map(|found| found.len());
    let how = match (log_bytes, index.exists()) {
        // The index is in use, or of a store that was killed. It is only read.
        (Some(_), true) => "readonly_shm",
        (Some(1..), false) => return Err(InspectError::NeedsRecovery { path: log }),
        // SQLite would create both, unless it takes the file for one on a medium that cannot be written.
        _ => "immutable",
    };
    url.query_pairs_mut().append_pair("mode", "ro").append_pair(how, "1");
    Ok(Secret::new(url.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_of_clocks_is_at_least_what_the_measurement_shows() {
        let at_least = |micros, error_micros| ClockOffset { micros, error_micros }.at_least();
        assert_eq!(at_least(-5_000_000, 1_000_000), Duration::from_secs(4));
        assert_eq!(at_least(1_000, 2_000), Duration::ZERO);
    }
}

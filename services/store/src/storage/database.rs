//! One database, SQLite or PostgreSQL, chosen by its URL: how it is connected to, and with which promises.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use mayfly_bootstrap::{Secret, make_private_folder, sync_folder};
use mayfly_migrations::MigrationError;
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel,
    SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
    sqlx::{
        self, Connection as _, Row as _,
        postgres::{PgConnectOptions, PgConnection},
        sqlite::{SqliteAutoVacuum, SqliteJournalMode, SqliteSynchronous},
    },
};

/// How long a connection may take to come up, and how long a free one is waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long closing a broken connection may take before it is left to itself.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections for reading.
const SQLITE_READERS: u32 = 4;
const POSTGRES_READERS: u32 = 8;
/// Write lanes on PostgreSQL. Two keep a second batch under way while the first waits for its disk; more than a few only
/// make batches smaller.
const POSTGRES_LANES: usize = 4;
/// How long a checkpoint waits for readers of the write-ahead log. The writer waits with it.
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(100);

/// After how long it is said that a change of the schema is not done yet.
const MIGRATION_NOTICE: Duration = Duration::from_secs(5);

/// What every PostgreSQL session is told, whatever the server's defaults are. By statements, since connection poolers
/// refuse or ignore settings that come with the connection.
const POSTGRES_SESSION: &str = "SET default_transaction_isolation = 'read committed'; SET synchronous_commit = on; \
    SET idle_in_transaction_session_timeout = '15s'; SET client_connection_check_interval = '10s'";
/// The only encoding of a PostgreSQL database that holds every text.
const ENCODING: &str = "UTF8";

/// How long a connection puts up with what takes long.
#[derive(Clone, Copy)]
struct Patience {
    /// How long a statement may take on PostgreSQL; zero: as long as it takes.
    statement: Duration,
    /// How long somebody else's lock is waited for; zero, on PostgreSQL alone: as long as it is held.
    lock: Duration,
}

impl Patience {
    /// Somebody waits for the answer.
    const REQUEST: Self = Self { statement: Duration::from_secs(10), lock: Duration::from_secs(5) };
    /// A change of the schema takes as long as the tables are large, and whoever starts meanwhile waits for it.
    const MIGRATION_ON_POSTGRES: Self = Self { statement: Duration::ZERO, lock: Duration::ZERO };
    /// SQLite knows no waiting without end. Its statements are not limited.
    const MIGRATION_ON_SQLITE: Self = Self { lock: Duration::from_hours(24), ..Self::MIGRATION_ON_POSTGRES };
}

/// What SQLite must answer when asked, or the database is not opened. `synchronous` 2 is FULL, `temp_store` 2 MEMORY.
const SQLITE_PRAGMAS: [(&str, &str); 5] =
    [("journal_mode", "wal"), ("synchronous", "2"), ("secure_delete", "1"), ("foreign_keys", "1"), ("temp_store", "2")];

/// A database and how to connect to it. `Debug` shows no URL.
#[derive(Clone)]
pub struct Database {
    url: Secret,
    backend: DbBackend,
    sqlite_file: Option<PathBuf>,
    /// Of all connections but those that change the schema.
    patience: Patience,
}

/// A database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL is of neither kind.
    #[error("--database-url must begin with sqlite:// or postgres://")]
    UnknownKind,
    /// SQLite in memory keeps nothing, and each connection would see a database of its own.
    #[error("--database-url must name a file: a SQLite database in memory keeps nothing")]
    InMemory,
    /// The folder of the SQLite file cannot be made.
    #[error("cannot make the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The SQLite file cannot be made.
    #[error("cannot make the file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No connection.
    #[error("cannot open the database (--database-url)")]
    Connect(#[source] DbErr),
    /// PostgreSQL refuses connections, or is not there.
    #[error("cannot open the database (--database-url) at {address}")]
    Unreachable {
        /// Its host and port, or its socket.
        address: String,
        /// Why.
        source: sqlx::Error,
    },
    /// A name in another script could not be stored.
    #[error(
        "the PostgreSQL database (--database-url) has the encoding {found}, and Mayfly needs {ENCODING}: \
         make one with `CREATE DATABASE mayfly ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0`"
    )]
    Encoding {
        /// What it is.
        found: String,
    },
    /// Statements of one connection reach any session of the server.
    #[error(
        "the connection pooler at {address} (--database-url) shares its sessions between connections, and Mayfly needs \
         sessions of its own: set `pool_mode = session` in PgBouncer, or connect to PostgreSQL itself"
    )]
    SharedSessions {
        /// Its host and port, or its socket.
        address: String,
    },
    /// SQLite does not do as told.
    #[error("SQLite keeps {pragma} at {found}, and Mayfly needs {wanted}")]
    Pragma {
        /// The setting.
        pragma: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// The schema cannot be brought up to date.
    #[error("cannot bring the database schema up to date")]
    Migrate(#[source] MigrationError),
}

impl Database {
    /// The database at `url`: `sqlite://path/to/file.db` or `postgres://user:password@host/name`.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] when the URL is neither.
    pub fn at(url: Secret) -> Result<Self, DatabaseError> {
        let (backend, sqlite_file) = if url.expose().starts_with("sqlite:") {
            let options: sqlx::sqlite::SqliteConnectOptions =
                url.expose().parse().map_err(|_| DatabaseError::UnknownKind)?;
            let file = options.get_filename().to_owned();
            if url.expose().contains(":memory:") || url.expose().contains("mode=memory") || file.as_os_str().is_empty()
            {
                return Err(DatabaseError::InMemory);
            }
            (DbBackend::Sqlite, Some(file))
        } else if url.expose().starts_with("postgres://") || url.expose().starts_with("postgresql://") {
            (DbBackend::Postgres, None)
        } else {
            return Err(DatabaseError::UnknownKind);
        };
        Ok(Self { url, backend, sqlite_file, patience: Patience::REQUEST })
    }

    /// The SQLite database in the file at `path`.
    #[must_use]
    pub fn sqlite_file(path: &Path) -> Self {
        let url = Secret::new("sqlite:".to_owned());
        let sqlite_file = Some(path.to_owned());
        Self { url, backend: DbBackend::Sqlite, sqlite_file, patience: Patience::REQUEST }
    }

    /// What it is and where, without credentials, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.sqlite_file {
            Some(file) => format!("SQLite in {}", file.display()),
            None => "PostgreSQL".to_owned(),
        }
    }

    /// Makes sure that PostgreSQL can be reached and used; SQLite is checked with each connection. Says at once what is
    /// wrong, where a pool of connections would try again until its time is over.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] when it cannot.
    pub async fn check(&self) -> Result<(), DatabaseError> {
        if self.backend != DbBackend::Postgres {
            return Ok(());
        }
        let unreachable = |source| DatabaseError::Unreachable { address: self.postgres_address(), source };
        let mut first = self.connect_to_postgres().await.map_err(unreachable)?;
        let mut second = self.connect_to_postgres().await.map_err(unreachable)?;
        let (session, encoding) = session_of(&mut first).await.map_err(unreachable)?;
        let (other_session, _) = session_of(&mut second).await.map_err(unreachable)?;
        for connection in [first, second] {
            // Nothing depends on the farewell.
            drop(tokio::time::timeout(CLOSE_TIMEOUT, connection.close()).await);
        }
        if encoding != ENCODING {
            return Err(DatabaseError::Encoding { found: encoding });
        }
        // Between statements, a pooler that shares sessions gives the same one to both.
        if session == other_session {
            return Err(DatabaseError::SharedSessions { address: self.postgres_address() });
        }
        Ok(())
    }

    async fn connect_to_postgres(&self) -> Result<PgConnection, sqlx::Error> {
        let options = as_client(self.url.expose().parse()?);
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options));
        let silent = |_| sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time"));
        connecting.await.map_err(silent)?
    }

    /// Where PostgreSQL is, without credentials.
    fn postgres_address(&self) -> String {
        match self.url.expose().parse::<PgConnectOptions>() {
            Ok(options) => match options.get_socket() {
                Some(socket) => socket.display().to_string(),
                None => format!("{}:{}", options.get_host(), options.get_port()),
            },
            Err(_) => "an unknown address".to_owned(),
        }
    }

    /// Brings the schema up to date; answers how many changes that took. Waits for whoever else is at it, and for its own changes,
    /// for as long as that takes.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] when the database cannot be reached, opened or changed.
    pub async fn migrate(&self) -> Result<usize, DatabaseError> {
        if let Some(file) = &self.sqlite_file {
            make_private(file)?;
        }
        self.check().await?;
        let database = self.connect_alone(self.without_limits().patience).await?;
        let changes = {
            let mut changing = std::pin::pin!(mayfly_migrations::apply(&database));
            match tokio::time::timeout(MIGRATION_NOTICE, &mut changing).await {
                Ok(changes) => changes,
                Err(_) => {
                    tracing::info!(database = ?self, "waiting for changes of the schema, which are made here or by somebody else");
                    changing.await
                }
            }
        };
        if self.backend == DbBackend::Sqlite {
            check_vacuum(&database).await;
        }
        close(database).await;
        changes.map_err(DatabaseError::Migrate)
    }

    pub(super) fn backend(&self) -> DbBackend {
        self.backend
    }

    /// How many write lanes this database gets. SQLite lets one connection write at a time; a second lane would only wait.
    pub(super) fn lanes(&self) -> usize {
        match self.backend {
            DbBackend::Sqlite => 1,
            _ => POSTGRES_LANES,
        }
    }

    /// Connections that only read.
    pub(crate) async fn connect_readers(&self) -> Result<DatabaseConnection, DatabaseError> {
        let mut options = self.options(self.patience);
        match self.backend {
            DbBackend::Sqlite => {
                let file = with_file(self.sqlite_file.clone(), self.patience);
                options
                    .max_connections(SQLITE_READERS)
                    .map_sqlx_sqlite_opts(move |options| file(options).pragma("query_only", "ON"))
            }
            // After a switchover a demoted server still answers; what it says may be old.
            _ => options.max_connections(POSTGRES_READERS).map_sqlx_postgres_before_acquire(|connection, _| {
                Box::pin(async move {
                    let read_only: String =
                        sqlx::query_scalar("SHOW transaction_read_only").fetch_one(connection).await?;
                    Ok(read_only == "off")
                })
            }),
        };
        sea_orm::Database::connect(options).await.map_err(DatabaseError::Connect)
    }

    /// The one connection of a write lane.
    pub(super) async fn connect_writer(&self) -> Result<DatabaseConnection, DatabaseError> {
        self.connect_alone(self.patience).await
    }

    /// One connection that may change things, for as long as its owner likes.
    async fn connect_alone(&self, patience: Patience) -> Result<DatabaseConnection, DatabaseError> {
        let mut options = self.options(patience);
        options.max_connections(1).idle_timeout(None::<Duration>).max_lifetime(None::<Duration>);
        if self.backend == DbBackend::Sqlite {
            options.map_sqlx_sqlite_opts(with_file(self.sqlite_file.clone(), patience));
        }
        let database = sea_orm::Database::connect(options).await.map_err(DatabaseError::Connect)?;
        if self.backend == DbBackend::Sqlite {
            check_pragmas(&database).await?;
        }
        Ok(database)
    }

    /// The same database for work that takes as long as it takes.
    pub(super) fn without_limits(&self) -> Self {
        let patience = match self.backend {
            DbBackend::Sqlite => Patience::MIGRATION_ON_SQLITE,
            _ => Patience::MIGRATION_ON_POSTGRES,
        };
        Self { patience, ..self.clone() }
    }

    /// The folder of a SQLite database.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        let folder = self.sqlite_file.as_ref()?.parent()?;
        Some(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() })
    }

    /// How many bytes SQLite's write-ahead log takes on the disk.
    pub(super) fn write_ahead_log_bytes(&self) -> u64 {
        let file = self.sqlite_file.as_ref().map(|file| {
            let mut file = file.clone().into_os_string();
            file.push("-wal");
            PathBuf::from(file)
        });
        file.and_then(|file| std::fs::metadata(file).ok()).map_or(0, |found| found.len())
    }

    fn options(&self, patience: Patience) -> ConnectOptions {
        let session = format!(
            "{POSTGRES_SESSION}; SET statement_timeout = {}; SET lock_timeout = {}",
            patience.statement.as_millis(),
            patience.lock.as_millis()
        );
        let mut options = ConnectOptions::new(self.url.expose());
        options
            .sqlx_logging(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .acquire_timeout(CONNECT_TIMEOUT)
            .map_sqlx_postgres_opts(as_client)
            .map_sqlx_postgres_pool_opts(move |options| {
                // Numbers and constants alone are in it.
                let session = session.clone();
                options.after_connect(move |connection, _| {
                    let session = sqlx::AssertSqlSafe(session.clone());
                    Box::pin(async move { sqlx::raw_sql(session).execute(connection).await.map(drop) })
                })
            });
        options
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.describe())
    }
}

/// Names Mayfly to the server. sqlx keeps the brackets of an IPv6 address, and then takes it for a name.
fn as_client(options: PgConnectOptions) -> PgConnectOptions {
    let options = options.application_name("mayfly");
    let address = options.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']')).map(str::to_owned);
    match address {
        Some(address) => options.host(&address),
        None => options,
    }
}

/// The process id of the server's end of a connection, and the encoding of its database.
async fn session_of(connection: &mut PgConnection) -> Result<(i32, String), sqlx::Error> {
    let question = "SELECT pg_backend_pid(), current_setting('server_encoding')";
    // Without a prepared statement: it works through every pooler.
    let row = sqlx::raw_sql(question).fetch_one(connection).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

type SqliteOptions = sqlx::sqlite::SqliteConnectOptions;

fn with_file(
    file: Option<PathBuf>,
    patience: Patience,
) -> impl Fn(SqliteOptions) -> SqliteOptions + Send + Sync + 'static {
    let is_empty = file.as_ref().and_then(|file| std::fs::metadata(file).ok()).is_some_and(|found| found.len() == 0);
    move |options| {
        let options = match &file {
            Some(file) => options.filename(file),
            None => options,
        };
        let options = options
            // Made before, by `make_private`.
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
            // What SQLite puts aside must not get into files beyond the data directory, which may be read-only, and where
            // nothing is overwritten.
            .pragma("temp_store", "MEMORY")
            .foreign_keys(true)
            .busy_timeout(patience.lock);
        // Said to a database that has tables, it would be a write of its own.
        if is_empty { options.auto_vacuum(SqliteAutoVacuum::Incremental) } else { options }
    }
}

/// Makes the file of a new database, and its folder if need be, for nobody else to read. SQLite gives what it puts beside a
/// database the mode that the database has.
fn make_private(file: &Path) -> Result<(), DatabaseError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_private_folder(folder).map_err(|source| DatabaseError::Folder { path: folder.to_owned(), source })?;
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    match made.and_then(|_| sync_folder(folder)) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(DatabaseError::File { path: file.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// A pragma that SQLite does not know or cannot set is passed over in silence, so we ask.
async fn check_pragmas(database: &DatabaseConnection) -> Result<(), DatabaseError> {
    for (pragma, wanted) in SQLITE_PRAGMAS {
        let found = read_pragma(database, pragma).await.map_err(DatabaseError::Connect)?;
        if found != wanted {
            return Err(DatabaseError::Pragma { pragma, found, wanted });
        }
    }
    Ok(())
}

/// A file that was made by other programs, such as one that was put together from a dump, may not give space back.
async fn check_vacuum(database: &DatabaseConnection) {
    match read_pragma(database, "auto_vacuum").await {
        Ok(found) if found != "2" => tracing::warn!(
            "the database file never gets smaller: run `PRAGMA auto_vacuum = INCREMENTAL; VACUUM;` on it while no store runs"
        ),
        _ => {}
    }
}

async fn read_pragma(database: &DatabaseConnection, pragma: &str) -> Result<String, DbErr> {
    let asked = sea_orm::Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {pragma}"));
    let row = database.query_one_raw(asked).await?;
    let answer = row.ok_or_else(|| DbErr::RecordNotFound(pragma.to_owned()))?;
    answer.try_get_by_index::<String>(0).or_else(|_| answer.try_get_by_index::<i64>(0).map(|number| number.to_string()))
}

async fn read_number(database: &DatabaseConnection, pragma: &str) -> Result<i64, DbErr> {
    let text = read_pragma(database, pragma).await?;
    text.parse().map_err(|_| DbErr::Type(format!("PRAGMA {pragma} is no number")))
}

async fn close(database: DatabaseConnection) {
    // A broken connection may not say goodbye; nothing depends on it.
    if tokio::time::timeout(CLOSE_TIMEOUT, database.close()).await.is_err() {
        tracing::debug!("a connection did not close in time");
    }
}

/// The connection of one write lane, made when needed.
///
/// After anything went wrong it is closed and replaced: sqlx's idea of how deep it is in transactions cannot be trusted once a
/// COMMIT failed, and the next BEGIN would silently become a SAVEPOINT.
pub(super) struct WriteConnection {
    database: Database,
    connection: Option<DatabaseConnection>,
}

impl WriteConnection {
    pub(super) fn new(database: Database) -> Self {
        Self { database, connection: None }
    }

    /// Begins a transaction: IMMEDIATE on SQLite, READ COMMITTED on PostgreSQL.
    pub(super) async fn begin(&mut self) -> Result<DatabaseTransaction, DbErr> {
        let connection = match &self.connection {
            Some(connection) => connection,
            None => {
                let connection = self.database.connect_writer().await.map_err(into_db_error)?;
                self.connection.insert(connection)
            }
        };
        let postgres = self.database.backend() == DbBackend::Postgres;
        let options = TransactionOptions {
            isolation_level: postgres.then_some(IsolationLevel::ReadCommitted),
            // Said at BEGIN, "read write" is refused by a server that was demoted in words that look like a fault of ours.
            access_mode: None,
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        };
        connection.begin_with_options(options).await
    }

    /// Closes the connection, in the background; the next [`begin`](Self::begin) makes a new one.
    pub(super) fn discard(&mut self) {
        if let Some(connection) = self.connection.take() {
            tokio::spawn(close(connection));
        }
    }

    /// Empties SQLite's write-ahead log, which still holds what was deleted; whether that worked. False when somebody reads
    /// from it for longer than [`CHECKPOINT_PATIENCE`]. Nothing to do on PostgreSQL.
    pub(super) async fn checkpoint(&mut self) -> Result<bool, DbErr> {
        match &self.connection {
            Some(connection) if self.database.backend() == DbBackend::Sqlite => {
                let pragma = |text: &str| sea_orm::Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {text}"));
                let set_patience = |patience: Duration| pragma(&format!("busy_timeout = {}", patience.as_millis()));
                connection.query_one_raw(set_patience(CHECKPOINT_PATIENCE)).await?;
                let row = connection.query_one_raw(pragma("wal_checkpoint(TRUNCATE)")).await?;
                let is_busy = row.map(|row| row.try_get_by_index::<i64>(0)).transpose()?;
                connection.query_one_raw(set_patience(self.database.patience.lock)).await?;
                Ok(is_busy == Some(0))
            }
            _ => Ok(true),
        }
    }

    /// Gives some free pages of SQLite's file back to the file system, if it has too many. Returns whether it still has.
    pub(super) async fn vacuum(&mut self) -> Result<bool, DbErr> {
        let Some(connection) = self.connection.as_ref().filter(|_| self.database.backend() == DbBackend::Sqlite) else {
            return Ok(false);
        };
        let free_pages = async || read_number(connection, "freelist_count").await;
        let kept = KEPT_FREE_PAGES.max(read_number(connection, "page_count").await? / KEPT_FREE_PART);
        let before = free_pages().await?;
        if before <= kept {
            return Ok(false);
        }
        // Steps to the end: each step of the statement frees one page.
        let vacuum = format!("PRAGMA incremental_vacuum({VACUUM_PAGES})");
        connection.query_all_raw(sea_orm::Statement::from_string(DbBackend::Sqlite, vacuum)).await?;
        let after = free_pages().await?;
        // A file that was made without `auto_vacuum` gives nothing back.
        Ok(after < before && after > kept)
    }
}

/// Free pages that SQLite keeps, since it will need some soon: 16 MiB.
const KEPT_FREE_PAGES: i64 = 4096;
/// Of a large file, the part that may be free pages.
const KEPT_FREE_PART: i64 = 8;
/// Pages that are given back to the file system in one step: 1 MiB, some milliseconds.
const VACUUM_PAGES: i64 = 256;

fn into_db_error(error: DatabaseError) -> DbErr {
    match error {
        DatabaseError::Connect(error) | DatabaseError::Migrate(MigrationError::Database(error)) => error,
        other => DbErr::Custom(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use mayfly_testkit::{TestDatabase, on_each_database};

    use super::{super::failure::Failure, *};

    fn at(url: &str) -> Result<Database, DatabaseError> {
        Database::at(Secret::new(url.to_owned()))
    }

    #[test]
    fn a_url_chooses_the_database() {
        assert_eq!(at("sqlite://data/mayfly.db").unwrap().describe(), "SQLite in data/mayfly.db");
        assert!(matches!(at("mysql://h/db"), Err(DatabaseError::UnknownKind)));
        for url in ["sqlite::memory:", "sqlite://x?mode=memory"] {
            assert!(matches!(at(url), Err(DatabaseError::InMemory)), "{url}");
        }
    }

    #[test]
    fn debug_shows_no_password() {
        let database = at("postgres://mayfly:needle@localhost/mayfly").unwrap();
        assert!(!format!("{database:?}").contains("needle"));
    }

    /// A database whose requests wait for hardly anything, and a connection to make them wait.
    async fn impatient(database: &TestDatabase) -> (Database, DatabaseConnection) {
        let moment = Duration::from_millis(10);
        let patience = Patience { statement: moment, lock: moment };
        let impatient = Database { patience, ..at(database.url()).unwrap() };
        (impatient, database.connect().await.unwrap())
    }

    on_each_database! {
        async fn a_change_of_the_schema_waits_longer_than_a_request(database: TestDatabase) {
            at(database.url()).unwrap().migrate().await.unwrap();
            let (impatient, holder) = impatient(&database).await;
            let immediate = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            };
            let held = holder.begin_with_options(immediate).await.unwrap();
            let is_postgres = impatient.backend() == DbBackend::Postgres;
            if is_postgres {
                held.execute_unprepared("LOCK TABLE seaql_migrations; SELECT pg_advisory_xact_lock(5204815990213547)").await.unwrap();
            }
            let others_gave_up = async {
                // Ten requests one after the other: the change has begun to wait before the last of them.
                for _ in 0..10 {
                    let request = impatient.connect_writer().await.unwrap();
                    let waits = if is_postgres { "SELECT * FROM seaql_migrations" } else { "DELETE FROM seaql_migrations" };
                    let gave_up = request.execute_unprepared(waits).await.unwrap_err();
                    assert_ne!(Failure::of(&gave_up), Failure::Fault, "{gave_up}");
                }
                held.rollback().await.unwrap();
            };
            let (changes, ()) = tokio::join!(impatient.migrate(), others_gave_up);
            assert_eq!(changes.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn a_pragma_that_is_not_as_wanted_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::sqlite_file(&folder.path().join("mayfly.db"));
        database.migrate().await.unwrap();
        let database = database.connect_writer().await.unwrap();
        database.execute_unprepared("PRAGMA secure_delete = OFF").await.unwrap();
        let noticed = check_pragmas(&database).await;
        assert!(matches!(noticed, Err(DatabaseError::Pragma { pragma: "secure_delete", .. })), "{noticed:?}");
    }
}

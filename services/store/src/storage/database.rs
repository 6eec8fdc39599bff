//! [`Database`]: a SQLite or PostgreSQL database, its connections and their required settings.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use mayfly_bootstrap::{
    Secret, create_private_dir_all, parent_dir,
    secret_file::{self, SecretFileError},
    sync_dir,
};
use mayfly_migrations::MigrationError;
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
    sqlx::{
        self, Connection as _, Row as _,
        postgres::{PgConnectOptions, PgConnection},
        sqlite::{SqliteAutoVacuum, SqliteJournalMode, SqliteSynchronous},
    },
};
use url::Url;

use super::sqlite_connection::SqliteConnection;

/// How long connecting may take, and how long to wait for a free connection of a pool.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long closing a connection may take before it is dropped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The sizes of the connection pools for reading.
const SQLITE_READERS: u32 = 4;
const POSTGRES_READERS: u32 = 8;
/// After how long a running migration is logged.
const MIGRATION_LOG_DELAY: Duration = Duration::from_secs(5);

/// The settings of every PostgreSQL session. Set by statements, because connection poolers reject or ignore settings of
/// the connection.
///
/// All rows are found by an index. A plan that was made while a table was small would read the whole table, or a whole
/// index for a bitmap, also when it is large. Compiling a statement, or planning it for its parameters, takes longer
/// than running it.
const POSTGRES_SESSION: &str = "SET default_transaction_isolation = 'read committed'; SET synchronous_commit = on; \
    SET idle_in_transaction_session_timeout = '15s'; SET client_connection_check_interval = '10s'; \
    SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan";
/// The required encoding of a PostgreSQL database, which can store every text.
const ENCODING: &str = "UTF8";
/// The parameters of PostgreSQL's URL that name files.
const TLS_FILE_PARAMETERS: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];

/// The timeouts of a connection.
#[derive(Clone, Copy)]
struct Timeouts {
    /// How long a statement may take on PostgreSQL. Zero: no limit.
    statement: Duration,
    /// How long to wait for a lock. Zero, on PostgreSQL only: no limit.
    lock: Duration,
}

impl Timeouts {
    /// For requests.
    const REQUEST: Self = Self { statement: Duration::from_secs(10), lock: Duration::from_secs(5) };
    /// For migrations, whose duration depends on the size of the tables, and for stores that wait for one.
    const MIGRATION_ON_POSTGRES: Self = Self { statement: Duration::ZERO, lock: Duration::ZERO };
    /// For migrations on SQLite, which has no unlimited wait and no statement timeout.
    const MIGRATION_ON_SQLITE: Self = Self { lock: Duration::from_hours(24), ..Self::MIGRATION_ON_POSTGRES };
}

/// The required values of SQLite's pragmas. `synchronous` 2 is FULL, `temp_store` 2 is MEMORY.
const SQLITE_PRAGMAS: [(&str, &str); 5] =
    [("journal_mode", "wal"), ("synchronous", "2"), ("secure_delete", "1"), ("foreign_keys", "1"), ("temp_store", "2")];

/// A database and how to connect to it. `Debug` hides the URL.
#[derive(Clone)]
pub struct Database {
    url: Secret,
    backend: DbBackend,
    sqlite_file: Option<PathBuf>,
    /// The timeouts of all connections except for migrations.
    timeouts: Timeouts,
}

/// A database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL has another scheme.
    #[error("--database-url must begin with sqlite:// or postgres://")]
    UnknownKind,
    /// A SQLite database in memory is not durable, and differs for each connection.
    #[error("--database-url must name a file: a SQLite database in memory keeps nothing")]
    InMemory,
    /// The directory of the SQLite file cannot be created.
    #[error("cannot create the directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The SQLite file cannot be created.
    #[error("cannot create the file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be connected.
    #[error("cannot open the database (--database-url)")]
    Connect(#[source] DbErr),
    /// A file of TLS, which the URL of PostgreSQL names, cannot be read.
    #[error("cannot use the file that --database-url names in {parameter}")]
    TlsFile {
        /// The parameter of the URL.
        parameter: &'static str,
        /// Why.
        source: SecretFileError,
    },
    /// PostgreSQL refuses connections or cannot be reached.
    #[error("cannot open the database (--database-url) at {address}")]
    Unreachable {
        /// Its host and port, or its socket.
        address: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The encoding of the database cannot store every text.
    #[error(
        "the PostgreSQL database (--database-url) has the encoding {found}, and Mayfly needs {ENCODING}: \
         make one with `CREATE DATABASE mayfly ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0`"
    )]
    Encoding {
        /// The encoding.
        found: String,
    },
    /// A pooler in transaction mode: the statements of a connection use different sessions.
    #[error(
        "the connection pooler at {address} (--database-url) shares its sessions between connections, and Mayfly needs \
         sessions of its own: set `pool_mode = session` in PgBouncer, or connect to PostgreSQL itself"
    )]
    SharedSessions {
        /// Its host and port, or its socket.
        address: String,
    },
    /// SQLite did not accept a setting.
    #[error("SQLite keeps {pragma} at {found}, and Mayfly needs {wanted}")]
    Pragma {
        /// The setting.
        pragma: &'static str,
        /// Its value.
        found: String,
        /// Its required value.
        wanted: &'static str,
    },
    /// The schema cannot be migrated.
    #[error("cannot bring the database schema up to date")]
    Migrate(#[source] MigrationError),
    /// The schema is that of a newer program, or cannot be read.
    #[error("cannot use the database schema")]
    Schema(#[source] MigrationError),
}

impl Database {
    /// The database with `url`: `sqlite://path/to/file.db` or `postgres://user:password@host/name`.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] when the URL has another form.
    pub fn from_url(url: Secret) -> Result<Self, DatabaseError> {
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
        Ok(Self { url, backend, sqlite_file, timeouts: Timeouts::REQUEST })
    }

    /// The SQLite database in the file at `path`.
    #[must_use]
    pub fn sqlite_file(path: &Path) -> Self {
        let url = Secret::new("sqlite:".to_owned());
        let sqlite_file = Some(path.to_owned());
        Self { url, backend: DbBackend::Sqlite, sqlite_file, timeouts: Timeouts::REQUEST }
    }

    /// A description without credentials, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.sqlite_file {
            Some(file) => format!("SQLite in {}", file.display()),
            None => "PostgreSQL".to_owned(),
        }
    }

    /// Checks that PostgreSQL can be reached and has the required properties. SQLite is checked with each connection.
    /// Reports an error at once, where a connection pool would retry until its timeout.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] when it cannot.
    pub async fn check(&self) -> Result<(), DatabaseError> {
        if self.backend != DbBackend::Postgres {
            return Ok(());
        }
        self.check_tls_files()?;
        let unreachable = |source| DatabaseError::Unreachable { address: self.postgres_address(), source };
        let mut first = self.connect_to_postgres().await.map_err(unreachable)?;
        let mut second = self.connect_to_postgres().await.map_err(unreachable)?;
        let (session, encoding) = session_of(&mut first).await.map_err(unreachable)?;
        let (other_session, _) = session_of(&mut second).await.map_err(unreachable)?;
        for connection in [first, second] {
            // The connections are not used again, so errors do not matter.
            drop(tokio::time::timeout(CLOSE_TIMEOUT, connection.close()).await);
        }
        if encoding != ENCODING {
            return Err(DatabaseError::Encoding { found: encoding });
        }
        // Between statements, a pooler that shares sessions assigns the same one to both connections.
        if session == other_session {
            return Err(DatabaseError::SharedSessions { address: self.postgres_address() });
        }
        Ok(())
    }

    /// Checks that no newer program has changed the schema. Commands that change rows call this: in a newer schema they
    /// could miss rows that depend on what they change.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`], also when the database cannot be reached.
    pub async fn check_schema(&self) -> Result<(), DatabaseError> {
        self.check().await?;
        let database = self.connect_writer().await?;
        let state = mayfly_migrations::state(&database).await;
        close(database).await;
        state.map(drop).map_err(DatabaseError::Schema)
    }

    /// Reads the files that the URL names, since sqlx reports a missing one without its name, and waits for a pipe.
    fn check_tls_files(&self) -> Result<(), DatabaseError> {
        let Ok(url) = Url::parse(self.url.expose()) else { return Ok(()) };
        for (name, value) in url.query_pairs() {
            if let Some(parameter) = TLS_FILE_PARAMETERS.into_iter().find(|parameter| *parameter == name) {
                let read = secret_file::read(Path::new(&*value)).map(drop);
                read.map_err(|source| DatabaseError::TlsFile { parameter, source })?;
            }
        }
        Ok(())
    }

    async fn connect_to_postgres(&self) -> Result<PgConnection, sqlx::Error> {
        let options = client_options(self.url.expose().parse()?);
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options));
        let timed_out = |_| sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "it did not respond in time"));
        connecting.await.map_err(timed_out)?
    }

    /// The address of PostgreSQL, without credentials.
    fn postgres_address(&self) -> String {
        match self.url.expose().parse::<PgConnectOptions>() {
            Ok(options) => match options.get_socket() {
                Some(socket) => socket.display().to_string(),
                None => format!("{}:{}", options.get_host(), options.get_port()),
            },
            Err(_) => "an unknown address".to_owned(),
        }
    }

    /// Applies pending migrations, and returns their number. Waits for concurrent migrations, and has no timeout.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] when the database cannot be reached, opened or migrated.
    pub async fn migrate(&self) -> Result<usize, DatabaseError> {
        if let Some(file) = &self.sqlite_file {
            create_private_file(file)?;
        }
        self.check().await?;
        let database = self.connect_single(self.without_timeouts().timeouts).await?;
        let changes = {
            let mut migrating = std::pin::pin!(mayfly_migrations::apply(&database));
            match tokio::time::timeout(MIGRATION_LOG_DELAY, &mut migrating).await {
                Ok(changes) => changes,
                Err(_) => {
                    tracing::info!(database = ?self, "waiting for a migration, of this process or another one");
                    migrating.await
                }
            }
        };
        if self.backend == DbBackend::Sqlite {
            check_auto_vacuum(&database).await;
        }
        close(database).await;
        changes.map_err(DatabaseError::Migrate)
    }

    pub(super) fn backend(&self) -> DbBackend {
        self.backend
    }

    /// A pool of connections for reading.
    pub(crate) async fn connect_readers(&self) -> Result<DatabaseConnection, DatabaseError> {
        let mut options = self.options(self.timeouts);
        match self.backend {
            DbBackend::Sqlite => {
                let file = with_file(self.sqlite_file.clone(), self.timeouts);
                options
                    .max_connections(SQLITE_READERS)
                    .map_sqlx_sqlite_opts(move |options| file(options).pragma("query_only", "ON"))
            }
            // After a switchover, a demoted server still responds, with data that may be stale.
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

    /// The SQLite connection of the write lane.
    pub(super) fn connect_lane(&self) -> Result<SqliteConnection, DbErr> {
        let file = self.sqlite_file.as_deref().ok_or_else(|| DbErr::Custom("not a SQLite database".to_owned()))?;
        let connection = SqliteConnection::open(file, self.timeouts.lock)?;
        for (pragma, wanted) in SQLITE_PRAGMAS {
            let found = connection.set_pragma(pragma, wanted)?;
            if found != wanted {
                return Err(into_db_error(DatabaseError::Pragma { pragma, found, wanted }));
            }
        }
        Ok(connection)
    }

    /// A connection for writing.
    pub(super) async fn connect_writer(&self) -> Result<DatabaseConnection, DatabaseError> {
        self.connect_single(self.timeouts).await
    }

    /// One connection for each transaction, which is never recycled.
    async fn connect_single(&self, timeouts: Timeouts) -> Result<DatabaseConnection, DatabaseError> {
        let mut options = self.single(timeouts);
        // The driver pings a connection after each transaction. Meanwhile, the next one uses the other connection. On
        // SQLite each would empty the other's cache of pages.
        if self.backend == DbBackend::Postgres {
            options.max_connections(2);
        }
        if self.backend == DbBackend::Sqlite {
            options.map_sqlx_sqlite_opts(with_file(self.sqlite_file.clone(), timeouts));
        }
        let database = sea_orm::Database::connect(options).await.map_err(DatabaseError::Connect)?;
        if self.backend == DbBackend::Sqlite {
            check_pragmas(&database).await?;
        }
        Ok(database)
    }

    /// The options of a single connection for requests, which is never recycled.
    pub(super) fn single_connection(&self) -> ConnectOptions {
        self.single(self.timeouts)
    }

    fn single(&self, timeouts: Timeouts) -> ConnectOptions {
        let mut options = self.options(timeouts);
        options.max_connections(1).idle_timeout(None::<Duration>).max_lifetime(None::<Duration>);
        options
    }

    /// The same database without timeouts.
    pub(super) fn without_timeouts(&self) -> Self {
        let timeouts = match self.backend {
            DbBackend::Sqlite => Timeouts::MIGRATION_ON_SQLITE,
            _ => Timeouts::MIGRATION_ON_POSTGRES,
        };
        Self { timeouts, ..self.clone() }
    }

    /// The file of a SQLite database.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.sqlite_file.as_deref()
    }

    /// The directory of a SQLite database.
    pub(super) fn dir(&self) -> Option<PathBuf> {
        self.sqlite_file.as_deref().map(parent_dir).map(Path::to_owned)
    }

    /// The size of SQLite's write-ahead log.
    pub(crate) fn wal_bytes(&self) -> u64 {
        let file = self.sqlite_file.as_ref().map(|file| {
            let mut file = file.clone().into_os_string();
            file.push("-wal");
            PathBuf::from(file)
        });
        file.and_then(|file| std::fs::metadata(file).ok()).map_or(0, |found| found.len())
    }

    fn options(&self, timeouts: Timeouts) -> ConnectOptions {
        let session = format!(
            "{POSTGRES_SESSION}; SET statement_timeout = {}; SET lock_timeout = {}",
            timeouts.statement.as_millis(),
            timeouts.lock.as_millis()
        );
        let mut options = ConnectOptions::new(self.url.expose());
        options
            .sqlx_logging(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .acquire_timeout(CONNECT_TIMEOUT)
            // Costs a round trip for each transaction. A broken connection fails in its first statement as well, which
            // the writer retries.
            .test_before_acquire(false)
            .map_sqlx_postgres_opts(client_options)
            .map_sqlx_postgres_pool_opts(move |options| {
                // Contains only constants and numbers.
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

/// Sets the application name, and removes the brackets of an IPv6 address, which sqlx would resolve as a name.
fn client_options(options: PgConnectOptions) -> PgConnectOptions {
    let options = options.application_name("mayfly");
    let address = options.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']')).map(str::to_owned);
    match address {
        Some(address) => options.host(&address),
        None => options,
    }
}

/// The process id of the server's session, and the encoding of the database.
async fn session_of(connection: &mut PgConnection) -> Result<(i32, String), sqlx::Error> {
    let query = "SELECT pg_backend_pid(), current_setting('server_encoding')";
    // Not a prepared statement, so that it works with every pooler.
    let row = sqlx::raw_sql(query).fetch_one(connection).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

type SqliteOptions = sqlx::sqlite::SqliteConnectOptions;

fn with_file(
    file: Option<PathBuf>,
    timeouts: Timeouts,
) -> impl Fn(SqliteOptions) -> SqliteOptions + Send + Sync + 'static {
    let is_empty = file.as_ref().and_then(|file| std::fs::metadata(file).ok()).is_some_and(|found| found.len() == 0);
    move |options| {
        let options = match &file {
            Some(file) => options.filename(file),
            None => options,
        };
        let options = options
            // `create_private_file` has created it.
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
            // Temporary files would lie outside the data directory, where nothing overwrites them, and which may be
            // read-only.
            .pragma("temp_store", "MEMORY")
            .foreign_keys(true)
            .busy_timeout(timeouts.lock);
        // On a database with tables, this would be a write.
        if is_empty { options.auto_vacuum(SqliteAutoVacuum::Incremental) } else { options }
    }
}

/// Creates the file of a new database with mode 0600, and its directory. SQLite uses the same mode for its other files.
fn create_private_file(file: &Path) -> Result<(), DatabaseError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let dir = parent_dir(file);
    create_private_dir_all(dir).map_err(|source| DatabaseError::Directory { path: dir.to_owned(), source })?;
    let created = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    match created.and_then(|_| sync_dir(dir)) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(DatabaseError::File { path: file.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Checks the values of pragmas, because SQLite silently ignores those that it does not know or cannot set.
async fn check_pragmas(database: &DatabaseConnection) -> Result<(), DatabaseError> {
    for (pragma, wanted) in SQLITE_PRAGMAS {
        let found = read_pragma(database, pragma).await.map_err(DatabaseError::Connect)?;
        if found != wanted {
            return Err(DatabaseError::Pragma { pragma, found, wanted });
        }
    }
    Ok(())
}

/// Warns if the file cannot shrink, because another program created it, for example from a dump.
async fn check_auto_vacuum(database: &DatabaseConnection) {
    match read_pragma(database, "auto_vacuum").await {
        Ok(found) if found != "2" => tracing::warn!(
            "the database file never gets smaller: run `PRAGMA auto_vacuum = INCREMENTAL; VACUUM;` on it while no store runs"
        ),
        _ => {}
    }
}

pub(super) async fn read_pragma(database: &DatabaseConnection, pragma: &str) -> Result<String, DbErr> {
    let query = sea_orm::Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {pragma}"));
    let row = database.query_one_raw(query).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound(pragma.to_owned()))?;
    row.try_get_by_index::<String>(0).or_else(|_| row.try_get_by_index::<i64>(0).map(|number| number.to_string()))
}

async fn close(database: DatabaseConnection) {
    // Closing a broken connection may not complete, which does not matter.
    if tokio::time::timeout(CLOSE_TIMEOUT, database.close()).await.is_err() {
        tracing::debug!("a connection did not close in time");
    }
}

/// A connection for transactions, connected when needed.
///
/// It is closed and replaced after every error. After a failed COMMIT, sqlx has a wrong transaction depth, and the next
/// BEGIN would silently become a SAVEPOINT.
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
        let options = TransactionOptions {
            // READ COMMITTED on PostgreSQL, by the settings of the session: another statement would cost a round trip.
            isolation_level: None,
            // A demoted server rejects an explicit "read write" with an error that is classified as unexpected.
            access_mode: None,
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        };
        connection.begin_with_options(options).await
    }

    /// Closes the connection in the background. The next [`begin`](Self::begin) connects again.
    pub(super) fn discard(&mut self) {
        if let Some(connection) = self.connection.take() {
            tokio::spawn(close(connection));
        }
    }

    /// Closes the connection, and waits for that.
    pub(super) async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            close(connection).await;
        }
    }
}

fn into_db_error(error: DatabaseError) -> DbErr {
    match error {
        DatabaseError::Connect(error) | DatabaseError::Migrate(MigrationError::Database(error)) => error,
        other => DbErr::Custom(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use mayfly_testkit::{TestDatabase, on_each_database};

    use super::{super::db_error::DbErrorKind, *};

    fn from_url(url: &str) -> Result<Database, DatabaseError> {
        Database::from_url(Secret::new(url.to_owned()))
    }

    #[test]
    fn the_url_selects_the_database() {
        assert_eq!(from_url("sqlite://data/mayfly.db").unwrap().describe(), "SQLite in data/mayfly.db");
        assert!(matches!(from_url("mysql://h/db"), Err(DatabaseError::UnknownKind)));
        for url in ["sqlite::memory:", "sqlite://x?mode=memory"] {
            assert!(matches!(from_url(url), Err(DatabaseError::InMemory)), "{url}");
        }
    }

    #[tokio::test]
    async fn a_pipe_as_a_file_of_tls_is_rejected_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        for parameter in TLS_FILE_PARAMETERS {
            let url = format!("postgres://localhost/mayfly?{parameter}={}", pipe.display());
            let checked = from_url(&url).unwrap().check().await;
            let refused = matches!(
                &checked,
                Err(DatabaseError::TlsFile { parameter: named, source: SecretFileError::NotRegular { .. } })
                    if *named == parameter
            );
            assert!(refused, "{checked:?}");
        }
    }

    #[test]
    fn debug_shows_no_password() {
        let database = from_url("postgres://mayfly:needle@localhost/mayfly").unwrap();
        assert!(!format!("{database:?}").contains("needle"));
    }

    /// A database with short timeouts, and a connection to block its requests.
    async fn with_short_timeouts(database: &TestDatabase) -> (Database, DatabaseConnection) {
        let moment = Duration::from_millis(10);
        let timeouts = Timeouts { statement: moment, lock: moment };
        let short = Database { timeouts, ..from_url(database.url()).unwrap() };
        (short, database.connect().await.unwrap())
    }

    on_each_database! {
        async fn a_migration_waits_longer_than_a_request(database: TestDatabase) {
            from_url(database.url()).unwrap().migrate().await.unwrap();
            let (short, holder) = with_short_timeouts(&database).await;
            let immediate = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            };
            let held = holder.begin_with_options(immediate).await.unwrap();
            let is_postgres = short.backend() == DbBackend::Postgres;
            if is_postgres {
                held.execute_unprepared("LOCK TABLE seaql_migrations; SELECT pg_advisory_xact_lock(5204815990213547)").await.unwrap();
            }
            let requests_timed_out = async {
                // Ten requests in sequence: the migration waits before the last one ends.
                for _ in 0..10 {
                    let request = short.connect_writer().await.unwrap();
                    let statement = if is_postgres { "SELECT * FROM seaql_migrations" } else { "DELETE FROM seaql_migrations" };
                    let timed_out = request.execute_unprepared(statement).await.unwrap_err();
                    assert_ne!(DbErrorKind::of(&timed_out), DbErrorKind::Unexpected, "{timed_out}");
                }
                held.rollback().await.unwrap();
            };
            let (changes, ()) = tokio::join!(short.migrate(), requests_timed_out);
            assert_eq!(changes.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn a_pragma_with_another_value_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::sqlite_file(&dir.path().join("mayfly.db"));
        database.migrate().await.unwrap();
        let database = database.connect_writer().await.unwrap();
        database.execute_unprepared("PRAGMA secure_delete = OFF").await.unwrap();
        let checked = check_pragmas(&database).await;
        assert!(matches!(checked, Err(DatabaseError::Pragma { pragma: "secure_delete", .. })), "{checked:?}");
    }
}

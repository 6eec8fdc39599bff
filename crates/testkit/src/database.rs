//! Temporary databases: a SQLite file in a scratch folder, or a new database on the PostgreSQL server for tests.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::Context as _;
use mayfly_bootstrap::Secret;
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};
use tempfile::TempDir;

/// The URL of the PostgreSQL server for tests, without a database name. Its role may create databases.
const POSTGRES_VARIABLE: &str = "MAYFLY_TEST_POSTGRES_URL";

/// A database for one test. Clones share it.
#[derive(Clone)]
pub struct TestDatabase {
    url: Secret,
    folder: Arc<TempDir>,
}

impl TestDatabase {
    /// Creates a SQLite database.
    ///
    /// # Errors
    ///
    /// Returns an error if no scratch folder can be created.
    pub fn sqlite() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("mayfly.db").display());
        Ok(Self { url: Secret::new(url), folder: Arc::new(folder) })
    }

    /// Creates a database on the PostgreSQL server for tests.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no server. Tests never skip PostgreSQL: `make test` starts a server.
    pub async fn postgres() -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        #[expect(clippy::disallowed_methods, reason = "tests have no command line")]
        let server = std::env::var(POSTGRES_VARIABLE).with_context(|| {
            format!("tests on PostgreSQL need a server in {POSTGRES_VARIABLE}: run `make test`, which starts one")
        })?;
        let name = format!("mayfly_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let admin = Database::connect(format!("{server}/postgres")).await?;
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await?;
        admin.close().await?;
        Ok(Self { url: Secret::new(format!("{server}/{name}")), folder: Arc::new(tempfile::tempdir()?) })
    }

    /// The database at this URL, which need not exist.
    ///
    /// # Errors
    ///
    /// Returns an error if no scratch folder can be created.
    pub fn at_url(url: &str) -> anyhow::Result<Self> {
        Ok(Self { url: Secret::new(url.to_owned()), folder: Arc::new(tempfile::tempdir()?) })
    }

    /// The URL of the database.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.expose()
    }

    /// A scratch folder with the lifetime of the database.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Connects to the database without a store, to inspect or damage it.
    ///
    /// # Errors
    ///
    /// Returns an error if the database cannot be reached.
    pub async fn connect(&self) -> anyhow::Result<DatabaseConnection> {
        Ok(Database::connect(self.url()).await?)
    }
}

/// Turns each `async fn name(database: TestDatabase)` into two tests, `on_sqlite::name` and `on_postgres::name`.
#[macro_export]
macro_rules! on_each_database {
    ($($(#[$attribute:meta])* async fn $name:ident($database:ident: TestDatabase) $body:block)*) => {
        $($(#[$attribute])* async fn $name($database: $crate::TestDatabase) $body)*

        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::TestDatabase::sqlite().unwrap()).await;
            })*
        }

        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::TestDatabase::postgres().await.unwrap()).await;
            })*
        }
    };
}

//! Databases without Mayfly: PostgreSQL under pgbench, single commits of SQLite, and a store's database that is filled.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::Args;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};

use super::statistics::{Sample, quantile, sorted};

/// How many messages are copied in one transaction.
const COPIED_AT_ONCE: u64 = 200_000;
/// Copied messages expire up to 20 days before the originals, as those of a store do that was filled over time. In
/// microseconds.
const EXPIRY_SPREAD: u64 = 20 * 86_400 * 1_000_000;

/// A PostgreSQL server.
#[derive(Args)]
pub(super) struct Postgres {
    /// A PostgreSQL server that waits for its disk: `postgres://user@host:port`. Without it, PostgreSQL is left out.
    #[arg(long = "postgres-url", env = "MAYFLY_TEST_POSTGRES_URL", hide_env_values = true)]
    url: Option<String>,
    /// The folder with pgbench.
    #[arg(long = "postgres-programs", env = "MAYFLY_TEST_POSTGRES_BIN", value_name = "DIRECTORY")]
    programs: Option<PathBuf>,
}

impl Postgres {
    /// Returns `true` if there is a server.
    pub(super) fn is_given(&self) -> bool {
        self.url.is_some()
    }

    /// Creates a database, and returns its URL.
    ///
    /// # Errors
    ///
    /// Returns an error if the server does not wait for its disk.
    pub(super) async fn create_database(&self, name: &str) -> anyhow::Result<String> {
        let url = self.url.as_ref().context("there is no PostgreSQL server")?;
        let admin = connect(&format!("{url}/postgres")).await?;
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let value: String = query(&admin, &format!("SELECT current_setting('{setting}')")).await?;
            ensure!(
                value == "on",
                "PostgreSQL has {setting} = {value}: its rates would not be those of durable commits"
            );
        }
        admin.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name}")).await?;
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await?;
        admin.close().await?;
        Ok(format!("{url}/{name}"))
    }

    /// Creates the table of [`pgbench`](Self::pgbench), and returns its database.
    pub(super) async fn prepare_pgbench(&self, folder: &Path) -> anyhow::Result<String> {
        let url = self.create_database("bench_limit").await?;
        let database = connect(&url).await?;
        let table = "CREATE TABLE limits (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, content bytea)";
        database.execute_unprepared(table).await?;
        database.close().await?;
        let script = format!(
            "INSERT INTO limits (content) VALUES ('\\x{}') RETURNING id \\gset\n\
             DELETE FROM limits WHERE id = :id RETURNING content;\n",
            "00".repeat(256)
        );
        fs::write(folder.join("cycle.sql"), script)?;
        Ok(url)
    }

    /// Inserts a row and deletes it by its key, in two transactions, over and over. Returns how often per second.
    pub(super) async fn pgbench(
        &self,
        url: &str,
        folder: &Path,
        clients: usize,
        duration: Duration,
    ) -> anyhow::Result<f64> {
        let mut command = match &self.programs {
            Some(programs) => Command::new(programs.join("pgbench")),
            None => Command::new("pgbench"),
        };
        command.args(["--no-vacuum", "--protocol=prepared", "--file"]).arg(folder.join("cycle.sql"));
        command.args(["--client", &clients.to_string(), "--time", &duration.as_secs().max(1).to_string()]).arg(url);
        let Output { status, stdout, stderr } = tokio::task::spawn_blocking(move || command.output()).await??;
        ensure!(status.success(), "pgbench: {}", String::from_utf8_lossy(&stderr));
        transactions_per_second(&String::from_utf8_lossy(&stdout)).context("pgbench printed no rate")
    }
}

/// The rate in the output of pgbench.
fn transactions_per_second(output: &str) -> Option<f64> {
    let line = output.lines().find_map(|line| line.strip_prefix("tps = "))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The median time of single transactions of one insert in SQLite, with the durability settings of the store.
pub(super) async fn sqlite_commit(folder: &Path, duration: Duration) -> anyhow::Result<Duration> {
    let database = connect(&format!("sqlite://{}?mode=rwc", folder.join("commits.db").display())).await?;
    let set_up = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         CREATE TABLE IF NOT EXISTS commits (id INTEGER PRIMARY KEY, content BLOB)";
    database.execute_unprepared(set_up).await?;
    let insert = "BEGIN IMMEDIATE; INSERT INTO commits (content) VALUES (zeroblob(256)); COMMIT";
    let (start, mut samples) = (Instant::now(), Vec::new());
    while start.elapsed() < duration {
        let began = Instant::now();
        database.execute_unprepared(insert).await?;
        samples.push(Sample::new(0, began.elapsed()));
    }
    database.close().await?;
    Ok(Duration::from_micros(quantile(&sorted(&samples), 0.5).into()))
}

/// Copies the unread messages in the SQLite database of a stopped store until there are `count`. No token opens the
/// copies, but the store keeps, indexes, counts and sweeps them like any others.
///
/// # Errors
///
/// Returns an error if the store has no messages to copy.
pub(super) async fn fill(data_dir: &Path, count: u64) -> anyhow::Result<()> {
    let database = connect(&format!("sqlite://{}", data_dir.join("mayfly.db").display())).await?;
    // A crash in between would only end the benchmark.
    database.execute_unprepared("PRAGMA synchronous = OFF; PRAGMA secure_delete = OFF").await?;
    let columns: String =
        query(&database, "SELECT group_concat(name) FROM pragma_table_info('messages') WHERE name <> 'id'").await?;
    // Not relative to each copied row: copies of copies would have expired, and the store would sweep during the load.
    let last: i64 = query(&database, "SELECT max(expire_time) FROM messages").await?;
    let values = columns.replace("expire_time", &format!("{last} - abs(random()) % {EXPIRY_SPREAD}"));
    let messages = "SELECT count(*) FROM messages";
    let before: i64 = query(&database, messages).await?;
    let mut stored = u64::try_from(before)?;
    ensure!(stored > 0, "the store has no messages to copy");
    while stored < count {
        let copied = (count - stored).min(stored).min(COPIED_AT_ONCE);
        let copy = format!("INSERT INTO messages ({columns}) SELECT {values} FROM messages LIMIT {copied}");
        database.execute_unprepared(&copy).await?;
        stored = u64::try_from(query::<i64>(&database, messages).await?)?;
    }
    // All messages have the same size, so the usage grows in proportion.
    let added = stored - u64::try_from(before)?;
    let count_usage = format!(
        "UPDATE usage SET bytes = bytes + {added} * (SELECT sum(bytes) / sum(messages) FROM usage), \
         messages = messages + {added} \
         WHERE rowid = (SELECT rowid FROM usage ORDER BY messages DESC LIMIT 1)"
    );
    database.execute_unprepared(&count_usage).await?;
    database.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await?;
    database.close().await?;
    fs::File::open(data_dir.join("mayfly.db"))?.sync_all()?;
    Ok(())
}

async fn connect(url: &str) -> anyhow::Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url.to_owned());
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.context("cannot open a database of the benchmark")
}

/// The value that a query returns.
async fn query<T: sea_orm::TryGetable>(database: &DatabaseConnection, sql: &str) -> anyhow::Result<T> {
    let row = database.query_one_raw(Statement::from_string(database.get_database_backend(), sql)).await?;
    Ok(row.context("a query returned nothing")?.try_get_by_index(0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_found_in_the_output_of_pgbench() {
        let output = "latency average = 9.1 ms\ntps = 6123.456789 (without initial connection time)\n";
        assert_eq!(transactions_per_second(output), Some(6123.456789));
        assert_eq!(transactions_per_second("pgbench: error"), None);
    }

    #[tokio::test]
    async fn a_filled_store_has_and_counts_so_many_messages() {
        let folder = tempfile::tempdir().unwrap();
        let store = connect(&format!("sqlite://{}?mode=rwc", folder.path().join("mayfly.db").display())).await.unwrap();
        let schema = "CREATE TABLE messages (id INTEGER PRIMARY KEY, sealed_content BLOB, expire_time INTEGER); \
             CREATE TABLE usage (key_id TEXT, shard INTEGER, messages INTEGER, bytes INTEGER, \
             PRIMARY KEY (key_id, shard)); \
             INSERT INTO messages (sealed_content, expire_time) VALUES (x'00', 10), (x'01', 20), (x'02', NULL); \
             INSERT INTO usage VALUES ('key', 0, 2, 800), ('key', 1, 1, 400)";
        store.execute_unprepared(schema).await.unwrap();
        fill(folder.path(), 10).await.unwrap();
        fill(folder.path(), 10).await.unwrap();
        let counts = "SELECT count(*) || ' ' || count(expire_time) || ' ' || max(expire_time) FROM messages";
        // Each of the 7 copies expires, and none after the last of the 2 messages that expired before.
        assert_eq!(query::<String>(&store, counts).await.unwrap(), "10 9 20");
        let usage = "SELECT sum(messages) || ' ' || sum(bytes) FROM usage";
        assert_eq!(query::<String>(&store, usage).await.unwrap(), "10 4000");
    }

    #[tokio::test]
    async fn a_server_that_does_not_wait_for_its_disk_is_rejected_on_postgres() {
        #[derive(clap::Parser)]
        struct Arguments {
            #[command(flatten)]
            postgres: Postgres,
        }
        // scripts/with-postgres starts such a server for tests.
        let Arguments { postgres } = clap::Parser::parse_from(["bench"]);
        let error = postgres.create_database("rejected").await.unwrap_err().to_string();
        assert!(error.contains("fsync = off"), "{error}");
    }
}

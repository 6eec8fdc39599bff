//! A PostgreSQL server for one test, which the test may freeze, starve and break.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Read as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use sea_orm::{ConnectionTrait as _, Database};
use tempfile::TempDir;

use crate::TestDatabase;

/// The folder of PostgreSQL's programs. `scripts/with-postgres` sets this variable and the next.
const PROGRAMS_VARIABLE: &str = "MAYFLY_TEST_POSTGRES_BIN";
/// The `user:group` of the server, as numbers, if root runs the tests. PostgreSQL refuses to run as root.
const OWNER_VARIABLE: &str = "MAYFLY_TEST_POSTGRES_OWNER";

/// A durable server on a free port of 127.0.0.1. Stops, and deletes its data, when dropped.
pub struct PostgresServer {
    programs: PathBuf,
    owner: Option<String>,
    folder: TempDir,
    port: u16,
}

impl PostgresServer {
    /// Creates and starts a server.
    ///
    /// # Errors
    ///
    /// Returns an error if the programs are missing or fail.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with_wal_in(None)
    }

    /// Creates and starts a server whose write-ahead log is in `folder`.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_with_wal_in(folder: Option<&Path>) -> anyhow::Result<Self> {
        let server = Self::create()?;
        let data_folder = server.data_folder().display().to_string();
        let how = ["-U", "mayfly", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--wal-segsize=1"];
        let mut arguments = [&["-D", &data_folder][..], &how].concat();
        let log = folder.map(|folder| folder.join("pg_wal").display().to_string());
        if let (Some(folder), Some(log)) = (folder, &log) {
            server.chown(folder)?;
            arguments.extend(["--waldir", log]);
        }
        server.run("initdb", arguments)?;
        // New log files instead of recycled ones, so that the log needs free space all the time.
        let wal_settings =
            if log.is_some() { "min_wal_size = 2MB\nmax_wal_size = 24MB\nwal_recycle = off\n" } else { "" };
        fs::write(server.data_folder().join("postgresql.auto.conf"), server.settings(wal_settings))?;
        server.restart()?;
        Ok(server)
    }

    /// Creates a server from a backup of [`back_up`](Self::back_up), and starts it.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn restore(backup: &Path) -> anyhow::Result<Self> {
        let server = Self::create()?;
        let copied = Command::new("cp").arg("--archive").arg(backup).arg(server.data_folder()).status()?;
        ensure!(copied.success(), "the backup was not copied");
        fs::write(server.data_folder().join("postgresql.auto.conf"), server.settings(""))?;
        server.chown(server.folder.path())?;
        server.restart()?;
        Ok(server)
    }

    #[expect(clippy::disallowed_methods, reason = "tests have no command line")]
    fn create() -> anyhow::Result<Self> {
        let programs = std::env::var_os(PROGRAMS_VARIABLE).map(PathBuf::from);
        let programs = programs.with_context(|| {
            format!("this test needs the folder of a PostgreSQL server in {PROGRAMS_VARIABLE}: run `make test`")
        })?;
        let owner = std::env::var(OWNER_VARIABLE).ok().filter(|owner| !owner.is_empty());
        // Another process may take this port first. Then the server and the test fail.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = Self { programs, owner, folder: tempfile::tempdir()?, port };
        server.chown(server.folder.path())?;
        Ok(server)
    }

    fn settings(&self, wal_settings: &str) -> String {
        let (port, folder) = (self.port, self.folder.path().display());
        format!(
            "listen_addresses = '127.0.0.1,127.0.0.2'\nport = {port}\nunix_socket_directories = '{folder}'\n\
             max_connections = 100\nshared_buffers = 16MB\nlogging_collector = off\n{wal_settings}"
        )
    }

    /// Starts the server again after it ended, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// Returns an error if the server does not start.
    pub fn restart(&self) -> anyhow::Result<()> {
        let (data_folder, log) = (self.data_folder().display().to_string(), self.log().display().to_string());
        self.run("pg_ctl", ["start", "-D", &data_folder, "-l", &log, "-w", "-t", "60"]).map(drop)
    }

    /// Accepts connections over TCP only with TLS from now on, with this certificate and key.
    ///
    /// # Errors
    ///
    /// Returns an error if the files cannot be copied, or the server does not start again.
    pub fn require_tls(&self, certificate: &Path, key: &Path) -> anyhow::Result<()> {
        let data_folder = self.data_folder();
        fs::copy(certificate, data_folder.join("server.crt"))?;
        fs::copy(key, data_folder.join("server.key"))?;
        fs::write(data_folder.join("postgresql.auto.conf"), self.settings("ssl = on\n"))?;
        fs::write(data_folder.join("pg_hba.conf"), "hostssl all all all trust\n")?;
        self.chown(&data_folder)?;
        self.run("pg_ctl", ["stop", "-D", &data_folder.display().to_string(), "-m", "fast", "-w"])?;
        self.restart()
    }

    /// Returns `true` if the server runs. A server with a full disk stops after a while.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.run("pg_ctl", ["status", "-D", &self.data_folder().display().to_string()]).is_ok()
    }

    /// Creates a database on the server.
    ///
    /// # Errors
    ///
    /// Returns an error if the database cannot be created.
    pub async fn database(&self) -> anyhow::Result<TestDatabase> {
        let admin = Database::connect(format!("postgres://mayfly@{}/postgres", self.address())).await?;
        admin.execute_unprepared("CREATE DATABASE mayfly").await?;
        admin.close().await?;
        self.existing_database()
    }

    /// The database that [`database`](Self::database) created before.
    ///
    /// # Errors
    ///
    /// Returns an error if no scratch folder can be created.
    pub fn existing_database(&self) -> anyhow::Result<TestDatabase> {
        TestDatabase::at_url(&format!("postgres://mayfly@{}/mayfly", self.address()))
    }

    /// The address of the server: `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The data folder of the server, with its write-ahead log.
    #[must_use]
    pub fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The log file of the server.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// The ids of all processes of the server, the postmaster first.
    ///
    /// # Errors
    ///
    /// Returns an error if the server does not run.
    pub fn process_ids(&self) -> anyhow::Result<Vec<String>> {
        let mut first = String::new();
        fs::File::open(self.data_folder().join("postmaster.pid"))?.read_to_string(&mut first)?;
        let first = first.lines().next().context("the PID file is empty")?.trim().to_owned();
        let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children"))?;
        Ok([first].into_iter().chain(children.split_whitespace().map(str::to_owned)).collect())
    }

    /// Sends a signal to all processes of the server.
    ///
    /// # Errors
    ///
    /// Returns an error if the server does not run.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        for id in self.process_ids()? {
            // Processes of connections may end meanwhile, so failures are ignored.
            let _ = Pid::from_raw(id.parse()?).map(|id| kill_process(id, signal));
        }
        Ok(())
    }

    /// Creates `folder` with a base backup of the running server, and the write-ahead log that the backup needs.
    ///
    /// # Errors
    ///
    /// Returns an error if `pg_basebackup` fails.
    pub fn back_up(&self, folder: &Path) -> anyhow::Result<()> {
        let (folder, port) = (folder.display().to_string(), self.port.to_string());
        self.run("pg_basebackup", ["-h", "127.0.0.1", "-p", &port, "-U", "mayfly", "-D", &folder, "-c", "fast"])
            .map(drop)
    }

    /// Dumps the database as SQL.
    ///
    /// # Errors
    ///
    /// Returns an error if `pg_dump` fails.
    pub fn dump(&self) -> anyhow::Result<Vec<u8>> {
        let port = self.port.to_string();
        self.run("pg_dump", ["-h", "127.0.0.1", "-p", &port, "-U", "mayfly", "mayfly"]).map(|output| output.stdout)
    }

    /// A scratch folder with the lifetime of the server. The server may write to it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs one of PostgreSQL's programs as the user of the server, in a folder that this user may read.
    fn run(&self, program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> anyhow::Result<Output> {
        let path = self.programs.join(program);
        let mut command = match self.owner.as_ref().and_then(|owner| owner.split_once(':')) {
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", group, "--clear-groups"]).arg(path);
                command
            }
            None => Command::new(path),
        };
        let output = command.args(arguments).current_dir(self.folder.path()).output()?;
        ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output)
    }

    /// Makes the user of the server the owner of `folder` and its contents.
    fn chown(&self, folder: &Path) -> io::Result<()> {
        let Some(owner) = &self.owner else { return Ok(()) };
        let given = Command::new("chown").args(["--recursive", owner]).arg(folder).status()?;
        given.success().then_some(()).ok_or_else(|| io::Error::other("chown failed"))
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // A frozen server does not react to the stop request.
        drop(self.signal(Signal::CONT));
        // A server that never started cannot be stopped, so failures are ignored.
        drop(self.run("pg_ctl", ["stop", "-D", &self.data_folder().display().to_string(), "-m", "immediate"]));
    }
}

//! PgBouncer, a connection pooler, between a test and its PostgreSQL database.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use tempfile::TempDir;

/// The `user:group` of the PostgreSQL server if root runs the tests. PgBouncer refuses to run as root too.
const OWNER_VARIABLE: &str = "MAYFLY_TEST_POSTGRES_OWNER";
const PROGRAM: &str = "pgbouncer";
/// Where to search for the program. Debian keeps it out of the PATH of users.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long the pooler may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A pooler on a free port of 127.0.0.1. Stops when dropped.
pub struct PgBouncer {
    url: String,
    process: Child,
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts a pooler with this `pool_mode` in front of the database at `url`, and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// Returns an error if the program is missing or fails.
    #[expect(clippy::disallowed_methods, reason = "tests have no command line")]
    pub async fn start(url: &str, pool_mode: &str) -> anyhow::Result<Self> {
        let (server, name) = url.rsplit_once('/').context("a URL without a database")?;
        let server_port = server.rsplit(':').next().unwrap_or_default();
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = tempfile::tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let settings = folder.path().join("pgbouncer.ini");
        fs::write(
            &settings,
            format!(
                "[databases]\n{name} = host=127.0.0.1 port={server_port} user=mayfly\n[pgbouncer]\n\
                 listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
                 pool_mode = {pool_mode}\nignore_startup_parameters = extra_float_digits\ndefault_pool_size = 20\n"
            ),
        )?;
        let mut command = match std::env::var(OWNER_VARIABLE).ok().as_deref().and_then(|owner| owner.split_once(':')) {
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", group, "--clear-groups", PROGRAM]);
                command
            }
            None => Command::new(PROGRAM),
        };
        command
            .env("PATH", PATH)
            .arg("--quiet")
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command.spawn().context("this test needs PgBouncer: run scripts/install-test-tools")?;
        let pooler = Self { url: format!("postgres://mayfly@127.0.0.1:{port}/{name}"), process, _folder: folder };
        let listening = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(START_TIMEOUT, listening).await;
        waited.context("PgBouncer does not listen; if it is missing, run scripts/install-test-tools")?;
        Ok(pooler)
    }

    /// The URL of the database through the pooler.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

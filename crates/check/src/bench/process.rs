//! The processes under load: Mayfly in one or two processes, and the servers that do nothing.

use std::{
    env, fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::http1;

/// How long a program may take to become ready, and to stop.
const LIMIT: Duration = Duration::from_secs(60);
/// How often a program is asked whether it is ready.
const POLL_INTERVAL: Duration = Duration::from_millis(1);
/// The kernel reports CPU time in hundredths of a second, whatever its timer frequency.
const TICKS_PER_SECOND: f64 = 100.0;
/// Without rate limits, and with room for every message.
const SETTINGS: [(&str, &str); 4] = [
    ("MAYFLY_CREATIONS_PER_MINUTE", "0"),
    ("MAYFLY_TOTAL_CREATIONS_PER_MINUTE", "0"),
    ("MAYFLY_MAX_MESSAGES", "1000000000"),
    ("MAYFLY_MAX_STORED_BYTES", "1000000000000"),
];

/// A running server: one process, or a gateway and its store. Killed when dropped.
pub(super) struct Server {
    processes: Vec<Process>,
    pub(super) rest: SocketAddr,
    pub(super) grpc: SocketAddr,
    /// The time from the start of its process until it was ready.
    pub(super) start: Duration,
}

impl Server {
    /// Starts `mayfly up` with its data in `folder`, and waits until it is ready.
    pub(super) async fn up(program: &Path, folder: &Path, database_url: Option<&str>) -> anyhow::Result<Self> {
        let (store, gateway, bot) = (free_address()?, free_address()?, free_address()?);
        let mut command = mayfly(program, "up", folder);
        command.args(["--store-listen", &store.to_string(), "--gateway-listen", &gateway.to_string()]);
        // Nothing listens there. Without an app config the bot does not call Telegram.
        command.args(["--bot-listen", &bot.to_string(), "--telegram-api-url", "http://127.0.0.1:9"]);
        if let Some(url) = database_url {
            command.env("MAYFLY_DATABASE_URL", url);
        }
        Self::start(vec![command], gateway, store).await
    }

    /// Starts `mayfly store` and `mayfly gateway`.
    pub(super) async fn store_and_gateway(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        let (store, gateway) = (free_address()?, free_address()?);
        let mut first = mayfly(program, "store", folder);
        first.args(["--store-listen", &store.to_string()]);
        let mut second = Command::new(program);
        second.args(["gateway", "--log", "warn", "--gateway-listen", &gateway.to_string()]);
        second.args(["--store-url", &format!("http://{store}")]);
        Self::start(vec![first, second], gateway, store).await
    }

    /// Starts the servers that do nothing.
    pub(super) async fn limit() -> anyhow::Result<Self> {
        let (rest, grpc) = (free_address()?, free_address()?);
        let mut command = Command::new(env::current_exe()?);
        command.args(["bench-limit", "--rest-listen", &rest.to_string(), "--grpc-listen", &grpc.to_string()]);
        Self::start(vec![command], rest, grpc).await
    }

    async fn start(commands: Vec<Command>, rest: SocketAddr, grpc: SocketAddr) -> anyhow::Result<Self> {
        let began = Instant::now();
        let processes = commands.into_iter().map(Process::start).collect::<anyhow::Result<_>>()?;
        let mut server = Self { processes, rest, grpc, start: Duration::ZERO };
        while !http1::is_ready(rest).await {
            for process in &mut server.processes {
                ensure!(process.0.try_wait()?.is_none(), "the program ended before it was ready");
            }
            ensure!(began.elapsed() < LIMIT, "the program did not become ready");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        server.start = began.elapsed();
        Ok(server)
    }

    /// Asks the server to stop, and waits until it has.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        // The gateway before its store.
        for process in self.processes.iter_mut().rev() {
            kill_process(Pid::from_child(&process.0), Signal::TERM)?;
            while process.0.try_wait()?.is_none() {
                ensure!(began.elapsed() < LIMIT, "the program did not stop");
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
        Ok(())
    }

    /// The CPU time used so far.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        self.processes.iter().map(Process::cpu).sum()
    }

    /// The resident memory, in MiB.
    pub(super) fn memory(&self) -> anyhow::Result<f64> {
        self.processes.iter().map(Process::memory).sum()
    }
}

/// A process. Killed when dropped.
struct Process(Child);

impl Process {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        // Standard input stays open as long as this process lives.
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        child.map(Self).with_context(|| format!("cannot start {}", command.get_program().display()))
    }

    fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // The name in parentheses may contain any character. Only numbers follow it.
        let numbers = stat.rsplit(')').next().unwrap_or_default();
        let ticks = numbers.split_whitespace().skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
        Ok(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
    }

    fn memory(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("/proc has no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Killing a process that has ended returns an error, which is harmless here.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A role of Mayfly that has data.
fn mayfly(program: &Path, role: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.args([role, "--log", "warn", "--data-dir"]).arg(folder).envs(SETTINGS);
    command
}

fn free_address() -> anyhow::Result<SocketAddr> {
    // Another process may take this port first. Then the server ends, and so does the benchmark.
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

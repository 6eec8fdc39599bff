//! Measures Mayfly on this machine: throughput, latency, CPU and memory, next to the disk and SQLite alone.

use std::{
    fs::{self, File},
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::Args;
use mayfly_check::{Client, History, Latency, LoadGenerator, Verdict, Workload, new_seed, verify};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database};
use tokio_util::sync::CancellationToken;

/// How long the disk and SQLite alone are measured.
const BASELINE: Duration = Duration::from_secs(3);
/// How long the program may take to become ready.
const START_LIMIT: Duration = Duration::from_secs(30);
/// The kernel reports CPU time in hundredths of a second, whatever its timer frequency.
const TICKS_A_SECOND: f64 = 100.0;

#[derive(Args)]
pub(crate) struct MeasureSettings {
    /// The program to measure. Use a release build.
    #[arg(long)]
    program: PathBuf,
    /// The database for the program. [default: SQLite in a scratch folder]
    #[arg(long)]
    database_url: Option<String>,
    /// How long each load lasts.
    #[arg(long = "for", default_value = "30s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// The number of messages in flight in the load that finds the maximum.
    #[arg(long, default_value_t = 64)]
    workers: usize,
    /// The folder for all files, on the disk to measure.
    #[arg(long)]
    folder: PathBuf,
}

/// A running program. Killed when dropped.
struct Process {
    child: Child,
    grpc_url: String,
    rest_url: String,
}

impl Process {
    async fn start(settings: &MeasureSettings) -> anyhow::Result<Self> {
        let address = || anyhow::Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string());
        let (store, gateway, bot) = (address()?, address()?, address()?);
        let mut command = Command::new(&settings.program);
        command.arg("up").arg("--data-dir").arg(settings.folder.join("data"));
        command.args(["--store-listen", &store, "--gateway-listen", &gateway, "--bot-listen", &bot, "--log", "warn"]);
        // Nothing listens there. Without an app config the bot does not call Telegram.
        command.args(["--telegram-api-url", "http://127.0.0.1:9"]);
        // Without rate limits.
        for rate in ["MAYFLY_CREATIONS_PER_MINUTE", "MAYFLY_TOTAL_CREATIONS_PER_MINUTE"] {
            command.env(rate, "0");
        }
        if let Some(url) = &settings.database_url {
            command.env("MAYFLY_DATABASE_URL", url);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("cannot start the program")?;
        let process = Self { child, grpc_url: format!("http://{store}"), rest_url: format!("http://{gateway}") };
        let (began, url) = (Instant::now(), format!("{}/readyz", process.rest_url));
        while !reqwest::get(&url).await.is_ok_and(|response| response.status().is_success()) {
            ensure!(began.elapsed() < START_LIMIT, "the program did not become ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(process)
    }

    /// The CPU time used so far, in seconds.
    fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in parentheses may contain any character. Only numbers follow it.
        let numbers = stat.rsplit(')').next().unwrap_or_default();
        let ticks = numbers.split_whitespace().skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
        Ok(ticks / TICKS_A_SECOND)
    }

    /// The memory in use, in MiB.
    fn memory(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("/proc has no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes / 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Killing a process that has ended returns an error, which is harmless here.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Measures, and prints a line for each measurement. Returns `true` if no guarantee was broken.
pub(crate) async fn run(settings: &MeasureSettings) -> anyhow::Result<bool> {
    fs::create_dir_all(&settings.folder)?;
    println!("the disk: {:.0} syncs of 4 KiB a second", syncs(&settings.folder)?);
    println!("SQLite alone: {:.0} transactions of one insert per second", inserts(&settings.folder).await?);
    let process = Process::start(settings).await?;
    let (verdict, fastest) = load(settings, &process, "maximum rate", None).await?;
    let mut sum = verdict;
    for percent in [50, 90] {
        let rate = fastest * f64::from(percent) / 100.0;
        let name = format!("{percent} % of that rate, open loop");
        sum += load(settings, &process, &name, Some(rate)).await?.0;
    }
    println!("{sum}");
    Ok(sum.is_complete())
}

/// Runs one load. Returns its verdict and the number of messages per second.
async fn load(
    settings: &MeasureSettings,
    process: &Process,
    name: &str,
    rate: Option<f64>,
) -> anyhow::Result<(Verdict, f64)> {
    let file = settings.folder.join(format!("{}.jsonl", rate.map_or(0.0, f64::round)));
    let clients =
        vec![Client::grpc(&process.grpc_url)?, Client::grpc(&process.rest_url)?, Client::rest(&process.rest_url)?];
    let load = LoadGenerator::new(
        clients,
        History::create(&file)?,
        Workload { is_mixed: true, ..Workload::default() },
        new_seed(),
    );
    let (stop, cpu, began) = (CancellationToken::new(), process.cpu_seconds()?, Instant::now());
    let task = load.start(rate, settings.workers, stop.clone());
    // Memory is read twice, which shows whether it still grows.
    tokio::time::sleep(settings.duration / 2).await;
    let memory = process.memory()?;
    tokio::time::sleep(settings.duration / 2).await;
    stop.cancel();
    task.await??;
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), process.cpu_seconds()? - cpu);
    let history = History::read(&file)?;
    let (verdict, latency) = (verify(&history), Latency::of(&history));
    let messages = verdict.acknowledged as f64 / seconds;
    println!(
        "{name}: {messages:.0} messages per second, {latency}; {:.0} % CPU, {memory} then {} MiB",
        100.0 * cpu / seconds,
        process.memory()?,
    );
    Ok((verdict, messages))
}

/// Syncs of 4 KiB per second on this disk.
fn syncs(folder: &Path) -> anyhow::Result<f64> {
    let mut file = File::create(folder.join("syncs"))?;
    let (began, mut count) = (Instant::now(), 0_u32);
    while began.elapsed() < BASELINE {
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

/// Transactions of one insert per second in SQLite, with the durability settings of the store.
async fn inserts(folder: &Path) -> anyhow::Result<f64> {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", folder.join("baseline.db").display()));
    options.max_connections(1).sqlx_logging(false);
    let database = Database::connect(options).await?;
    let set_up =
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE baseline (id INTEGER PRIMARY KEY, text BLOB)";
    database.execute_unprepared(set_up).await?;
    let insert = "BEGIN IMMEDIATE; INSERT INTO baseline (text) VALUES (zeroblob(256)); COMMIT";
    let (began, mut count) = (Instant::now(), 0_u32);
    while began.elapsed() < BASELINE {
        database.execute_unprepared(insert).await?;
        count += 1;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

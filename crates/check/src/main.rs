//! `mayfly-check`: loads a running system and judges what came of it.

mod measure;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use mayfly_check::{Client, History, Latency, LoadGenerator, Verdict, Workload, verify};
use tokio_util::sync::CancellationToken;

/// Proves of a Mayfly that texts are read once and none is lost.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Judge histories: one line each, then their sum. Fails when a promise was broken.
    Verify(Verify),
    /// Load a running system for a while, and judge what came of it.
    Load(LoadSettings),
    /// Start a program of one's own and tell how much it does, beside what the disk and SQLite alone do.
    Measure(measure::MeasureSettings),
}

#[derive(Args)]
struct Verify {
    /// Files that a load wrote. One whose name ends in `.control.jsonl` comes from a system that was built wrongly on
    /// purpose: it must be found out.
    #[arg(required = true)]
    histories: Vec<PathBuf>,
}

#[derive(Args)]
struct LoadSettings {
    /// A store or gateway to call over gRPC; may be given several times.
    #[arg(long, value_name = "URL")]
    grpc: Vec<String>,
    /// A gateway to call over REST; may be given several times.
    #[arg(long, value_name = "URL")]
    rest: Vec<String>,
    /// Where to write the history; there must be no such file.
    #[arg(long)]
    history: PathBuf,
    /// For how long.
    #[arg(long = "for", default_value = "10s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// How many messages are on their way at a time.
    #[arg(long, default_value_t = 16)]
    workers: usize,
    /// Begin so many messages a second instead, however the system is doing.
    #[arg(long)]
    rate: Option<f64>,
    /// Create, read, guess and look up as 4 to 4 to 1 to 1, texts of 16 bytes to 64 KiB, and nothing else.
    #[arg(long)]
    mixed: bool,
    /// The length of the texts, in bytes.
    #[arg(long, default_value_t = 64)]
    text_bytes: usize,
    /// Sets the keys and texts: another one for each load of one system. [default: this process's id and the time]
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let is_good = match Cli::parse().command {
        Command::Verify(verify_settings) => run_verify(&verify_settings)?,
        Command::Load(settings) => run_load(settings).await?,
        Command::Measure(settings) => measure::run(&settings).await?,
    };
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_verify(verify_settings: &Verify) -> anyhow::Result<bool> {
    let (mut sum, mut controls, mut detected, mut is_good) = (Verdict::default(), 0, 0, true);
    for path in &verify_settings.histories {
        let verdict = verify(&History::read(path).with_context(|| format!("cannot read {}", path.display()))?);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_as_expected = if name.ends_with(".control.jsonl") {
            controls += 1;
            detected += u64::from(!verdict.is_complete());
            !verdict.is_complete()
        } else {
            sum += verdict;
            verdict.is_complete()
        };
        is_good &= is_as_expected;
        println!("{} {name}: {verdict}", if is_as_expected { "as expected:" } else { "NOT AS EXPECTED:" });
    }
    println!("{sum}; controls that failed as expected {detected} of {controls}");
    Ok(is_good)
}

async fn run_load(settings: LoadSettings) -> anyhow::Result<bool> {
    let grpc = settings.grpc.iter().map(|url| Client::grpc(url));
    let clients = grpc.chain(settings.rest.iter().map(|url| Client::rest(url))).collect::<Result<Vec<_>, _>>()?;
    anyhow::ensure!(!clients.is_empty(), "say what to load: --grpc or --rest");
    let history = History::create(&settings.history).context("cannot begin the history")?;
    let workload = Workload { text_bytes: settings.text_bytes, is_mixed: settings.mixed, ..Workload::default() };
    let seed = settings.seed.map_or_else(new_seed, Ok)?;
    println!("seed {seed}");
    let load = LoadGenerator::new(clients, history, workload, seed);

    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move {
            match settings.rate {
                Some(rate) => load.run_at(rate, stop).await,
                None => load.run(settings.workers, stop).await,
            }
        }
    });
    tokio::time::sleep(settings.duration).await;
    stop.cancel();
    running.await??;

    let history = History::read(&settings.history)?;
    let verdict = verify(&history);
    println!("{}", Latency::of(&history));
    println!("{verdict}");
    Ok(verdict.is_complete())
}

fn new_seed() -> anyhow::Result<u64> {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let nanos = u64::try_from(since_1970.as_nanos() & u128::from(u64::MAX))?;
    Ok(nanos.rotate_left(20) ^ u64::from(std::process::id()))
}

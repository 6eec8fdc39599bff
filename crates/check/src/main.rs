//! `mayfly-check`: puts load on a running system and verifies the result, or measures it.

mod bench;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use mayfly_check::{Client, History, Latency, LoadGenerator, Verdict, Workload, new_seed, verify};
use tokio_util::sync::CancellationToken;

/// Checks that a Mayfly system delivers each text once and loses none.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Verify histories: prints one line for each, then the sum. Fails if a guarantee was broken.
    Verify(Verify),
    /// Put load on a running system for a while, and verify the result.
    Load(LoadSettings),
    /// Start a program and measure its performance, next to the limits of the machine.
    Bench(bench::BenchSettings),
    /// Serve constant responses over HTTP and gRPC, as a limit for `bench`, until standard input ends.
    #[command(hide = true)]
    BenchLimit(bench::LimitSettings),
}

#[derive(Args)]
struct Verify {
    /// Histories of loads. If a name ends in `.control.jsonl`, the system had a deliberate defect, which must be
    /// detected.
    #[arg(required = true)]
    histories: Vec<PathBuf>,
}

#[derive(Args)]
struct LoadSettings {
    /// A store or gateway to call over gRPC. May be repeated.
    #[arg(long, value_name = "URL")]
    grpc: Vec<String>,
    /// A gateway to call over REST. May be repeated.
    #[arg(long, value_name = "URL")]
    rest: Vec<String>,
    /// The file for the history. It must not exist.
    #[arg(long)]
    history: PathBuf,
    /// The duration of the load.
    #[arg(long = "for", default_value = "10s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// The number of messages in flight.
    #[arg(long, default_value_t = 16)]
    workers: usize,
    /// Begin this many messages per second instead, whatever the latency of the system.
    #[arg(long)]
    rate: Option<f64>,
    /// Only create, view, guess and look up, in the ratio 4 to 4 to 1 to 1, with texts of 16 bytes to 64 KiB.
    #[arg(long)]
    mixed: bool,
    /// The length of the texts, in bytes.
    #[arg(long, default_value_t = 64)]
    text_bytes: usize,
    /// Determines keys and texts; each load on one system needs its own. [default: from the process id and the time]
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let is_good = match Cli::parse().command {
        Command::Verify(verify_settings) => run_verify(&verify_settings)?,
        Command::Load(settings) => run_load(settings).await?,
        Command::Bench(settings) => bench::run(&settings).await.map(|()| true)?,
        Command::BenchLimit(settings) => bench::serve(&settings).await.map(|()| true)?,
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
    anyhow::ensure!(!clients.is_empty(), "give at least one --grpc or --rest");
    let history = History::create(&settings.history).context("cannot create the history")?;
    let workload = Workload { text_bytes: settings.text_bytes, is_mixed: settings.mixed, ..Workload::default() };
    let seed = settings.seed.unwrap_or_else(new_seed);
    println!("seed {seed}");
    let load = LoadGenerator::new(clients, history, workload, seed);

    let stop = CancellationToken::new();
    let running = load.start(settings.rate, settings.workers, stop.clone());
    tokio::time::sleep(settings.duration).await;
    stop.cancel();
    running.await??;

    let history = History::read(&settings.history)?;
    let verdict = verify(&history);
    println!("{}", Latency::of(&history));
    println!("{verdict}");
    Ok(verdict.is_complete())
}

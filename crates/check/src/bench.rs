//! `mayfly-check bench`: measures a program next to the limits of its machine, and compares the ratios with goals.
//!
//! A figure of one run says little about a machine that does other work too. So each round of Mayfly runs next to a
//! round of its limit, and the table has the medians over the rounds with their range.

mod chart;
mod databases;
mod grpc_load;
mod http1;
mod limit_server;
mod process;
mod rest_load;
mod statistics;
mod table;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use self::{
    chart::{Chart, Scale, Series, svg},
    databases::{Postgres, fill, sqlite_commit},
    grpc_load::GrpcLoad,
    http1::{CREATE, Connection},
    process::Server,
    rest_load::RestLoad,
    statistics::{Median, Outcome, quantile, sorted},
    table::{Row, markdown, millis, ratio, thousands, with_range},
};
pub(crate) use limit_server::{LimitSettings, serve};

/// Connections of the loads that find the maximum.
const CONNECTIONS: usize = 64;
/// Connections while memory is measured.
const MANY_CONNECTIONS: usize = 1000;
/// Connections of the load beyond the maximum: more requests at once than the store queues.
const OVERLOAD_CONNECTIONS: usize = 2000;
/// gRPC: connections, and streams of each.
const GRPC: (usize, usize) = (8, 32);
/// A response that takes longer does not count as goodput.
const USEFUL: Duration = Duration::from_secs(1);
/// A rejection takes at most this long, or it is no help to the client. In microseconds, of the p99.
const PROMPT: u32 = 250_000;
/// The highest p99 of any second at half the maximum load, in microseconds.
const WORST_SECOND: u32 = 50_000;
/// The numbers of connections in the charts.
const CONCURRENCY: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
/// The rounds for each number of connections, unless the benchmark is quick.
const CONCURRENCY_ROUNDS: usize = 3;
/// How often a start is measured.
const STARTS: usize = 5;
/// How many messages are created before they are copied.
const ORIGINALS: u64 = 1000;
/// A load before the first round fills caches.
const WARM_UP: Duration = Duration::from_millis(500);

/// Settings of a benchmark.
#[derive(Args)]
pub(crate) struct BenchSettings {
    /// The program to measure. Use a release build.
    #[arg(long, default_value = "target/release/mayfly")]
    program: PathBuf,
    /// The directory for results. Databases go there too, so it must be on the disk to measure.
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
    /// The directory for charts. [default: that of the results]
    #[arg(long)]
    images: Option<PathBuf>,
    /// Take two minutes instead of twenty, with fewer and shorter rounds and a small table.
    #[arg(long)]
    quick: bool,
    /// Only these measurements. May be repeated. The charts and memory need all of theirs.
    #[arg(long)]
    only: Vec<Part>,
    /// The rounds of each side. [default: 5, quick: 3]
    #[arg(long)]
    rounds: Option<usize>,
    /// How long a round takes. [default: 5s, quick: 1s]
    #[arg(long, value_parser = humantime::parse_duration)]
    round: Option<Duration>,
    /// The unread messages in the large table. [default: 10000000, quick: 100000]
    #[arg(long)]
    unread: Option<u64>,
    #[command(flatten)]
    postgres: Postgres,
}

/// A measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// REST on SQLite next to axum, and as two processes.
    Rest,
    /// One client next to single commits of SQLite.
    Single,
    /// Throughput and latency by the number of connections.
    Concurrency,
    /// Half the maximum load.
    Latency,
    /// Five times the maximum load.
    Overload,
    /// gRPC on SQLite next to tonic.
    Grpc,
    /// Memory after the other loads.
    Memory,
    /// Starts on an existing database.
    Start,
    /// REST and gRPC on PostgreSQL next to pgbench.
    Postgres,
    /// A large table next to an empty one, and starts on it.
    Unread,
}

/// A running benchmark.
struct Bench<'a> {
    settings: &'a BenchSettings,
    folder: TempDir,
    rows: Vec<Row>,
    /// All figures by name.
    figures: Map<String, Value>,
    /// REST requests per second on SQLite.
    maximum: Option<f64>,
}

/// What each request cost in the rounds on a table, and on an empty one next to it: time and CPU time in microseconds.
#[derive(Default, Serialize)]
struct Costs {
    unread: f64,
    full: Vec<[f64; 2]>,
    empty: Vec<[f64; 2]>,
}

/// Measures, prints the table, and writes it with charts and all figures to files.
///
/// # Errors
///
/// Returns an error if a program does not start, or a response has another status than expected. A missed goal is not
/// an error.
pub(crate) async fn run(settings: &BenchSettings) -> anyhow::Result<()> {
    // A benchmark that is dropped kills the servers.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        ended = run_parts(settings) => ended,
        _ = interrupt.recv() => anyhow::bail!("interrupted"),
        _ = terminate.recv() => anyhow::bail!("terminated"),
    }
}

async fn run_parts(settings: &BenchSettings) -> anyhow::Result<()> {
    fs::create_dir_all(&settings.output)?;
    // A load with many connections needs as many files. Whether the limit suffices is seen when they are opened.
    drop(rlimit::increase_nofile_limit(u64::MAX));
    let folder = tempfile::Builder::new().prefix("scratch-").tempdir_in(&settings.output)?;
    let mut bench = Bench { settings, folder, rows: Vec::new(), figures: Map::new(), maximum: None };
    let began = Instant::now();
    bench.on_sqlite().await?;
    if bench.runs(Part::Postgres) {
        if settings.postgres.is_given() {
            bench.on_postgres().await?;
        } else {
            eprintln!("PostgreSQL is left out: --postgres-url is not set");
        }
    }
    if bench.runs(Part::Unread) {
        bench.with_unread().await?;
    }
    bench.report(began.elapsed())
}

impl Bench<'_> {
    fn runs(&self, part: Part) -> bool {
        self.settings.only.is_empty() || self.settings.only.contains(&part)
    }

    fn rounds(&self) -> usize {
        self.settings.rounds.unwrap_or(if self.settings.quick { 3 } else { 5 }).max(1)
    }

    fn round(&self) -> Duration {
        self.settings.round.unwrap_or(Duration::from_secs(if self.settings.quick { 1 } else { 5 }))
    }

    /// Measures one server on SQLite: all parts that need no other database.
    async fn on_sqlite(&mut self) -> anyhow::Result<()> {
        let loads =
            [Part::Rest, Part::Single, Part::Concurrency, Part::Latency, Part::Overload, Part::Grpc, Part::Memory];
        let data_dir = self.folder.path().join("one");
        let limit = Server::limit().await?;
        let mayfly = Server::up(&self.settings.program, &data_dir, None).await?;
        let idle = mayfly.memory()?;
        if loads.into_iter().any(|part| self.runs(part)) {
            successes(&self.rest(&mayfly, CONNECTIONS, WARM_UP).await?)?;
        }
        if self.runs(Part::Rest) {
            self.measure_rest(&mayfly, &limit).await?;
        }
        if self.runs(Part::Single) {
            self.measure_single(&mayfly).await?;
        }
        if self.runs(Part::Concurrency) {
            self.measure_concurrency(&mayfly, &limit).await?;
        }
        if self.runs(Part::Latency) {
            self.measure_latency(&mayfly).await?;
        }
        if self.runs(Part::Overload) {
            self.measure_overload(&mayfly).await?;
        }
        if self.runs(Part::Grpc) {
            self.measure_grpc(&mayfly, &limit).await?;
        }
        if self.runs(Part::Memory) {
            self.measure_memory(&mayfly, &limit, idle).await?;
        }
        mayfly.stop().await?;
        if self.runs(Part::Start) {
            self.measure_start(&data_dir, "start on an existing database").await?;
        }
        Ok(())
    }

    async fn measure_rest(&mut self, mayfly: &Server, limit: &Server) -> anyhow::Result<()> {
        let two = Server::store_and_gateway(&self.settings.program, &self.folder.path().join("two")).await?;
        successes(&self.rest(&two, CONNECTIONS, WARM_UP).await?)?;
        let (mut bare, mut one, mut apart) = (Vec::new(), Vec::new(), Vec::new());
        let (mut medians, mut tails) = (Vec::new(), Vec::new());
        for round in 1..=self.rounds() {
            bare.push(self.rest_rate(limit, CONNECTIONS).await?);
            let outcome = self.rest(mayfly, CONNECTIONS, self.round()).await?;
            one.push(successes(&outcome)?);
            let [p50, p99] = outcome.quantiles([0.5, 0.99]).map(f64::from);
            medians.push(p50);
            tails.push(p99);
            apart.push(self.rest_rate(&two, CONNECTIONS).await?);
            progress("REST", round, &[("axum", &bare), ("up", &one), ("two processes", &apart)]);
        }
        self.maximum = Some(Median::of(&one).value);
        let [p50, p99] = [Median::of(&medians).value, Median::of(&tails).value];
        let work = format!("REST, `mayfly up`, SQLite, {CONNECTIONS} connections");
        self.compare(&work, &one, "bare axum", &bare, 0.45);
        if let Some(row) = self.rows.last_mut() {
            row.mayfly += &format!(", p50 {}, p99 {}", millis(p50), millis(p99));
        }
        let work = format!("REST, gateway and store as two processes, SQLite, {CONNECTIONS} connections");
        self.compare(&work, &apart, "`mayfly up`", &one, 0.7);
        Ok(())
    }

    async fn measure_single(&mut self, mayfly: &Server) -> anyhow::Result<()> {
        let (mut commits, mut requests) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds() {
            let commit = sqlite_commit(self.folder.path(), self.round()).await?;
            commits.push(commit.as_secs_f64() * 1000.0);
            let outcome = self.rest(mayfly, 1, self.round()).await?;
            successes(&outcome)?;
            requests.push(f64::from(outcome.quantiles([0.5])[0]) / 1000.0);
        }
        let times = Median::of_ratios(&requests, &commits);
        self.figures.insert("one client".to_owned(), json!({ "request ms": requests, "commit ms": commits }));
        self.add(Row {
            work: "one client, one request at a time, SQLite".to_owned(),
            mayfly: format!("p50 {:.2} ms", Median::of(&requests).value),
            limit: format!("one commit of SQLite: p50 {:.2} ms", Median::of(&commits).value),
            ratio: ratio(times),
            goal: "≤ 2".to_owned(),
            is_met: times.value <= 2.0,
        });
        Ok(())
    }

    async fn measure_concurrency(&mut self, mayfly: &Server, limit: &Server) -> anyhow::Result<()> {
        let (mut rates, mut limits, mut medians, mut tails) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for connections in CONCURRENCY {
            let mut rounds: [Vec<f64>; 4] = Default::default();
            for _ in 0..if self.settings.quick { 1 } else { CONCURRENCY_ROUNDS } {
                let limit = self.rest_rate(limit, connections).await?;
                let outcome = self.rest(mayfly, connections, self.round()).await?;
                let [p50, p99] = outcome.quantiles([0.5, 0.99]).map(|micros| f64::from(micros) / 1000.0);
                for (figures, figure) in rounds.iter_mut().zip([limit, successes(&outcome)?, p50, p99]) {
                    figures.push(figure);
                }
            }
            let x = connections as f64;
            let [limit, rate, p50, p99] = rounds.map(|figures| Median::of(&figures).value);
            limits.push((x, limit));
            rates.push((x, rate));
            medians.push((x, p50));
            tails.push((x, p99));
            eprintln!("{connections} connections: {} /s, p50 {p50:.2} ms, p99 {p99:.2} ms", thousands(rate));
        }
        let figures = json!({ "mayfly /s": rates, "axum /s": limits, "p50 ms": medians, "p99 ms": tails });
        self.figures.insert("concurrency".to_owned(), figures);
        let x_label = "connections, each with one request at a time";
        let rates = Chart {
            title: "Requests per second",
            x_label,
            x_scale: Scale::Log(2),
            y_scale: Scale::Linear,
            series: vec![
                Series { name: "Mayfly on SQLite", points: rates },
                Series { name: "bare axum", points: limits },
            ],
        };
        let latencies = Chart {
            title: "Latency of Mayfly in ms",
            x_label,
            x_scale: Scale::Log(2),
            y_scale: Scale::Log(10),
            series: vec![Series { name: "p50", points: medians }, Series { name: "p99", points: tails }],
        };
        self.draw("throughput", &[rates, latencies])
    }

    async fn measure_latency(&mut self, mayfly: &Server) -> anyhow::Result<()> {
        let rate = self.maximum(mayfly).await? / 2.0;
        let duration = if self.settings.quick { self.round() * 10 } else { Duration::from_secs(60) };
        let load = RestLoad { rate: Some(rate), ..RestLoad::closed(mayfly.rest, CONNECTIONS, duration) };
        let outcome = load.run().await?;
        successes(&outcome)?;
        let [p50, p99] = outcome.quantiles([0.5, 0.99]);
        let (worst, times) = (outcome.worst_second(), f64::from(p99) / f64::from(p50.max(1)));
        let figures = json!({ "rate": rate, "p50 us": p50, "p99 us": p99, "highest p99 of a second us": worst });
        self.figures.insert("half the maximum load".to_owned(), figures);
        self.add(Row {
            work: format!("latency at half the maximum load ({} /s), {} s", thousands(rate), duration.as_secs()),
            mayfly: format!("p99 {}, in the worst second {}", millis(p99), millis(worst)),
            limit: format!("its p50: {}", millis(p50)),
            ratio: format!("{times:.1}"),
            goal: "p99 ≤ 4 × p50, no second above 50 ms".to_owned(),
            is_met: times <= 4.0 && worst <= WORST_SECOND,
        });
        Ok(())
    }

    async fn measure_overload(&mut self, mayfly: &Server) -> anyhow::Result<()> {
        let maximum = self.maximum(mayfly).await?;
        let load = RestLoad {
            rate: Some(maximum * 5.0),
            waits: false,
            ..RestLoad::closed(mayfly.rest, OVERLOAD_CONNECTIONS, self.round() * 2)
        };
        let outcome = load.run().await?;
        no_failures(&outcome)?;
        let goodput = outcome.rate_within(USEFUL);
        let rejections = quantile(&sorted(&outcome.rejected), 0.99);
        let figures = json!({
            "goodput /s": goodput,
            "maximum /s": maximum,
            "rejected": outcome.rejected.len(),
            "rejected p99 us": rejections,
            "unsent": outcome.unsent,
            "broken": outcome.broken,
            "first failure": outcome.first_failure,
        });
        self.figures.insert("five times the maximum load".to_owned(), figures);
        let rejected = outcome.rejected.len() as f64 / outcome.elapsed.as_secs_f64();
        self.add(Row {
            work: format!("goodput at five times the maximum load, {OVERLOAD_CONNECTIONS} connections"),
            mayfly: format!(
                "{} /s; {} /s rejected, p99 {}; {} broken connections",
                thousands(goodput),
                thousands(rejected),
                millis(rejections),
                outcome.broken
            ),
            limit: format!("the maximum: {} /s", thousands(maximum)),
            ratio: format!("{:.2}", goodput / maximum),
            goal: "≥ 0.8, rejections within 250 ms, none broken".to_owned(),
            is_met: goodput >= 0.8 * maximum && rejections <= PROMPT && outcome.broken == 0,
        });
        Ok(())
    }

    async fn measure_grpc(&mut self, mayfly: &Server, limit: &Server) -> anyhow::Result<()> {
        let (mut bare, mut one) = (Vec::new(), Vec::new());
        for round in 1..=self.rounds() {
            bare.push(self.grpc_rate(limit).await?);
            one.push(self.grpc_rate(mayfly).await?);
            progress("gRPC", round, &[("tonic", &bare), ("up", &one)]);
        }
        let (connections, streams) = GRPC;
        let work = format!("gRPC `CreateMessage`, SQLite, {connections} connections × {streams} streams");
        self.compare(&work, &one, "bare tonic", &bare, 0.45);
        Ok(())
    }

    async fn measure_memory(&mut self, mayfly: &Server, limit: &Server, idle: f64) -> anyhow::Result<()> {
        let loaded = mayfly.memory()?;
        let mut connections = Vec::new();
        for number in 0..MANY_CONNECTIONS {
            let mut connection = Connection::open(mayfly.rest, number).await?;
            let status = connection.call(CREATE).await?.status;
            ensure!(status == 201, "status {status} with {number} connections");
            connections.push(connection);
        }
        let (connected, bare) = (mayfly.memory()?, limit.memory()?);
        drop(connections);
        let figures = json!({ "idle": idle, "after the loads": loaded, "with 1,000 connections": connected });
        self.figures.insert("memory MiB".to_owned(), figures);
        self.add(Row {
            work: "memory: idle / after these loads / with 1,000 connections".to_owned(),
            mayfly: format!("{idle:.0} / {loaded:.0} / {connected:.0} MiB"),
            limit: format!("bare axum and tonic after the loads: {bare:.0} MiB"),
            ratio: String::new(),
            goal: "≤ 20 / 64 / 96 MiB".to_owned(),
            is_met: idle <= 20.0 && loaded <= 64.0 && connected <= 96.0,
        });
        Ok(())
    }

    async fn measure_start(&mut self, data_dir: &Path, work: &str) -> anyhow::Result<()> {
        let mut starts = Vec::new();
        for _ in 0..STARTS {
            let server = Server::up(&self.settings.program, data_dir, None).await?;
            starts.push(server.start.as_secs_f64() * 1000.0);
            server.stop().await?;
        }
        let median = Median::of(&starts);
        self.figures.insert(work.to_owned(), json!({ "ms": starts }));
        self.add(Row {
            work: work.to_owned(),
            mayfly: with_range(median, "ms"),
            limit: String::new(),
            ratio: String::new(),
            goal: "≤ 50 ms".to_owned(),
            is_met: median.value <= 50.0,
        });
        Ok(())
    }

    async fn on_postgres(&mut self) -> anyhow::Result<()> {
        let settings = self.settings;
        let postgres = &settings.postgres;
        let limit = postgres.prepare_pgbench(self.folder.path()).await?;
        let url = postgres.create_database("bench_mayfly").await?;
        let mayfly = Server::up(&settings.program, &self.folder.path().join("postgres"), Some(&url)).await?;
        successes(&self.rest(&mayfly, CONNECTIONS, WARM_UP).await?)?;
        for (connections, goal) in [(CONNECTIONS, 1.2), (16, 0.7)] {
            let (mut bare, mut one) = (Vec::new(), Vec::new());
            for round in 1..=self.rounds() {
                bare.push(postgres.pgbench(&limit, self.folder.path(), connections, self.round()).await?);
                // A cycle is two requests.
                one.push(self.rest_rate(&mayfly, connections).await? / 2.0);
                progress("PostgreSQL", round, &[("pgbench", &bare), ("up", &one)]);
            }
            let work = format!("REST on PostgreSQL, {connections} connections, create and view cycles");
            self.compare(&work, &one, "pgbench, insert then delete by key", &bare, goal);
        }
        let mut rates = Vec::new();
        for _ in 0..self.rounds() {
            rates.push(self.grpc_rate(&mayfly).await?);
        }
        let rate = Median::of(&rates);
        let (connections, streams) = GRPC;
        let work = format!("gRPC `CreateMessage` on PostgreSQL, {connections} connections × {streams} streams");
        self.figures.insert(work.clone(), json!({ "mayfly": rates }));
        self.add(Row {
            work,
            mayfly: with_range(rate, "/s"),
            limit: String::new(),
            ratio: String::new(),
            goal: "≥ 30,000 /s".to_owned(),
            is_met: rate.value >= 30_000.0,
        });
        Ok(())
    }

    async fn with_unread(&mut self) -> anyhow::Result<()> {
        let unread = self.settings.unread.unwrap_or(if self.settings.quick { 100_000 } else { 10_000_000 });
        let program = &self.settings.program;
        let data_dir = self.folder.path().join("full");
        let empty = Server::up(program, &self.folder.path().join("empty"), None).await?;
        successes(&self.rest(&empty, CONNECTIONS, WARM_UP).await?)?;
        create_originals(&Server::up(program, &data_dir, None).await?).await?;
        let (mut sizes, mut memory) = (Vec::new(), [0.0; 2]);
        let powers = (4..9).map(|power| 10_u64.pow(power)).take_while(|size| *size < unread);
        for size in powers.chain([unread]) {
            let began = Instant::now();
            fill(&data_dir, size).await?;
            let full = Server::up(program, &data_dir, None).await?;
            eprintln!("{} unread messages, stored in {:.0} s", thousands(size as f64), began.elapsed().as_secs_f64());
            memory[0] = full.memory()?;
            successes(&self.rest(&full, CONNECTIONS, WARM_UP).await?)?;
            let mut costs = Costs { unread: size as f64, ..Costs::default() };
            for _ in 0..self.rounds() {
                costs.empty.push(self.cost(&empty).await?);
                costs.full.push(self.cost(&full).await?);
            }
            sizes.push(costs);
            memory[1] = full.memory()?;
            full.stop().await?;
        }
        self.figures.insert("time and CPU time of a request, us".to_owned(), json!(sizes));
        let Some(last) = sizes.last() else { return Ok(()) };
        let rates = |costs: &[[f64; 2]]| costs.iter().map(|[time, _]| 1e6 / time).collect::<Vec<_>>();
        let work = format!("REST, {} unread messages in SQLite", thousands(last.unread));
        self.compare(&work, &rates(&last.full), "itself, empty", &rates(&last.empty), 0.9);
        if let Some(row) = self.rows.last_mut() {
            row.mayfly += &format!(", memory {:.0} then {:.0} MiB", memory[0], memory[1]);
        }
        let work = format!("start with {} unread messages", thousands(last.unread));
        self.measure_start(&data_dir, &work).await?;
        self.draw_costs(&sizes)
    }

    /// The time and the CPU time for each request of a round, in microseconds.
    async fn cost(&self, server: &Server) -> anyhow::Result<[f64; 2]> {
        let before = server.cpu()?;
        let outcome = self.rest(server, CONNECTIONS, self.round()).await?;
        let cpu = server.cpu()?.saturating_sub(before);
        Ok([1e6 / successes(&outcome)?, cpu.as_secs_f64() * 1e6 / outcome.succeeded.len() as f64])
    }

    fn draw_costs(&self, sizes: &[Costs]) -> anyhow::Result<()> {
        let median = |costs: &[[f64; 2]], part: fn(&[f64; 2]) -> f64| {
            Median::of(&costs.iter().map(part).collect::<Vec<_>>()).value
        };
        let chart = |title, part: fn(&[f64; 2]) -> f64| {
            let full = sizes.iter().map(|costs| (costs.unread, median(&costs.full, part)));
            let empty = sizes.iter().map(|costs| (costs.unread, median(&costs.empty, part)));
            Chart {
                title,
                x_label: "unread messages in SQLite",
                x_scale: Scale::Log(10),
                y_scale: Scale::Linear,
                series: vec![
                    Series { name: "with so many messages", points: full.collect() },
                    Series { name: "without any, in the same minute", points: empty.collect() },
                ],
            }
        };
        let time = chart("Time for each request in µs", |[time, _]| *time);
        let cpu = chart("CPU time for each request in µs", |[_, cpu]| *cpu);
        self.draw("table-size", &[time, cpu])
    }

    /// The REST maximum of this run. Measured now if no other part has.
    async fn maximum(&mut self, mayfly: &Server) -> anyhow::Result<f64> {
        if self.maximum.is_none() {
            self.maximum = Some(self.rest_rate(mayfly, CONNECTIONS).await?);
        }
        self.maximum.context("the maximum was measured")
    }

    async fn rest(&self, server: &Server, connections: usize, duration: Duration) -> anyhow::Result<Outcome> {
        RestLoad::closed(server.rest, connections, duration).run().await
    }

    async fn rest_rate(&self, server: &Server, connections: usize) -> anyhow::Result<f64> {
        successes(&self.rest(server, connections, self.round()).await?)
    }

    async fn grpc_rate(&self, server: &Server) -> anyhow::Result<f64> {
        let (connections, streams) = GRPC;
        let load = GrpcLoad { server: server.grpc, connections, streams, duration: self.round() };
        let outcome = load.run().await?;
        // As many calls as a caller may have at once. Some are rejected, because they arrive before the end of the call
        // before them is counted.
        no_failures(&outcome)?;
        Ok(outcome.rate())
    }

    /// Adds a row for rates and those of their limit.
    fn compare(&mut self, work: &str, mayfly: &[f64], limit_name: &str, limit: &[f64], goal: f64) {
        self.figures.insert(work.to_owned(), json!({ "mayfly": mayfly, "limit": limit }));
        let ratios = Median::of_ratios(mayfly, limit);
        self.add(Row {
            work: work.to_owned(),
            mayfly: with_range(Median::of(mayfly), "/s"),
            limit: format!("{limit_name}: {}", with_range(Median::of(limit), "/s")),
            ratio: ratio(ratios),
            goal: format!("≥ {goal}"),
            is_met: ratios.value >= goal,
        });
    }

    fn add(&mut self, row: Row) {
        eprintln!("{}: {} ({})", row.work, row.mayfly, if row.ratio.is_empty() { &row.goal } else { &row.ratio });
        self.rows.push(row);
    }

    fn draw(&self, name: &str, charts: &[Chart]) -> anyhow::Result<()> {
        let folder = self.settings.images.as_ref().unwrap_or(&self.settings.output);
        fs::create_dir_all(folder)?;
        Ok(fs::write(folder.join(format!("{name}.svg")), svg(charts))?)
    }

    fn report(self, took: Duration) -> anyhow::Result<()> {
        let table = markdown(&self.rows);
        let output = &self.settings.output;
        fs::write(output.join("table.md"), &table)?;
        let all = json!({
            "seconds": took.as_secs(),
            "rounds": self.rounds(),
            "seconds of a round": self.round().as_secs_f64(),
            "rows": self.rows,
            "figures": self.figures,
        });
        fs::write(output.join("bench.json"), serde_json::to_vec_pretty(&all)?)?;
        println!("{table}");
        let met = self.rows.iter().filter(|row| row.is_met).count();
        println!(
            "{met} of {} goals met, in {} s; all figures are in {}",
            self.rows.len(),
            took.as_secs(),
            output.display()
        );
        Ok(())
    }
}

/// Creates the messages that [`fill`] copies.
async fn create_originals(server: &Server) -> anyhow::Result<()> {
    let mut connection = Connection::open(server.rest, 0).await?;
    for _ in 0..ORIGINALS {
        let status = connection.call(CREATE).await?.status;
        ensure!(status == 201, "status {status}");
    }
    Ok(())
}

/// The rate of a load, which must not have been rejected.
fn successes(outcome: &Outcome) -> anyhow::Result<f64> {
    no_failures(outcome)?;
    let first = outcome.first_failure.as_deref().unwrap_or_default();
    ensure!(outcome.broken == 0, "{} connections broke, the first one: {first}", outcome.broken);
    ensure!(outcome.rejected.is_empty(), "{} requests were rejected", outcome.rejected.len());
    Ok(outcome.rate())
}

fn no_failures(outcome: &Outcome) -> anyhow::Result<()> {
    let first = outcome.first_failure.as_deref().unwrap_or_default();
    ensure!(outcome.failed == 0, "{} requests failed, the first one: {first}", outcome.failed);
    ensure!(!outcome.succeeded.is_empty(), "no request succeeded");
    Ok(())
}

fn progress(what: &str, round: usize, rates: &[(&str, &[f64])]) {
    let rates =
        rates.iter().map(|(name, rates)| format!("{name} {} /s", thousands(rates.last().copied().unwrap_or_default())));
    eprintln!("{what}, round {round}: {}", rates.collect::<Vec<_>>().join(", "));
}

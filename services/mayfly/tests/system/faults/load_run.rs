//! A load run: one system, one load, one kind of fault, one verdict.

use std::{
    collections::HashSet,
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use mayfly_check::{Client, Event, EventKind, History, LoadGenerator, Target, Verdict, Workload, verify};
use mayfly_testkit::TestDatabase;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::{System, wait_until};

/// The number of messages in flight.
const WORKERS: usize = 8;

/// The number of faults in each test.
#[expect(clippy::disallowed_methods, reason = "tests have no command line")]
pub(crate) fn rounds() -> u64 {
    std::env::var("MAYFLY_FAULT_ROUNDS").map_or(3, |rounds| rounds.parse().expect("MAYFLY_FAULT_ROUNDS is a number"))
}

/// The number of faults that take seconds.
pub(super) fn slow_rounds() -> u64 {
    rounds().div_ceil(4)
}

/// The file for the history with this name, in a scratch folder unless `MAYFLY_FAULT_HISTORIES` is set.
#[expect(clippy::disallowed_methods, reason = "tests have no command line")]
pub(super) fn history_file(name: &str) -> PathBuf {
    let folder = std::env::var_os("MAYFLY_FAULT_HISTORIES").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    folder.unwrap_or_else(|| tempfile::tempdir().unwrap().keep()).join(format!("{name}.jsonl"))
}

/// The name of a run on this kind of database. Controls keep their suffix.
pub(super) fn name_on(database: &TestDatabase, name: &str) -> String {
    let kind = if database.url().starts_with("sqlite") { "sqlite" } else { "postgres" };
    match name.strip_suffix(".control") {
        None => format!("{name}-{kind}"),
        Some(name) => format!("{name}-{kind}.control"),
    }
}

/// A different seed for each load, so that two loads on one system never share keys.
fn seed() -> u64 {
    u64::from(std::process::id()) << 32 | u64::from(crate::harness::free_port())
}

pub(super) struct Run<T = Client> {
    pub(super) load: Arc<LoadGenerator<T>>,
    running: JoinHandle<io::Result<()>>,
    stop: CancellationToken,
    file: PathBuf,
}

/// A client for each protocol and role.
pub(super) fn all_clients(system: &System) -> Vec<Client> {
    let store = Client::grpc(&system.store_url).unwrap();
    let gateway = [Client::grpc(&system.gateway_url).unwrap(), Client::rest(&system.gateway_url).unwrap()];
    [store].into_iter().chain(gateway).collect()
}

impl<T: Target> Run<T> {
    pub(super) fn begin(name: &str, clients: Vec<T>, workload: Workload) -> Self {
        let file = history_file(name);
        let load = LoadGenerator::new(clients, History::create(&file).unwrap(), workload, seed());
        let stop = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&load).run(WORKERS, stop.clone()));
        Self { load, running, stop, file }
    }

    /// Records that the test injects a fault now.
    pub(super) fn fault(&self, fault: &str) {
        self.load.history().record_fault(fault).unwrap();
    }

    /// Waits for this many more known outcomes.
    pub(super) async fn wait_for_outcomes(&self, count: u64) {
        let goal = self.load.known_outcomes() + count;
        wait_until("more outcomes are known", async || self.load.known_outcomes() >= goal).await;
    }

    /// Waits for this many more unknown outcomes.
    pub(super) async fn wait_for_unknown_outcomes(&self, count: u64) {
        let goal = self.load.unknown_outcomes() + count;
        wait_until("more outcomes are unknown", async || self.load.unknown_outcomes() >= goal).await;
    }

    /// Waits until all workers wait for a response.
    pub(super) async fn wait_until_stalled(&self) {
        wait_until("all workers wait", async || self.load.in_flight() >= WORKERS as u64).await;
    }

    /// Returns `true` if a text has been forfeited for certain.
    pub(super) fn has_forfeited(&self) -> bool {
        self.verdict_so_far().forfeited > 0
    }

    /// The verdict on all messages without a call in flight.
    pub(super) fn verdict_so_far(&self) -> Verdict {
        let mut history = History::read(&self.file).unwrap();
        let completed = history.iter().filter(|event| matches!(event.kind, EventKind::Completed(_)));
        let completed: HashSet<_> = completed.map(|event| event.call_id).collect();
        let message_of = |event: &Event| match event.kind {
            EventKind::Invoked { message, .. } => Some(message),
            _ => None,
        };
        let incomplete = history.iter().filter(|event| !completed.contains(&event.call_id)).filter_map(message_of);
        let incomplete: HashSet<_> = incomplete.collect();
        history.retain(|event| message_of(event).is_none_or(|message| !incomplete.contains(&message)));
        verify(&history)
    }

    /// Ends the load, and verifies its history.
    pub(super) async fn verdict(self) -> Verdict {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
        verify_file(&self.file)
    }
}

/// Verifies a complete history.
pub(super) fn verify_file(file: &std::path::Path) -> Verdict {
    let verdict = verify(&History::read(file).unwrap());
    println!("{}: {verdict}", file.file_name().unwrap().display());
    verdict
}

/// Asserts that all guarantees hold in spite of this many faults.
pub(crate) fn assert_guarantees(verdict: Verdict, faults: u64) {
    assert!(verdict.is_complete(), "{verdict}");
    assert!(verdict.acknowledged > 0 && verdict.read_once > 0, "{verdict}");
    assert_eq!(verdict.faults, faults, "{verdict}");
}

/// Records a history call by call.
pub(crate) struct Recorder {
    history: History,
    file: PathBuf,
    number_of: Mutex<u64>,
}

impl Recorder {
    pub(crate) fn begin(name: &str) -> Arc<Self> {
        let file = history_file(name);
        Arc::new(Self { history: History::create(&file).unwrap(), file, number_of: Mutex::new(0) })
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// An unused message number of this history.
    pub(crate) fn new_message(&self) -> u64 {
        let mut number = self.number_of.lock().unwrap();
        *number += 1;
        *number
    }

    pub(crate) fn verdict(&self) -> Verdict {
        verify_file(&self.file)
    }
}

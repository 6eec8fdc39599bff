//! One system, one load, one kind of fault, one verdict.

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

use crate::harness::{System, until};

/// Messages on their way at a time.
const WORKERS: usize = 8;

/// How often each fault strikes.
#[expect(clippy::disallowed_methods, reason = "tests have no command line")]
pub(crate) fn rounds() -> u64 {
    std::env::var("MAYFLY_FAULT_ROUNDS").map_or(3, |rounds| rounds.parse().expect("MAYFLY_FAULT_ROUNDS is a number"))
}

/// How often a fault strikes that takes seconds.
pub(super) fn slow_rounds() -> u64 {
    rounds().div_ceil(4)
}

/// Where the history of this name goes. In a scratch folder of its own unless somebody wants to keep it.
#[expect(clippy::disallowed_methods, reason = "tests have no command line")]
pub(super) fn history_file(name: &str) -> PathBuf {
    let folder = std::env::var_os("MAYFLY_FAULT_HISTORIES").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    folder.unwrap_or_else(|| tempfile::tempdir().unwrap().keep()).join(format!("{name}.jsonl"))
}

/// What a trial on this kind of database is called; a control stays one by its name.
pub(super) fn name_on(database: &TestDatabase, name: &str) -> String {
    let kind = if database.url().starts_with("sqlite") { "sqlite" } else { "postgres" };
    match name.strip_suffix(".control") {
        None => format!("{name}-{kind}"),
        Some(name) => format!("{name}-{kind}.control"),
    }
}

/// Another number each time, so that no two loads on one system make the same keys.
fn seed() -> u64 {
    u64::from(std::process::id()) << 32 | u64::from(crate::harness::free_port())
}

pub(super) struct Run<T = Client> {
    pub(super) load: Arc<LoadGenerator<T>>,
    running: JoinHandle<io::Result<()>>,
    stop: CancellationToken,
    file: PathBuf,
}

/// Every way into a system.
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

    /// Writes down that something is broken now.
    pub(super) fn fault(&self, words: &str) {
        self.load.history().record_fault(words).unwrap();
    }

    /// Waits until so many more calls were answered.
    pub(super) async fn wait_for_outcomes(&self, answers: u64) {
        let goal = self.load.known_outcomes() + answers;
        until("there are more answers", async || self.load.known_outcomes() >= goal).await;
    }

    /// Waits until so many more calls had no answer.
    pub(super) async fn wait_for_unknown_outcomes(&self, tries: u64) {
        let goal = self.load.unknown_outcomes() + tries;
        until("calls have no answer", async || self.load.unknown_outcomes() >= goal).await;
    }

    /// Waits until so many calls are on their way at once, which they are when nobody is answered.
    pub(super) async fn wait_until_stalled(&self) {
        until("everybody waits", async || self.load.in_flight() >= WORKERS as u64).await;
    }

    /// Whether a text was forfeited for certain by now.
    pub(super) fn has_forfeited(&self) -> bool {
        self.verdict_so_far().forfeited > 0
    }

    /// The verdict on all messages that nobody waits for at the moment.
    pub(super) fn verdict_so_far(&self) -> Verdict {
        let mut history = History::read(&self.file).unwrap();
        let answered = history.iter().filter(|event| matches!(event.kind, EventKind::Completed(_)));
        let answered: HashSet<_> = answered.map(|event| event.call_id).collect();
        let message_of = |event: &Event| match event.kind {
            EventKind::Invoked { message, .. } => Some(message),
            _ => None,
        };
        let waiting = history.iter().filter(|event| !answered.contains(&event.call_id)).filter_map(message_of);
        let waiting: HashSet<_> = waiting.collect();
        history.retain(|event| message_of(event).is_none_or(|message| !waiting.contains(&message)));
        verify(&history)
    }

    /// Brings the load to its end, and judges it.
    pub(super) async fn verdict(self) -> Verdict {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
        verify_file(&self.file)
    }
}

/// Judges a history that is complete.
pub(super) fn verify_file(file: &std::path::Path) -> Verdict {
    let verdict = verify(&History::read(file).unwrap());
    println!("{}: {verdict}", file.file_name().unwrap().display());
    verdict
}

/// Everything that a system promises, in spite of this many faults.
pub(crate) fn assert_guarantees(verdict: Verdict, faults: u64) {
    assert!(verdict.is_complete(), "{verdict}");
    assert!(verdict.acknowledged > 0 && verdict.read_once > 0, "{verdict}");
    assert_eq!(verdict.faults, faults, "{verdict}");
}

/// A history that is written by hand, one call after the other.
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

    /// A number that no message of this diary has yet.
    pub(crate) fn new_message(&self) -> u64 {
        let mut number = self.number_of.lock().unwrap();
        *number += 1;
        *number
    }

    pub(crate) fn verdict(&self) -> Verdict {
        verify_file(&self.file)
    }
}

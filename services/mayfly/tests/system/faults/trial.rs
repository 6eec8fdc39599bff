//! One system, one load, one kind of fault, one verdict.

use std::{
    collections::HashSet,
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use mayfly_check::{Door, Event, Habits, History, Load, Target, Verdict, What, check};
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

pub(super) struct Trial<T = Door> {
    pub(super) load: Arc<Load<T>>,
    running: JoinHandle<io::Result<()>>,
    stop: CancellationToken,
    file: PathBuf,
}

/// Every way into a system.
pub(super) fn all_doors(system: &System) -> Vec<Door> {
    let store = Door::grpc(&system.store_url).unwrap();
    let gateway = [Door::grpc(&system.gateway_url).unwrap(), Door::rest(&system.gateway_url).unwrap()];
    [store].into_iter().chain(gateway).collect()
}

impl<T: Target> Trial<T> {
    pub(super) fn begin(name: &str, doors: Vec<T>, habits: Habits) -> Self {
        let file = history_file(name);
        let load = Load::new(doors, History::begin(&file).unwrap(), habits, seed());
        let stop = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&load).run(WORKERS, stop.clone()));
        Self { load, running, stop, file }
    }

    /// Writes down that something is broken now.
    pub(super) fn fault(&self, words: &str) {
        self.load.history().fault(words).unwrap();
    }

    /// Waits until so many more calls were answered.
    pub(super) async fn progress(&self, answers: u64) {
        let goal = self.load.answered() + answers;
        until("there are more answers", async || self.load.answered() >= goal).await;
    }

    /// Waits until so many more calls had no answer.
    pub(super) async fn trouble(&self, tries: u64) {
        let goal = self.load.unanswered() + tries;
        until("calls have no answer", async || self.load.unanswered() >= goal).await;
    }

    /// Waits until so many calls are on their way at once, which they are when nobody is answered.
    pub(super) async fn standstill(&self) {
        until("everybody waits", async || self.load.on_their_way() >= WORKERS as u64).await;
    }

    /// Whether a text was forfeited for certain by now.
    pub(super) fn has_forfeited(&self) -> bool {
        self.so_far().forfeited > 0
    }

    /// The verdict on all messages that nobody waits for at the moment.
    pub(super) fn so_far(&self) -> Verdict {
        let mut history = History::read(&self.file).unwrap();
        let answered = history.iter().filter(|event| matches!(event.what, What::Answered(_)));
        let answered: HashSet<_> = answered.map(|event| event.call_id).collect();
        let message_of = |event: &Event| match event.what {
            What::Intends { message, .. } => Some(message),
            _ => None,
        };
        let waiting = history.iter().filter(|event| !answered.contains(&event.call_id)).filter_map(message_of);
        let waiting: HashSet<_> = waiting.collect();
        history.retain(|event| message_of(event).is_none_or(|message| !waiting.contains(&message)));
        check(&history)
    }

    /// Brings the load to its end, and judges it.
    pub(super) async fn verdict(self) -> Verdict {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
        judge(&self.file)
    }
}

/// Judges a history that is complete.
pub(super) fn judge(file: &std::path::Path) -> Verdict {
    let verdict = check(&History::read(file).unwrap());
    println!("{}: {verdict}", file.file_name().unwrap().display());
    verdict
}

/// Everything that a system promises, in spite of this many faults.
pub(crate) fn assert_kept(verdict: Verdict, faults: u64) {
    assert!(verdict.is_complete(), "{verdict}");
    assert!(verdict.acknowledged > 0 && verdict.read_once > 0, "{verdict}");
    assert_eq!(verdict.faults, faults, "{verdict}");
}

/// A history that is written by hand, one call after the other.
pub(crate) struct Diary {
    history: History,
    file: PathBuf,
    number_of: Mutex<u64>,
}

impl Diary {
    pub(crate) fn begin(name: &str) -> Arc<Self> {
        let file = history_file(name);
        Arc::new(Self { history: History::begin(&file).unwrap(), file, number_of: Mutex::new(0) })
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
        judge(&self.file)
    }
}

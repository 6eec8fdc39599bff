//! Disks that are full, and disks that fail.

use std::{path::PathBuf, sync::Arc};

use mayfly_check::{Habits, Opener, Question, Reply, State, Target};
use mayfly_testkit::{PostgresServer, SmallDisk, TestDatabase};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseBackend, DatabaseConnection, Statement};

use super::{
    strace::Strace,
    trial::{Trial, all_doors, assert_kept, rounds, slow_rounds},
};
use crate::harness::{Layout, Options, System, until};

fn on_disk(disk: &SmallDisk) -> String {
    format!("sqlite://{}?mode=rwc", disk.path().join("mayfly.db").display())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full() {
    let disk = SmallDisk::mount("16m").unwrap();
    let database = TestDatabase::at(&on_disk(&disk)).unwrap();
    let system = System::start(Layout::Three, &database, Options::default()).await;
    let trial = Trial::begin("disk-full", all_doors(&system), Habits { text_bytes: 4096, ..Habits::default() });
    let beside = database.connect().await.unwrap();
    for _ in 0..rounds() {
        trial.progress(50).await;
        // A write-ahead log that is long already needs no room.
        let truncate = Statement::from_string(DatabaseBackend::Sqlite, "PRAGMA wal_checkpoint(TRUNCATE)");
        until("the write-ahead log is short", async || {
            let row = beside.query_one_raw(truncate.clone()).await.unwrap().unwrap();
            row.try_get_by_index::<i64>(0).unwrap() == 0
        })
        .await;
        trial.fault("the disk is full");
        disk.fill().unwrap();
        trial.trouble(10).await;
        disk.relieve().unwrap();
    }
    assert_kept(trial.verdict().await, rounds());
}

/// The name of a thread; the system keeps no more than 15 characters.
const AUTOCOMMIT: &str = "mayfly-believes";

/// A store that believes `RETURNING` before the commit, as the shortest code for SQLite does.
struct Autocommit(Arc<DatabaseConnection>);

impl Autocommit {
    async fn row(&self, statement: String) -> Result<Option<sea_orm::QueryResult>, sea_orm::DbErr> {
        self.0.query_one_raw(Statement::from_string(DatabaseBackend::Sqlite, statement)).await
    }
}

impl Target for Autocommit {
    async fn ask(&self, question: &Question) -> Reply {
        let statement = match question {
            Question::Create { text, .. } => format!("INSERT INTO messages (text) VALUES ('{text}') RETURNING id"),
            Question::Lookup { opener } => format!("SELECT text FROM messages WHERE id = {}", opener.id),
            Question::View { opener, .. } | Question::Burn { opener } | Question::Acknowledge { opener, .. } => {
                format!("DELETE FROM messages WHERE id = {} RETURNING text", opener.id)
            }
        };
        match (self.row(statement).await, question) {
            (Err(_), _) => Reply::Unknown,
            (Ok(None), _) => Reply::Gone,
            (Ok(Some(row)), Question::Create { .. }) => {
                Reply::Created(Opener { id: row.try_get_by_index(0).unwrap(), access_token: "none".to_owned() })
            }
            (Ok(Some(row)), Question::View { .. }) => Reply::Text(row.try_get_by_index(0).unwrap()),
            (Ok(Some(_)), Question::Lookup { .. }) => Reply::Found(State::Unread),
            (Ok(Some(_)), _) => Reply::Done,
        }
    }
}

/// A load on such a store. The thread that works for it is called [`AUTOCOMMIT`].
async fn begin_autocommit(name: &str, url: String) -> Trial<Autocommit> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).map_sqlx_sqlite_opts(|options| options.thread_name(|_| AUTOCOMMIT.to_owned()));
    let database = Database::connect(options).await.unwrap();
    let set_up =
        "PRAGMA journal_mode=WAL; CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL)";
    database.execute_unprepared(set_up).await.unwrap();
    let habits = Habits { have_keys: false, text_bytes: 4096, ..Habits::default() };
    Trial::begin(name, vec![Autocommit(Arc::new(database))], habits)
}

/// Control: the same disk under a store that does not wait for its commits.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_wait_for_its_commits_is_found_out_on_a_full_disk() {
    let disk = SmallDisk::mount("16m").unwrap();
    let trial = begin_autocommit("disk-full-autocommit.control", on_disk(&disk)).await;
    for _ in 0..3 {
        trial.progress(50).await;
        trial.fault("the disk is full");
        disk.fill().unwrap();
        trial.progress(50).await;
        disk.relieve().unwrap();
    }
    let verdict = trial.verdict().await;
    assert!(verdict.lost + verdict.read_twice > 0, "{verdict}");
}

/// Control: the same failures under a store that does not wait for its commits.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_wait_for_its_commits_is_found_out_on_a_disk_that_fails() {
    let database = TestDatabase::sqlite().unwrap();
    let trial = begin_autocommit("disk-fails-autocommit.control", database.url().to_owned()).await;
    let mut threads = std::fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path());
    let is_its =
        |thread: &PathBuf| std::fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim() == AUTOCOMMIT);
    let thread = threads.find(is_its).unwrap().file_name().unwrap().display().to_string();
    for error in ["EIO", "ENOSPC"] {
        trial.progress(50).await;
        trial.fault(&format!("{error} in pwrite64, call 3"));
        let failing = Strace::at_thread(thread.clone(), "pwrite64", &format!("error={error}:when=3+3")).await;
        trial.progress(50).await;
        failing.let_go().await;
    }
    let verdict = trial.verdict().await;
    assert!(verdict.lost + verdict.read_twice > 0, "{verdict}");
}

/// PostgreSQL has no room for its write-ahead log: it ends every time it needs some, and gives up in the end.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_of_postgres_is_full() {
    let disk = SmallDisk::mount("64m").unwrap();
    let server = PostgresServer::start_with_log_in(Some(disk.path())).unwrap();
    let database = server.database().await.unwrap();
    let mut system = System::start(Layout::Three, &database, Options::default()).await;
    let habits = Habits { text_bytes: 16 << 10, ..Habits::default() };
    let trial = Trial::begin("disk-full-postgres", all_doors(&system), habits);
    for _ in 0..slow_rounds() {
        trial.progress(50).await;
        trial.fault("the disk of PostgreSQL's write-ahead log is full");
        disk.fill().unwrap();
        trial.trouble(5).await;
        disk.relieve().unwrap();
        if !server.is_running() {
            server.start_again().unwrap();
        }
    }
    // Without a restart of the store.
    system.ready().await;
    assert_kept(trial.verdict().await, slow_rounds());
}

/// Syncs of PostgreSQL's write-ahead log fail: it panics, as it should, and recovers.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_of_postgres_fails() {
    let server = PostgresServer::start().unwrap();
    let database = server.database().await.unwrap();
    let mut system = System::start(Layout::Three, &database, Options::default()).await;
    let trial = Trial::begin("disk-fails-postgres", all_doors(&system), Habits::default());
    for round in 0..slow_rounds() {
        trial.progress(50).await;
        let error = ["EIO", "ENOSPC"][usize::try_from(round % 2).unwrap()];
        let nth = 1 + round % 20;
        trial.fault(&format!("{error} in the sync of PostgreSQL's write-ahead log, call {nth}"));
        let injection = format!("error={error}:when={nth}+{nth}");
        let failing = Strace::at_processes(&server.processes().unwrap(), "fdatasync", &injection).await;
        trial.trouble(3).await;
        failing.let_go().await;
        if !server.is_running() {
            server.start_again().unwrap();
        }
    }
    system.ready().await;
    assert_kept(trial.verdict().await, slow_rounds());
}

/// The n-th write, sync or truncation of the store's files fails, and again every n calls.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_fails() {
    let database = TestDatabase::sqlite().unwrap();
    let mut system = System::start(Layout::Three, &database, Options::default()).await;
    let trial = Trial::begin("disk-fails", all_doors(&system), Habits::default());
    for round in 0..rounds() {
        trial.progress(50).await;
        let call = ["pwrite64", "fdatasync,fsync", "ftruncate,pwrite64"][usize::try_from(round % 3).unwrap()];
        let error = ["EIO", "ENOSPC"][usize::try_from(round / 3 % 2).unwrap()];
        let nth = 1 + round % 200;
        trial.fault(&format!("{error} in {call}, call {nth}"));
        let injection = format!("error={error}:when={nth}+{nth}");
        let failing = Strace::at_processes(&[system.processes[0].id()], call, &injection).await;
        if nth < 20 {
            trial.trouble(3).await;
        } else {
            trial.progress(nth).await;
        }
        failing.let_go().await;
    }
    assert_kept(trial.verdict().await, rounds());
    system.stop().await;
    let database = database.connect().await.unwrap();
    let check = Statement::from_string(DatabaseBackend::Sqlite, "PRAGMA integrity_check");
    let verdict: String = database.query_one_raw(check).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    assert_eq!(verdict, "ok");
}

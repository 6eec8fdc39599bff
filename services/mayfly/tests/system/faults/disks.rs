//! Disks that are full, and disks that fail.

use std::{path::PathBuf, sync::Arc};

use mayfly_check::{Request, Response, State, Target, Workload};
use mayfly_contracts::MessageRef;
use mayfly_testkit::{PostgresServer, SmallDisk, TestDatabase};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseBackend, DatabaseConnection, Statement};

use super::{
    load_run::{Run, all_clients, assert_guarantees, rounds, slow_rounds},
    strace::Strace,
};
use crate::harness::{Layout, Options, System, wait_until};

fn on_disk(disk: &SmallDisk) -> String {
    format!("sqlite://{}?mode=rwc", disk.path().join("mayfly.db").display())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full_as_root() {
    let disk = SmallDisk::mount("16m").unwrap();
    let database = TestDatabase::at_url(&on_disk(&disk)).unwrap();
    let system = System::start(Layout::Three, &database, Options::default()).await;
    let run = Run::begin("disk-full", all_clients(&system), Workload { text_bytes: 4096, ..Workload::default() });
    let observer = database.connect().await.unwrap();
    for _ in 0..rounds() {
        run.wait_for_outcomes(50).await;
        // A long write-ahead log could be written without more space.
        let truncate = Statement::from_string(DatabaseBackend::Sqlite, "PRAGMA wal_checkpoint(TRUNCATE)");
        wait_until("the write-ahead log is short", async || {
            let row = observer.query_one_raw(truncate.clone()).await.unwrap().unwrap();
            row.try_get_by_index::<i64>(0).unwrap() == 0
        })
        .await;
        run.fault("the disk is full");
        disk.fill().unwrap();
        run.wait_for_unknown_outcomes(10).await;
        disk.free().unwrap();
    }
    assert_guarantees(run.verdict().await, rounds());
}

/// The name of a thread. Linux keeps 15 characters.
const AUTOCOMMIT: &str = "mayfly-believes";

/// A store that trusts `RETURNING` before the commit, as the simplest code for SQLite does.
struct Autocommit(Arc<DatabaseConnection>);

impl Autocommit {
    async fn row(&self, statement: String) -> Result<Option<sea_orm::QueryResult>, sea_orm::DbErr> {
        self.0.query_one_raw(Statement::from_string(DatabaseBackend::Sqlite, statement)).await
    }
}

impl Target for Autocommit {
    async fn call(&self, request: &Request) -> Response {
        let statement = match request {
            Request::Create { text, .. } => format!("INSERT INTO messages (text) VALUES ('{text}') RETURNING id"),
            Request::Lookup { message_ref } => format!("SELECT text FROM messages WHERE id = {}", message_ref.id),
            Request::View { message_ref, .. }
            | Request::Burn { message_ref }
            | Request::Acknowledge { message_ref, .. } => {
                format!("DELETE FROM messages WHERE id = {} RETURNING text", message_ref.id)
            }
        };
        match (self.row(statement).await, request) {
            (Err(_), _) => Response::Unknown,
            (Ok(None), _) => Response::Gone,
            (Ok(Some(row)), Request::Create { .. }) => {
                Response::Created(MessageRef { id: row.try_get_by_index(0).unwrap(), access_token: "none".to_owned() })
            }
            (Ok(Some(row)), Request::View { .. }) => Response::Text(row.try_get_by_index(0).unwrap()),
            (Ok(Some(_)), Request::Lookup { .. }) => Response::Found(State::Unread),
            (Ok(Some(_)), _) => Response::Done,
        }
    }
}

/// Begins a load on such a store. Its worker thread is called [`AUTOCOMMIT`].
async fn begin_autocommit(name: &str, url: String) -> Run<Autocommit> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).map_sqlx_sqlite_opts(|options| options.thread_name(|_| AUTOCOMMIT.to_owned()));
    let database = Database::connect(options).await.unwrap();
    let set_up =
        "PRAGMA journal_mode=WAL; CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL)";
    database.execute_unprepared(set_up).await.unwrap();
    let workload = Workload { idempotency_keys: false, text_bytes: 4096, ..Workload::default() };
    Run::begin(name, vec![Autocommit(Arc::new(database))], workload)
}

/// Negative control: a full disk under a store that does not wait for its commits.
#[tokio::test(flavor = "multi_thread")]
async fn trusting_uncommitted_statements_is_detected_on_a_full_disk_as_root() {
    let disk = SmallDisk::mount("16m").unwrap();
    let run = begin_autocommit("disk-full-autocommit.control", on_disk(&disk)).await;
    for _ in 0..3 {
        run.wait_for_outcomes(50).await;
        run.fault("the disk is full");
        disk.fill().unwrap();
        run.wait_for_outcomes(50).await;
        disk.free().unwrap();
    }
    let verdict = run.verdict().await;
    assert!(verdict.lost + verdict.read_twice > 0, "{verdict}");
}

/// Negative control: a failing disk under a store that does not wait for its commits.
#[tokio::test(flavor = "multi_thread")]
async fn trusting_uncommitted_statements_is_detected_on_a_failing_disk_under_strace() {
    let database = TestDatabase::sqlite().unwrap();
    let run = begin_autocommit("disk-fails-autocommit.control", database.url().to_owned()).await;
    let mut threads = std::fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path());
    let is_worker =
        |thread: &PathBuf| std::fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim() == AUTOCOMMIT);
    let thread = threads.find(is_worker).unwrap().file_name().unwrap().display().to_string();
    for error in ["EIO", "ENOSPC"] {
        run.wait_for_outcomes(50).await;
        run.fault(&format!("{error} in pwrite64, call 3"));
        let failing = Strace::at_thread(thread.clone(), "pwrite64", &format!("error={error}:when=3+3")).await;
        run.wait_for_outcomes(50).await;
        failing.detach().await;
    }
    let verdict = run.verdict().await;
    assert!(verdict.lost + verdict.read_twice > 0, "{verdict}");
}

/// PostgreSQL has no space for its write-ahead log. It restarts whenever it needs some, and finally gives up.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full_on_postgres_as_root() {
    let disk = SmallDisk::mount("64m").unwrap();
    let server = PostgresServer::start_with_wal_in(Some(disk.path())).unwrap();
    let database = server.database().await.unwrap();
    let mut system = System::start(Layout::Three, &database, Options::default()).await;
    let workload = Workload { text_bytes: 16 << 10, ..Workload::default() };
    let run = Run::begin("disk-full-postgres", all_clients(&system), workload);
    for _ in 0..slow_rounds() {
        run.wait_for_outcomes(50).await;
        run.fault("the disk of PostgreSQL's write-ahead log is full");
        disk.fill().unwrap();
        run.wait_for_unknown_outcomes(5).await;
        disk.free().unwrap();
        if !server.is_running() {
            server.restart().unwrap();
        }
    }
    // Without a restart of the store.
    system.wait_until_ready().await;
    assert_guarantees(run.verdict().await, slow_rounds());
}

/// Syncs of PostgreSQL's write-ahead log fail. It panics, as documented, and recovers.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_fails_on_postgres_under_strace() {
    let server = PostgresServer::start().unwrap();
    let database = server.database().await.unwrap();
    let mut system = System::start(Layout::Three, &database, Options::default()).await;
    let run = Run::begin("disk-fails-postgres", all_clients(&system), Workload::default());
    for round in 0..slow_rounds() {
        run.wait_for_outcomes(50).await;
        let error = ["EIO", "ENOSPC"][usize::try_from(round % 2).unwrap()];
        let nth = 1 + round % 20;
        run.fault(&format!("{error} in the sync of PostgreSQL's write-ahead log, call {nth}"));
        let injection = format!("error={error}:when={nth}+{nth}");
        let failing = Strace::at_processes(&server.process_ids().unwrap(), "fdatasync", &injection).await;
        run.wait_for_unknown_outcomes(3).await;
        failing.detach().await;
        if !server.is_running() {
            server.restart().unwrap();
        }
    }
    system.wait_until_ready().await;
    assert_guarantees(run.verdict().await, slow_rounds());
}

/// Every n-th write, sync or truncation of the store's files fails.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_fails_under_strace() {
    let database = TestDatabase::sqlite().unwrap();
    let mut system = System::start(Layout::Three, &database, Options::default()).await;
    let run = Run::begin("disk-fails", all_clients(&system), Workload::default());
    for round in 0..rounds() {
        run.wait_for_outcomes(50).await;
        let call = ["pwrite64", "fdatasync,fsync", "ftruncate,pwrite64"][usize::try_from(round % 3).unwrap()];
        let error = ["EIO", "ENOSPC"][usize::try_from(round / 3 % 2).unwrap()];
        let nth = 1 + round % 200;
        run.fault(&format!("{error} in {call}, call {nth}"));
        let injection = format!("error={error}:when={nth}+{nth}");
        let failing = Strace::at_processes(&[system.processes[0].id()], call, &injection).await;
        if nth < 20 {
            run.wait_for_unknown_outcomes(3).await;
        } else {
            run.wait_for_outcomes(nth).await;
        }
        failing.detach().await;
    }
    assert_guarantees(run.verdict().await, rounds());
    system.stop().await;
    let database = database.connect().await.unwrap();
    let check = Statement::from_string(DatabaseBackend::Sqlite, "PRAGMA integrity_check");
    let verdict: String = database.query_one_raw(check).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    assert_eq!(verdict, "ok");
}

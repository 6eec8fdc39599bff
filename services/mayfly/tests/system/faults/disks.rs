//! Disks that are full, and disks that fail.

use std::{process::Stdio, sync::Arc};

use mayfly_check::{Habits, Opener, Question, Reply, Target};
use mayfly_testkit::{SmallDisk, TestDatabase};
use sea_orm::{ConnectionTrait as _, Database, DatabaseBackend, DatabaseConnection, Statement};
use tokio::process::Command;

use super::trial::{Trial, all_doors, assert_kept, rounds};
use crate::harness::{Layout, Options, System};

fn on_disk(disk: &SmallDisk) -> String {
    format!("sqlite://{}?mode=rwc", disk.path().join("mayfly.db").display())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full() {
    let disk = SmallDisk::mount("16m").unwrap();
    let database = TestDatabase::at(&on_disk(&disk)).unwrap();
    let system = System::start(Layout::Three, &database, Options::default()).await;
    let trial = Trial::begin("disk-full", all_doors(&system), Habits { text_bytes: 4096, ..Habits::default() });
    for _ in 0..rounds() {
        trial.progress(50).await;
        trial.fault("the disk is full");
        disk.fill().unwrap();
        trial.trouble(10).await;
        disk.relieve().unwrap();
    }
    assert_kept(trial.verdict().await, rounds());
}

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
            (Ok(Some(_)), _) => Reply::Done,
        }
    }
}

/// Control: the same disk under a store that does not wait for its commits.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_wait_for_its_commits_is_found_out_on_a_full_disk() {
    let disk = SmallDisk::mount("16m").unwrap();
    let database = Arc::new(Database::connect(on_disk(&disk)).await.unwrap());
    let set_up =
        "PRAGMA journal_mode=WAL; CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL)";
    database.execute_unprepared(set_up).await.unwrap();
    let habits = Habits { have_keys: false, copies: 1, text_bytes: 4096 };
    let trial = Trial::begin("disk-full-autocommit.control", vec![Autocommit(Arc::clone(&database))], habits);
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
        let store = system.processes[0].id();
        let inject = format!("inject={call}:error={error}:when={nth}+{nth}");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-q", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject, "-p", &store]);
        strace.stderr(Stdio::null()).kill_on_drop(true);
        let mut strace = strace.spawn().expect("this test needs strace: apt-get install strace");
        if nth < 20 {
            trial.trouble(3).await;
        } else {
            trial.progress(nth).await;
        }
        // Lets go of the store, which goes on.
        let id = strace.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
        strace.wait().await.unwrap();
    }
    assert_kept(trial.verdict().await, rounds());
    system.stop().await;
    let database = database.connect().await.unwrap();
    let check = Statement::from_string(DatabaseBackend::Sqlite, "PRAGMA integrity_check");
    let verdict: String = database.query_one_raw(check).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    assert_eq!(verdict, "ok");
}

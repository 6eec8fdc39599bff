//! Backups that are put back: what was read since is unread in them.

use std::{fs, path::Path};

use mayfly_check::{Answer, Call};
use mayfly_contracts::{
    ErrorInfo,
    error::ErrorReason,
    message::{CreateMessageRequest, CreateMessageResponse, ViewMessageRequest},
};
use mayfly_testkit::{PostgresServer, TestDatabase};

use super::trial::{Diary, assert_kept, rounds};
use crate::harness::{Layout, Options, System, run};

/// A message of each round, and its number in the diary.
type Messages = Vec<(u64, CreateMessageResponse)>;

async fn create(system: &System, diary: &Diary) -> Messages {
    let mut messages = Vec::new();
    for _ in 0..rounds() {
        let number = diary.new_message();
        let call = diary.history().intend(number, Call::Create).unwrap();
        let message = system.messages().create_message(CreateMessageRequest::from_text("hello")).await.unwrap();
        diary.history().answered(call, Answer::Created(number)).unwrap();
        messages.push((number, message.into_inner()));
    }
    messages
}

/// Reads all of them, as somebody who has the link.
async fn read(system: &System, diary: &Diary, messages: &Messages) {
    for (number, message) in messages {
        let call = diary.history().intend(*number, Call::View { reader: None }).unwrap();
        let (id, access_token) = (message.id, message.access_token.clone());
        let request = ViewMessageRequest { id, access_token, ..ViewMessageRequest::default() };
        let answer = match system.messages().view_message(request).await {
            Ok(viewed) => {
                assert_eq!(viewed.into_inner().text(), Some("hello"));
                Answer::Text(Some(*number))
            }
            Err(status) => {
                let reason = ErrorInfo::from_status(&status).reason;
                assert!(matches!(reason, ErrorReason::MessageViewed | ErrorReason::MessageNotFound), "{status}");
                Answer::Gone
            }
        };
        diary.history().answered(call, answer).unwrap();
    }
}

/// Destroys every key that was in use, as the manual says to do after a restore.
async fn destroy_keys(system: &System, database_url: &str) {
    let data = system.data.display().to_string();
    let keys = async |arguments: &[&str]| {
        let said = run(&[&["keys"], arguments, &["--data-dir", &data]].concat()).await;
        assert_eq!(said.code, 0, "{}", said.err);
        said.out
    };
    let listed: serde_json::Value = serde_json::from_str(&keys(&["list", "--json"]).await).unwrap();
    keys(&["rotate", "--activate-in", "0s"]).await;
    for key in listed.as_array().unwrap() {
        keys(&["retire", key["id"].as_str().unwrap(), "--force", "--database-url", database_url]).await;
    }
}

/// The store goes on, on what was put back at `database_url`. Reads everything once more, before the keys are destroyed for the
/// control, afterwards for the promise.
async fn go_on(system: &mut System, database_url: &str, name: &str, diary: &Diary, messages: &Messages) {
    let is_control = Path::new(name).extension().is_some_and(|extension| extension == "control");
    if !is_control {
        destroy_keys(system, database_url).await;
    }
    let options = Options { database_url: Some(database_url), ..Options::default() };
    system.start_processes(Layout::One, options).await;
    read(system, diary, messages).await;
    diary.history().fault("a backup was put back").unwrap();
    let verdict = diary.verdict();
    if is_control {
        assert_eq!(verdict.read_twice, rounds(), "{verdict}");
    } else {
        assert_kept(verdict, 1);
    }
}

/// Copies a database that nobody has open: the file, and the write-ahead log with what is not in the file yet.
fn copy_sqlite(from: &Path, to: &Path) {
    for name in ["mayfly.db", "mayfly.db-wal", "mayfly.db-shm"] {
        drop(fs::remove_file(to.join(name)));
        if from.join(name).exists() && name != "mayfly.db-shm" {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_copy_of_sqlite_opens_nothing_once_its_keys_are_gone() {
    for name in ["restored-sqlite.control", "restored-sqlite"] {
        let database = TestDatabase::sqlite().unwrap();
        let mut system = System::start(Layout::One, &database, Options::default()).await;
        let diary = Diary::begin(name);
        let messages = create(&system, &diary).await;
        system.stop().await;
        let backup = tempfile::tempdir().unwrap();
        copy_sqlite(&database.folder(), backup.path());
        system.start_processes(Layout::One, Options::default()).await;
        read(&system, &diary, &messages).await;
        system.stop().await;
        copy_sqlite(backup.path(), &database.folder());
        go_on(&mut system, database.url(), name, &diary, &messages).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_base_backup_of_postgres_opens_nothing_once_its_keys_are_gone() {
    let server = PostgresServer::start().unwrap();
    let database = server.database().await.unwrap();
    for name in ["restored-postgres.control", "restored-postgres"] {
        let mut system = System::start(Layout::One, &database, Options::default()).await;
        let diary = Diary::begin(name);
        let messages = create(&system, &diary).await;
        let backup = server.folder().join(name);
        server.back_up(&backup).unwrap();
        read(&system, &diary, &messages).await;
        system.stop().await;
        let restored = PostgresServer::restore(&backup).unwrap();
        let url = restored.existing_database().unwrap().url().to_owned();
        go_on(&mut system, &url, name, &diary, &messages).await;
        system.stop().await;
    }
}

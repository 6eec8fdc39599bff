//! Restored backups, in which messages are unread that were read since.

use std::{fs, path::Path};

use mayfly_check::{Call, Outcome};
use mayfly_contracts::{
    ErrorInfo,
    error::ErrorReason,
    message::{CreateMessageRequest, CreateMessageResponse, ViewMessageRequest},
};
use mayfly_testkit::{PostgresServer, TestDatabase};

use super::load_run::{Recorder, assert_guarantees, rounds};
use crate::harness::{Layout, Options, System, run};

/// The messages of a test, with their numbers in the history.
type Messages = Vec<(u64, CreateMessageResponse)>;

async fn create(system: &System, recorder: &Recorder) -> Messages {
    let mut messages = Vec::new();
    for _ in 0..rounds() {
        let number = recorder.new_message();
        let call = recorder.history().record_invocation(number, Call::Create).unwrap();
        let message = system.messages().create_message(CreateMessageRequest::from_text("hello")).await.unwrap();
        recorder.history().record_outcome(call, Outcome::Created(number)).unwrap();
        messages.push((number, message.into_inner()));
    }
    messages
}

/// Reads all messages with their tokens.
async fn read(system: &System, recorder: &Recorder, messages: &Messages) {
    for (number, message) in messages {
        let call = recorder.history().record_invocation(*number, Call::View { reader: None }).unwrap();
        let (id, access_token) = (message.id, message.access_token.clone());
        let request = ViewMessageRequest { id, access_token, ..ViewMessageRequest::default() };
        let outcome = match system.messages().view_message(request).await {
            Ok(viewed) => {
                assert_eq!(viewed.into_inner().text(), Some("hello"));
                Outcome::Text(Some(*number))
            }
            Err(status) => {
                let reason = ErrorInfo::from_status(&status).reason;
                assert!(matches!(reason, ErrorReason::MessageViewed | ErrorReason::MessageNotFound), "{status}");
                Outcome::Gone
            }
        };
        recorder.history().record_outcome(call, outcome).unwrap();
    }
}

/// Destroys all keys that were in use, as the documentation requires after a restore.
async fn destroy_keys(system: &System, database_url: &str) {
    let data = system.data.display().to_string();
    let keys = async |arguments: &[&str]| {
        let output = run(&[&["keys"], arguments, &["--data-dir", &data]].concat()).await;
        assert_eq!(output.code, 0, "{}", output.err);
        output.out
    };
    let listed: serde_json::Value = serde_json::from_str(&keys(&["list", "--json"]).await).unwrap();
    keys(&["rotate", "--activate-in", "0s"]).await;
    for key in listed.as_array().unwrap() {
        keys(&["retire", key["id"].as_str().unwrap(), "--force", "--database-url", database_url]).await;
    }
}

/// The negative control of a test keeps what may have been read.
fn is_control(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "control")
}

/// Destroys the keys, starts the store on the restored database at `database_url`, and reads all messages once more.
async fn continue_on_backup(
    system: &mut System,
    database_url: &str,
    name: &str,
    recorder: &Recorder,
    messages: &Messages,
) {
    if !is_control(name) {
        destroy_keys(system, database_url).await;
    }
    read_again(system, database_url, name, recorder, messages).await;
}

/// Starts the store on the restored database at `database_url`, and reads all messages once more.
async fn read_again(system: &mut System, database_url: &str, name: &str, recorder: &Recorder, messages: &Messages) {
    let options = Options { database_url: Some(database_url), ..Options::default() };
    system.start_processes(Layout::One, options).await;
    read(system, recorder, messages).await;
    recorder.history().record_fault("a backup was restored").unwrap();
    let verdict = recorder.verdict();
    if is_control(name) {
        assert_eq!(verdict.read_twice, rounds(), "{verdict}");
    } else {
        assert_guarantees(verdict, 1);
    }
}

/// Copies a closed database: the file, and the write-ahead log with its latest changes.
fn copy_sqlite(from: &Path, to: &Path) {
    for name in ["mayfly.db", "mayfly.db-wal", "mayfly.db-shm"] {
        drop(fs::remove_file(to.join(name)));
        if from.join(name).exists() && name != "mayfly.db-shm" {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_copy_is_unreadable_without_its_keys_on_sqlite() {
    for name in ["restored-sqlite.control", "restored-sqlite"] {
        let database = TestDatabase::sqlite().unwrap();
        let mut system = System::start(Layout::One, &database, Options::default()).await;
        let recorder = Recorder::begin(name);
        let messages = create(&system, &recorder).await;
        system.stop().await;
        let backup = tempfile::tempdir().unwrap();
        copy_sqlite(&database.folder(), backup.path());
        system.start_processes(Layout::One, Options::default()).await;
        read(&system, &recorder, &messages).await;
        system.stop().await;
        copy_sqlite(backup.path(), &database.folder());
        continue_on_backup(&mut system, database.url(), name, &recorder, &messages).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_mayfly_restored_is_unreadable_on_sqlite() {
    for name in ["restored-by-mayfly.control", "restored-by-mayfly"] {
        let database = TestDatabase::sqlite().unwrap();
        let mut system = System::start(Layout::One, &database, Options::default()).await;
        let recorder = Recorder::begin(name);
        let messages = create(&system, &recorder).await;
        let backup = database.folder().join("backup.db").display().to_string();
        let data = system.data.display().to_string();
        let target = ["--data-dir", &data, "--database-url", database.url()];
        let taken = run(&[&["backup", &backup], &target[..]].concat()).await;
        assert_eq!(taken.code, 0, "{}", taken.err);
        read(&system, &recorder, &messages).await;
        system.stop().await;
        let keep: &[&str] = if is_control(name) { &["--keep-messages"] } else { &[] };
        let restored = run(&[&["restore", &backup, "--replace"], keep, &target[..]].concat()).await;
        assert_eq!(restored.code, 0, "{}", restored.err);
        read_again(&mut system, database.url(), name, &recorder, &messages).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_base_backup_is_unreadable_without_its_keys_on_postgres() {
    let server = PostgresServer::start().unwrap();
    let database = server.database().await.unwrap();
    for name in ["restored-postgres.control", "restored-postgres"] {
        let mut system = System::start(Layout::One, &database, Options::default()).await;
        let recorder = Recorder::begin(name);
        let messages = create(&system, &recorder).await;
        let backup = server.folder().join(name);
        server.back_up(&backup).unwrap();
        read(&system, &recorder, &messages).await;
        system.stop().await;
        let restored = PostgresServer::restore(&backup).unwrap();
        let url = restored.existing_database().unwrap().url().to_owned();
        continue_on_backup(&mut system, &url, name, &recorder, &messages).await;
        system.stop().await;
    }
}

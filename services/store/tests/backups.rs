//! Backups of a SQLite database: what they contain, and what a restore makes of them.

#![cfg(test)]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use mayfly_contracts::{
    ErrorInfo,
    error::ErrorReason,
    message::{CreateMessageRequest, CreateMessageResponse, MessageState, ViewMessageRequest},
};
use mayfly_store::{
    BackupError, DataSettings, Database, ExistingDatabase, KeyringFile, KeyringSettings, RestoreError, RestoreOptions,
    Restored, UnreadMessages, back_up, restore,
};
use mayfly_testkit::{SmallDisk, TestClock, TestDatabase, TestStore, leak_scan::contains};
use sea_orm::{ConnectionTrait as _, Statement};
use tonic::Status;

const VIEW_ID: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";
const END: UnreadMessages = UnreadMessages::End { receipt_retention: Duration::from_hours(24 * 30) };

fn file_of(database: &TestDatabase) -> PathBuf {
    database.folder().join("mayfly.db")
}

/// Backs up the database of `store` to a new file.
async fn back_up_to(store: &TestStore, name: &str) -> PathBuf {
    let to = store.database.folder().join(name);
    back_up(&Database::sqlite_file(&file_of(&store.database)), &to).await.unwrap();
    to
}

fn keyring_of(database: &TestDatabase) -> KeyringFile {
    let data = DataSettings { data_dir: database.folder().join("data"), group_readable_secrets: false };
    KeyringSettings { keyring: None }.file(&data)
}

/// Restores `backup` as `target`, with the keyring of `original`.
async fn restore_as(
    target: &TestDatabase,
    original: &TestDatabase,
    backup: &Path,
    unread: UnreadMessages,
    clock: &TestClock,
) -> Result<Restored, RestoreError> {
    let options = RestoreOptions { unread, existing: ExistingDatabase::Reject };
    let database = Database::sqlite_file(&file_of(target));
    restore(&database, &keyring_of(original), backup, options, clock).await.map(Result::unwrap)
}

/// Opens a store on the restored database, with the keyring of `original`.
async fn open_restored(target: &TestDatabase, original: &TestDatabase, clock: &TestClock) -> TestStore {
    let keyring = original.folder().join("data/keyring.json").display().to_string();
    TestStore::open_with(target.clone(), clock.clone(), &["--keyring", &keyring]).await.unwrap()
}

fn with_view_id(message: &CreateMessageResponse) -> ViewMessageRequest {
    ViewMessageRequest {
        id: message.id,
        access_token: message.access_token.clone(),
        view_id: VIEW_ID.into(),
        ..ViewMessageRequest::default()
    }
}

fn reason(status: &Status) -> ErrorReason {
    ErrorInfo::from_status(status).reason
}

async fn numbers(database: &TestDatabase, query: &str) -> Vec<i64> {
    let connection = database.connect().await.unwrap();
    let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), query)).await;
    let row = row.unwrap().unwrap();
    let numbers = (0..row.column_names().len()).map(|index| row.try_get_by_index(index).unwrap()).collect();
    connection.close().await.unwrap();
    numbers
}

/// The sealed content of the newest unread message.
async fn sealed_content(database: &TestDatabase) -> Vec<u8> {
    let connection = database.connect().await.unwrap();
    let query = "SELECT sealed_content FROM messages ORDER BY id DESC LIMIT 1";
    let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), query)).await;
    let sealed = row.unwrap().unwrap().try_get_by_index(0).unwrap();
    connection.close().await.unwrap();
    sealed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_private_and_has_nothing_of_a_burned_message() {
    let store = TestStore::open(TestDatabase::sqlite().unwrap()).await.unwrap();
    store.create("unread").await.unwrap();
    let unread = sealed_content(&store.database).await;
    let message = store.create("burned").await.unwrap();
    let burned = sealed_content(&store.database).await;
    store.burn(&message).await.unwrap();

    let backup = back_up_to(&store, "backup.db").await;
    let files = ["mayfly.db", "mayfly.db-wal"].map(|name| fs::read(store.database.folder().join(name)).unwrap());
    assert!(contains(&files.concat(), &burned), "the files of the store still have the burned message");
    let copy = fs::read(&backup).unwrap();
    assert!(contains(&copy, &unread));
    assert!(!contains(&copy, &burned));
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_the_rows_of_one_moment_while_messages_are_created_and_read() {
    let store = TestStore::open(TestDatabase::sqlite().unwrap()).await.unwrap();
    for number in 0..100 {
        store.create(&"x".repeat(1 + number * 40)).await.unwrap();
    }
    let work = async {
        loop {
            let message = store.create("hello").await.unwrap();
            store.view(&message).await.unwrap();
            store.create("unread").await.unwrap();
        }
    };
    let backups = async {
        for number in 0..3 {
            let backup = back_up_to(&store, &format!("{number}.db")).await;
            let copy = TestDatabase::at_url(&format!("sqlite://{}", backup.display())).unwrap();
            let counted = "SELECT (SELECT COUNT(*) FROM messages), (SELECT SUM(messages) FROM usage), \
                 (SELECT COUNT(*) FROM receipts), (SELECT SUM(receipts) FROM usage)";
            let counted = numbers(&copy, counted).await;
            assert!(counted[0] >= 100 && counted[0] == counted[1] && counted[2] == counted[3], "{counted:?}");
        }
    };
    tokio::select! {
        () = work => {}
        () = backups => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_ends_all_messages_as_viewed_and_keeps_what_had_ended() {
    let store = TestStore::open(TestDatabase::sqlite().unwrap()).await.unwrap();
    let repeatable = CreateMessageRequest { request_id: VIEW_ID.into(), ..CreateMessageRequest::from_text("text") };
    let unread = store.create_with(repeatable.clone()).await.unwrap();
    let (burned, claimed) = (store.create("text").await.unwrap(), store.create("text").await.unwrap());
    store.burn(&burned).await.unwrap();
    store.messages().view_message(with_view_id(&claimed)).await.unwrap();
    let backup = back_up_to(&store, "backup.db").await;

    let target = TestDatabase::sqlite().unwrap();
    let restored = restore_as(&target, &store.database, &backup, END, &store.clock).await.unwrap();
    assert_eq!(restored, Restored { ended: 1, kept: 0, set_aside: None });
    let left = fs::read_dir(target.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(left, ["mayfly.db"], "no other file is left");
    assert_eq!(fs::metadata(file_of(&target)).unwrap().permissions().mode() & 0o777, 0o600);

    let again = open_restored(&target, &store.database, &store.clock).await;
    assert_eq!(reason(&again.view(&unread).await.unwrap_err()), ErrorReason::MessageViewed);
    assert_eq!(again.lookup(&unread).await.unwrap().state(), MessageState::Viewed);
    assert_eq!(again.lookup(&burned).await.unwrap().state(), MessageState::Burned);
    let repeated = again.messages().view_message(with_view_id(&claimed)).await.unwrap_err();
    assert_eq!(reason(&repeated), ErrorReason::MessageViewed, "the claim is erased");
    let repeated = again.create_with(repeatable).await.unwrap();
    assert_eq!((repeated.id, &repeated.access_token), (unread.id, &unread.access_token), "the receipt is found");

    let counted = "SELECT (SELECT COUNT(*) FROM messages), (SELECT SUM(messages) FROM usage), \
         (SELECT SUM(claims) FROM usage), (SELECT COUNT(*) FROM receipts), (SELECT SUM(receipts) FROM usage)";
    assert_eq!(numbers(&target, counted).await, [0, 0, 0, 3, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_store_assigns_no_number_that_was_assigned_after_the_backup() {
    for messages_before in [0, 2] {
        let store = TestStore::open(TestDatabase::sqlite().unwrap()).await.unwrap();
        for _ in 0..messages_before {
            store.create("text").await.unwrap();
        }
        let backup = back_up_to(&store, "backup.db").await;
        let request = CreateMessageRequest { request_id: VIEW_ID.into(), ..CreateMessageRequest::from_text("text") };
        let message = store.create_with(request.clone()).await.unwrap();
        store.view(&message).await.unwrap();

        let target = TestDatabase::sqlite().unwrap();
        restore_as(&target, &store.database, &backup, END, &store.clock).await.unwrap();
        let again = open_restored(&target, &store.database, &store.clock).await;
        // The token follows from the request id, so the old link would open a message with the same number.
        let repeated = again.create_with(request).await.unwrap();
        assert_eq!(repeated.access_token, message.access_token);
        assert_ne!(repeated.id, message.id);
        assert_eq!(reason(&again.view(&message).await.unwrap_err()), ErrorReason::MessageNotFound);
        assert_eq!(again.view(&repeated).await.unwrap().text(), Some("text"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_may_keep_messages() {
    let store = TestStore::open(TestDatabase::sqlite().unwrap()).await.unwrap();
    let message = store.create("text").await.unwrap();
    let backup = back_up_to(&store, "backup.db").await;
    let target = TestDatabase::sqlite().unwrap();
    let restored = restore_as(&target, &store.database, &backup, UnreadMessages::Keep, &store.clock).await.unwrap();
    assert_eq!(restored, Restored { ended: 0, kept: 1, set_aside: None });
    let again = open_restored(&target, &store.database, &store.clock).await;
    assert_eq!(again.view(&message).await.unwrap().text(), Some("text"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_cannot_be_used_is_rejected_and_nothing_is_written() {
    let store = TestStore::open(TestDatabase::sqlite().unwrap()).await.unwrap();
    for _ in 0..100 {
        store.create(&"x".repeat(1000)).await.unwrap();
    }
    let backup = back_up_to(&store, "backup.db").await;
    let good = fs::read(&backup).unwrap();
    let at = |name: &str| store.database.folder().join(name);
    fs::write(at("text"), "not a database ".repeat(1000)).unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::write(at("truncated"), &good[..good.len() / 2]).unwrap();
    let mut damaged = good.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 4096].fill(0xff);
    fs::write(at("damaged"), damaged).unwrap();
    let changed = async |name: &str, change: &str| {
        fs::write(at(name), &good).unwrap();
        let copy = TestDatabase::at_url(&format!("sqlite://{}", at(name).display())).unwrap();
        let connection = copy.connect().await.unwrap();
        connection.execute_unprepared(change).await.unwrap();
        connection.close().await.unwrap();
    };
    changed("foreign", "DROP TABLE schema_changes").await;
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_later', 0); \
         INSERT INTO schema_changes (program_version) VALUES ('7.1.0')";
    changed("newer", newer).await;
    let other = TestStore::open(TestDatabase::sqlite().unwrap()).await.unwrap();

    let target = TestDatabase::sqlite().unwrap();
    for (name, keyring, expected) in [
        ("text", &store, "not an intact SQLite database"),
        ("truncated", &store, "not an intact SQLite database"),
        ("damaged", &store, "not an intact SQLite database"),
        ("empty", &store, "not a database of Mayfly"),
        ("foreign", &store, "not a database of Mayfly"),
        ("newer", &store, "cannot be used"),
        ("missing", &store, "cannot read"),
        (".", &store, "cannot copy"),
        ("backup.db", &other, "the keyring (--keyring) does not fit this database"),
    ] {
        let rejected = restore_as(&target, &keyring.database, &at(name), END, &store.clock).await.unwrap_err();
        assert!(rejected.to_string().contains(expected), "{name}: {rejected}");
        assert_eq!(fs::read_dir(target.folder()).unwrap().count(), 0, "{name}");
    }
    assert_eq!(fs::read(&backup).unwrap(), good, "the backup stays as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_ahead_log_without_its_database_is_not_joined_with_a_backup() {
    let store = TestStore::open(TestDatabase::sqlite().unwrap()).await.unwrap();
    let backup = back_up_to(&store, "backup.db").await;
    let target = TestDatabase::sqlite().unwrap();
    fs::write(target.folder().join("mayfly.db-wal"), "log").unwrap();
    let rejected = restore_as(&target, &store.database, &backup, END, &store.clock).await.unwrap_err();
    assert!(matches!(rejected, RestoreError::LogWithoutDatabase { .. }), "{rejected}");
    assert_eq!(fs::read_dir(target.folder()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_cannot_be_written_leaves_no_file() {
    let store = TestStore::open(TestDatabase::sqlite().unwrap()).await.unwrap();
    let database = Database::sqlite_file(&file_of(&store.database));
    let folder = tempfile::tempdir().unwrap();
    let existing = folder.path().join("existing");
    fs::write(&existing, "other").unwrap();
    let rejected = back_up(&database, &existing).await.unwrap_err();
    assert!(matches!(rejected, BackupError::Exists { .. }), "{rejected}");
    assert_eq!(fs::read(&existing).unwrap(), b"other");
    let rejected = back_up(&database, &folder.path().join("new/backup.db")).await.unwrap_err();
    assert!(matches!(rejected, BackupError::Write { .. }), "{rejected}");
    let missing = Database::sqlite_file(&folder.path().join("missing.db"));
    let rejected = back_up(&missing, &folder.path().join("backup.db")).await.unwrap_err();
    assert!(matches!(rejected, BackupError::NoDatabase { .. }), "{rejected}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_gets_full_leaves_neither_half_a_backup_nor_half_a_restore_as_root() {
    let store = TestStore::open(TestDatabase::sqlite().unwrap()).await.unwrap();
    for _ in 0..64 {
        store.create(&"x".repeat(60_000)).await.unwrap();
    }
    let disk = SmallDisk::mount("2m").unwrap();
    let database = Database::sqlite_file(&file_of(&store.database));
    let failed = back_up(&database, &disk.path().join("backup.db")).await.unwrap_err();
    assert!(matches!(failed, BackupError::Copy { .. }), "{failed}");
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);

    let backup = back_up_to(&store, "backup.db").await;
    let target = Database::sqlite_file(&disk.path().join("mayfly.db"));
    let options = RestoreOptions { unread: END, existing: ExistingDatabase::Reject };
    let failed = restore(&target, &keyring_of(&store.database), &backup, options, &store.clock).await.unwrap_err();
    assert!(matches!(failed, RestoreError::Copy { .. }), "{failed}");
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
}

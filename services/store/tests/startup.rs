//! What is checked when a store starts: schema, keyring, tokens, settings.

#![cfg(test)]

use std::{fs, os::unix::fs::PermissionsExt as _};

use mayfly_testkit::{TestClock, TestDatabase, TestStore, on_each_database};
use sea_orm::{ConnectionTrait as _, Statement};

async fn startup_error(database: &TestDatabase, arguments: &[&str]) -> String {
    match TestStore::open_with(database.clone(), TestClock::default(), arguments).await {
        Ok(_) => panic!("the store opened with {arguments:?}"),
        Err(error) => format!("{error:#}"),
    }
}

fn path(database: &TestDatabase, name: &str) -> String {
    database.folder().join(name).display().to_string()
}

on_each_database! {
    async fn two_stores_may_start_at_once(database: TestDatabase) {
        let (clock, arguments) = (TestClock::default(), [].as_slice());
        let starts = (0..4).map(|_| TestStore::open_with(database.clone(), clock.clone(), arguments));
        let stores = futures_util::future::try_join_all(starts).await.unwrap();
        let message = stores[0].create("hello").await.unwrap();
        assert_eq!(stores[3].view(&message).await.unwrap().text(), Some("hello"));
    }

    async fn the_schema_goes_up_and_down_and_up_again(database: TestDatabase) {
        let connection = database.connect().await.unwrap();
        for _ in 0..2 {
            assert_eq!(mayfly_migrations::apply(&connection).await.unwrap(), 2);
            assert_eq!(mayfly_migrations::apply(&connection).await.unwrap(), 0);
            mayfly_migrations::revert_all(&connection).await.unwrap();
        }
    }

    async fn a_newer_schema_is_rejected_and_its_program_is_named(database: TestDatabase) {
        let connection = database.connect().await.unwrap();
        mayfly_migrations::apply(&connection).await.unwrap();
        let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_later', 0)";
        connection.execute_unprepared(newer).await.unwrap();
        for version in ["7.0.0", "7.1.0"] {
            let change = format!("INSERT INTO schema_changes (program_version) VALUES ('{version}')");
            connection.execute_unprepared(&change).await.unwrap();
        }
        let rejected = startup_error(&database, &[]).await;
        assert!(rejected.contains("m29990101_000001_later"), "{rejected}");
        assert!(rejected.contains("Mayfly 7.1.0") && rejected.contains(env!("CARGO_PKG_VERSION")), "{rejected}");
    }

    async fn a_newer_schema_of_an_unknown_program_is_rejected(database: TestDatabase) {
        let connection = database.connect().await.unwrap();
        mayfly_migrations::apply(&connection).await.unwrap();
        for statement in [
            "DROP TABLE schema_changes",
            "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_later', 0)",
        ] {
            connection.execute_unprepared(statement).await.unwrap();
        }
        let rejected = startup_error(&database, &[]).await;
        assert!(rejected.contains("Mayfly of a newer version"), "{rejected}");
    }

    async fn the_program_that_migrated_the_schema_is_recorded_once(database: TestDatabase) {
        for _ in 0..2 {
            TestStore::open(database.clone()).await.unwrap();
        }
        let connection = database.connect().await.unwrap();
        let backend = connection.get_database_backend();
        let changes = Statement::from_string(backend, "SELECT program_version FROM schema_changes");
        let rows = connection.query_all_raw(changes).await.unwrap();
        let versions: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
        assert_eq!(versions, [env!("CARGO_PKG_VERSION")]);
    }

    async fn a_keyring_of_another_database_is_rejected(database: TestDatabase) {
        let message = TestStore::open(database.clone()).await.unwrap().create("hello").await.unwrap();
        let other = path(&database, "other.json");
        let rejected = startup_error(&database, &["--keyring", &other]).await;
        assert!(rejected.contains("--keyring") && rejected.contains("does not fit this database"), "{rejected}");
        // Nothing was changed: the right keyring still opens everything.
        let store = TestStore::open(database).await.unwrap();
        assert_eq!(store.view(&message).await.unwrap().text(), Some("hello"));
    }

    async fn an_unusable_keyring_is_named(database: TestDatabase) {
        let keyring = path(&database, "keyring.json");
        fs::write(&keyring, "{}").unwrap();
        let rejected = startup_error(&database, &["--keyring", &keyring]).await;
        assert!(rejected.contains("--keyring") && rejected.contains("chmod 600"), "{rejected}");
        fs::set_permissions(&keyring, fs::Permissions::from_mode(0o600)).unwrap();
        let rejected = startup_error(&database, &["--keyring", &keyring]).await;
        assert!(rejected.contains("is no keyring"), "{rejected}");
        let folder = path(&database, "");
        assert!(startup_error(&database, &["--keyring", &folder]).await.contains("--keyring"));
    }

    async fn contradicting_settings_are_named(database: TestDatabase) {
        for (arguments, setting) in [
            (["--default-ttl", "100d"], "--default-ttl"),
            (["--default-ttl", "never"], "--default-ttl"),
            (["--max-ttl", "0s"], "--max-ttl"),
            (["--max-text-bytes", "0"], "--max-text-bytes"),
            (["--max-text-bytes", "9999999"], "--max-text-bytes"),
            (["--receipt-retention", "soon"], "--receipt-retention"),
            (["--receipt-retention", "599s"], "--receipt-retention"),
        ] {
            let rejected = startup_error(&database, &arguments).await;
            assert!(rejected.contains(setting), "{rejected}");
        }
    }

    async fn settings_at_their_limits_are_accepted(database: TestDatabase) {
        for arguments in [["--receipt-retention", "10m"], ["--default-ttl", "90d"], ["--max-ttl", "never"]] {
            TestStore::open_with(database.clone(), TestClock::default(), &arguments).await.unwrap();
        }
    }
}

#[tokio::test]
async fn files_that_the_first_start_creates_are_private() {
    let database = TestDatabase::sqlite().unwrap();
    let store = TestStore::open(database.clone()).await.unwrap();
    store.create("hello").await.unwrap();
    for file in ["data", "data/keyring.json"] {
        let mode = fs::metadata(database.folder().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}");
    }
}

/// A package or an administrator may have created a directory that others may read.
#[tokio::test]
async fn the_database_is_private_in_a_public_directory() {
    let database = TestDatabase::sqlite().unwrap();
    fs::set_permissions(database.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    let store = TestStore::open(database.clone()).await.unwrap();
    store.create("hello").await.unwrap();
    for file in ["mayfly.db", "mayfly.db-wal", "mayfly.db-shm"] {
        let mode = fs::metadata(database.folder().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn an_unreachable_database_is_named_and_its_password_is_not() {
    let database = TestDatabase::at_url("postgres://mayfly:secret@127.0.0.1:1/mayfly").unwrap();
    let rejected = startup_error(&database, &[]).await;
    assert!(rejected.contains("--database-url") && !rejected.contains("secret"), "{rejected}");
}

//! The lifecycle of keys: rotation while stores run, and retirement, after which backups cannot be opened.

#![cfg(test)]

use std::{fs, path::PathBuf, time::Duration};

use clap::Parser as _;
use mayfly_bootstrap::Secret;
use mayfly_contracts::{
    ErrorInfo,
    config::{AppConfig, CreateAppConfigRequest, GetLastActiveAppConfigRequest, ListAppConfigsRequest},
    error::ErrorReason,
    message::{CreateMessageRequest, CreateMessageResponse, MessageState, ViewMessageRequest},
};
use mayfly_store::{Database, KeyringError, KeyringFile, OpenSettings};
use mayfly_testkit::{ADMIN_TOKEN, TestClock, TestDatabase, TestStore, bearer, on_each_database};
use sea_orm::{ConnectionTrait as _, Statement};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const REQUEST_ID: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";

#[derive(clap::Parser)]
struct Arguments {
    #[command(flatten)]
    open: OpenSettings,
}

fn path(database: &TestDatabase) -> PathBuf {
    database.folder().join("data/keyring.json")
}

fn settings(database: &TestDatabase) -> OpenSettings {
    let data = database.folder().join("data").display().to_string();
    Arguments::parse_from(["store", "--data-dir", &data]).open
}

fn file(database: &TestDatabase) -> KeyringFile {
    let settings = settings(database);
    settings.store.keyring.file(&settings.data)
}

/// The keys that can be retired.
fn retirable_keys(store: &TestStore) -> Vec<String> {
    let required_for = settings(&store.database).store.lifetimes.key_retention();
    file(&store.database).retirable_keys(required_for, &store.clock).unwrap()
}

fn database_of(database: &TestDatabase) -> Database {
    Database::from_url(Secret::new(database.url().to_owned())).unwrap()
}

async fn retire(store: &TestStore, id: &str, force: bool) -> Result<(), KeyringError> {
    let required_for = settings(&store.database).store.lifetimes.key_retention();
    file(&store.database).retire(&database_of(&store.database), id, required_for, &store.clock, force).await
}

/// Rotates the key and waits until the new one seals. Returns both ids.
async fn rotated(store: &TestStore) -> [String; 2] {
    let first = file(&store.database).list(&store.clock).unwrap().remove(0).id;
    let second = file(&store.database).rotate(&store.clock, MINUTE).unwrap().id;
    assert!(store.store.reload_keyring().await.unwrap());
    store.clock.advance(MINUTE);
    [first, second]
}

async fn create_app_config(store: &TestStore) {
    let app_config = AppConfig {
        session_name: "bot".into(),
        api_id: 1,
        api_hash: "hash".into(),
        bot_token: "1:AAH".into(),
        ..AppConfig::default()
    };
    let request = CreateAppConfigRequest { app_config: Some(app_config) };
    store.configs().create_app_config(bearer(ADMIN_TOKEN, request)).await.unwrap();
}

async fn messages_under(database: &TestDatabase, key: &str) -> i64 {
    let connection = database.connect().await.unwrap();
    let count = format!("SELECT count(*) FROM messages WHERE key_id = '{key}'");
    let count = Statement::from_string(connection.get_database_backend(), count);
    connection.query_one_raw(count).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn key_of_newest_message(database: &TestDatabase) -> String {
    let connection = database.connect().await.unwrap();
    let newest = "SELECT key_id FROM messages ORDER BY id DESC LIMIT 1";
    let newest = Statement::from_string(connection.get_database_backend(), newest);
    connection.query_one_raw(newest).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

on_each_database! {
    async fn a_new_key_seals_when_it_becomes_active_and_old_links_still_work(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let before = store.create("before").await.unwrap();
        let [first, second] = {
            let first = file(&database).list(&store.clock).unwrap().remove(0).id;
            [first, file(&database).rotate(&store.clock, MINUTE).unwrap().id]
        };
        assert!(store.store.reload_keyring().await.unwrap());
        assert!(!store.store.reload_keyring().await.unwrap(), "unchanged");
        let meanwhile = store.create("meanwhile").await.unwrap();
        assert_eq!(key_of_newest_message(&database).await, first, "not active yet: another store may not have it");
        store.clock.advance(MINUTE);
        let after = store.create("after").await.unwrap();
        assert_eq!(key_of_newest_message(&database).await, second);
        let other = TestStore::open_with(database.clone(), store.clock.clone(), &[]).await.unwrap();
        for (message, text) in [(before, "before"), (meanwhile, "meanwhile"), (after, "after")] {
            assert_eq!(other.view(&message).await.unwrap().text(), Some(text));
        }
        let listed: Vec<_> =
            file(&database).list(&store.clock).unwrap().into_iter().map(|key| (key.id, key.is_sealing)).collect();
        assert_eq!(listed, [(first, false), (second, true)]);
    }

    async fn a_creation_repeated_after_a_rotation_finds_its_message(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let request =
            || CreateMessageRequest { request_id: REQUEST_ID.into(), ..CreateMessageRequest::from_text("hello") };
        let message = store.create_with(request()).await.unwrap();
        rotated(&store).await;
        assert_eq!(store.create_with(request()).await.unwrap(), message);
        store.view(&message).await.unwrap();
        assert_eq!(store.create_with(request()).await.unwrap(), message, "from its receipt");
    }

    /// The first call reaches a store, and its repeats another one that may not have the key yet.
    async fn one_request_is_one_message_while_a_key_becomes_active(database: TestDatabase) {
        let ahead = TestStore::open(database.clone()).await.unwrap();
        let behind = TestStore::open_with(database.clone(), ahead.clock.clone(), &[]).await.unwrap();
        for round in 0_u32..10 {
            file(&database).rotate(&ahead.clock, Duration::ZERO).unwrap();
            let request_id = format!("{round:08x}-7d56-4f0e-8b0a-1c6a2f9d4e11");
            let request =
                || CreateMessageRequest { request_id: request_id.clone(), ..CreateMessageRequest::from_text("hello") };
            let reload = async { ahead.store.reload_keyring().await.unwrap() };
            let calls = (0..16).map(|number| if number % 2 == 0 { &ahead } else { &behind }.create_with(request()));
            let (_, responses) = tokio::join!(reload, futures_util::future::join_all(calls));
            behind.store.reload_keyring().await.unwrap();
            let again = behind.create_with(request()).await.unwrap();
            for response in responses {
                match response {
                    Ok(message) => assert_eq!(message, again),
                    Err(status) => assert_eq!(ErrorInfo::from_status(&status).reason, ErrorReason::StoreUnavailable),
                }
            }
            assert_eq!(behind.view(&again).await.unwrap().text(), Some("hello"));
        }
    }

    async fn a_store_without_the_newest_key_is_unavailable_to_readers(database: TestDatabase) {
        let ahead = TestStore::open(database.clone()).await.unwrap();
        let behind = TestStore::open_with(database.clone(), ahead.clock.clone(), &[]).await.unwrap();
        file(&database).rotate(&ahead.clock, Duration::ZERO).unwrap();
        ahead.store.reload_keyring().await.unwrap();
        let message = ahead.create("hello").await.unwrap();
        let rejected = ErrorInfo::from_status(&behind.view(&message).await.unwrap_err()).reason;
        assert_eq!(rejected, ErrorReason::StoreUnavailable, "nothing was consumed");
        behind.store.reload_keyring().await.unwrap();
        assert_eq!(behind.view(&message).await.unwrap().text(), Some("hello"));
    }

    async fn hundreds_of_keys_change_nothing(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let first = store.create("first").await.unwrap();
        for _ in 0..300 {
            file(&database).rotate(&store.clock, Duration::ZERO).unwrap();
        }
        store.store.reload_keyring().await.unwrap();
        let messages = futures_util::future::try_join_all((0..128).map(|_| store.create("hello"))).await.unwrap();
        let with_wrong_token = |number: usize| CreateMessageResponse {
            id: messages[number].id,
            access_token: messages[(number + 1) % messages.len()].access_token.clone(),
            ..CreateMessageResponse::default()
        };
        let (viewed, rejected, created) = tokio::join!(
            futures_util::future::join_all(messages.iter().map(|message| store.view(message))),
            futures_util::future::join_all((0..128).map(async |number| store.view(&with_wrong_token(number)).await)),
            futures_util::future::join_all((0..64).map(|_| store.create("meanwhile"))),
        );
        assert!(viewed.iter().all(|viewed| viewed.as_ref().unwrap().text() == Some("hello")));
        let reasons = rejected.into_iter().map(|rejected| ErrorInfo::from_status(&rejected.unwrap_err()).reason);
        assert!(reasons.into_iter().all(|reason| reason == ErrorReason::MessageNotFound));
        assert!(created.iter().all(Result::is_ok));
        assert_eq!(store.view(&first).await.unwrap().text(), Some("first"));
    }

    /// The creations choose the old key before their passphrases are stretched.
    async fn no_stored_message_depends_on_a_key_that_is_retired_concurrently(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        for _ in 0..3 {
            let first = file(&database).list(&store.clock).unwrap().pop().unwrap().id;
            let protected =
                || CreateMessageRequest { passphrase: "right".into(), ..CreateMessageRequest::from_text("hello") };
            let creations = futures_util::future::join_all((0..8).map(|_| store.create_with(protected())));
            let retirement = async {
                file(&database).rotate(&store.clock, Duration::ZERO).unwrap();
                store.store.reload_keyring().await.unwrap();
                let required_for = settings(&database).store.lifetimes.key_retention();
                file(&database)
                    .retire(&database_of(&database), &first, required_for, &store.clock, true)
                    .await
                    .unwrap();
            };
            let (created, ()) = tokio::join!(creations, retirement);
            store.store.reload_keyring().await.unwrap();
            for message in created {
                let message = message.unwrap();
                match store.lookup(&message).await {
                    Ok(found) => assert_eq!(found.state(), MessageState::Unread),
                    // Stored before the retirement, which erased it.
                    Err(_) => continue,
                }
                let key = key_of_newest_message(&database).await;
                assert_ne!(key, first);
                let request = ViewMessageRequest {
                    id: message.id,
                    access_token: message.access_token.clone(),
                    passphrase: "right".into(),
                    ..ViewMessageRequest::default()
                };
                let viewed = store.messages().view_message(request).await.unwrap().into_inner();
                assert_eq!(viewed.text(), Some("hello"));
            }
            assert_eq!(messages_under(&database, &first).await, 0);
        }
    }

    /// A store that has not reloaded the keyring file uses its remaining keys.
    async fn a_store_skips_keys_that_another_process_retired(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let first = file(&database).list(&store.clock).unwrap().remove(0).id;
        file(&database).rotate(&store.clock, MINUTE).unwrap();
        store.store.reload_keyring().await.unwrap();
        // Another clock is ahead, for which the second key already seals.
        let ahead = TestClock::default();
        ahead.advance(2 * MINUTE);
        let required_for = settings(&database).store.lifetimes.key_retention();
        file(&database).retire(&database_of(&database), &first, required_for, &ahead, true).await.unwrap();
        let message = store.create("hello").await.unwrap();
        assert_ne!(key_of_newest_message(&database).await, first);
        store.store.reload_keyring().await.unwrap();
        assert_eq!(store.view(&message).await.unwrap().text(), Some("hello"));
        create_app_config(&store).await;
    }

    async fn a_key_is_retired_when_nothing_needs_it(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let message = store.create("hello").await.unwrap();
        let [first, second] = rotated(&store).await;
        assert!(matches!(retire(&store, &second, true).await, Err(KeyringError::InUse { .. })));
        assert!(matches!(retire(&store, "0000000000000000", false).await, Err(KeyringError::Unknown { .. })));
        assert!(matches!(retire(&store, &first, false).await, Err(KeyringError::RecentlyUsed { .. })));
        assert!(retirable_keys(&store).is_empty());
        store.clock.advance(120 * DAY);
        assert_eq!(retirable_keys(&store), std::slice::from_ref(&first));
        assert!(matches!(retire(&store, &first, false).await, Err(KeyringError::StillRequired { messages: 1, .. })));
        store.store.sweep().await.unwrap();
        retire(&store, &first, false).await.unwrap();
        assert!(store.store.reload_keyring().await.unwrap());
        let gone = ErrorInfo::from_status(&store.view(&message).await.unwrap_err()).reason;
        assert_eq!(gone, ErrorReason::MessageExpired, "from its receipt, without the key");
        let clock = store.clock.clone();
        drop(store);
        let store = TestStore::open_with(database, clock, &[]).await.unwrap();
        let message = store.create("later").await.unwrap();
        assert_eq!(store.view(&message).await.unwrap().text(), Some("later"));
    }

    async fn a_key_is_kept_for_as_long_as_the_last_receipt_that_needs_it(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let message = store.create_for("hello", 90 * DAY).await.unwrap();
        let [first, _] = rotated(&store).await;
        store.clock.advance(90 * DAY - 2 * MINUTE);
        assert_eq!(store.view(&message).await.unwrap().text(), Some("hello"));
        store.clock.advance(30 * DAY);
        assert!(matches!(retire(&store, &first, false).await, Err(KeyringError::RecentlyUsed { .. })));
        assert!(retirable_keys(&store).is_empty());
        assert_eq!(store.lookup(&message).await.unwrap().state(), MessageState::Viewed, "in its last minute");
        store.clock.advance(2 * MINUTE);
        store.store.sweep().await.unwrap();
        retire(&store, &first, false).await.unwrap();
    }

    async fn a_forced_retirement_erases_messages_that_need_the_key(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let message = store.create("hello").await.unwrap();
        let [first, _] = rotated(&store).await;
        let kept = store.create("kept").await.unwrap();
        retire(&store, &first, true).await.unwrap();
        store.store.reload_keyring().await.unwrap();
        assert_eq!(
            ErrorInfo::from_status(&store.view(&message).await.unwrap_err()).reason,
            ErrorReason::MessageNotFound
        );
        assert_eq!(store.view(&kept).await.unwrap().text(), Some("kept"));
    }

    /// Another process reseals it when it retires the old key.
    async fn an_app_config_is_unavailable_until_the_store_has_read_its_key(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        create_app_config(&store).await;
        let first = file(&database).list(&store.clock).unwrap().remove(0).id;
        file(&database).rotate(&store.clock, Duration::ZERO).unwrap();
        retire(&store, &first, true).await.unwrap();
        let list =
            || async { store.configs().list_app_configs(bearer(ADMIN_TOKEN, ListAppConfigsRequest::default())).await };
        assert_eq!(list().await.unwrap_err().code(), tonic::Code::Unavailable);
        store.store.reload_keyring().await.unwrap();
        assert_eq!(list().await.unwrap().into_inner().app_configs.len(), 1);
    }

    async fn app_configs_survive_the_retirement_of_their_key(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        create_app_config(&store).await;
        let [first, _] = rotated(&store).await;
        retire(&store, &first, true).await.unwrap();
        store.store.reload_keyring().await.unwrap();
        let request = bearer(ADMIN_TOKEN, GetLastActiveAppConfigRequest {});
        let last = store.configs().get_last_active_app_config(request).await.unwrap();
        let config = last.into_inner().app_config.unwrap();
        assert_eq!((config.api_hash.as_str(), config.bot_token.as_str()), ("hash", "1:AAH"));
    }

    async fn an_interrupted_retirement_can_be_repeated(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let [first, _] = rotated(&store).await;
        let with_both = fs::read(path(&database)).unwrap();
        retire(&store, &first, true).await.unwrap();
        let with_one = fs::read(path(&database)).unwrap();
        // As if the database still had the key.
        fs::write(path(&database), with_both).unwrap();
        assert!(!store.store.reload_keyring().await.unwrap());
        let clock = store.clock.clone();
        drop(store);
        drop(TestStore::open_with(database.clone(), clock.clone(), &[]).await.unwrap());
        fs::write(path(&database), with_one).unwrap();
        assert!(
            TestStore::open_with(database.clone(), clock.clone(), &[]).await.is_err(),
            "the database requires the key"
        );
        let required_for = settings(&database).store.lifetimes.key_retention();
        file(&database).retire(&database_of(&database), &first, required_for, &clock, false).await.unwrap();
        TestStore::open_with(database, clock, &[]).await.unwrap();
    }

    async fn a_store_keeps_its_keys_when_the_file_is_invalid(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let message = store.create("hello").await.unwrap();
        let keyring = fs::read(path(&database)).unwrap();
        for content in [&b"{}"[..], b"", &keyring[..keyring.len() / 2]] {
            fs::write(path(&database), content).unwrap();
            assert!(store.store.reload_keyring().await.is_err());
        }
        assert_eq!(store.view(&message).await.unwrap().text(), Some("hello"));
    }
}

/// After the retirement of its key, an old backup with its link and all current files opens nothing.
#[tokio::test]
async fn an_old_backup_and_link_cannot_open_a_message_after_its_key_was_retired() {
    let database = TestDatabase::sqlite().unwrap();
    let store = TestStore::open(database.clone()).await.unwrap();
    let message = store.create("hello").await.unwrap();
    let backup = TestDatabase::sqlite().unwrap();
    let copy = |from: &TestDatabase, to: &TestDatabase| {
        for name in ["mayfly.db", "mayfly.db-wal"] {
            fs::copy(from.folder().join(name), to.folder().join(name)).unwrap();
        }
    };
    copy(&database, &backup);
    let keyring = ["--keyring", &path(&database).display().to_string()].map(str::to_owned);
    let keyring = keyring.each_ref().map(String::as_str);

    // Control: with the key, the backup and the link open the message.
    let control = TestDatabase::sqlite().unwrap();
    copy(&backup, &control);
    let restored = TestStore::open_with(control, store.clock.clone(), &keyring).await.unwrap();
    assert_eq!(restored.view(&message).await.unwrap().text(), Some("hello"));

    assert_eq!(store.view(&message).await.unwrap().text(), Some("hello"));
    let [first, _] = rotated(&store).await;
    store.clock.advance(120 * DAY);
    store.store.sweep().await.unwrap();
    retire(&store, &first, false).await.unwrap();
    let rejected = TestStore::open_with(backup.clone(), store.clock.clone(), &keyring).await.err().unwrap();
    assert!(rejected.to_string().contains("does not fit this database"), "{rejected}");
    let forget = "DELETE FROM sealing_keys; UPDATE messages SET expire_time = NULL";
    backup.connect().await.unwrap().execute_unprepared(forget).await.unwrap();
    let forced = TestStore::open_with(backup, store.clock.clone(), &keyring).await.unwrap();
    assert_eq!(ErrorInfo::from_status(&forced.view(&message).await.unwrap_err()).reason, ErrorReason::StoreUnavailable);
}

//! What lies on the disk: never a text, never a token, in no encoding.

#![cfg(test)]

use std::{fs, path::Path};

use mayfly_contracts::{
    config::{AppConfig, CreateAppConfigRequest},
    message::{CreateMessageRequest, CreateMessageResponse, ViewMessageRequest},
};
use mayfly_testkit::{
    ADMIN_TOKEN, TestDatabase, TestStore, bearer,
    needle::{holds, leaked},
    on_each_database,
};
use sea_orm::ConnectionTrait as _;

const NEEDLE: &str = "needle-in-the-haystack-0123456789";
const PASSPHRASE: &str = "passphrase-in-the-haystack";
const VIEW_ID: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";

/// Everything that the database holds: the files of SQLite, the rows of PostgreSQL.
async fn contents(database: &TestDatabase) -> Vec<u8> {
    let mut contents = Vec::new();
    if database.url().starts_with("sqlite") {
        for file in ["mayfly.db", "mayfly.db-wal", "mayfly.db-shm"] {
            contents.extend(fs::read(database.folder().join(file)).unwrap_or_default());
        }
        assert!(Path::new(&database.folder().join("mayfly.db")).exists());
    } else {
        let connection = database.connect().await.unwrap();
        for table in ["messages", "claims", "passphrase_tries", "receipts", "app_configs", "sealing_keys"] {
            let rows = format!("SELECT encode(convert_to(t::text, 'UTF8'), 'escape') FROM {table} t");
            let rows = sea_orm::Statement::from_string(connection.get_database_backend(), rows);
            for row in connection.query_all_raw(rows).await.unwrap() {
                contents.extend(row.try_get_by_index::<String>(0).unwrap().into_bytes());
            }
        }
    }
    contents
}

on_each_database! {
    async fn neither_text_nor_token_lies_in_the_database(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let (read, unread) = (store.create(NEEDLE).await.unwrap(), store.create(NEEDLE).await.unwrap());
        let behind_passphrase = CreateMessageRequest { passphrase: PASSPHRASE.into(), ..CreateMessageRequest::of_text(NEEDLE) };
        let guarded = store.create_with(behind_passphrase).await.unwrap();
        let view = |message: &CreateMessageResponse, passphrase: &str| ViewMessageRequest {
            id: message.id,
            access_token: message.access_token.clone(),
            view_id: VIEW_ID.into(),
            passphrase: passphrase.into(),
            ..ViewMessageRequest::default()
        };
        store.messages().view_message(view(&guarded, "not the passphrase")).await.unwrap_err();
        let app_config = AppConfig {
            session_name: "marker-of-the-search".into(),
            api_id: 1,
            api_hash: NEEDLE.into(),
            bot_token: format!("1:{NEEDLE}"),
            ..AppConfig::default()
        };
        let request = CreateAppConfigRequest { app_config: Some(app_config) };
        store.configs().create_app_config(bearer(ADMIN_TOKEN, request)).await.unwrap();

        let tokens = [&read.access_token, &unread.access_token, &guarded.access_token].map(String::as_str);
        let view_id_bytes = VIEW_ID.replace('-', "");
        let secrets = [&[NEEDLE, ADMIN_TOKEN, PASSPHRASE, VIEW_ID, &view_id_bytes], &tokens[..]].concat();
        for moment in ["before viewing", "while it is claimed", "after viewing"] {
            let contents = contents(&database).await;
            // What is no secret is found, so the search looks where the data is.
            assert!(holds(&contents, b"marker-of-the-search"), "{moment}");
            assert_eq!(leaked(&contents, &secrets), None, "{moment}");
            match moment {
                "before viewing" => {
                    store.messages().view_message(view(&read, "")).await.unwrap();
                    store.messages().view_message(view(&guarded, PASSPHRASE)).await.unwrap();
                }
                _ => drop(store.view(&unread).await),
            }
        }
    }
}

/// `secure_delete` and the checkpoint after a sweep: of a message that is gone not even the sealed text is left.
#[tokio::test]
async fn the_sealed_text_is_gone_from_the_files_of_sqlite_after_a_sweep() {
    let database = TestDatabase::sqlite().unwrap();
    let store = TestStore::open(database.clone()).await.unwrap();
    let message = store.create(NEEDLE).await.unwrap();
    let connection = database.connect().await.unwrap();
    let sealed = sea_orm::Statement::from_string(connection.get_database_backend(), "SELECT sealed_text FROM messages");
    let sealed: Vec<u8> = connection.query_one_raw(sealed).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    connection.close().await.unwrap();
    assert!(holds(&contents(&database).await, &sealed));
    store.view(&message).await.unwrap();
    store.store.sweep().await.unwrap();
    assert!(!holds(&contents(&database).await, &sealed));
}

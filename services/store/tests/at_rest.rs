//! What lies on the disk: never a text, never a token, in no encoding.

#![cfg(test)]

use std::{fs, path::Path};

use mayfly_contracts::{
    config::{AppConfig, CreateAppConfigRequest},
    message::{CreateMessageRequest, CreateMessageResponse, ViewMessageRequest},
};
use mayfly_testkit::{
    ADMIN_TOKEN, PostgresServer, TestDatabase, TestStore, bearer,
    leak_scan::{contains, find_leak},
};
use sea_orm::ConnectionTrait as _;
use sha2::{Digest as _, Sha256};

const NEEDLE: &str = "needle-in-the-haystack-0123456789";
const PASSPHRASE: &str = "passphrase-in-the-haystack";
const REQUEST_ID: &str = "5a3c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e13";
const VIEW_ID: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";

const MOMENTS: [&str; 3] = ["before viewing", "while it is claimed", "after viewing"];

/// Where to look.
struct Place {
    name: &'static str,
    contents: Vec<u8>,
    /// Whether all that is stored is in it.
    has_data: bool,
}

/// Databases that PostgreSQL brings along have lower numbers.
const FIRST_OWN_DATABASE: u32 = 16_384;

/// All files in a folder of PostgreSQL, in the folders in it too, but for those of the databases that it brings along.
fn files(folder: &Path) -> Vec<u8> {
    let mut contents = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let number = path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        if folder.ends_with("base") && number.is_some_and(|number| number < FIRST_OWN_DATABASE) {
            continue;
        }
        let of_entry = if path.is_dir() { Ok(files(&path)) } else { fs::read(&path) };
        // What PostgreSQL makes for a moment may be gone.
        contents.extend(of_entry.unwrap_or_default());
    }
    contents
}

/// The files of SQLite, temporary ones too. The keyring is no part of the database.
fn files_of_sqlite(database: &TestDatabase) -> Vec<u8> {
    let files = fs::read_dir(database.folder()).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).flat_map(|path| fs::read(path).unwrap()).collect()
}

/// Everything that PostgreSQL keeps, with its write-ahead log and its own log; and what people copy of it.
fn places_of_postgres(server: &PostgresServer, moment: &str) -> Vec<Place> {
    let backup = server.folder().join(moment);
    server.back_up(&backup).unwrap();
    let place = |name, contents| Place { name, contents, has_data: true };
    let places = [
        // Of which the beginning is deleted after a backup.
        Place {
            has_data: moment == MOMENTS[0],
            ..place("write-ahead log", files(&server.data_folder().join("pg_wal")))
        },
        place("base backup", files(&backup)),
        place("dump", server.dump().unwrap()),
        place("data", files(&server.data_folder())),
        Place { name: "server's log", contents: fs::read(server.log()).unwrap(), has_data: false },
    ];
    fs::remove_dir_all(backup).unwrap();
    places.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_text_nor_token_lies_in_the_files_of_sqlite() {
    let database = TestDatabase::sqlite().unwrap();
    neither_text_nor_token_lies_in(database.clone(), |_| {
        vec![Place { name: "files", contents: files_of_sqlite(&database), has_data: true }]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_text_nor_token_lies_in_the_files_log_or_copies_of_postgres() {
    let server = PostgresServer::start().unwrap();
    let database = server.database().await.unwrap();
    neither_text_nor_token_lies_in(database, |moment| places_of_postgres(&server, moment)).await;
}

async fn neither_text_nor_token_lies_in(database: TestDatabase, places: impl Fn(&str) -> Vec<Place>) {
    let store = TestStore::open(database.clone()).await.unwrap();
    let repeatable = CreateMessageRequest { request_id: REQUEST_ID.into(), ..CreateMessageRequest::from_text(NEEDLE) };
    let (read, unread) = (store.create_with(repeatable).await.unwrap(), store.create(NEEDLE).await.unwrap());
    // Whoever has this can try texts without asking anybody.
    let hash_of_text = hex::encode(Sha256::digest(NEEDLE));
    let behind_passphrase =
        CreateMessageRequest { passphrase: PASSPHRASE.into(), ..CreateMessageRequest::from_text(NEEDLE) };
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
    let request_id_bytes = REQUEST_ID.replace('-', "");
    let ids = [VIEW_ID, &view_id_bytes, REQUEST_ID, &request_id_bytes];
    let secrets = [&[NEEDLE, ADMIN_TOKEN, PASSPHRASE, &hash_of_text], &ids[..], &tokens[..]].concat();
    for moment in MOMENTS {
        for Place { name, contents, has_data } in places(moment) {
            // What is no secret is found, so the search looks where the data is.
            assert!(!has_data || contains(&contents, b"marker-of-the-search"), "{name} {moment}");
            assert_eq!(find_leak(&contents, &secrets), None, "{name} {moment}");
        }
        match moment {
            "before viewing" => {
                store.messages().view_message(view(&read, "")).await.unwrap();
                store.messages().view_message(view(&guarded, PASSPHRASE)).await.unwrap();
            }
            _ => drop(store.view(&unread).await),
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
    let sealed =
        sea_orm::Statement::from_string(connection.get_database_backend(), "SELECT sealed_content FROM messages");
    let sealed: Vec<u8> = connection.query_one_raw(sealed).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    connection.close().await.unwrap();
    assert!(contains(&files_of_sqlite(&database), &sealed));
    store.view(&message).await.unwrap();
    store.store.sweep().await.unwrap();
    assert!(!contains(&files_of_sqlite(&database), &sealed));
}

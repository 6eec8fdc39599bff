//! Data at rest contains neither texts nor tokens, in any encoding.

#![cfg(test)]

use std::{fs, path::Path};

use mayfly_contracts::{
    auth::{ApiTokenScope, CheckScopeRequest},
    config::{AppConfig, CreateAppConfigRequest},
    message::{CreateMessageRequest, CreateMessageResponse, ViewMessageRequest},
};
use mayfly_testkit::{
    ADMIN_TOKEN, PostgresServer, TestDatabase, TestStore, bearer,
    leak_scan::{contains, find_leak},
};
use sea_orm::ConnectionTrait as _;
use sha2::{Digest as _, Sha256};

const TEXT: &str = "secret-text-0123456789";
const PASSPHRASE: &str = "secret-passphrase";
const REQUEST_ID: &str = "5a3c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e13";
const VIEW_ID: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";

const PHASES: [&str; 3] = ["before viewing", "while it is claimed", "after viewing"];

/// Data to search.
struct Artifact {
    name: &'static str,
    contents: Vec<u8>,
    /// `true` if it contains all that is stored.
    has_data: bool,
}

/// Databases that PostgreSQL creates itself have lower numbers.
const FIRST_OWN_DATABASE: u32 = 16_384;

/// All files in a directory of PostgreSQL and its subdirectories, except for the databases that it creates itself.
fn files(folder: &Path) -> Vec<u8> {
    let mut contents = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let number = path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        if folder.ends_with("base") && number.is_some_and(|number| number < FIRST_OWN_DATABASE) {
            continue;
        }
        let of_entry = if path.is_dir() { Ok(files(&path)) } else { fs::read(&path) };
        // A temporary file of PostgreSQL may be gone.
        contents.extend(of_entry.unwrap_or_default());
    }
    contents
}

/// The files of SQLite, including temporary ones. The keyring is not part of the database.
fn files_of_sqlite(database: &TestDatabase) -> Vec<u8> {
    let files = fs::read_dir(database.folder()).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).flat_map(|path| fs::read(path).unwrap()).collect()
}

/// Everything that PostgreSQL stores, with its write-ahead log and its server log; and its backups.
fn artifacts_of_postgres(server: &PostgresServer, phase: &str) -> Vec<Artifact> {
    let backup = server.folder().join(phase);
    server.back_up(&backup).unwrap();
    let artifact = |name, contents| Artifact { name, contents, has_data: true };
    let artifacts = [
        // A backup deletes the beginning of it.
        Artifact {
            has_data: phase == PHASES[0],
            ..artifact("write-ahead log", files(&server.data_folder().join("pg_wal")))
        },
        artifact("base backup", files(&backup)),
        artifact("dump", server.dump().unwrap()),
        artifact("data", files(&server.data_folder())),
        Artifact { name: "server's log", contents: fs::read(server.log()).unwrap(), has_data: false },
    ];
    fs::remove_dir_all(backup).unwrap();
    artifacts.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_contain_neither_text_nor_token_on_sqlite() {
    let database = TestDatabase::sqlite().unwrap();
    assert_no_secret_in(database.clone(), |_| {
        vec![Artifact { name: "files", contents: files_of_sqlite(&database), has_data: true }]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_logs_and_backups_contain_neither_text_nor_token_on_postgres() {
    let server = PostgresServer::start().unwrap();
    let database = server.database().await.unwrap();
    assert_no_secret_in(database, |phase| artifacts_of_postgres(&server, phase)).await;
}

async fn assert_no_secret_in(database: TestDatabase, artifacts: impl Fn(&str) -> Vec<Artifact>) {
    let store = TestStore::open(database.clone()).await.unwrap();
    let repeatable = CreateMessageRequest { request_id: REQUEST_ID.into(), ..CreateMessageRequest::from_text(TEXT) };
    let (read, unread) = (store.create_with(repeatable).await.unwrap(), store.create(TEXT).await.unwrap());
    // With this hash, an attacker could verify guesses of the text.
    let hash_of_text = hex::encode(Sha256::digest(TEXT));
    let with_passphrase =
        CreateMessageRequest { passphrase: PASSPHRASE.into(), ..CreateMessageRequest::from_text(TEXT) };
    let protected = store.create_with(with_passphrase).await.unwrap();
    let view = |message: &CreateMessageResponse, passphrase: &str| ViewMessageRequest {
        id: message.id,
        access_token: message.access_token.clone(),
        view_id: VIEW_ID.into(),
        passphrase: passphrase.into(),
        ..ViewMessageRequest::default()
    };
    store.messages().view_message(view(&protected, "not the passphrase")).await.unwrap_err();
    let app_config = AppConfig {
        session_name: "marker-of-the-search".into(),
        api_id: 1,
        api_hash: TEXT.into(),
        bot_token: format!("1:{TEXT}"),
        ..AppConfig::default()
    };
    let request = CreateAppConfigRequest { app_config: Some(app_config) };
    store.configs().create_app_config(bearer(ADMIN_TOKEN, request)).await.unwrap();

    let api_token = store.add_api_token("ci", ApiTokenScope::Create).await.unwrap();
    let check = bearer(&api_token, CheckScopeRequest { scope: ApiTokenScope::Create.into() });
    store.api_tokens().check_scope(check).await.unwrap();

    let tokens = [&read.access_token, &unread.access_token, &protected.access_token, &api_token].map(String::as_str);
    // Without its prefix and its checksum.
    let api_token_bytes = &api_token["mayfly_".len()..][..64];
    let view_id_bytes = VIEW_ID.replace('-', "");
    let request_id_bytes = REQUEST_ID.replace('-', "");
    let ids = [VIEW_ID, &view_id_bytes, REQUEST_ID, &request_id_bytes];
    let secrets = [&[TEXT, ADMIN_TOKEN, PASSPHRASE, &hash_of_text, api_token_bytes], &ids[..], &tokens[..]].concat();
    for phase in PHASES {
        for Artifact { name, contents, has_data } in artifacts(phase) {
            // The marker is found, so the search covers the data.
            assert!(!has_data || contains(&contents, b"marker-of-the-search"), "{name} {phase}");
            assert_eq!(find_leak(&contents, &secrets), None, "{name} {phase}");
        }
        match phase {
            "before viewing" => {
                store.messages().view_message(view(&read, "")).await.unwrap();
                store.messages().view_message(view(&protected, PASSPHRASE)).await.unwrap();
            }
            _ => drop(store.view(&unread).await),
        }
    }
}

/// `secure_delete` and the checkpoint after a sweep: of a deleted message not even the sealed text remains.
#[tokio::test]
async fn the_files_of_sqlite_contain_no_sealed_text_after_a_sweep() {
    let database = TestDatabase::sqlite().unwrap();
    let store = TestStore::open(database.clone()).await.unwrap();
    let message = store.create(TEXT).await.unwrap();
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

//! SQLite on a disk that fills up: no answer says stored when it is not, no text is handed out that was not deleted, and the
//! service works again once there is room.

#![cfg(test)]

use mayfly_contracts::{Situation, error::ErrorReason, message::MessageState};
use mayfly_testkit::{SmallDisk, TestDatabase, TestStore};
use sea_orm::{ConnectionTrait as _, Database, Statement};
use tonic::Status;

/// The message number `number`, large enough that a few hundred fill the disk.
fn text(number: usize) -> String {
    format!("{number} {}", "x".repeat(4_000))
}

fn is_unavailable(status: &Status) -> bool {
    Situation::of(status).reason == ErrorReason::StoreUnavailable
}

async fn open(disk: &SmallDisk) -> TestStore {
    let url = format!("sqlite://{}", disk.path().join("mayfly.db").display());
    TestStore::open(TestDatabase::at(&url).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_and_hands_out_nothing_twice() {
    let disk = SmallDisk::mount("6m").unwrap();
    let store = open(&disk).await;
    let mut stored = Vec::new();
    for number in 0..100 {
        stored.push(store.create(&text(number)).await.unwrap());
    }

    disk.fill().unwrap();
    let mut refused = 0;
    while refused < 20 {
        match store.create(&text(stored.len())).await {
            Ok(message) => stored.push(message),
            Err(status) => {
                assert!(is_unavailable(&status), "{status}");
                refused += 1;
            }
        }
    }
    let mut handed_out = vec![false; stored.len()];
    for (number, message) in stored.iter().enumerate().take(50) {
        match store.view(message).await {
            Ok(viewed) => {
                assert_eq!(viewed.text(), Some(text(number).as_str()));
                handed_out[number] = true;
            }
            Err(status) => assert!(is_unavailable(&status), "{status}"),
        }
    }
    assert!(handed_out.iter().any(|handed_out| !handed_out), "the disk was never full");

    disk.relieve().unwrap();
    for (number, message) in stored.iter().enumerate() {
        match store.view(message).await {
            Ok(viewed) => {
                assert!(!handed_out[number], "{number} was read twice");
                assert_eq!(viewed.text(), Some(text(number).as_str()));
            }
            Err(status) => {
                assert!(handed_out[number], "{number} was lost: {status}");
                assert_eq!(Situation::of(&status).reason, ErrorReason::MessageViewed);
            }
        }
        assert_eq!(store.lookup(message).await.unwrap().state(), MessageState::Viewed);
    }
    let message = store.create("room again").await.unwrap();
    assert_eq!(store.view(&message).await.unwrap().text(), Some("room again"));
}

/// The control: outside a transaction the same library hands out what it did not delete, so the test above would notice.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_transaction_a_full_disk_hands_out_what_it_keeps() {
    let disk = SmallDisk::mount("6m").unwrap();
    let store = open(&disk).await;
    for number in 0..300 {
        store.create(&text(number)).await.unwrap();
    }
    let url = format!("sqlite://{}", disk.path().join("mayfly.db").display());
    let connection = Database::connect(url).await.unwrap();
    let run = |sql: String| Statement::from_string(connection.get_database_backend(), sql);
    disk.fill().unwrap();

    let mut kept = 0;
    for id in 1..=300 {
        let delete = run(format!("DELETE FROM messages WHERE id = {id} RETURNING id"));
        if let Ok(Some(_)) = connection.query_one_raw(delete).await {
            let look = run(format!("SELECT id FROM messages WHERE id = {id}"));
            kept += usize::from(connection.query_one_raw(look).await.unwrap().is_some());
        }
    }
    assert!(kept > 0);
}

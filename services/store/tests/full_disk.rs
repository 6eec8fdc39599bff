//! SQLite on a full disk: the store reports no creation that failed, returns no text that it did not delete, and works
//! again when there is space.

#![cfg(test)]

use std::time::Duration;

use mayfly_contracts::{ErrorInfo, error::ErrorReason, message::MessageState};
use mayfly_testkit::{SmallDisk, TestDatabase, TestStore};
use sea_orm::{ConnectionTrait as _, Database, Statement};
use tokio_stream::StreamExt as _;
use tonic::Status;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// The interval between checks of a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The text of message `number`, so large that a few hundred fill the disk.
fn text(number: usize) -> String {
    format!("{number} {}", "x".repeat(4_000))
}

fn is_unavailable(status: &Status) -> bool {
    ErrorInfo::from_status(status).reason == ErrorReason::StoreUnavailable
}

fn is_storage_full(status: &Status) -> bool {
    ErrorInfo::from_status(status).reason == ErrorReason::StorageFull
}

async fn open(disk: &SmallDisk) -> TestStore {
    let url = format!("sqlite://{}", disk.path().join("mayfly.db").display());
    TestStore::open(TestDatabase::at_url(&url).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_no_text_and_returns_none_twice_as_root() {
    let disk = SmallDisk::mount("6m").unwrap();
    let store = open(&disk).await;
    let mut stored = Vec::new();
    for number in 0..100 {
        stored.push(store.create(&text(number)).await.unwrap());
    }

    disk.fill().unwrap();
    let mut rejected = 0;
    while rejected < 20 {
        match store.create(&text(stored.len())).await {
            Ok(message) => stored.push(message),
            Err(status) => {
                assert!(is_unavailable(&status) || is_storage_full(&status), "{status}");
                rejected += 1;
            }
        }
    }
    let mut returned = vec![false; stored.len()];
    for (number, message) in stored.iter().enumerate().take(50) {
        match store.view(message).await {
            Ok(viewed) => {
                assert_eq!(viewed.text(), Some(text(number).as_str()));
                returned[number] = true;
            }
            Err(status) => assert!(is_unavailable(&status), "{status}"),
        }
    }
    assert!(returned.iter().any(|returned| !returned), "the disk was never full");

    disk.free().unwrap();
    for (number, message) in stored.iter().enumerate() {
        match store.view(message).await {
            Ok(viewed) => {
                assert!(!returned[number], "{number} was read twice");
                assert_eq!(viewed.text(), Some(text(number).as_str()));
            }
            Err(status) => {
                assert!(returned[number], "{number} was lost: {status}");
                assert_eq!(ErrorInfo::from_status(&status).reason, ErrorReason::MessageViewed);
            }
        }
        assert_eq!(store.lookup(message).await.unwrap().state(), MessageState::Viewed);
    }
    let message = store.create("space again").await.unwrap();
    assert_eq!(store.view(&message).await.unwrap().text(), Some("space again"));
}

/// A creator stores as much as it can. Its creations are rejected, and other calls work.
#[tokio::test(flavor = "multi_thread")]
async fn creations_are_rejected_before_the_disk_is_full_and_other_calls_work_as_root() {
    let disk = SmallDisk::mount("48m").unwrap();
    let store = open(&disk).await;
    let long = "x".repeat(60_000);
    let mut stored = Vec::new();
    loop {
        let created = futures_util::future::join_all((0..16).map(|_| store.create(&long))).await;
        let (created, rejected): (Vec<_>, Vec<_>) = created.into_iter().partition(Result::is_ok);
        stored.extend(created.into_iter().flatten());
        assert!(rejected.iter().flatten().next().is_none());
        let rejected: Vec<_> = rejected.into_iter().filter_map(Result::err).collect();
        assert!(rejected.iter().all(is_storage_full), "{rejected:?}");
        if !rejected.is_empty() {
            break;
        }
    }
    assert!(stored.len() > 200, "{} messages of 60 KB on 48 MiB", stored.len());
    let (viewed, others) = stored.split_at(stored.len() / 3);
    let (burned, expired) = others.split_at(others.len() / 2);
    for message in viewed {
        assert_eq!(store.view(message).await.unwrap().text(), Some(long.as_str()));
    }
    for message in burned {
        store.burn(message).await.unwrap();
    }
    store.clock.advance(Duration::from_secs(30 * 24 * 3600));
    store.store.sweep().await.unwrap();
    assert_eq!(store.lookup(&expired[0]).await.unwrap().state(), MessageState::Expired);
    // Twice, because the file shrinks with the next checkpoint.
    store.store.sweep().await.unwrap();
    let file = std::fs::metadata(disk.path().join("mayfly.db")).unwrap().len();
    assert!(file < 18 << 20, "{file} bytes are not returned to the file system");
    let message = store.create(&long).await.unwrap();
    assert_eq!(store.view(&message).await.unwrap().text(), Some(long.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_write_is_not_ready_until_it_can_as_root() {
    let disk = SmallDisk::mount("6m").unwrap();
    let store = open(&disk).await;
    let maintained = std::sync::Arc::clone(&store.store);
    let maintenance = tokio::spawn(async move { maintained.maintain().await });
    let mut health = HealthClient::new(store.channel());
    let mut becomes = async |wanted: ServingStatus| {
        let watched = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
        let mut statuses = watched.map(|status| status.unwrap().status());
        while statuses.next().await.unwrap() != wanted {}
    };
    becomes(ServingStatus::Serving).await;
    let mut stored = Vec::new();
    for number in 0..100 {
        stored.push(store.create(&text(number)).await.unwrap());
    }
    // The store empties its log when the disk is low. Another program takes that space too.
    let writes_on_a_full_disk = async {
        for message in stored.iter().cycle() {
            disk.fill().unwrap();
            drop(store.view(message).await);
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    tokio::select! {
        () = becomes(ServingStatus::NotServing) => {}
        () = writes_on_a_full_disk => {}
    }
    disk.free().unwrap();
    becomes(ServingStatus::Serving).await;
    maintenance.abort();
}

/// Control: outside a transaction the library returns rows that it did not delete, so the test above would detect that.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_transaction_a_full_disk_returns_rows_that_it_keeps_as_root() {
    let disk = SmallDisk::mount("16m").unwrap();
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

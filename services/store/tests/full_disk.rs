//! SQLite on a disk that fills up: no answer says stored when it is not, no text is handed out that was not deleted,
//! and the service works again once there is room.

#![cfg(test)]

use std::time::Duration;

use mayfly_contracts::{ErrorInfo, error::ErrorReason, message::MessageState};
use mayfly_testkit::{SmallDisk, TestDatabase, TestStore};
use sea_orm::{ConnectionTrait as _, Database, Statement};
use tokio_stream::StreamExt as _;
use tonic::Status;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// Between two looks at a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The message number `number`, large enough that a few hundred fill the disk.
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
                assert!(is_unavailable(&status) || is_storage_full(&status), "{status}");
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

    disk.free().unwrap();
    for (number, message) in stored.iter().enumerate() {
        match store.view(message).await {
            Ok(viewed) => {
                assert!(!handed_out[number], "{number} was read twice");
                assert_eq!(viewed.text(), Some(text(number).as_str()));
            }
            Err(status) => {
                assert!(handed_out[number], "{number} was lost: {status}");
                assert_eq!(ErrorInfo::from_status(&status).reason, ErrorReason::MessageViewed);
            }
        }
        assert_eq!(store.lookup(message).await.unwrap().state(), MessageState::Viewed);
    }
    let message = store.create("room again").await.unwrap();
    assert_eq!(store.view(&message).await.unwrap().text(), Some("room again"));
}

/// One creator stores as much as it can. Its creations are refused, and everything that makes room goes on.
#[tokio::test(flavor = "multi_thread")]
async fn creations_end_before_the_disk_is_full_and_everything_else_goes_on() {
    let disk = SmallDisk::mount("48m").unwrap();
    let store = open(&disk).await;
    let long = "x".repeat(60_000);
    let mut stored = Vec::new();
    loop {
        let created = futures_util::future::join_all((0..16).map(|_| store.create(&long))).await;
        let (created, refused): (Vec<_>, Vec<_>) = created.into_iter().partition(Result::is_ok);
        stored.extend(created.into_iter().flatten());
        assert!(refused.iter().flatten().next().is_none());
        let refused: Vec<_> = refused.into_iter().filter_map(Result::err).collect();
        assert!(refused.iter().all(is_storage_full), "{refused:?}");
        if !refused.is_empty() {
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
    // Twice, since the file gets smaller when the log is emptied that says so.
    store.store.sweep().await.unwrap();
    let file = std::fs::metadata(disk.path().join("mayfly.db")).unwrap().len();
    assert!(file < 18 << 20, "{file} bytes are not given back to the file system");
    let message = store.create(&long).await.unwrap();
    assert_eq!(store.view(&message).await.unwrap().text(), Some(long.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_write_is_not_ready_until_it_can() {
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
    // The store empties its log when the disk is low, and another program takes that room as well.
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

/// The control: outside a transaction the same library hands out what it did not delete, so the test above would
/// notice.
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

//! Repeated views: one reader may repeat its view until it acknowledges the view or the grace ends.

#![cfg(test)]

use std::time::Duration;

use mayfly_contracts::{
    ErrorInfo,
    error::ErrorReason,
    message::{AcknowledgeViewRequest, CreateMessageResponse, ViewMessageRequest, ViewMessageResponse},
};
use mayfly_store::Clock as _;
use mayfly_testkit::{TestDatabase, TestStore, on_each_database, race};
use sea_orm::{ConnectionTrait as _, Statement};
use tonic::{Code, Status};

const READER: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";
const OTHER_READER: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e12";
/// The default grace.
const GRACE: Duration = Duration::from_secs(600);

async fn view_as(
    store: &TestStore,
    message: &CreateMessageResponse,
    view_id: &str,
) -> Result<ViewMessageResponse, Status> {
    let request = ViewMessageRequest {
        id: message.id,
        access_token: message.access_token.clone(),
        view_id: view_id.to_owned(),
        ..ViewMessageRequest::default()
    };
    store.messages().view_message(request).await.map(tonic::Response::into_inner)
}

async fn acknowledge(store: &TestStore, message: &CreateMessageResponse, view_id: &str) -> Result<i64, Status> {
    let request = AcknowledgeViewRequest {
        id: message.id,
        access_token: message.access_token.clone(),
        view_id: view_id.to_owned(),
    };
    let acknowledged = store.messages().acknowledge_view(request).await?;
    Ok(acknowledged.into_inner().view_time.unwrap().seconds)
}

fn reason<T: std::fmt::Debug>(response: Result<T, Status>) -> ErrorReason {
    ErrorInfo::from_status(&response.unwrap_err()).reason
}

/// The number of rows with a sealed text.
async fn texts(database: &TestDatabase) -> i64 {
    let connection = database.connect().await.unwrap();
    let count = "SELECT (SELECT COUNT(*) FROM messages) + (SELECT COUNT(*) FROM claims)";
    let count = Statement::from_string(connection.get_database_backend(), count);
    connection.query_one_raw(count).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

on_each_database! {
    async fn a_reader_may_repeat_its_view_until_it_acknowledges(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let message = store.create("hello").await.unwrap();
        let first = view_as(&store, &message, READER).await.unwrap();
        assert_eq!(first.text(), Some("hello"));
        let now = store.clock.now().micros() / 1_000_000;
        assert_eq!(first.repeat_until.unwrap().seconds, now + 600);
        for _ in 0..3 {
            store.clock.advance(Duration::from_secs(60));
            let now = store.clock.now().micros() / 1_000_000;
            let repeated = view_as(&store, &message, READER).await.unwrap();
            assert_eq!(repeated.repeat_until.as_ref().unwrap().seconds, now + 600, "the grace starts again");
            let ViewMessageResponse { repeat_until, .. } = first.clone();
            assert_eq!(ViewMessageResponse { repeat_until, ..repeated }, first, "the same text");
        }
        assert_eq!(texts(&database).await, 1);
        assert_eq!(acknowledge(&store, &message, READER).await.unwrap(), now);
        assert_eq!(texts(&database).await, 0);
        assert_eq!(reason(view_as(&store, &message, READER).await), ErrorReason::MessageViewed);
        assert_eq!(acknowledge(&store, &message, READER).await.unwrap(), now, "repeating is a success");
    }

    async fn only_the_reader_with_the_view_id_gets_a_claimed_text(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let message = store.create("hello").await.unwrap();
        view_as(&store, &message, READER).await.unwrap();
        assert_eq!(reason(view_as(&store, &message, OTHER_READER).await), ErrorReason::MessageViewed);
        assert_eq!(reason(store.view(&message).await), ErrorReason::MessageViewed);
        assert_eq!(reason(store.burn(&message).await), ErrorReason::MessageViewed);
        assert_eq!(reason(acknowledge(&store, &message, OTHER_READER).await), ErrorReason::MessageViewed);
        assert_eq!(
            view_as(&store, &message, READER).await.unwrap().text(),
            Some("hello"),
            "the reader can still repeat its view"
        );
        let lookup = store.lookup(&message).await.unwrap();
        assert_eq!(lookup.state(), mayfly_contracts::message::MessageState::Viewed);
    }

    async fn an_abandoned_claim_is_forfeited_and_never_returned(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let message = store.create("hello").await.unwrap();
        let viewed = store.clock.now().micros() / 1_000_000;
        view_as(&store, &message, READER).await.unwrap();
        store.clock.advance(GRACE - Duration::from_micros(1));
        assert_eq!(
            view_as(&store, &message, READER).await.unwrap().text(),
            Some("hello"),
            "until the last microsecond"
        );
        store.clock.advance(GRACE);
        for view_id in [READER, OTHER_READER] {
            assert_eq!(reason(view_as(&store, &message, view_id).await), ErrorReason::MessageViewed, "not yet swept");
        }
        store.store.sweep().await.unwrap();
        assert_eq!(texts(&database).await, 0);
        assert_eq!(reason(view_as(&store, &message, READER).await), ErrorReason::MessageViewed);
        assert_eq!(acknowledge(&store, &message, READER).await.unwrap(), viewed, "a late acknowledgement is no error");
    }

    async fn a_reader_that_repeats_its_view_keeps_its_claim_for_a_day_at_most(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let message = store.create("hello").await.unwrap();
        view_as(&store, &message, READER).await.unwrap();
        let end = store.clock.now().after(Duration::from_hours(24)).micros() / 1_000_000;
        let step = GRACE - Duration::from_secs(60);
        // 160 steps of 540 seconds are a day.
        for _ in 0..159 {
            store.clock.advance(step);
            store.store.sweep().await.unwrap();
            let repeated = view_as(&store, &message, READER).await.unwrap();
            assert_eq!(repeated.text(), Some("hello"));
            assert!(repeated.repeat_until.unwrap().seconds <= end);
            assert_eq!(reason(view_as(&store, &message, OTHER_READER).await), ErrorReason::MessageViewed);
        }
        store.clock.advance(step);
        assert_eq!(reason(view_as(&store, &message, READER).await), ErrorReason::MessageViewed);
        store.store.sweep().await.unwrap();
        assert_eq!(texts(&database).await, 0);
    }

    async fn a_view_cannot_be_repeated_after_its_acknowledgement(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let message = store.create("hello").await.unwrap();
        view_as(&store, &message, READER).await.unwrap();
        store.clock.advance(Duration::from_secs(60));
        view_as(&store, &message, READER).await.unwrap();
        acknowledge(&store, &message, READER).await.unwrap();
        assert_eq!(texts(&database).await, 0);
        assert_eq!(reason(view_as(&store, &message, READER).await), ErrorReason::MessageViewed);
    }

    async fn a_claim_survives_a_restart_of_the_store(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let (message, clock) = (store.create("hello").await.unwrap(), store.clock.clone());
        view_as(&store, &message, READER).await.unwrap();
        drop(store);
        let store = TestStore::open_with(database, clock, &[]).await.unwrap();
        assert_eq!(view_as(&store, &message, READER).await.unwrap().text(), Some("hello"));
    }

    async fn one_of_many_readers_with_different_view_ids_gets_the_text(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = store.create("hello").await.unwrap();
        // Each id is used by four readers, all of which get the text if one does.
        let texts = race(128, |reader| {
            let (mut client, message) = (store.messages(), message.clone());
            let view_id = format!("00000000-0000-4000-8000-{:012x}", reader / 4 + 1);
            async move {
                let CreateMessageResponse { id, access_token, .. } = message;
                let request = ViewMessageRequest { id, access_token, view_id, ..ViewMessageRequest::default() };
                match client.view_message(request).await {
                    Ok(response) => Ok(response.into_inner().text() == Some("hello")),
                    Err(status) if ErrorInfo::from_status(&status).reason == ErrorReason::MessageViewed => Ok(false),
                    Err(status) => Err(status.into()),
                }
            }
        })
        .await
        .unwrap();
        assert_eq!(texts, 4);
    }

    async fn only_the_viewing_reader_can_acknowledge(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let message = store.create("hello").await.unwrap();
        assert_eq!(reason(acknowledge(&store, &message, READER).await), ErrorReason::MessageNotFound, "unread");
        for view_id in ["", "1", "00000000-0000-0000-0000-000000000000"] {
            let rejected = acknowledge(&store, &message, view_id).await.unwrap_err();
            assert_eq!(rejected.code(), Code::InvalidArgument);
            assert_eq!(ErrorInfo::from_status(&rejected).fields[0].field, "view_id");
        }
        let rejected = view_as(&store, &message, "no uuid").await.unwrap_err();
        assert_eq!(ErrorInfo::from_status(&rejected).fields[0].field, "view_id");
        assert_eq!(store.view(&message).await.unwrap().text(), Some("hello"), "nothing was consumed");
        assert_eq!(
            reason(acknowledge(&store, &message, READER).await),
            ErrorReason::MessageViewed,
            "viewed by another reader"
        );
    }

    async fn an_acknowledgement_under_another_id_erases_nothing(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = store.create("hello").await.unwrap();
        view_as(&store, &message, READER).await.unwrap();
        let other = CreateMessageResponse { id: message.id + 1, ..message.clone() };
        assert_eq!(reason(acknowledge(&store, &other, READER).await), ErrorReason::MessageNotFound);
        assert_eq!(view_as(&store, &message, READER).await.unwrap().text(), Some("hello"));
    }

    /// The database, the keyring and the link do not suffice without the reader's view id.
    async fn a_claimed_text_is_sealed_again_for_its_reader(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let message = store.create("hello").await.unwrap();
        let connection = database.connect().await.unwrap();
        let sealed = async |table: &str| {
            let sql = Statement::from_string(
                connection.get_database_backend(),
                format!("SELECT sealed_content FROM {table}"),
            );
            connection.query_one_raw(sql).await.unwrap().unwrap().try_get_by_index::<Vec<u8>>(0).unwrap()
        };
        let before = sealed("messages").await;
        view_as(&store, &message, READER).await.unwrap();
        let after = sealed("claims").await;
        assert_eq!(before.len(), after.len());
        assert!(before.iter().zip(&after).filter(|(before, after)| before == after).count() < before.len() / 4);
    }
}

//! Watches of a message until it ends.

#![cfg(test)]

use std::time::Duration;

use mayfly_contracts::{
    ErrorInfo,
    error::ErrorReason,
    message::{CreateMessageResponse, MessageState, WatchMessageRequest, WatchMessageResponse},
};
use mayfly_testkit::{TestStore, on_each_database};
use tonic::{Status, Streaming};

async fn watch(store: &TestStore, message: &CreateMessageResponse) -> Result<Streaming<WatchMessageResponse>, Status> {
    let request = WatchMessageRequest { id: message.id, access_token: message.access_token.clone() };
    store.messages().watch_message(request).await.map(tonic::Response::into_inner)
}

async fn next(stream: &mut Streaming<WatchMessageResponse>) -> Option<MessageState> {
    let timeout = Duration::from_secs(10);
    let next = tokio::time::timeout(timeout, stream.message()).await.expect("no response").unwrap();
    next.map(|response| response.state())
}

on_each_database! {
    async fn a_watch_reports_how_a_message_ends_and_then_ends(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let messages = [
            store.create("a").await.unwrap(),
            store.create("b").await.unwrap(),
            store.create_for("c", Duration::from_secs(60)).await.unwrap(),
        ];
        let mut streams = Vec::new();
        for message in &messages {
            let mut stream = watch(&store, message).await.unwrap();
            assert_eq!(next(&mut stream).await, Some(MessageState::Unread));
            streams.push(stream);
        }
        store.view(&messages[0]).await.unwrap();
        store.burn(&messages[1]).await.unwrap();
        store.clock.advance(Duration::from_secs(60));
        store.store.sweep().await.unwrap();
        for (stream, state) in
            streams.iter_mut().zip([MessageState::Viewed, MessageState::Burned, MessageState::Expired])
        {
            assert_eq!(next(stream).await, Some(state));
            assert_eq!(next(stream).await, None);
        }
        let mut late = watch(&store, &messages[0]).await.unwrap();
        assert_eq!((next(&mut late).await, next(&mut late).await), (Some(MessageState::Viewed), None));
    }

    async fn a_watch_reports_changes_by_another_store(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let other = TestStore::open_with(database, store.clock.clone(), &[]).await.unwrap();
        let message = store.create("hello").await.unwrap();
        let mut stream = watch(&store, &message).await.unwrap();
        assert_eq!(next(&mut stream).await, Some(MessageState::Unread));
        other.view(&message).await.unwrap();
        assert_eq!(next(&mut stream).await, Some(MessageState::Viewed));
    }

    async fn a_watch_with_a_wrong_token_is_rejected(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let (message, other) = (store.create("a").await.unwrap(), store.create("b").await.unwrap());
        let wrong = CreateMessageResponse { access_token: other.access_token, ..message };
        assert_eq!(
            ErrorInfo::from_status(&watch(&store, &wrong).await.unwrap_err()).reason,
            ErrorReason::MessageNotFound
        );
    }

    async fn a_watch_ends_when_the_store_stops(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = store.create("hello").await.unwrap();
        let mut stream = watch(&store, &message).await.unwrap();
        assert_eq!(next(&mut stream).await, Some(MessageState::Unread));
        drop(store);
        assert_eq!(next(&mut stream).await, None);
    }
}

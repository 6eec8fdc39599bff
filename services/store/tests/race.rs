//! One message and many readers: exactly one gets the text.

#![cfg(test)]

use mayfly_bootstrap::http::ServerLimits;
use mayfly_contracts::message::{BurnMessageRequest, ViewMessageRequest, message_service_client::MessageServiceClient};
use mayfly_contracts::{ErrorInfo, StoreChannel, error::ErrorReason, message::CreateMessageResponse};
use mayfly_testkit::{SelectThenDelete, TestStore, on_each_database, race};
use tokio::net::TcpListener;

const READERS: usize = 256;

async fn view(channel: StoreChannel, message: CreateMessageResponse) -> anyhow::Result<bool> {
    let request =
        ViewMessageRequest { id: message.id, access_token: message.access_token, ..ViewMessageRequest::default() };
    match MessageServiceClient::new(channel).view_message(request).await {
        Ok(response) => Ok(response.into_inner().text() == Some("hello")),
        Err(status) if ErrorInfo::from_status(&status).reason == ErrorReason::MessageViewed => Ok(false),
        Err(status) => Err(status.into()),
    }
}

/// The store behind a socket, as in production.
async fn serve(store: &TestStore) -> StoreChannel {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = std::sync::Arc::clone(&store.store);
    tokio::spawn(async move { serving.serve(listener, ServerLimits::new(1 << 20)).await });
    StoreChannel::remote(&url).unwrap()
}

on_each_database! {
    async fn exactly_one_of_256_readers_gets_the_text(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let channel = serve(&store).await;
        for _ in 0..5 {
            let message = store.create("hello").await.unwrap();
            let texts = race(READERS, |_| view(channel.clone(), message.clone())).await.unwrap();
            assert_eq!(texts, 1);
        }
    }

    async fn exactly_one_of_the_readers_at_two_stores_gets_the_text(database: TestDatabase) {
        let one = TestStore::open(database.clone()).await.unwrap();
        let two = TestStore::open_with(database, one.clock.clone(), &[]).await.unwrap();
        let channels = [serve(&one).await, serve(&two).await];
        for _ in 0..5 {
            let message = one.create("hello").await.unwrap();
            let texts = race(READERS, |reader| view(channels[reader % 2].clone(), message.clone())).await.unwrap();
            assert_eq!(texts, 1);
        }
    }

    async fn a_message_is_viewed_or_burned_but_never_both(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        for _ in 0..20 {
            let message = store.create("hello").await.unwrap();
            let ended = race(16, |reader| {
                let (channel, message) = (store.channel(), message.clone());
                async move {
                    let (id, access_token) = (message.id, message.access_token);
                    let mut client = MessageServiceClient::new(channel);
                    if reader % 2 == 0 {
                        return Ok(client
                            .view_message(ViewMessageRequest { id, access_token, ..ViewMessageRequest::default() })
                            .await
                            .is_ok());
                    }
                    let burned = client.burn_message(BurnMessageRequest { id, access_token }).await;
                    // Burning is idempotent, so only the first caller that burns is counted.
                    Ok(reader == 1 && burned.is_ok())
                }
            });
            assert_eq!(ended.await.unwrap(), 1);
        }
    }

    /// Control: these readers must lose the race, or the tests above prove nothing.
    async fn readers_that_select_before_they_delete_read_twice(database: TestDatabase) {
        const FEW: usize = 2;
        let store = TestStore::open(database).await.unwrap();
        store.create("hello").await.unwrap();
        let flawed = SelectThenDelete::new(store.database.connect().await.unwrap(), FEW);
        let texts = race(FEW, |_| {
            let flawed = flawed.clone();
            async move { flawed.view().await }
        });
        assert_eq!(texts.await.unwrap(), FEW);
    }
}

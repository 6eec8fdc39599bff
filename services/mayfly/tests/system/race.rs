//! One message and 256 readers, through every way in at once.

use mayfly_contracts::{
    Situation, StoreChannel,
    error::ErrorReason,
    message::{
        CreateMessageRequest, CreateMessageResponse, ViewMessageRequest, message_service_client::MessageServiceClient,
    },
};
use mayfly_testkit::{TestDatabase, race};

use crate::harness::{Layout, Options, System};

const READERS: usize = 256;

/// Reads over REST, over gRPC at the gateway, or over gRPC at the store, one after the other.
async fn view(
    way: usize,
    system: [String; 2],
    http: reqwest::Client,
    message: CreateMessageResponse,
) -> anyhow::Result<bool> {
    let [store_url, gateway_url] = system;
    let (id, access_token) = (message.id, message.access_token);
    if way == 0 {
        let answer = http.get(format!("{gateway_url}/api/v1/get_message/{id}/{access_token}/")).send().await?;
        return match answer.status().as_u16() {
            200 => Ok(answer.json::<serde_json::Value>().await?["text"] == "hello"),
            204 => Ok(false),
            status => anyhow::bail!("status {status}"),
        };
    }
    let url = if way == 1 { gateway_url } else { store_url };
    let mut client = MessageServiceClient::new(StoreChannel::remote(&url)?);
    match client.view_message(ViewMessageRequest { id, access_token, ..ViewMessageRequest::default() }).await {
        Ok(answer) => Ok(answer.into_inner().text == "hello"),
        Err(status) if Situation::of(&status).reason == ErrorReason::MessageViewed => Ok(false),
        Err(status) => Err(status.into()),
    }
}

async fn texts_of(systems: &[System]) -> usize {
    let request = CreateMessageRequest { text: "hello".to_owned(), ..CreateMessageRequest::default() };
    let message = systems[0].messages().create_message(request).await.unwrap().into_inner();
    let http = reqwest::Client::new();
    race(READERS, |reader| {
        let system = &systems[reader % systems.len()];
        let urls = [system.store_url.clone(), system.gateway_url.clone()];
        view(reader / systems.len() % 3, urls, http.clone(), message.clone())
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_reader_of_256_gets_the_text_on_sqlite() {
    let database = TestDatabase::sqlite().unwrap();
    let systems = [System::start(Layout::Three, &database, Options::default()).await];
    assert_eq!(texts_of(&systems).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_reader_of_256_gets_the_text_through_two_stores_on_postgres() {
    let database = TestDatabase::postgres().await.unwrap();
    let first = System::start(Layout::Three, &database, Options::default()).await;
    let second = System::start(Layout::One, &database, Options::default()).await;
    let systems = [first, second];
    for _ in 0..4 {
        assert_eq!(texts_of(&systems).await, 1);
    }
}

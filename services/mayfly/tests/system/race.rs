//! One message and up to 256 readers, through every way in at once.

use mayfly_contracts::{
    Situation, StoreChannel,
    error::ErrorReason,
    message::{
        CreateMessageRequest, CreateMessageResponse, ViewMessageRequest, ViewMessageResponse,
        message_service_client::MessageServiceClient,
    },
};
use mayfly_testkit::{FakeTelegram, TestDatabase, grpc_web, race};

use crate::{
    chat::{BOT_TOKEN, add_config},
    faults::rounds,
    harness::{Layout, Options, System},
};

/// How many readers there are at once, one crowd after the other.
const CROWDS: [usize; 4] = [2, 8, 64, 256];
const WAYS: usize = 6;

/// Where a reader stands.
#[derive(Clone)]
struct Reader {
    number: usize,
    store_url: String,
    gateway_url: String,
    http: reqwest::Client,
    telegram: FakeTelegram,
}

impl Reader {
    /// Whether this reader got the text.
    async fn view(self, message: CreateMessageResponse) -> anyhow::Result<bool> {
        match self.number % WAYS {
            0 => self.view_over_rest(message, true).await,
            1 => self.view_over_rest(message, false).await,
            2 => view_over_grpc(&self.gateway_url, message).await,
            3 => view_over_grpc(&self.store_url, message).await,
            4 => self.view_over_grpc_web(message).await,
            _ => self.view_in_chat(message).await,
        }
    }

    async fn view_over_rest(self, message: CreateMessageResponse, as_documented: bool) -> anyhow::Result<bool> {
        let (url, id, token) = (&self.gateway_url, message.id, message.access_token);
        let request = if as_documented {
            self.http.get(format!("{url}/api/v1/get_message/{id}/{token}/"))
        } else {
            let body = serde_json::json!({ "id": id, "access_token": token });
            self.http.post(format!("{url}/api/v1/view_message")).json(&body)
        };
        let answer = request.send().await?;
        match answer.status().as_u16() {
            200 => Ok(answer.json::<serde_json::Value>().await?["text"] == "hello"),
            204 => Ok(false),
            status => anyhow::bail!("status {status}"),
        }
    }

    async fn view_over_grpc_web(self, message: CreateMessageResponse) -> anyhow::Result<bool> {
        let path = "/mayfly.message.v1.MessageService/ViewMessage";
        let answer = grpc_web::call::<ViewMessageResponse>(&self.gateway_url, path, &view_request(message)).await?;
        match answer.messages.first() {
            Some(viewed) => Ok(viewed.text() == Some("hello")),
            None if answer.trailers.contains("grpc-status:5") => Ok(false),
            None => anyhow::bail!("{}", answer.trailers),
        }
    }

    async fn view_in_chat(self, message: CreateMessageResponse) -> anyhow::Result<bool> {
        let chat = 1 + i64::try_from(self.number)?;
        self.telegram.user_says(chat, &format!("{}:{}", message.id, message.access_token));
        let reply = self.telegram.next_reply(chat).await?.text;
        anyhow::ensure!(reply == "hello" || reply.contains("was read on"), "{reply}");
        Ok(reply == "hello")
    }
}

fn view_request(message: CreateMessageResponse) -> ViewMessageRequest {
    ViewMessageRequest { id: message.id, access_token: message.access_token, ..ViewMessageRequest::default() }
}

async fn view_over_grpc(url: &str, message: CreateMessageResponse) -> anyhow::Result<bool> {
    let mut client = MessageServiceClient::new(StoreChannel::remote(url)?);
    match client.view_message(view_request(message)).await {
        Ok(answer) => Ok(answer.into_inner().text() == Some("hello")),
        Err(status) if Situation::of(&status).reason == ErrorReason::MessageViewed => Ok(false),
        Err(status) => Err(status.into()),
    }
}

/// Lets crowd after crowd loose on a message each; exactly one reader of each may get its text.
async fn one_of_each_crowd_gets_the_text(systems: &[System], telegram: &FakeTelegram) {
    add_config(&systems[0], "first", BOT_TOKEN).await;
    let http = reqwest::Client::new();
    for round in 0..rounds() {
        for crowd in CROWDS {
            let request = CreateMessageRequest::of_text("hello");
            let message = systems[0].messages().create_message(request).await.unwrap().into_inner();
            let reader = |number: usize| {
                let system = &systems[number / WAYS % systems.len()];
                let (store_url, gateway_url) = (system.store_url.clone(), system.gateway_url.clone());
                Reader { number, store_url, gateway_url, http: http.clone(), telegram: telegram.clone() }
            };
            let texts = race(crowd, |number| reader(number).view(message.clone())).await.unwrap();
            assert_eq!(texts, 1, "of {crowd} readers, in round {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_reader_of_many_gets_the_text_on_sqlite() {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    let options = Options { telegram: Some(telegram.url()), ..Options::default() };
    let database = TestDatabase::sqlite().unwrap();
    let systems = [System::start(Layout::Three, &database, options).await];
    one_of_each_crowd_gets_the_text(&systems, &telegram).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_reader_of_many_gets_the_text_through_two_stores_on_postgres() {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    let options = Options { telegram: Some(telegram.url()), ..Options::default() };
    let database = TestDatabase::postgres().await.unwrap();
    let first = System::start(Layout::Three, &database, options).await;
    // The second one's bot has nobody to talk to: of two bots with one token Telegram hears but one.
    let second = System::start(Layout::One, &database, Options::default()).await;
    one_of_each_crowd_gets_the_text(&[first, second], &telegram).await;
}

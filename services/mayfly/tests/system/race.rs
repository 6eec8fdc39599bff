//! Up to 256 concurrent readers of one message, through all protocols.

use std::{future::Future, sync::Arc, time::Duration};

use mayfly_check::{Call, Outcome};
use mayfly_contracts::{
    ErrorInfo, StoreChannel,
    error::ErrorReason,
    message::{
        CreateMessageRequest, CreateMessageResponse, ViewMessageRequest, ViewMessageResponse,
        message_service_client::MessageServiceClient,
    },
};
use mayfly_testkit::{FakeTelegram, SelectThenDelete, TestDatabase, grpc_web, on_each_database, race};
use uuid::Uuid;

use crate::{
    chat::{BOT_TOKEN, add_config},
    faults::{Recorder, assert_guarantees, rounds},
    harness::{Layout, Options, System},
};

/// The numbers of concurrent readers, one after the other.
const READER_COUNTS: [usize; 10] = [2, 2, 2, 8, 8, 8, 8, 64, 64, 256];
const PROTOCOLS: usize = 6;
/// The protocol of readers in a chat.
const CHAT: usize = 5;

/// A reader, with its protocol and its clients.
#[derive(Clone)]
struct Reader {
    protocol: usize,
    chat: i64,
    /// The idempotency key of the view. Some readers have none.
    view_id: Option<Uuid>,
    store_url: String,
    gateway_url: String,
    http: reqwest::Client,
    telegram: FakeTelegram,
}

impl Reader {
    /// Views the message. Returns `true` if this reader got the text.
    async fn view(self, message: CreateMessageResponse) -> anyhow::Result<bool> {
        match self.protocol {
            0 => self.view_over_rest(message, true).await,
            1 => self.view_over_rest(message, false).await,
            2 => self.view_over_grpc(&self.gateway_url, message).await,
            3 => self.view_over_grpc(&self.store_url, message).await,
            4 => self.view_over_grpc_web(message).await,
            CHAT => self.view_in_chat(message).await,
            protocol => anyhow::bail!("unknown protocol {protocol}"),
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
        let request = match self.view_id {
            Some(view_id) => request.header("Idempotency-Key", view_id.to_string()),
            None => request,
        };
        let response = request.send().await?;
        match response.status().as_u16() {
            200 => Ok(response.json::<serde_json::Value>().await?["text"] == "hello"),
            204 => Ok(false),
            status => anyhow::bail!("status {status}"),
        }
    }

    fn view_request(&self, message: CreateMessageResponse) -> ViewMessageRequest {
        let view_id = self.view_id.map(|view_id| view_id.to_string()).unwrap_or_default();
        let (id, access_token) = (message.id, message.access_token);
        ViewMessageRequest { id, access_token, view_id, ..ViewMessageRequest::default() }
    }

    async fn view_over_grpc(&self, url: &str, message: CreateMessageResponse) -> anyhow::Result<bool> {
        let mut client = MessageServiceClient::new(StoreChannel::remote(url)?);
        match client.view_message(self.view_request(message)).await {
            Ok(response) => Ok(response.into_inner().text() == Some("hello")),
            Err(status) if ErrorInfo::from_status(&status).reason == ErrorReason::MessageViewed => Ok(false),
            Err(status) => Err(status.into()),
        }
    }

    async fn view_over_grpc_web(self, message: CreateMessageResponse) -> anyhow::Result<bool> {
        let path = "/mayfly.message.v1.MessageService/ViewMessage";
        let response =
            grpc_web::call::<ViewMessageResponse>(&self.gateway_url, path, &self.view_request(message)).await?;
        match response.messages.first() {
            Some(viewed) => Ok(viewed.text() == Some("hello")),
            None if response.trailers.contains("grpc-status:5") => Ok(false),
            None => anyhow::bail!("{}", response.trailers),
        }
    }

    async fn view_in_chat(self, message: CreateMessageResponse) -> anyhow::Result<bool> {
        self.telegram.user_says(self.chat, &format!("{}:{}", message.id, message.access_token));
        let reply = self.telegram.next_reply(self.chat).await?.text;
        anyhow::ensure!(reply == "hello" || reply.contains("was read on"), "{reply}");
        Ok(reply == "hello")
    }
}

/// A message, and the recorder of its history.
#[derive(Clone)]
struct RecordedMessage {
    number: u64,
    recorder: Arc<Recorder>,
}

impl RecordedMessage {
    fn create(recorder: &Arc<Recorder>) -> Self {
        let (number, recorder) = (recorder.new_message(), Arc::clone(recorder));
        let create = recorder.history().record_invocation(number, Call::Create).unwrap();
        recorder.history().record_outcome(create, Outcome::Created(number)).unwrap();
        Self { number, recorder }
    }

    /// Records the invocation and the outcome of `reading`, which returns `true` for a text.
    fn record_view<F>(&self, reader: Option<u64>, reading: F) -> impl Future<Output = anyhow::Result<bool>> + use<F>
    where
        F: Future<Output = anyhow::Result<bool>>,
    {
        let (number, recorder) = (self.number, Arc::clone(&self.recorder));
        let view = recorder.history().record_invocation(number, Call::View { reader });
        async move {
            let has_text = reading.await?;
            let outcome = if has_text { Outcome::Text(Some(number)) } else { Outcome::Gone };
            recorder.history().record_outcome(view?, outcome)?;
            Ok(has_text)
        }
    }
}

/// The bot's rate limits would delay readers, since each chat reads in every round.
const WITHOUT_RATE_LIMITS: &[(&str, &str)] =
    &[("MAYFLY_CHAT_MESSAGES_PER_MINUTE", "1000000"), ("MAYFLY_MESSAGES_PER_SECOND", "1000")];

/// Runs races for one message each. In each race exactly one reader must get the text.
async fn one_reader_gets_each_text(name: &str, systems: &[System], telegram: &FakeTelegram) {
    add_config(&systems[0], "first", BOT_TOKEN).await;
    // The gateway closes idle connections, and a call on a connection that it just closes would fail.
    let http = reqwest::Client::builder().pool_idle_timeout(Duration::from_secs(5)).build().unwrap();
    let recorder = Recorder::begin(name);
    for round in 0..rounds() {
        for readers in READER_COUNTS {
            let request = CreateMessageRequest::from_text("hello");
            let message = systems[0].messages().create_message(request).await.unwrap().into_inner();
            let recorded = RecordedMessage::create(&recorder);
            let reader = |number: usize| {
                let system = &systems[number % systems.len()];
                Reader {
                    // Small groups use other protocols in each race.
                    protocol: (number + usize::try_from(recorded.number).unwrap()) % PROTOCOLS,
                    chat: 1 + i64::try_from(number).unwrap(),
                    view_id: number.is_multiple_of(4).then(|| Uuid::from_u64_pair(recorded.number, number as u64 + 1)),
                    store_url: system.store_url.clone(),
                    gateway_url: system.gateway_url.clone(),
                    http: http.clone(),
                    telegram: telegram.clone(),
                }
            };
            let texts = race(readers, |number| {
                let reader = reader(number);
                // The bot derives a key from each update.
                let may_repeat = reader.view_id.is_some() || reader.protocol == CHAT;
                recorded.record_view(may_repeat.then_some(number as u64), reader.view(message.clone()))
            });
            assert_eq!(texts.await.unwrap(), 1, "of {readers} readers, in round {round}");
        }
    }
    let verdict = recorder.verdict();
    assert_guarantees(verdict, 0);
    assert_eq!(verdict.read_once, rounds() * READER_COUNTS.len() as u64);
}

on_each_database! {
    /// Negative control: readers that select and then delete in two steps.
    async fn select_then_delete_is_detected(database: TestDatabase) {
        const FEW: usize = 8;
        let system = System::start(Layout::One, &database, Options::default()).await;
        system.messages().create_message(CreateMessageRequest::from_text("hello")).await.unwrap();
        let name = if database.url().starts_with("sqlite") { "sqlite" } else { "postgres" };
        let recorder = Recorder::begin(&format!("race-look-first-{name}.control"));
        let recorded = RecordedMessage::create(&recorder);
        let flawed = SelectThenDelete::new(database.connect().await.unwrap(), FEW);
        let texts = race(FEW, |_| {
            let flawed = flawed.clone();
            recorded.record_view(None, async move { flawed.view().await })
        });
        assert_eq!(texts.await.unwrap(), FEW);
        assert_eq!(recorder.verdict().read_twice, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_readers_gets_the_text_on_sqlite() {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    let options =
        Options { telegram: Some(telegram.url()), bot_environment: WITHOUT_RATE_LIMITS, ..Options::default() };
    let database = TestDatabase::sqlite().unwrap();
    let systems = [System::start(Layout::Three, &database, options).await];
    one_reader_gets_each_text("race-sqlite", &systems, &telegram).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_readers_gets_the_text_through_two_stores_on_postgres() {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    let options =
        Options { telegram: Some(telegram.url()), bot_environment: WITHOUT_RATE_LIMITS, ..Options::default() };
    let database = TestDatabase::postgres().await.unwrap();
    let first = System::start(Layout::Three, &database, options).await;
    // The second bot has no Telegram, which accepts only one poll per token.
    let second = System::start(Layout::One, &database, Options::default()).await;
    one_reader_gets_each_text("race-postgres", &[first, second], &telegram).await;
}

//! Starts a bot beside its fakes, and talks to it.

use std::time::Duration;

use axum::http::HeaderMap;
use backon::ExponentialBuilder;
use clap::Parser as _;
use mayfly_bootstrap::{Secret, http::ServerLimits};
use mayfly_contracts::BotChannel;
use mayfly_testkit::{FakeTelegram, telegram::Message};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::fake_store::FakeStore;
use crate::{Bot, BotSettings, MAX_REQUEST_BYTES, error::BotError, gcra::Rate, timeouts::Timeouts};

/// How long anything may take before a test fails.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const SERVICE_TOKEN: &str = "service-token";
pub(super) const ADMIN_TOKEN: &str = "admin-token";
pub(super) const SIMULATOR_TOKEN: &str = "simulator-token";
pub(super) const BOT_TOKEN: &str = "1000000000:AAH-first";
/// Another token of the first bot.
pub(super) const NEW_BOT_TOKEN: &str = "1000000000:AAH-third";
pub(super) const OTHER_BOT_TOKEN: &str = "2000000000:AAH-second";
/// Where a bot in a test has its webhook.
pub(super) const WEBHOOK_PATH: &str = "/telegram";
/// Two people.
pub(super) const ANN: i64 = 700_000_001;
pub(super) const BOB: i64 = 700_000_002;

/// How a bot gets its updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Polling,
    Webhook,
}

/// Defines tests that hold however the bot gets its updates, each as one by polling and one by webhook.
///
/// With `clock = paused`, time passes when everything waits.
macro_rules! in_both_modes {
    (clock = paused; $($name:ident,)*) => {
        mod by_polling {
            $(#[tokio::test(start_paused = true)] async fn $name() { super::$name(super::Mode::Polling).await; })*
        }
        mod by_webhook {
            $(#[tokio::test(start_paused = true)] async fn $name() { super::$name(super::Mode::Webhook).await; })*
        }
    };
    ($($name:ident,)*) => {
        mod by_polling {
            $(#[tokio::test] async fn $name() { super::$name(super::Mode::Polling).await; })*
        }
        mod by_webhook {
            $(#[tokio::test] async fn $name() { super::$name(super::Mode::Webhook).await; })*
        }
    };
}
pub(super) use in_both_modes;

/// A Bot API, a store, and a bot between them.
pub(super) struct Fixture {
    pub telegram: FakeTelegram,
    pub store: FakeStore,
    pub bot: RunningBot,
}

pub(super) struct RunningBot {
    pub url: String,
    stop: CancellationToken,
    task: JoinHandle<Result<(), BotError>>,
}

/// A response of the bot's listener, read whole.
pub(super) struct HttpResponse {
    pub status: u16,
    headers: HeaderMap,
    pub body: String,
}

impl HttpResponse {
    /// Empty when there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// A bot that is about to poll.
pub(super) async fn fixture() -> Fixture {
    fixture_in(Mode::Polling).await
}

/// A bot that polls, or whose webhook is set.
pub(super) async fn fixture_in(mode: Mode) -> Fixture {
    fixture_of(mode, quick()).await
}

/// A bot that was started with `flags` more.
pub(super) async fn fixture_with_flags(mode: Mode, flags: &[&str]) -> Fixture {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    let bot = start_wholly(mode, &telegram, &store, quick(), flags).await;
    Fixture { telegram, store, bot }
}

pub(super) async fn fixture_with(timeouts: Timeouts) -> Fixture {
    fixture_of(Mode::Polling, timeouts).await
}

pub(super) async fn fixture_of(mode: Mode, timeouts: Timeouts) -> Fixture {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    let bot = start_of(mode, &telegram, &store, timeouts).await;
    Fixture { telegram, store, bot }
}

/// The two fakes without a bot. The store has no app config yet.
pub(super) async fn fakes() -> (FakeTelegram, FakeStore) {
    (FakeTelegram::start(BOT_TOKEN).await.unwrap(), FakeStore::new())
}

pub(super) async fn start(telegram: &FakeTelegram, store: &FakeStore) -> RunningBot {
    start_in(Mode::Polling, telegram, store).await
}

pub(super) async fn start_with_flags(
    telegram: &FakeTelegram,
    store: &FakeStore,
    timeouts: Timeouts,
    flags: &[&str],
) -> RunningBot {
    start_wholly(Mode::Polling, telegram, store, timeouts, flags).await
}

pub(super) async fn start_in(mode: Mode, telegram: &FakeTelegram, store: &FakeStore) -> RunningBot {
    start_of(mode, telegram, store, quick()).await
}

pub(super) async fn start_of(mode: Mode, telegram: &FakeTelegram, store: &FakeStore, timeouts: Timeouts) -> RunningBot {
    start_wholly(mode, telegram, store, timeouts, &[]).await
}

async fn start_wholly(
    mode: Mode,
    telegram: &FakeTelegram,
    store: &FakeStore,
    timeouts: Timeouts,
    flags: &[&str],
) -> RunningBot {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (url, webhook_url) = (format!("http://{address}"), format!("http://{address}{WEBHOOK_PATH}"));
    let mut arguments = [&["--telegram-api-url", telegram.url()], flags].concat();
    if mode == Mode::Webhook {
        arguments.extend(["--webhook-url", &webhook_url]);
    }
    let stop = CancellationToken::new();
    let service_token = Secret::new(SERVICE_TOKEN.to_owned());
    let mut settings = settings(&arguments);
    settings.spool_folder = store.folder();
    settings.simulator_token = settings.simulator.then(|| Secret::new(SIMULATOR_TOKEN.to_owned()));
    settings.conversation.deletions_folder = store.folder().join("deletions");
    let bot = Bot::with(store.channel(), &service_token, &settings, timeouts, stop.clone()).unwrap();
    RunningBot { url, stop, task: tokio::spawn(bot.run(listener, ServerLimits::new(MAX_REQUEST_BYTES))) }
}

fn settings(arguments: &[&str]) -> BotSettings {
    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        bot: BotSettings,
    }
    Cli::try_parse_from([&["bot"], arguments].concat()).unwrap().bot
}

/// Delays without jitter, in milliseconds.
pub(super) fn backoff_without_jitter(min: u64, max: u64) -> ExponentialBuilder {
    let (min, max) = (Duration::from_millis(min), Duration::from_millis(max));
    ExponentialBuilder::new().with_min_delay(min).with_max_delay(max).without_max_times()
}

/// Pauses that a test can wait for; limits as in real life.
pub(super) fn quick() -> Timeouts {
    let pauses = backoff_without_jitter(5, 100);
    Timeouts {
        duplicate_poll_interval: Duration::from_millis(20),
        spool_after: Duration::from_millis(100),
        inbound_chat_rate: Rate { burst: 1_000, interval: Duration::from_millis(1) },
        outbound_chat_rate: Rate::per_second(10_000),
        outbound_total_rate: Rate::per_second(10_000),
        telegram_backoff: pauses,
        rejected_retry_interval: Duration::from_millis(20),
        conflict_retry_interval: Duration::from_millis(20),
        store_backoff: pauses,
        ..Timeouts::default()
    }
}

impl Fixture {
    /// Sends a text in a chat and returns the text of the next reply.
    pub(super) async fn ask(&self, chat: i64, text: &str) -> String {
        self.telegram.user_says(chat, text);
        self.reply(chat).await
    }

    /// Sends a text in a chat and returns the next reply as the chat shows it.
    pub(super) async fn ask_message(&self, chat: i64, text: &str) -> Message {
        self.telegram.user_says(chat, text);
        let reply = self.telegram.next_reply(chat).await.unwrap();
        self.message(chat, reply.message_id)
    }

    /// Returns a message as the chat shows it now.
    pub(super) fn message(&self, chat: i64, message_id: i64) -> Message {
        let messages = self.telegram.messages(chat);
        messages.into_iter().find(|message| message.message_id == message_id).expect("the message is gone")
    }

    /// Presses a button and returns the text of the alert.
    pub(super) async fn press(&self, chat: i64, message: &Message, label: &str) -> Option<String> {
        let notice = self.telegram.press(chat, message.message_id, label).await.unwrap();
        assert_eq!(notice.is_alert, notice.text.is_some(), "sentences stay until they were read");
        notice.text
    }

    pub(super) async fn reply(&self, chat: i64) -> String {
        self.telegram.next_reply(chat).await.unwrap().text
    }
}

impl RunningBot {
    /// Stops the bot as SIGTERM does. Returns when it has ended.
    pub(super) async fn stop(self) {
        self.begin_stop();
        self.ended().await;
    }

    pub(super) fn begin_stop(&self) {
        self.stop.cancel();
    }

    pub(super) async fn ended(self) {
        let ended = tokio::time::timeout(TIMEOUT, self.task).await.expect("the bot did not end");
        ended.expect("the bot panicked").expect("the bot failed");
    }

    /// Kills the bot as SIGKILL does.
    pub(super) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    /// The way to its gRPC services.
    pub(super) fn channel(&self) -> BotChannel {
        BotChannel::remote(&self.url).unwrap()
    }

    /// The code and the body of a page of the bot's.
    pub(super) async fn page(&self, path: &str) -> (u16, String) {
        let response = self.get(path, &[]).await;
        (response.status, response.body)
    }

    /// Sends a GET request with these headers to the listener of the bot.
    pub(super) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> HttpResponse {
        self.send("GET", path, headers, String::new()).await
    }

    /// Sends a request to the listener of the bot.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> HttpResponse {
        let client = teloxide::net::default_reqwest_settings().build().unwrap();
        let mut request = client.request(method.parse().unwrap(), format!("{}{path}", self.url)).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        HttpResponse { status, headers, body: response.text().await.unwrap() }
    }

    pub(super) async fn status(&self) -> Value {
        serde_json::from_str(&self.page("/").await.1).unwrap()
    }

    /// Waits until the status page shows `state`, for a bounded time.
    pub(super) async fn shows(&self, state: &str) {
        self.shows_that(|status| status["state"] == state).await;
    }

    /// Waits until the status page is as wanted, by asking again and again, for a bounded time.
    pub(super) async fn shows_that(&self, is_so: impl Fn(&Value) -> bool) {
        let shown = async {
            while !is_so(&self.status().await) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(TIMEOUT, shown).await.expect("the page never showed it");
    }

    pub(super) async fn is_ready(&self) -> bool {
        self.page("/readyz").await.0 == 200
    }
}

/// The sentence for a message that the same chat viewed, with the time that the fake store gives.
pub(super) const VIEWED_HERE: &str = "This message was read on 2026-11-22 08:02 UTC from this chat, and is erased. \
    If you do not see its text above, it was lost on its way: ask for it anew.";

/// The sentence for a message that another chat viewed, with the time that the fake store gives.
pub(super) const VIEWED: &str =
    "This message was read on 2026-11-22 08:02 UTC. If that was not you, treat it as exposed.";

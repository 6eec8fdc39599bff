//! [`BotMetrics`]: what the bot counts and measures. [`StatusTracker`](crate::status::tracker::StatusTracker) carries it to
//! all parts of the bot.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mayfly_bootstrap::{
    label_values,
    metrics::{CounterTable, Counters, HttpMetrics, LabelValue as _, Metrics, RpcMetrics, histogram},
};
use mayfly_contracts::{is_streaming, methods_of};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge, histogram::Histogram};

use crate::telegram::errors::TelegramError;

/// The buckets of the lag of updates and of calls to Telegram, in seconds. Chats wait out floods of minutes.
const SECONDS: [f64; 15] =
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86_400.0];
/// The gRPC services of the bot, without reflection.
pub(crate) const SERVICES: [&str; 2] = ["mayfly.bot.v1.BotService", "grpc.health.v1.Health"];

label_values! {
    /// A limit of the bot that left an update without its reply.
    pub(crate) enum Limit: "limit" {
        Flood = "flood",
        StuckChat = "stuck_chat",
        InFlight = "in_flight",
    }
}

label_values! {
    /// What became of an update.
    pub(crate) enum UpdateResult: "result" {
        Handled = "handled",
        Postponed = "postponed",
        Failed = "failed",
    }
}

label_values! {
    /// A method of the Bot API.
    pub(crate) enum Method: "method" {
        AnswerCallbackQuery = "answerCallbackQuery",
        DeleteMessage = "deleteMessage",
        DeleteWebhook = "deleteWebhook",
        EditMessageReplyMarkup = "editMessageReplyMarkup",
        EditMessageText = "editMessageText",
        GetMe = "getMe",
        GetUpdates = "getUpdates",
        GetWebhookInfo = "getWebhookInfo",
        LogOut = "logOut",
        SendChatAction = "sendChatAction",
        SendDocument = "sendDocument",
        SendMessage = "sendMessage",
        SetMyCommands = "setMyCommands",
        SetWebhook = "setWebhook",
    }
}

label_values! {
    /// How a call to the Bot API ended.
    pub(crate) enum CallResult: "result" {
        Ok = "ok",
        Flood = "flood",
        Unreachable = "unreachable",
        TokenRefused = "token_refused",
        AnotherPoller = "another_poller",
        WebhookIsSet = "webhook_is_set",
        ChatGone = "chat_gone",
        TextUnfit = "text_unfit",
        Refused = "refused",
    }
}

impl From<TelegramError> for CallResult {
    fn from(error: TelegramError) -> Self {
        match error {
            TelegramError::Flood(_) => Self::Flood,
            TelegramError::Unreachable => Self::Unreachable,
            TelegramError::TokenRefused => Self::TokenRefused,
            TelegramError::AnotherPoller => Self::AnotherPoller,
            TelegramError::WebhookIsSet => Self::WebhookIsSet,
            TelegramError::ChatGone => Self::ChatGone,
            TelegramError::TextUnfit => Self::TextUnfit,
            TelegramError::Refused => Self::Refused,
        }
    }
}

/// The metrics of a bot. Clones share them.
#[derive(Clone)]
pub(crate) struct BotMetrics(Arc<Shared>);

/// See [`BotMetrics`].
pub(crate) struct Shared {
    pub(crate) http: HttpMetrics,
    pub(crate) rpcs: RpcMetrics,
    calls: CounterTable<Method, CallResult>,
    call_seconds: Vec<(Method, Histogram)>,
    pub(crate) received_updates: Counter,
    pub(crate) updates: Counters<UpdateResult>,
    pub(crate) update_lag: Histogram,
    pub(crate) updates_in_flight: Gauge,
    pub(crate) updates_spooled: Gauge,
    pub(crate) refusals: Counters<Limit>,
}

impl Default for BotMetrics {
    fn default() -> Self {
        Self(Arc::new(Shared {
            http: HttpMetrics::default(),
            rpcs: RpcMetrics::new(methods_of(&SERVICES), is_streaming),
            calls: CounterTable::default(),
            call_seconds: Method::ALL.iter().map(|method| (*method, histogram(SECONDS))).collect(),
            received_updates: Counter::default(),
            updates: Counters::default(),
            update_lag: histogram(SECONDS),
            updates_in_flight: Gauge::default(),
            updates_spooled: Gauge::default(),
            refusals: Counters::default(),
        }))
    }
}

impl std::ops::Deref for BotMetrics {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl BotMetrics {
    /// Counts and times a call to the Bot API.
    pub(crate) async fn measure<T>(
        &self,
        method: Method,
        call: impl Future<Output = Result<T, TelegramError>>,
    ) -> Result<T, TelegramError> {
        let began = Instant::now();
        let called = call.await;
        let result = called.as_ref().map_or_else(|error| (*error).into(), |_| CallResult::Ok);
        self.calls.inc(method, result);
        if let Some((_, seconds)) = self.call_seconds.iter().find(|(known, _)| *known == method) {
            seconds.observe(began.elapsed().as_secs_f64());
        }
        called
    }

    /// Records the number of updates in flight, and how many of them are in the spool.
    pub(crate) fn set_updates(&self, in_flight: usize, spooled: usize) {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.updates_in_flight.set(count(in_flight));
        self.updates_spooled.set(count(spooled));
    }

    /// Counts an update that was handled, `lag` after its sender sent it.
    pub(crate) fn record_handled(&self, lag: Option<Duration>) {
        if let Some(lag) = lag {
            self.update_lag.observe(lag.as_secs_f64());
        }
    }

    /// Registers the metrics.
    pub(crate) fn register(&self, metrics: &mut Metrics) {
        let shared = &*self.0;
        shared.http.register(metrics, "mayfly_bot");
        shared.rpcs.register(metrics, "mayfly_bot");
        metrics.register("mayfly_telegram_calls", "Calls to the Bot API, by method and result", shared.calls.clone());
        let help = "How long calls to the Bot API took; Telegram holds getUpdates";
        metrics.register_families("mayfly_telegram_call_duration_seconds", help, shared.call_seconds.clone());
        let help = "Updates of Telegram that the bot received, also those that came again";
        metrics.register("mayfly_bot_updates_received", help, shared.received_updates.clone());
        metrics.register("mayfly_bot_updates", "Updates of Telegram, by what became of them", shared.updates.clone());
        let help = "How long after an update was sent it was handled, to the second";
        metrics.register("mayfly_bot_update_lag_seconds", help, shared.update_lag.clone());
        let help = "Updates that are not handled yet";
        metrics.register("mayfly_bot_updates_in_flight", help, shared.updates_in_flight.clone());
        let help = "Updates that are not handled yet and that wait on disk";
        metrics.register("mayfly_bot_updates_spooled", help, shared.updates_spooled.clone());
        let help = "Updates that got no reply of their own, because of a limit";
        metrics.register("mayfly_bot_refusals", help, shared.refusals.clone());
    }
}

//! The status of the bot, which its parts update, and its page and `BotService` show.
//!
//! It is public: states, counts, times and constant messages. It holds no texts, no tokens and no user names. The type
//! `&'static str` of the messages guarantees that.

use std::{collections::VecDeque, sync::Arc, time::SystemTime};

use mayfly_bootstrap::metrics::Metrics;
use tokio::sync::watch;

use crate::metrics::{BotMetrics, UpdateResult};

/// How many different errors are kept.
const MAX_ERRORS: usize = 8;

/// The state of the bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    WaitingForStore,
    WaitingForConfig,
    SigningIn,
    TokenRefused,
    TelegramUnreachable,
    Conflict,
    WebhookRefused,
    Serving,
}

impl State {
    const ALL: [Self; 8] = [
        Self::WaitingForStore,
        Self::WaitingForConfig,
        Self::SigningIn,
        Self::TokenRefused,
        Self::TelegramUnreachable,
        Self::Conflict,
        Self::WebhookRefused,
        Self::Serving,
    ];

    /// For metrics.
    fn label(self) -> &'static str {
        match self {
            Self::WaitingForStore => "waiting_for_store",
            Self::WaitingForConfig => "waiting_for_config",
            Self::SigningIn => "signing_in",
            Self::TokenRefused => "token_refused",
            Self::TelegramUnreachable => "telegram_unreachable",
            Self::Conflict => "conflict",
            Self::WebhookRefused => "webhook_refused",
            Self::Serving => "serving",
        }
    }

    /// For humans.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WaitingForStore => "waiting for the store",
            Self::WaitingForConfig => "waiting for a config",
            Self::SigningIn => "signing in",
            Self::TokenRefused => "the bot token is refused",
            Self::TelegramUnreachable => "Telegram is unreachable",
            Self::Conflict => "another program receives this bot's updates",
            Self::WebhookRefused => "Telegram refuses the webhook",
            Self::Serving => "serving",
        }
    }

    /// Returns the health for this state.
    pub(crate) fn health(self) -> Health {
        match self {
            Self::Serving => Health::Good,
            Self::WaitingForStore | Self::WaitingForConfig | Self::SigningIn => Health::Waiting,
            Self::TokenRefused | Self::TelegramUnreachable | Self::Conflict | Self::WebhookRefused => Health::Failing,
        }
    }
}

/// The health in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Good,
    Waiting,
    Failing,
}

impl Health {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Waiting => "waiting",
            Self::Failing => "failing",
        }
    }
}

/// How updates arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The bot polls Telegram.
    Polling,
    /// Telegram calls the webhook.
    Webhook,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::Webhook => "webhook",
        }
    }
}

/// The status of the bot at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub state: State,
    pub mode: Mode,
    /// The user name of the bot, if known.
    pub bot: Option<String>,
    /// The app config in use.
    pub app_config_id: Option<i64>,
    /// When the last update arrived, of any kind.
    pub last_update: Option<SystemTime>,
    /// The number of updates in flight.
    pub queued_updates: usize,
    /// The number of updates that failed since the start.
    pub failed_updates: u64,
    /// The errors, the latest first, each kind once.
    pub errors: VecDeque<ErrorEntry>,
    /// Whether the bot watches the app config in the store.
    pub is_connected: bool,
    was_ever_connected: bool,
}

/// One kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ErrorEntry {
    pub message: &'static str,
    /// How often it happened since the start, or since it was last evicted.
    pub count: u64,
    /// When it happened last.
    pub time: SystemTime,
}

/// The shared status. Clones share it.
#[derive(Clone)]
pub(crate) struct StatusTracker {
    status: Arc<watch::Sender<Status>>,
    metrics: BotMetrics,
}

impl Default for StatusTracker {
    fn default() -> Self {
        let status = Status {
            state: State::WaitingForStore,
            mode: Mode::Polling,
            bot: None,
            app_config_id: None,
            last_update: None,
            queued_updates: 0,
            failed_updates: 0,
            errors: VecDeque::with_capacity(MAX_ERRORS),
            is_connected: false,
            was_ever_connected: false,
        };
        Self { status: Arc::new(watch::Sender::new(status)), metrics: BotMetrics::default() }
    }
}

impl StatusTracker {
    /// The metrics of the bot.
    pub(crate) fn metrics(&self) -> &BotMetrics {
        &self.metrics
    }

    /// Registers the metrics of the bot, and its state.
    pub(crate) fn register(&self, metrics: &mut Metrics) {
        self.metrics.register(metrics);
        let status = self.clone();
        let help = "1 while the bot watches its configuration in the store, else 0";
        metrics.gauge("mayfly_bot_store_reachable", help, move || {
            f64::from(u8::from(status.status.borrow().is_connected))
        });
        let status = self.clone();
        let help = "1 for the state that the bot is in, else 0";
        metrics.gauges("mayfly_bot_state", help, "state", move || {
            let current = status.snapshot().state;
            State::ALL.iter().map(|state| (state.label(), f64::from(u8::from(*state == current)))).collect()
        });
    }

    pub(crate) fn set_state(&self, state: State) {
        self.change(|status| status.state = state);
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.change(|status| status.mode = mode);
    }

    pub(crate) fn set_bot(&self, bot: Option<String>) {
        self.change(|status| status.bot = bot);
    }

    pub(crate) fn set_app_config(&self, id: Option<i64>) {
        self.change(|status| status.app_config_id = id);
    }

    /// Returns the previous value.
    pub(crate) fn set_connected(&self, is_connected: bool) -> bool {
        let mut was_connected = false;
        self.change(|status| {
            was_connected = std::mem::replace(&mut status.is_connected, is_connected);
            status.was_ever_connected |= is_connected;
        });
        was_connected
    }

    /// Records that an update of any kind arrived.
    pub(crate) fn record_update(&self) {
        self.metrics.received_updates.inc();
        self.change(|status| status.last_update = Some(now()));
    }

    /// Records the number of updates in flight.
    pub(crate) fn set_queued_updates(&self, count: usize) {
        self.change(|status| status.queued_updates = count);
    }

    /// Records that an update failed, and why.
    pub(crate) fn record_failed_update(&self, why: &'static str) {
        self.metrics.updates.inc(UpdateResult::Failed);
        self.change(|status| {
            status.failed_updates += 1;
            status.record(why);
        });
    }

    /// Records an error.
    pub(crate) fn record_error(&self, message: &'static str) {
        self.change(|status| status.record(message));
    }

    /// Returns the current status.
    pub(crate) fn snapshot(&self) -> Status {
        self.status.borrow().for_display()
    }

    /// Returns a receiver of all changes. Call `for_display` on its values.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    fn change(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
    }
}

impl Status {
    fn record(&mut self, message: &'static str) {
        let known = self.errors.iter().position(|error| error.message == message);
        let count = known.and_then(|at| self.errors.remove(at)).map_or(0, |error| error.count);
        self.errors.truncate(MAX_ERRORS - 1);
        self.errors.push_front(ErrorEntry { message, count: count + 1, time: now() });
    }

    /// Before the first connection to the store, the state is always "waiting for the store".
    pub(crate) fn for_display(&self) -> Self {
        let state = if self.was_ever_connected { self.state } else { State::WaitingForStore };
        Self { state, ..self.clone() }
    }
}

/// Only for display.
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(status: &StatusTracker) -> Vec<(&'static str, u64)> {
        status.snapshot().errors.iter().map(|error| (error.message, error.count)).collect()
    }

    #[test]
    fn an_error_that_comes_again_is_counted_and_comes_to_the_front() {
        let status = StatusTracker::default();
        for message in ["one", "two", "one"] {
            status.record_error(message);
        }
        assert_eq!(errors(&status), [("one", 2), ("two", 1)]);
    }

    #[test]
    fn only_the_latest_errors_are_kept() {
        let status = StatusTracker::default();
        let all = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
        for message in all {
            status.record_error(message);
        }
        let kept: Vec<_> = errors(&status).into_iter().map(|(message, _)| message).collect();
        assert_eq!(kept, ["9", "8", "7", "6", "5", "4", "3", "2"]);
    }

    #[test]
    fn an_update_that_failed_is_counted_with_its_reason() {
        let status = StatusTracker::default();
        status.record_failed_update("not sent");
        assert_eq!(status.snapshot().failed_updates, 1);
        assert_eq!(errors(&status), [("not sent", 1)]);
    }

    #[test]
    fn the_state_is_waiting_for_the_store_before_the_first_connection() {
        let status = StatusTracker::default();
        status.set_state(State::WaitingForConfig);
        assert_eq!(status.snapshot().state, State::WaitingForStore);
        assert!(!status.set_connected(true));
        assert_eq!(status.snapshot().state, State::WaitingForConfig);
        assert!(status.set_connected(false), "it was connected");
        assert_eq!(status.snapshot().state, State::WaitingForConfig);
    }

    #[test]
    fn only_changes_are_told() {
        let status = StatusTracker::default();
        let changes = status.subscribe();
        status.set_state(State::WaitingForStore);
        status.set_mode(Mode::Polling);
        status.set_queued_updates(0);
        status.set_connected(false);
        assert!(!changes.has_changed().unwrap());
        status.set_mode(Mode::Webhook);
        assert!(changes.has_changed().unwrap());
    }
}

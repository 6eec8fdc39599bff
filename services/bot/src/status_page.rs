//! The bot's page: what it is doing, for people and for health checks. Shows no secrets.

use std::sync::Arc;

use axum::{Json, Router, extract, http::StatusCode, routing::get};
use serde::Serialize;
use tokio::sync::watch;

/// What the bot is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    WaitingForStore,
    WaitingForConfig,
    SigningIn,
    TokenRefused,
    TelegramUnreachable,
    Conflict,
    Polling,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::WaitingForStore => "waiting for the store",
            Self::WaitingForConfig => "waiting for a config",
            Self::SigningIn => "signing in",
            Self::TokenRefused => "the bot token is refused",
            Self::TelegramUnreachable => "Telegram is unreachable",
            Self::Conflict => "another program receives this bot's updates",
            Self::Polling => "polling",
        }
    }
}

/// Where the bot's parts note what they are doing. Clones share one board.
#[derive(Clone)]
pub(crate) struct StatusBoard(Arc<watch::Sender<Status>>);

struct Status {
    /// The bot's user name, once Telegram has told.
    bot: Option<String>,
    state: State,
    /// Whether the store tells us of changes of the app config.
    is_connected: bool,
    was_ever_connected: bool,
}

impl Default for StatusBoard {
    fn default() -> Self {
        let status =
            Status { bot: None, state: State::WaitingForStore, is_connected: false, was_ever_connected: false };
        Self(Arc::new(watch::Sender::new(status)))
    }
}

impl StatusBoard {
    pub(crate) fn set_state(&self, state: State) {
        self.0.send_modify(|status| status.state = state);
    }

    pub(crate) fn set_bot(&self, bot: Option<String>) {
        self.0.send_modify(|status| status.bot = bot);
    }

    /// Answers whether it was connected before.
    pub(crate) fn set_connected(&self, is_connected: bool) -> bool {
        let mut was_connected = false;
        self.0.send_modify(|status| {
            was_connected = status.is_connected;
            status.is_connected = is_connected;
            status.was_ever_connected |= is_connected;
        });
        was_connected
    }

    fn page(&self) -> Page {
        let status = self.0.borrow();
        // Without a config ever heard of, waiting for one would be a guess.
        let state = if status.was_ever_connected { status.state } else { State::WaitingForStore };
        Page { status: StatusCode::OK.as_u16(), bot: status.bot.clone(), state: state.name() }
    }

    fn is_ready(&self) -> bool {
        self.0.borrow().is_connected
    }
}

/// `status` comes first and is what the replaced system answered.
#[derive(Serialize)]
struct Page {
    status: u16,
    bot: Option<String>,
    state: &'static str,
}

/// `/` for people, `/healthz` as long as the process lives, `/readyz` while the store tells us its app config.
///
/// A bot that waits for its config is ready: it is doing what it should, and whoever waits for it to be ready before they
/// add the config would wait for ever. Telegram's troubles do not make it unready either; a restart would not help.
pub(crate) fn router(board: StatusBoard) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(is_ready))
        .with_state(board)
}

async fn page(extract::State(board): extract::State<StatusBoard>) -> Json<Page> {
    Json(board.page())
}

async fn is_ready(extract::State(board): extract::State<StatusBoard>) -> (StatusCode, &'static str) {
    if board.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the store cannot be reached\n")
    }
}

//! The bot's page: how it is doing, for people and for health checks. Shows no secrets.

use std::time::SystemTime;

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::status::{Status, StatusBoard};

/// What the page says, for programs. `status` comes first and is what the replaced system answered.
#[derive(Serialize)]
struct Page {
    status: u16,
    bot: Option<String>,
    state: &'static str,
    mode: &'static str,
    app_config_id: Option<i64>,
    is_store_connected: bool,
    last_update_time: Option<String>,
    queued_updates: usize,
    failed_updates: u64,
    errors: Vec<PageError>,
    version: &'static str,
}

#[derive(Serialize)]
struct PageError {
    time: String,
    what: &'static str,
    count: u64,
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

async fn page(State(board): State<StatusBoard>) -> Json<Page> {
    Json(Page::of(board.status()))
}

async fn is_ready(State(board): State<StatusBoard>) -> (StatusCode, &'static str) {
    if board.status().is_connected {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the store cannot be reached\n")
    }
}

impl Page {
    fn of(status: Status) -> Self {
        let error = |error: &crate::status::Trouble| PageError {
            time: rfc3339(error.time),
            what: error.what,
            count: error.count,
        };
        Self {
            status: StatusCode::OK.as_u16(),
            state: status.state.name(),
            mode: status.mode.name(),
            app_config_id: status.app_config_id,
            is_store_connected: status.is_connected,
            last_update_time: status.last_update.map(rfc3339),
            queued_updates: status.queued_updates,
            failed_updates: status.failed_updates,
            errors: status.errors.iter().map(error).collect(),
            version: env!("CARGO_PKG_VERSION"),
            bot: status.bot,
        }
    }
}

fn rfc3339(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Secs, true)
}

//! The status as JSON.

use std::time::SystemTime;

use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::status::tracker::{ErrorEntry, Status};

/// `status` is first, and the same as in the system that Mayfly replaces.
#[derive(Serialize)]
pub(super) struct Report {
    status: u16,
    /// The user name of the bot, without `@`. Null before it signs in.
    pub bot: Option<String>,
    pub state: &'static str,
    pub health: &'static str,
    pub mode: &'static str,
    pub app_config_id: Option<i64>,
    pub is_store_connected: bool,
    /// In RFC 3339. Null before the first update.
    pub last_update_time: Option<String>,
    pub queued_updates: usize,
    pub failed_updates: u64,
    /// The latest first.
    pub errors: Vec<ReportedError>,
    pub version: &'static str,
}

/// One kind of error.
#[derive(Serialize)]
pub(super) struct ReportedError {
    /// When it happened last, in RFC 3339.
    pub time: String,
    pub what: &'static str,
    pub count: u64,
}

impl Report {
    pub(super) fn of(status: Status) -> Self {
        let error = |ErrorEntry { message, count, time }| ReportedError { time: rfc3339(time), what: message, count };
        Self {
            status: StatusCode::OK.as_u16(),
            bot: status.bot,
            state: status.state.name(),
            health: status.state.health().name(),
            mode: status.mode.name(),
            app_config_id: status.app_config_id,
            is_store_connected: status.is_connected,
            last_update_time: status.last_update.map(rfc3339),
            queued_updates: status.queued_updates,
            failed_updates: status.failed_updates,
            errors: status.errors.into_iter().map(error).collect(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

fn rfc3339(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Secs, true)
}

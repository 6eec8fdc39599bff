//! Logs: what is written, in which form, and what never is.
//!
//! Our own crates log at the level that is asked for. Everything below us stays at `warn`, whatever is asked for:
//! libraries trace frames, URLs and connection options, and some of these are secrets.

use std::{io, panic, str::FromStr};

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Every crate of ours begins with this.
const OUR_CRATES: &str = "mayfly";

/// These even warn of what they were given: of parts of a database URL, say.
const INDISCREET_CRATES: &str = "sqlx";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line of text each, for people.
    Text,
    /// One JSON object each, for machines.
    Json,
}

/// What is logged.
#[derive(Clone, Debug, clap::Args)]
pub struct LogSettings {
    /// How much is logged: error, warn, info, debug or trace.
    #[arg(long, env = "MAYFLY_LOG", global = true, default_value = "info", value_name = "LEVEL", value_parser = Level::from_str)]
    pub log: Level,
    /// How log lines look.
    #[arg(long, env = "MAYFLY_LOG_FORMAT", global = true, default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// Starts writing logs to standard error, and turns panics into log lines. Call it once, first thing.
pub fn init(settings: &LogSettings) {
    let targets = Targets::new()
        .with_target(OUR_CRATES, settings.log)
        .with_target(INDISCREET_CRATES, LevelFilter::ERROR)
        .with_default(LevelFilter::from_level(settings.log.min(Level::WARN)));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match settings.log_format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(targets)).init();
    panic::set_hook(Box::new(log_panic));
}

/// A panic's message may hold whatever was formatted into it, so only messages from the source code are shown.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(message withheld)");
    tracing::error!(location, message, "panicked");
}

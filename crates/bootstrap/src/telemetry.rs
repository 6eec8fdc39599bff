//! Logs: levels, formats, and what is never logged.
//!
//! Mayfly's own crates log at the configured level. Libraries never log below `warn`: they trace frames, URLs and
//! connection options, some of which are secrets.

use std::{io, panic, str::FromStr};

use tracing::{Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _, filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// The prefix of Mayfly's own crates.
const OWN_CRATES: &str = "mayfly";

/// Crates whose warnings may contain secrets, such as parts of a database URL.
const SECRET_LOGGING_CRATES: &str = "sqlx";

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line of text each, for people.
    Text,
    /// One JSON object each, for machines.
    Json,
}

/// Log settings.
#[derive(Clone, Debug, clap::Args)]
pub struct LogSettings {
    /// The log level: error, warn, info, debug or trace.
    #[arg(
        long,
        env = "MAYFLY_LOG",
        global = true,
        default_value = "info",
        value_name = "LEVEL",
        value_parser = Level::from_str
    )]
    pub log: Level,
    /// The format of log lines.
    #[arg(long, env = "MAYFLY_LOG_FORMAT", global = true, default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// Starts logging to standard error, and logs panics. Call it once, before anything else.
pub fn init(settings: &LogSettings) {
    subscriber(settings, io::stderr).init();
    panic::set_hook(Box::new(log_panic));
}

/// Writes log lines to `writer`.
fn subscriber<W>(settings: &LogSettings, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let targets = Targets::new()
        .with_target(OWN_CRATES, settings.log)
        .with_target(SECRET_LOGGING_CRATES, LevelFilter::ERROR)
        .with_default(LevelFilter::from_level(settings.log.min(Level::WARN)));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match settings.log_format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // A filter of the whole subscriber, not of the layer. A layer's filter remembers a rejected event until the next
    // one, which it then drops if only `log_enabled!` asked for the first. sqlx does that for each notice of
    // PostgreSQL.
    tracing_subscriber::registry().with(targets).with(lines)
}

/// Logs only constant panic messages: a formatted message may contain secrets.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(message withheld)");
    tracing::error!(location, message, "panicked");
}

#[cfg(test)]
mod tests {
    use std::{fs::File, sync::Arc};

    use super::*;

    #[test]
    fn an_event_after_log_enabled_asked_for_a_rejected_one_is_logged() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = LogSettings { log: Level::INFO, log_format: LogFormat::Text };
        let writer = Arc::new(File::create(file.path()).unwrap());
        let notice = tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            tracing::info_span!(target: "sqlx", "notice").metadata().unwrap()
        });
        let is_notice_enabled = tracing::subscriber::with_default(subscriber(&settings, writer), || {
            // `log_enabled!` asks without an event.
            let is_enabled = tracing::dispatcher::get_default(|dispatch| dispatch.enabled(notice));
            tracing::error!("permission denied");
            tracing::error!(target: "sqlx", "the next one");
            tracing::warn!(target: "sqlx", "may hold a secret");
            is_enabled
        });
        let log = std::fs::read_to_string(file.path()).unwrap();
        assert!(log.contains("permission denied") && log.contains("the next one"), "{log}");
        assert!(!is_notice_enabled && !log.contains("may hold a secret"), "{log}");
    }
}

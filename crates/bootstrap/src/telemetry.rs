//! Logs: what is written, in which form, and what never is.
//!
//! Our own crates log at the level that is asked for. Everything below us stays at `warn`, whatever is asked for:
//! libraries trace frames, URLs and connection options, and some of these are secrets.

use std::{io, panic, str::FromStr};

use tracing::{Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _, filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

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
    subscriber(settings, io::stderr).init();
    panic::set_hook(Box::new(log_panic));
}

/// Writes log lines to `writer`.
fn subscriber<W>(settings: &LogSettings, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let targets = Targets::new()
        .with_target(OUR_CRATES, settings.log)
        .with_target(INDISCREET_CRATES, LevelFilter::ERROR)
        .with_default(LevelFilter::from_level(settings.log.min(Level::WARN)));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match settings.log_format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // The filter is one of the whole subscriber. A layer's own filter remembers that it refused an event until the next
    // event, which is then lost if only `log_enabled!` asked about the first: sqlx does so for each notice of PostgreSQL.
    tracing_subscriber::registry().with(targets).with(lines)
}

/// A panic's message may hold whatever was formatted into it, so only messages from the source code are shown.
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
    fn an_event_after_a_question_about_a_refused_one_is_logged() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = LogSettings { log: Level::INFO, log_format: LogFormat::Text };
        let writer = Arc::new(File::create(file.path()).unwrap());
        let notice = tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            tracing::info_span!(target: "sqlx", "notice").metadata().unwrap()
        });
        let is_notice_enabled = tracing::subscriber::with_default(subscriber(&settings, writer), || {
            // As `log_enabled!` does: a question that no event follows.
            let is_enabled = tracing::dispatcher::get_default(|asked| asked.enabled(notice));
            tracing::error!("permission denied");
            tracing::error!(target: "sqlx", "the next one");
            tracing::warn!(target: "sqlx", "too indiscreet");
            is_enabled
        });
        let log = std::fs::read_to_string(file.path()).unwrap();
        assert!(log.contains("permission denied") && log.contains("the next one"), "{log}");
        assert!(!is_notice_enabled && !log.contains("too indiscreet"), "{log}");
    }
}

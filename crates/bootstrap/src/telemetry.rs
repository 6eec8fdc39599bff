//! Logs: levels, formats, and what is never logged.
//!
//! Mayfly's own crates log at the configured level. Libraries never log below `warn`: they trace frames, URLs and
//! connection options, some of which are secrets.

use std::{io, panic, str::FromStr};

use tracing::{Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _, filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::{
    RequestId, audit,
    http::{ACCESS_CALLER_TARGET, ACCESS_TARGET},
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

/// The requests of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AccessLog {
    /// None.
    Off,
    /// Those with an error as their response, or without a response.
    Errors,
    /// All except for successful health checks.
    All,
}

impl AccessLog {
    fn level(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Errors => LevelFilter::WARN,
            Self::All => LevelFilter::INFO,
        }
    }
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
    /// Which requests get a line in the log, with route, status, duration and request id, at any log level. Errors tell
    /// their request id to the caller, and have a line by default. With all, the log tells when each message was stored
    /// and read.
    #[arg(long, env = "MAYFLY_ACCESS_LOG", global = true, default_value = "errors", value_name = "REQUESTS")]
    pub access_log: AccessLog,
    /// Log the caller's address with its requests: an IPv4 address or an IPv6 /64 network.
    #[arg(long, env = "MAYFLY_ACCESS_LOG_CALLERS", global = true)]
    pub access_log_callers: bool,
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
        .with_target(ACCESS_TARGET, settings.access_log.level())
        .with_target(
            ACCESS_CALLER_TARGET,
            if settings.access_log_callers { LevelFilter::INFO } else { LevelFilter::OFF },
        )
        .with_target(audit::TARGET, LevelFilter::INFO)
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
    let request_id = RequestId::current().map(tracing::field::display);
    tracing::error!(location, message, request_id, "panicked");
}

#[cfg(test)]
mod tests {
    use std::{fs::File, net::SocketAddr, sync::Arc};

    use axum::{
        Router,
        body::Body,
        extract::{ConnectInfo, Request},
        http::{StatusCode, request::Builder},
        middleware::{self, Next},
        routing::get,
    };
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;
    use tracing::instrument::WithSubscriber as _;

    use super::*;
    use crate::http::{CallerSource, ListenerInfo, observe};

    fn settings(log: Level, access_log: AccessLog) -> LogSettings {
        LogSettings { log, log_format: LogFormat::Text, access_log, access_log_callers: false }
    }

    #[test]
    fn an_event_after_log_enabled_asked_for_a_rejected_one_is_logged() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = settings(Level::INFO, AccessLog::Off);
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

    /// What a subscriber with these settings writes for a request with this response.
    async fn access_line(access_log: AccessLog, callers: bool, path: &str, status: u16) -> String {
        access_line_of(access_log, callers, Request::get(path), status).await
    }

    async fn access_line_of(access_log: AccessLog, callers: bool, request: Builder, status: u16) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = LogSettings { access_log_callers: callers, ..settings(Level::ERROR, access_log) };
        let subscriber = subscriber(&settings, Arc::new(File::create(file.path()).unwrap()));
        let respond = move || async move { (StatusCode::from_u16(status).unwrap(), "0123456789") };
        let router = Router::new().route("/get/{token}", get(respond)).route("/healthz", get(respond));
        let router = router.layer(middleware::from_fn(async |request: Request, next: Next| {
            observe(&CallerSource::Direct, ListenerInfo::http("gateway"), request, |request| next.run(request)).await
        }));
        let mut request = request.header("user-agent", "of-the-caller").body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 1))));
        async {
            let response = router.oneshot(request).await.unwrap();
            response.into_body().collect().await.unwrap();
        }
        .with_subscriber(subscriber)
        .await;
        std::fs::read_to_string(file.path()).unwrap()
    }

    #[tokio::test]
    async fn the_access_log_has_the_requests_of_its_setting_at_any_log_level() {
        let (get, health) = ("/get/0b5e0b5e?token=0b5e0b5e", "/healthz");
        for (access_log, path, status, is_logged) in [
            (AccessLog::Off, get, 200, false),
            (AccessLog::Off, get, 500, false),
            (AccessLog::Errors, get, 204, false),
            (AccessLog::Errors, get, 401, true),
            (AccessLog::Errors, health, 503, true),
            (AccessLog::All, get, 200, true),
            (AccessLog::All, health, 200, false),
        ] {
            let line = access_line(access_log, false, path, status).await;
            assert_eq!(line.contains("mayfly::access"), is_logged, "{access_log:?} {path} {status}: {line}");
        }
    }

    #[tokio::test]
    async fn a_line_of_the_access_log_has_the_route_and_nothing_of_the_caller() {
        let line = access_line(AccessLog::All, false, "/get/0b5e0b5e?token=0b5e0b5e", 200).await;
        for part in ["INFO", "gateway", "method=\"GET\"", "route=\"/get/{token}\"", "status=200", "response_bytes=10"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(line.contains("duration_us=") && line.contains("request_id="), "{line}");
        for part in ["0b5e", "192.0.2.1", "of-the-caller", "aborted"] {
            assert!(!line.contains(part), "{part}: {line}");
        }
        let line = access_line_of(AccessLog::Errors, false, Request::builder().method("0B5E"), 404).await;
        assert!(line.contains("method=\"_OTHER\"") && !line.contains("0B5E"), "{line}");
        let line = access_line(AccessLog::All, true, "/get/0b5e0b5e", 200).await;
        assert!(line.contains("caller=192.0.2.1"), "{line}");
        let line = access_line(AccessLog::Errors, false, "/0b5e0b5e", 404).await;
        assert!(line.contains("WARN") && line.contains("route=\"(none)\"") && !line.contains("0b5e"), "{line}");
    }

    #[tokio::test]
    async fn the_audit_log_is_written_at_any_log_level() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let writer = Arc::new(File::create(file.path()).unwrap());
        let id = RequestId::generate();
        let acting = async {
            let attempt = audit::attempt("app_config.delete", audit::Actor::Admin).on(7);
            attempt.end(Err::<(), _>(())).unwrap_err();
            drop(audit::attempt("app_config.update", audit::Actor::Admin));
        };
        id.scope(acting).with_subscriber(subscriber(&settings(Level::ERROR, AccessLog::Off), writer)).await;
        let log = std::fs::read_to_string(file.path()).unwrap();
        let expected = format!("object=\"7\" outcome=\"failure\" request_id={id}");
        assert!(log.contains(&expected) && log.contains("mayfly::audit"), "{log}");
        assert!(log.contains("action=\"app_config.update\" actor=\"admin\" outcome=\"unknown\""), "{log}");
    }
}

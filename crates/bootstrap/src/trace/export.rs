//! The export of spans to a collector of OpenTelemetry, by OTLP over gRPC.
//!
//! Spans wait in a bounded queue for a thread of the SDK, and a task of the runtime sends them. A collector that is away
//! costs spans, and nothing else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderName, HeaderValue};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, RetryPolicy, SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData},
};
use percent_encoding::percent_decode_str;
use tokio::runtime::Handle;
use tonic::transport::Endpoint;

use super::TRACER;
use crate::{
    ServerUrl,
    tls::{self, Connector},
};

/// How many spans may wait. Others are dropped.
const QUEUE_LENGTH: usize = 2048;
/// How long spans wait before they are sent together.
const EXPORT_INTERVAL: Duration = Duration::from_secs(2);
/// How long sending may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last spans may take at shutdown.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Settings of traces.
#[derive(Clone, Debug, clap::Args)]
pub struct OtlpSettings {
    /// The gRPC endpoint of an OpenTelemetry collector, such as http://127.0.0.1:4317, to which traces are sent. For
    /// https:// see --ca. Unset: no traces.
    #[arg(long, env = "MAYFLY_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<ServerUrl>,
    /// The share of traces that are recorded, from 0 to 1. A role that is called by another one follows its decision.
    #[arg(
        long,
        env = "MAYFLY_OTLP_SAMPLE_RATIO",
        default_value = "1",
        requires = "otlp_endpoint",
        value_name = "RATIO",
        value_parser = parse_ratio
    )]
    pub otlp_sample_ratio: f64,
}

fn parse_ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

/// The variables of OpenTelemetry with headers for the collector. The first one that is set counts.
const HEADER_VARIABLES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];

/// The headers for the collector cannot be sent. The message does not repeat them, since they can contain a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{variable} must be of the form name=value,name=value, with names and values that HTTP headers can have, and with \
     %2C for a comma in a value"
)]
pub struct InvalidHeaders {
    variable: &'static str,
}

/// Checks the variables of OpenTelemetry with headers for the collector. Its exporter leaves out what it cannot use.
///
/// # Errors
///
/// [`InvalidHeaders`] when it would leave out a header.
pub fn check_headers() -> Result<(), InvalidHeaders> {
    #[expect(clippy::disallowed_methods, reason = "no setting of Mayfly: OpenTelemetry names it, and reads it")]
    let variable = |name: &'static str| Some((name, std::env::var_os(name)?));
    let Some((variable, value)) = HEADER_VARIABLES.into_iter().find_map(variable) else { return Ok(()) };
    match value.to_str() {
        Some(headers) if are_headers(headers) => Ok(()),
        _ => Err(InvalidHeaders { variable }),
    }
}

fn are_headers(headers: &str) -> bool {
    let is_header = |header: &str| {
        let (name, value) = header.split_once('=').unwrap_or_default();
        let decoded = percent_decode_str(value.trim()).decode_utf8();
        name.trim().parse::<HeaderName>().is_ok()
            && decoded.is_ok_and(|value| !value.is_empty() && HeaderValue::from_str(&value).is_ok())
    };
    // As the exporter, which ignores a comma too many.
    headers.split(',').filter(|header| !header.trim().is_empty()).all(is_header)
}

/// The export of a process.
#[derive(Debug)]
pub struct TraceExport(SdkTracerProvider);

/// Starts the export of traces, under the name `service`. Call it once, within the runtime of the process.
///
/// # Errors
///
/// When a variable of OpenTelemetry (`OTEL_EXPORTER_OTLP_…`) cannot be used.
pub fn start(
    endpoint: &ServerUrl,
    sample_ratio: f64,
    service: &'static str,
    connector: Connector,
) -> Result<TraceExport, ExporterBuildError> {
    let channel = Endpoint::from(endpoint.to_uri()).timeout(EXPORT_TIMEOUT);
    let channel = channel.connect_with_connector_lazy(connector.clone());
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_channel(channel)
        .with_retry_policy(RetryPolicy::disabled())
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let exporter = WatchedExporter {
        exporter: Arc::new(exporter),
        connector,
        runtime: Handle::current(),
        is_failing: AtomicBool::new(false),
    };
    let batches =
        BatchConfigBuilder::default().with_max_queue_size(QUEUE_LENGTH).with_scheduled_delay(EXPORT_INTERVAL).build();
    let resource = Resource::builder()
        .with_service_name(service)
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(sample_ratio))))
        .with_resource(resource)
        .build();
    // A second tracer of the process would be ignored.
    drop(TRACER.set(provider.tracer("mayfly")));
    Ok(TraceExport(provider))
}

impl TraceExport {
    /// Sends the spans that wait, within seconds.
    pub async fn shutdown(self) {
        let flushing = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(FLUSH_TIMEOUT));
        if !matches!(flushing.await, Ok(Ok(()))) {
            tracing::warn!("the last traces were not exported");
        }
    }
}

/// Sends spans, and logs once that it cannot.
#[derive(Debug)]
struct WatchedExporter {
    exporter: Arc<SpanExporter>,
    connector: Connector,
    runtime: Handle,
    is_failing: AtomicBool,
}

impl WatchedExporter {
    fn record(&self, exported: &OTelSdkResult) {
        match (exported, self.is_failing.swap(exported.is_err(), Ordering::Relaxed)) {
            (Err(error), false) => {
                let error = match self.connector.explain(error.to_string().into()) {
                    known if tls::explain(&*known).is_some() => known.to_string(),
                    _ => reason(error),
                };
                tracing::warn!(error, "traces cannot be exported (--otlp-endpoint), and are dropped until they can");
            }
            (Ok(()), true) => tracing::info!("traces are exported again"),
            (Err(_), true) | (Ok(()), false) => {}
        }
    }
}

/// Why spans could not be sent, for operators. The error of the exporter names its own parts, the code of gRPC, and then
/// the causes if there was no response.
fn reason(error: &OTelSdkError) -> String {
    let OTelSdkError::InternalFailure(text) = error else { return "the collector did not respond in time".to_owned() };
    let (_, status) = text.rsplit_once("gRPC code: ").unwrap_or_default();
    let (code, causes) = status.split_once(": ").unwrap_or((status, ""));
    match (code, causes.rsplit(": ").next().unwrap_or_default()) {
        ("Unauthenticated" | "PermissionDenied", _) => {
            "the collector does not accept the headers for it (OTEL_EXPORTER_OTLP_HEADERS)".to_owned()
        }
        ("Unimplemented", _) => "another service than a collector of traces by gRPC responds".to_owned(),
        ("", _) => "they cannot be sent".to_owned(),
        ("Unavailable" | "DeadlineExceeded", "") => "the collector is not available".to_owned(),
        (code, "") => format!("the collector responds with the code {code} of gRPC"),
        (_, cause) => format!("the collector cannot be reached: {cause}"),
    }
}

impl opentelemetry_sdk::trace::SpanExporter for WatchedExporter {
    /// Runs in the runtime, since the caller is a thread without one.
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exporter = Arc::clone(&self.exporter);
        let exporting = self.runtime.spawn(async move { exporter.export(batch).await });
        let exported = exporting.await.unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())));
        self.record(&exported);
        exported
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            exporter.set_resource(resource);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_for_the_collector_have_names_and_values() {
        for headers in ["", "a=b", "api-key=x%20y,other = z ,", "authorization=Basic dXNlcg==", "a=100%"] {
            assert!(are_headers(headers), "{headers}");
        }
        for headers in ["canary", "a=b,canary", "=canary", "a=", "a b=canary", "a=can\nary", "a=%0Acanary", "a=%ff"] {
            assert!(!are_headers(headers), "{headers}");
        }
    }

    #[test]
    fn the_reason_of_a_failed_export_is_a_sentence() {
        let failed = |status: &str| {
            reason(&OTelSdkError::InternalFailure(format!("TonicTracesClient export failed with gRPC code: {status}")))
        };
        for (status, expected) in [
            (
                "Unavailable: transport error: tcp connect error: Connection refused (os error 111)",
                "the collector cannot be reached: Connection refused (os error 111)",
            ),
            ("Cancelled: Timeout expired", "the collector cannot be reached: Timeout expired"),
            ("Unavailable", "the collector is not available"),
            ("Unauthenticated", "the collector does not accept the headers for it (OTEL_EXPORTER_OTLP_HEADERS)"),
            ("Unimplemented", "another service than a collector of traces by gRPC responds"),
            ("ResourceExhausted", "the collector responds with the code ResourceExhausted of gRPC"),
        ] {
            assert_eq!(failed(status), expected);
        }
        assert_eq!(reason(&OTelSdkError::InternalFailure("panicked".to_owned())), "they cannot be sent");
        assert_eq!(reason(&OTelSdkError::Timeout(EXPORT_TIMEOUT)), "the collector did not respond in time");
    }

    #[test]
    fn a_ratio_is_a_number_from_0_to_1() {
        assert_eq!((parse_ratio("0"), parse_ratio("0.25"), parse_ratio("1")), (Ok(0.0), Ok(0.25), Ok(1.0)));
        for text in ["-0.1", "1.1", "NaN", "inf", "10%", ""] {
            assert!(parse_ratio(text).is_err(), "{text}");
        }
    }
}

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

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, RetryPolicy, SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData},
};
use tokio::runtime::Handle;
use tonic::transport::Endpoint;

use super::TRACER;
use crate::{ErrorChain, ServerUrl, tls::Connector};

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
                let error = self.connector.explain(error.to_string().into());
                let error = ErrorChain(&*error);
                tracing::warn!(%error, "traces cannot be exported (--otlp-endpoint); they are dropped until they can");
            }
            (Ok(()), true) => tracing::info!("traces are exported again"),
            (Err(_), true) | (Ok(()), false) => {}
        }
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
    fn a_ratio_is_a_number_from_0_to_1() {
        assert_eq!((parse_ratio("0"), parse_ratio("0.25"), parse_ratio("1")), (Ok(0.0), Ok(0.25), Ok(1.0)));
        for text in ["-0.1", "1.1", "NaN", "inf", "10%", ""] {
            assert!(parse_ratio(text).is_err(), "{text}");
        }
    }
}

//! [`Metrics`]: what a process counts and measures, for Prometheus.
//!
//! A metric is an atomic, or a small locked histogram, that its owner finds once, when it is made. Names, help texts and
//! labels matter only at a scrape. The values of labels come from closed sets, so no caller can add one.
//!
//! There is no global registry: a process registers the metrics of its parts, and several stores in one test process
//! do not share any.

mod process;
mod requests;
mod values;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::{EncodeMetric, text},
    metrics::TypedMetric,
    registry::{Metric, Registry},
};
use tokio::sync::Mutex;

use self::{
    process::ProcessCollector,
    values::{ByLabel, Reading, Readings},
};
pub use self::{
    requests::{HttpMetrics, Measured, RpcMetrics},
    values::{CounterTable, Counters, LabelValue, duration_histogram, histogram},
};

/// How long the probes of a scrape may take together. Prometheus gives up after ten seconds by default.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// How old the results of probes may be, so that scrapes cannot overload what they probe.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

type Probe = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The metrics of a process.
pub struct Metrics {
    registry: Registry,
    probes: Vec<Probe>,
    last_probe: Mutex<Option<Instant>>,
}

impl Metrics {
    /// The metrics of the process itself, and the version of the program.
    #[must_use]
    pub fn new(version: &'static str) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessCollector));
        let mut metrics = Self { registry, probes: Vec::new(), last_probe: Mutex::new(None) };
        metrics.gauges("mayfly_build_info", "The version of this program; the value is 1", "version", move || {
            vec![(version, 1.0)]
        });
        metrics
    }

    /// Registers a metric. The name of a counter lacks its suffix `_total`. The help text lacks its full stop.
    pub fn register(&mut self, name: &str, help: &str, metric: impl Metric) {
        self.registry.register(name, help, metric);
    }

    /// Registers a metric for each value of a label.
    pub fn register_families<L, M>(&mut self, name: &str, help: &str, by_value: Vec<(L, M)>)
    where
        L: LabelValue,
        M: EncodeMetric + TypedMetric + Send + Sync + 'static,
    {
        self.registry.register(name, help, ByLabel(by_value));
    }

    /// Registers a gauge that `read` returns at a scrape. It must not wait for anything.
    pub fn gauge(&mut self, name: &str, help: &str, read: impl Fn() -> f64 + Send + Sync + 'static) {
        self.optional_gauge(name, help, move || Some(read()));
    }

    /// Registers a gauge that exists only while `read` returns a value.
    pub fn optional_gauge(&mut self, name: &str, help: &str, read: impl Fn() -> Option<f64> + Send + Sync + 'static) {
        self.registry.register(name, help, Reading::new(read));
    }

    /// Registers gauges that `read` returns at a scrape, with the values of `label`.
    pub fn gauges(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        read: impl Fn() -> Vec<(&'static str, f64)> + Send + Sync + 'static,
    ) {
        self.registry.register(name, help, Readings::new(label, read));
    }

    /// Runs `probe` before a scrape, for at most two seconds and at most once a second. It updates what gauges read.
    pub fn probe<Probing>(&mut self, probe: impl Fn() -> Probing + Send + Sync + 'static)
    where
        Probing: Future<Output = ()> + Send + 'static,
    {
        self.probes.push(Box::new(move || Box::pin(probe())));
    }

    /// Runs the probes, unless they ran just before.
    async fn run_probes(&self) {
        let mut last = self.last_probe.lock().await;
        if last.is_some_and(|last| last.elapsed() < PROBE_INTERVAL) {
            return;
        }
        let mut probing = tokio::task::JoinSet::new();
        for probe in &self.probes {
            probing.spawn(probe());
        }
        let all = async { while probing.join_next().await.is_some() {} };
        // What has not finished is dropped, and its gauges keep the values before.
        drop(tokio::time::timeout(PROBE_TIMEOUT, all).await);
        *last = Some(Instant::now());
    }

    /// All metrics as OpenMetrics 1.0.
    fn to_openmetrics(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Runs the probes, and returns all metrics in a format of Prometheus.
    pub(crate) async fn scrape(self: Arc<Self>, format: Format) -> Result<String, fmt::Error> {
        self.run_probes().await;
        // Reads files of /proc and asks the file system.
        let encoded = tokio::task::spawn_blocking(move || self.to_openmetrics()).await.map_err(|_| fmt::Error)??;
        Ok(match format {
            Format::OpenMetrics => encoded,
            Format::Text => to_text(&encoded),
        })
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// A format of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format of Prometheus, version 0.0.4.
    Text,
}

impl Format {
    /// The format for a client that accepts these media types.
    pub(crate) fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Converts OpenMetrics to the text format. There, a counter's description names its samples, with the suffix `_total`.
fn to_text(openmetrics: &str) -> String {
    let mut converted = String::with_capacity(openmetrics.len() + 1024);
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, help)) = help.take().filter(|(of, _)| *of == name) {
                converted.extend(["# HELP ", name, suffix, " ", help, "\n"]);
            }
            converted.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            converted.extend([line, "\n"]);
        }
    }
    converted
}

#[cfg(test)]
mod tests;

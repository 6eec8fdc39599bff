//! A receiver of traces: what a collector of OpenTelemetry receives by OTLP over gRPC.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mayfly_bootstrap::{
    Listener,
    http::{self, CallerSource, ServerLimits},
    tls::ServerTls,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{Span, status::StatusCode},
};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status, service::Routes};

/// The longest export.
const MAX_BYTES: usize = 4 << 20;

/// A receiver. Stops when dropped.
pub struct OtlpReceiver {
    url: String,
    received: Received,
    _stop: DropGuard,
}

#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

/// A span as it was received.
#[derive(Clone, Debug)]
pub struct ReceivedSpan {
    /// The process.
    pub service: String,
    /// The operation.
    pub name: String,
    /// In hexadecimal digits.
    pub trace_id: String,
    /// In hexadecimal digits.
    pub span_id: String,
    /// Empty for the first span of a trace.
    pub parent_id: String,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// The traces and spans that it has links to.
    pub links: Vec<(String, String)>,
    /// `true` if it failed.
    pub is_error: bool,
    start: u64,
    /// How long it took.
    pub duration: Duration,
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl OtlpReceiver {
    /// Starts a receiver.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no free port.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_at("127.0.0.1:0", None).await
    }

    /// Starts a receiver at this address, with or without TLS.
    ///
    /// # Errors
    ///
    /// Returns an error if the address is in use.
    pub async fn start_at(address: &str, tls: Option<ServerTls>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (received, stop) = (Received::default(), CancellationToken::new());
        let router = Routes::new(TraceServiceServer::new(received.clone())).prepare().into_axum_router();
        let (listener, limits) = (Listener::with_tls(listener, tls), ServerLimits::new(MAX_BYTES));
        tokio::spawn(http::serve(listener, router, limits, CallerSource::Direct, stop.clone()));
        Ok(Self { url, received, _stop: stop.drop_guard() })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All that was received, as bytes of OTLP and as text.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let requests = self.received.0.lock().unwrap_or_else(PoisonError::into_inner);
        let encode = |request: &ExportTraceServiceRequest| {
            [request.encode_to_vec(), format!("{request:?}").into_bytes()].concat()
        };
        requests.iter().flat_map(encode).collect()
    }

    /// The spans so far.
    #[must_use]
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        let requests = self.received.0.lock().unwrap_or_else(PoisonError::into_inner);
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        let spans = resources.flat_map(|resource| {
            let service = service_of(resource.resource.as_ref());
            let spans = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.map(move |span| ReceivedSpan::of(&service, span))
        });
        spans.collect()
    }

    /// The names of a span's ancestors, from the first span of its trace on, and its own.
    #[must_use]
    pub fn path_to(&self, span: &ReceivedSpan) -> Vec<String> {
        let spans = self.spans();
        let mut path = vec![span.name.clone()];
        let mut child = span;
        while let Some(parent) = spans.iter().find(|other| other.span_id == child.parent_id) {
            path.insert(0, parent.name.clone());
            child = parent;
        }
        path
    }

    /// A trace as a tree of names, processes and durations.
    #[must_use]
    pub fn tree(&self, trace_id: &str) -> String {
        let mut spans = self.spans();
        spans.retain(|span| span.trace_id == trace_id);
        spans.sort_by_key(|span| span.start);
        let mut tree = String::new();
        let is_known = |id: &str| spans.iter().any(|span| span.span_id == id);
        for root in spans.iter().filter(|span| !is_known(&span.parent_id)) {
            add_line(&mut tree, &spans, root, "", "");
        }
        tree
    }
}

/// Adds the line of a span, which begins with `first`, and the lines of its children, which begin with `others`.
fn add_line(tree: &mut String, spans: &[ReceivedSpan], span: &ReceivedSpan, first: &str, others: &str) {
    let label = format!("{first}{}", span.name);
    let milliseconds = span.duration.as_secs_f64() * 1000.0;
    // Writing to a string does not fail.
    let _ = writeln!(tree, "{label:<66} {:<15} {milliseconds:>7.2} ms", span.service);
    let children: Vec<_> = spans.iter().filter(|other| other.parent_id == span.span_id).collect();
    for (number, child) in children.iter().enumerate() {
        let (branch, line) = if number + 1 == children.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        add_line(tree, spans, child, &format!("{others}{branch}"), &format!("{others}{line}"));
    }
}

impl ReceivedSpan {
    fn of(service: &str, span: &Span) -> Self {
        let text = |value: &KeyValue| match value.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => text.clone(),
            Some(Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        Self {
            service: service.to_owned(),
            name: span.name.clone(),
            trace_id: hex::encode(&span.trace_id),
            span_id: hex::encode(&span.span_id),
            parent_id: hex::encode(&span.parent_span_id),
            attributes: span.attributes.iter().map(|value| (value.key.clone(), text(value))).collect(),
            links: span.links.iter().map(|link| (hex::encode(&link.trace_id), hex::encode(&link.span_id))).collect(),
            is_error: span.status.as_ref().is_some_and(|status| status.code == i32::from(StatusCode::Error as u8)),
            start: span.start_time_unix_nano,
            duration: Duration::from_nanos(span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano)),
        }
    }

    /// The value of an attribute, or nothing.
    #[must_use]
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map(String::as_str).unwrap_or_default()
    }
}

fn service_of(resource: Option<&Resource>) -> String {
    let attributes = resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default();
    let name = attributes.iter().find(|attribute| attribute.key == "service.name");
    match name.and_then(|name| name.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(name)) => name.clone(),
        _ => String::new(),
    }
}

//! Traces in the format of OpenTelemetry: the spans of this process, and their export.
//!
//! Spans are made here and nowhere else, so no library adds any. Their names and attributes are constants, numbers and
//! names of routes: the types admit nothing of a request. Without `--otlp-endpoint` there is no tracer, and each of
//! these functions returns after one load of a pointer.

mod calls;
mod export;
mod propagation;

use std::{borrow::Cow, future::Future, sync::OnceLock};

use opentelemetry::{
    Context, KeyValue,
    trace::{FutureExt as _, Link, SpanBuilder, SpanContext, Status, TraceContextExt as _},
};
use opentelemetry_sdk::trace::SdkTracer;

pub use opentelemetry::trace::SpanKind;

pub(crate) use self::propagation::take_parent;
pub use self::{
    calls::TracedCalls,
    export::{InvalidHeaders, OtlpSettings, TraceExport, check_headers, start},
};

/// The tracer of the process. Unset: traces are off.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Constant attributes of a span, by the names of OpenTelemetry's semantic conventions.
pub type Attributes<'a> = &'a [(&'static str, &'static str)];

/// Returns `true` if spans are exported.
#[must_use]
pub fn is_enabled() -> bool {
    TRACER.get().is_some()
}

/// A span, which ends when this is dropped.
#[must_use = "a span ends when it is dropped"]
pub struct Span(Context);

/// A span that another task may link to.
#[derive(Clone)]
pub struct SpanHandle(Context);

impl Span {
    /// A child of the current span. `None` if that is not recorded.
    pub fn child<Name: Into<Cow<'static, str>>>(
        kind: SpanKind,
        name: impl FnOnce() -> Name,
        attributes: Attributes<'_>,
    ) -> Option<Self> {
        let tracer = TRACER.get()?;
        let parent = current_recording()?;
        let builder = builder(kind, name().into(), attributes);
        Some(Self(parent.with_span(builder.start_with_context(tracer, &parent))))
    }

    /// The first span of a trace.
    pub fn root(kind: SpanKind, name: &'static str, attributes: Attributes<'_>) -> Option<Self> {
        let tracer = TRACER.get()?;
        let parent = Context::new();
        let builder = builder(kind, name.into(), attributes);
        Some(Self(parent.with_span(builder.start_with_context(tracer, &parent))))
    }

    /// A span for the work of many requests. It belongs to the trace of the first one, and it and all requests have
    /// links to each other.
    pub fn batch<'a>(name: &'static str, requests: impl Iterator<Item = &'a SpanHandle>) -> Option<Self> {
        let tracer = TRACER.get()?;
        let requests: Vec<_> = requests.map(|SpanHandle(context)| context).collect();
        let parent = *requests.first()?;
        let links = requests.iter().map(|context| Link::with_context(context.span().span_context().clone())).collect();
        let builder = builder(SpanKind::Internal, name.into(), &[]).with_links(links);
        let batch = Self(parent.with_span(builder.start_with_context(tracer, parent)));
        for request in requests.iter().skip(1) {
            request.span().add_link(batch.0.span().span_context().clone(), Vec::new());
        }
        Some(batch)
    }

    /// The span of a request to this process. Continues the trace of `parent` if its caller `is_trusted`; otherwise it
    /// begins a trace with a link to `parent`.
    pub(crate) fn server(
        name: String,
        attributes: Attributes<'_>,
        parent: Option<SpanContext>,
        is_trusted: bool,
    ) -> Option<Self> {
        let tracer = TRACER.get()?;
        let mut builder = builder(SpanKind::Server, name.into(), attributes);
        let context = match parent {
            Some(parent) if is_trusted => Context::new().with_remote_span_context(parent),
            Some(other) => {
                builder = builder.with_links(vec![Link::with_context(other)]);
                Context::new()
            }
            None => Context::new(),
        };
        Some(Self(context.with_span(builder.start_with_context(tracer, &context))))
    }

    /// Sets an attribute.
    pub fn set(&self, name: &'static str, value: i64) {
        self.0.span().set_attribute(KeyValue::new(name, value));
    }

    /// Sets the route of a request, which is the template of its path.
    pub(crate) fn set_route(&self, route: &str) {
        self.0.span().set_attribute(KeyValue::new("http.route", route.to_owned()));
    }

    /// Marks the span as failed. `error` is a name from a fixed set.
    pub fn fail(&self, error: &'static str) {
        self.0.span().set_attribute(KeyValue::new("error.type", error));
        self.0.span().set_status(Status::error(""));
    }

    /// The id of the trace, if it is exported.
    pub(crate) fn trace_id(&self) -> Option<String> {
        let span = self.0.span();
        let context = span.span_context();
        context.is_sampled().then(|| context.trace_id().to_string())
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        self.0.span().end();
    }
}

impl SpanHandle {
    /// The current span, if it is recorded.
    #[must_use]
    pub fn current() -> Option<Self> {
        TRACER.get()?;
        current_recording().map(Self)
    }

    /// Runs `future` within the span, for a task of its own.
    pub async fn within<F: Future>(span: Option<Self>, future: F) -> F::Output {
        match span {
            None => future.await,
            Some(Self(context)) => future.with_context(context).await,
        }
    }
}

/// Runs `future` within `span`: the spans that it starts are its children.
pub async fn within<F: Future>(span: Option<&Span>, future: F) -> F::Output {
    match span {
        None => future.await,
        Some(Span(context)) => future.with_context(context.clone()).await,
    }
}

fn current_recording() -> Option<Context> {
    Context::map_current(|context| context.span().is_recording().then(|| context.clone()))
}

fn builder(kind: SpanKind, name: Cow<'static, str>, attributes: Attributes<'_>) -> SpanBuilder {
    let attributes = attributes.iter().map(|(name, value)| KeyValue::new(*name, *value));
    SpanBuilder::from_name(name).with_kind(kind).with_attributes(attributes)
}

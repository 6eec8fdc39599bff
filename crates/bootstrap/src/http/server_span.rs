//! [`ServerSpan`]: the span of a request to a listener.

use axum::{extract::Request, response::Response};
use opentelemetry::trace::SpanContext;

use super::{
    listener_info::ListenerInfo,
    route::{Route, method_name},
};
use crate::{
    grpc_code::GrpcCode,
    trace::{self, Span},
};

/// The span of a request.
pub(super) struct ServerSpan(Span);

impl ServerSpan {
    /// `None` if traces are off, and for health checks. `parent` is the span that the caller reports.
    pub(super) fn begin(
        request: &Request,
        listener: ListenerInfo,
        parent: Option<SpanContext>,
        is_trusted: bool,
    ) -> Option<Self> {
        if !trace::is_enabled() {
            return None;
        }
        let route = Route::of(request, listener);
        if route.is_health_check() {
            return None;
        }
        let role = ("mayfly.role", listener.name);
        if let Route::Rpc(name) = route {
            let (service, method) = name.split_once('/').unwrap_or((name, ""));
            let attributes = [("rpc.system", "grpc"), ("rpc.service", service), ("rpc.method", method), role];
            return Span::server(name.to_owned(), &attributes, parent, is_trusted).map(Self);
        }
        let method = method_name(request.method());
        let attributes = [("http.request.method", method), role];
        let span = Span::server(format!("{method} {}", route.as_str()), &attributes, parent, is_trusted)?;
        span.set_route(route.as_str());
        Some(Self(span))
    }

    pub(super) fn as_span(&self) -> &Span {
        &self.0
    }

    /// Sets the outcome.
    pub(super) fn end(self, response: &Response) {
        let Self(span) = self;
        if let Some(code) = GrpcCode::of(response.headers()) {
            span.set("rpc.grpc.status_code", code.number.into());
            if code.is_server_error() {
                span.fail(code.name);
            }
        }
        let status = response.status();
        span.set("http.response.status_code", status.as_u16().into());
        if status.is_server_error() {
            span.fail(match status.as_u16() {
                500 => "500",
                503 => "503",
                507 => "507",
                _ => "_OTHER",
            });
        }
    }
}

//! The access log: one line for each request, with its route and never its path, which may contain a token.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, Method},
    response::Response,
};
use hyper::body::{Frame, SizeHint};
use tracing::{Level, enabled, event};

use super::{activity::LongLived, caller::CallerSource, listener_info::ListenerInfo};
use crate::{CallerId, RequestId};

/// The target of the lines. Errors have the level `WARN`, other requests `INFO`, successful health checks `DEBUG`.
pub(crate) const TARGET: &str = "mayfly::access";
/// Enabled at `INFO` if lines may have the caller's address.
pub(crate) const CALLER_TARGET: &str = "mayfly::access::caller";

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// The names of gRPC's status codes, by their numbers.
const GRPC_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
/// The status for a caller that disconnected before the response was made, as nginx logs it.
const DISCONNECTED: u16 = 499;
/// Calls that health checks make every few seconds.
const HEALTH_ROUTES: [&str; 4] = ["/healthz", "/readyz", "grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"];
const NO_ROUTE: &str = "(none)";
/// The methods of RFC 9110 and RFC 5789. A caller can write anything into others.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::CONNECT,
    Method::OPTIONS,
    Method::TRACE,
    Method::PATCH,
];

/// The route of a request: its template, or the name of its RPC. Neither contains anything of the caller.
#[derive(Clone)]
pub(super) enum Route {
    Fixed(&'static str),
    Matched(MatchedPath),
}

impl Route {
    pub(super) fn of(request: &Request, listener: ListenerInfo) -> Self {
        let fixed = listener.route.or_else(|| (listener.rpc_name)(request.uri().path()));
        match (fixed, request.extensions().get::<MatchedPath>()) {
            (Some(route), _) => Self::Fixed(route),
            (None, Some(route)) => Self::Matched(route.clone()),
            (None, None) => Self::Fixed(NO_ROUTE),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Fixed(route) => route,
            Self::Matched(route) => route.as_str(),
        }
    }
}

/// The name of a known method. Others are `_OTHER`, as in the conventions of OpenTelemetry.
pub(super) fn method_name(method: &Method) -> &str {
    if METHODS.contains(method) { method.as_str() } else { "_OTHER" }
}

/// The gRPC status code of a response or its trailers.
pub(super) fn grpc_code(headers: &HeaderMap) -> Option<&'static str> {
    let code: usize = headers.get(GRPC_STATUS)?.to_str().ok()?.parse().ok()?;
    GRPC_CODES.get(code).copied()
}

/// The line of a request. Logged when dropped, so that it exists for a request that was cancelled, too.
pub(super) struct AccessLine {
    start: Instant,
    id: RequestId,
    listener: &'static str,
    method: Method,
    route: Route,
    caller: Option<CallerId>,
    request_bytes: Option<u64>,
    /// `None`: the handler was cancelled.
    status: Option<u16>,
    code: Option<&'static str>,
    response_bytes: u64,
    /// The caller disconnected while it read the response.
    is_aborted: bool,
    is_logged: bool,
}

impl AccessLine {
    /// `None` if the access log is off.
    pub(super) fn begin(
        request: &Request,
        id: RequestId,
        listener: ListenerInfo,
        callers: &CallerSource,
    ) -> Option<Self> {
        if !enabled!(target: TARGET, Level::WARN) {
            return None;
        }
        let caller = enabled!(target: CALLER_TARGET, Level::INFO).then(|| callers.identify_request(request).id);
        Some(Self {
            start: Instant::now(),
            id,
            listener: listener.name,
            method: request.method().clone(),
            route: Route::of(request, listener),
            caller,
            request_bytes: request.body().size_hint().exact(),
            status: None,
            code: None,
            response_bytes: 0,
            is_aborted: false,
            is_logged: true,
        })
    }

    /// Logs the line when the response was sent.
    pub(super) fn end(mut self, response: Response) -> Response {
        self.status = Some(response.status().as_u16());
        self.code = grpc_code(response.headers());
        let is_stream = response.extensions().get::<LongLived>().is_some();
        // The end of a stream may be an error, although it began well.
        if !self.is_error() && !is_stream && !enabled!(target: TARGET, Level::INFO) {
            self.is_logged = false;
            return response;
        }
        response.map(|body| Body::new(LoggedBody { body, line: self, has_ended: false, is_stream }))
    }

    fn is_error(&self) -> bool {
        self.is_aborted
            || self.status.is_none_or(|status| status >= 400)
            || self.code.is_some_and(|code| code != GRPC_CODES[0])
    }
}

impl Drop for AccessLine {
    fn drop(&mut self) {
        if !self.is_logged {
            return;
        }
        macro_rules! log {
            ($level:expr) => {
                event!(
                    target: TARGET,
                    $level,
                    listener = self.listener,
                    method = method_name(&self.method),
                    route = self.route.as_str(),
                    status = self.status.unwrap_or(DISCONNECTED),
                    code = self.code,
                    duration_us = self.start.elapsed().as_micros(),
                    request_bytes = self.request_bytes,
                    response_bytes = self.response_bytes,
                    aborted = self.is_aborted.then_some(true),
                    caller = self.caller.map(tracing::field::display),
                    request_id = self.id.as_str(),
                )
            };
        }
        if self.is_error() {
            log!(Level::WARN);
        } else if HEALTH_ROUTES.contains(&self.route.as_str()) {
            log!(Level::DEBUG);
        } else {
            log!(Level::INFO);
        }
    }
}

/// Counts the bytes of a response, and notices how it ends.
struct LoggedBody {
    body: Body,
    line: AccessLine,
    has_ended: bool,
    is_stream: bool,
}

impl HttpBody for LoggedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => this.has_ended = true,
            Poll::Ready(Some(Err(_))) => {}
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    this.line.response_bytes += data.len() as u64;
                } else if let Some(trailers) = frame.trailers_ref() {
                    this.line.code = grpc_code(trailers).or(this.line.code);
                    this.has_ended = true;
                }
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for LoggedBody {
    fn drop(&mut self) {
        // The server drops the body of a response to HEAD unread. Callers end most streams by disconnecting.
        let is_unread_by_design = self.is_stream || self.line.method == Method::HEAD;
        self.line.is_aborted = !self.has_ended && !is_unread_by_design && !self.body.is_end_stream();
    }
}

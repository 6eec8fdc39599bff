//! The access log: one line for each request, with its route and never its path, which may contain a token.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    response::Response,
};
use hyper::body::{Frame, SizeHint};
use tracing::{Level, enabled, event};

use super::{
    activity::LongLived,
    caller::CallerSource,
    listener_info::ListenerInfo,
    route::{Route, method_name},
};
use crate::{CallerId, RequestId, grpc_code::GrpcCode};

/// The target of the lines. Errors have the level `WARN`, other requests `INFO`, successful health checks `DEBUG`.
pub(crate) const TARGET: &str = "mayfly::access";
/// Enabled at `INFO` if lines may have the caller's address.
pub(crate) const CALLER_TARGET: &str = "mayfly::access::caller";

/// The status for a caller that disconnected before the response was made, as nginx logs it.
const DISCONNECTED: u16 = 499;
/// The status for a handler that panicked and has no response.
const PANICKED: u16 = 500;
/// The line of a request. Logged when dropped, so that it exists for a request that was cancelled, too.
pub(super) struct AccessLine {
    start: Instant,
    id: RequestId,
    trace_id: Option<String>,
    listener: &'static str,
    method: &'static str,
    route: Route,
    caller: Option<CallerId>,
    request_bytes: Option<u64>,
    /// `None`: the handler was cancelled.
    status: Option<u16>,
    code: Option<GrpcCode>,
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
        trace_id: impl FnOnce() -> Option<String>,
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
            trace_id: trace_id(),
            listener: listener.name,
            method: method_name(request.method()),
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
        self.code = GrpcCode::of(response.headers());
        let is_stream = response.extensions().get::<LongLived>().is_some();
        // The end of a stream may be an error, although it began well.
        if !self.is_error() && !is_stream && !enabled!(target: TARGET, Level::INFO) {
            self.is_logged = false;
            return response;
        }
        response.map(|body| Body::new(LoggedBody { body, line: self, has_ended: false, is_stream }))
    }

    fn is_error(&self) -> bool {
        self.is_aborted || self.status.is_none_or(|status| status >= 400) || self.code.is_some_and(|code| !code.is_ok())
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
                    method = self.method,
                    route = self.route.as_str(),
                    status = self.status.unwrap_or(if std::thread::panicking() { PANICKED } else { DISCONNECTED }),
                    code = self.code.map(|code| code.name),
                    duration_us = self.start.elapsed().as_micros(),
                    request_bytes = self.request_bytes,
                    response_bytes = self.response_bytes,
                    aborted = self.is_aborted.then_some(true),
                    caller = self.caller.map(tracing::field::display),
                    request_id = %self.id,
                    trace_id = self.trace_id.as_deref(),
                )
            };
        }
        if self.is_error() {
            log!(Level::WARN);
        } else if self.route.is_health_check() {
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
                    this.line.code = GrpcCode::of(trailers).or(this.line.code);
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
        let is_unread_by_design = self.is_stream || self.line.method == "HEAD";
        self.line.is_aborted = !self.has_ended && !is_unread_by_design && !self.body.is_end_stream();
    }
}

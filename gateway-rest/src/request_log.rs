//! Logs one line for each request, with its route and never its path: the path of `get_message` contains a token.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::Method,
    response::Response,
};

/// Routes that health checks call every few seconds.
const HEALTH_ROUTES: [&str; 2] = ["/healthz", "/readyz"];

/// The line of a request.
pub(crate) struct RequestLog {
    start: Instant,
    method: Method,
    route: Option<MatchedPath>,
}

impl RequestLog {
    pub(crate) fn begin(request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>().cloned();
        Self { start: Instant::now(), method: request.method().clone(), route }
    }

    /// Logs the request after its response was made.
    pub(crate) fn end(self, response: &Response) {
        let Self { start, method, route } = self;
        let route = route.as_ref().map_or("(none)", MatchedPath::as_str);
        let status = response.status();
        let duration_us = start.elapsed().as_micros();
        if status.is_server_error() {
            tracing::warn!(%method, route, status = status.as_u16(), duration_us, "request");
        } else if HEALTH_ROUTES.contains(&route) {
            tracing::debug!(%method, route, status = status.as_u16(), duration_us, "request");
        } else {
            tracing::info!(%method, route, status = status.as_u16(), duration_us, "request");
        }
    }
}

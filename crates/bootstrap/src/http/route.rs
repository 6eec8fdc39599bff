//! [`Route`]: how logs and traces name a request, without anything that its caller wrote.

use axum::{
    extract::{MatchedPath, Request},
    http::Method,
};

use super::listener_info::ListenerInfo;

/// Calls that health checks make every few seconds.
const HEALTH_ROUTES: [&str; 4] = ["/healthz", "/readyz", "grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"];
const NO_ROUTE: &str = "(none)";
/// The methods of RFC 9110 and RFC 5789. A caller can write anything into others.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// The route of a request: its template, or the name of its RPC.
#[derive(Clone)]
pub(super) enum Route {
    /// The name of an RPC (`package.Service/Method`).
    Rpc(&'static str),
    Fixed(&'static str),
    Matched(MatchedPath),
}

impl Route {
    pub(super) fn of(request: &Request, listener: ListenerInfo) -> Self {
        if let Some(route) = listener.route {
            return Self::Fixed(route);
        }
        if let Some(rpc) = (listener.rpc_name)(request.uri().path()) {
            return Self::Rpc(rpc);
        }
        request.extensions().get::<MatchedPath>().cloned().map_or(Self::Fixed(NO_ROUTE), Self::Matched)
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Rpc(route) | Self::Fixed(route) => route,
            Self::Matched(route) => route.as_str(),
        }
    }

    pub(super) fn is_health_check(&self) -> bool {
        HEALTH_ROUTES.contains(&self.as_str())
    }
}

/// The name of a known method. Others are `_OTHER`, by the conventions of OpenTelemetry.
pub(super) fn method_name(method: &Method) -> &'static str {
    METHODS.into_iter().find(|name| *name == method.as_str()).unwrap_or("_OTHER")
}

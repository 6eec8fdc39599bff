//! What of the limits is in use, and how often each of them rejected a caller.

use super::{CallKind, LimitExceeded, Rejection, ServerLimits};
use crate::{label_values, metrics::Metrics};

label_values! {
    /// A limit that rejected a connection or a request.
    pub(in crate::http) enum Limit: "limit" {
        Connections = "connections",
        CallerConnections = "caller_connections",
        Requests = "requests",
        CallerRequests = "caller_requests",
        Streams = "streams",
        CallerStreams = "caller_streams",
        BodyBytes = "body_bytes",
        CallerBodyBytes = "caller_body_bytes",
        ResponseBytes = "response_bytes",
        CallerResponseBytes = "caller_response_bytes",
        BodySize = "body_size",
        BodyTime = "body_time",
    }
}

impl Limit {
    fn of(exceeded: LimitExceeded, of_caller: Self, of_all: Self) -> Self {
        match exceeded {
            LimitExceeded::PerKey => of_caller,
            LimitExceeded::Total => of_all,
        }
    }

    pub(in crate::http) fn of_connections(exceeded: LimitExceeded) -> Self {
        Self::of(exceeded, Self::CallerConnections, Self::Connections)
    }

    pub(super) fn of_calls(exceeded: LimitExceeded, kind: CallKind) -> Self {
        match kind {
            CallKind::Unary => Self::of(exceeded, Self::CallerRequests, Self::Requests),
            CallKind::ServerStreaming | CallKind::BidiStreaming => {
                Self::of(exceeded, Self::CallerStreams, Self::Streams)
            }
        }
    }

    pub(super) fn of_responses(exceeded: LimitExceeded) -> Self {
        Self::of(exceeded, Self::CallerResponseBytes, Self::ResponseBytes)
    }

    /// The limit that rejected a body. `None`: the client left.
    pub(super) fn of_body(rejection: Rejection) -> Option<Self> {
        match rejection {
            Rejection::CallerBusy => Some(Self::CallerBodyBytes),
            Rejection::ServerBusy => Some(Self::BodyBytes),
            Rejection::TooLarge => Some(Self::BodySize),
            Rejection::TimedOut => Some(Self::BodyTime),
            Rejection::Incomplete => None,
        }
    }
}

impl ServerLimits {
    /// Registers the metrics of these limits.
    pub fn register(&self, metrics: &mut Metrics) {
        let gauge = |metrics: &mut Metrics, name: &str, help: &str, read: fn(&Self) -> usize| {
            let limits = self.clone();
            metrics.gauge(name, help, move || read(&limits) as f64);
        };
        let help = "Connections in use, where one with TLS counts as four";
        gauge(metrics, "mayfly_connections", help, |limits| limits.connections.in_use());
        let help = "The most connections that this process accepts";
        gauge(metrics, "mayfly_connections_limit", help, |limits| limits.connections.total());
        let help = "Requests in flight, without streams";
        gauge(metrics, "mayfly_requests_in_flight", help, |limits| limits.requests.in_use());
        let help = "The most requests in flight that this process accepts";
        gauge(metrics, "mayfly_requests_in_flight_limit", help, |limits| limits.requests.total());
        gauge(metrics, "mayfly_streams_open", "Open streams of gRPC", Self::open_streams);
        let help = "Bytes of request bodies in flight";
        gauge(metrics, "mayfly_request_body_bytes", help, |limits| limits.body_bytes.in_use());
        let help = "Bytes of responses with texts that callers have not read yet";
        gauge(metrics, "mayfly_response_unread_bytes", help, |limits| limits.response_bytes.in_use());
        let help = "Connections and requests that a limit of the listeners rejected";
        metrics.register("mayfly_listener_refusals", help, self.refusals.clone());
    }
}

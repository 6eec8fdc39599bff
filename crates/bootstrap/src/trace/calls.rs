//! [`TracedCalls`]: a span around each call of an RPC, and its context in the call's headers.

use std::{
    future::Future,
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use http::{HeaderMap, Request, Response};
use opentelemetry::{Context, trace::TraceContextExt as _};
use tower::{Service, ServiceExt as _};

use super::{Span, SpanKind, propagation::set_parent, within};
use crate::grpc_code::GrpcCode;

/// Calls a service of gRPC within spans. Only for processes that export traces: it allocates for each call.
#[derive(Clone)]
pub struct TracedCalls<S> {
    service: S,
    kind: SpanKind,
    /// Returns the name of the RPC with a path.
    rpc_name: fn(&str) -> Option<&'static str>,
}

impl<S> TracedCalls<S> {
    /// For a service in another process, which continues the trace.
    pub fn remote(service: S, rpc_name: fn(&str) -> Option<&'static str>) -> Self {
        Self { service, kind: SpanKind::Client, rpc_name }
    }

    /// For a service in this process.
    pub fn local(service: S, rpc_name: fn(&str) -> Option<&'static str>) -> Self {
        Self { service, kind: SpanKind::Internal, rpc_name }
    }
}

impl<S, Sent, Received> Service<Request<Sent>> for TracedCalls<S>
where
    S: Service<Request<Sent>, Response = Response<Received>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    Sent: Send + 'static,
    Received: Send + 'static,
{
    type Response = Response<Received>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Sent>) -> Self::Future {
        let name = (self.rpc_name)(request.uri().path()).unwrap_or("(unknown)");
        let span = Span::child(self.kind.clone(), || name, &[("rpc.system", "grpc")]);
        match &span {
            Some(Span(context)) => set_parent(request.headers_mut(), context.span().span_context()),
            // The other process does not record what this one does not.
            None => Context::map_current(|context| set_parent(request.headers_mut(), context.span().span_context())),
        }
        let calling = self.service.clone().oneshot(request);
        Box::pin(async move {
            let called = within(span.as_ref(), calling).await;
            if let Some(span) = &span {
                match &called {
                    Ok(response) => set_code(span, response.headers()),
                    Err(_) => span.fail("UNAVAILABLE"),
                }
            }
            called
        })
    }
}

/// Sets the code of a response that is an error. Other responses have theirs in the trailers.
fn set_code(span: &Span, headers: &HeaderMap) {
    if let Some(code) = GrpcCode::of(headers).filter(|code| !code.is_ok()) {
        span.set("rpc.grpc.status_code", code.number.into());
        span.fail(code.name);
    }
}

//! [`Pipeline`]: what happens to every request before and after its handler, in one place and in order.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use mayfly_bootstrap::http::{RequestLimits, observe, origin::OriginPolicy, unwrap_authorization};

use crate::{
    caller::{TrustedProxies, set_caller},
    metrics::{GatewayMetrics, Observation},
    origin,
    problem::Problem,
    security_headers::SecurityHeaders,
    signed_in::SignedInUsers,
};

/// The rules for requests of all paths.
pub(crate) struct Pipeline {
    pub(crate) proxies: TrustedProxies,
    pub(crate) users: Option<SignedInUsers>,
    pub(crate) origins: OriginPolicy,
    pub(crate) limits: RequestLimits,
    pub(crate) metrics: GatewayMetrics,
}

impl Pipeline {
    /// Handles a request: gives it an id, logs and counts it, catches panics, sets the security headers, and does what
    /// [`check_and_limit`](Self::check_and_limit) does.
    pub(crate) async fn handle(State(pipeline): State<Arc<Self>>, request: Request, next: Next) -> Response {
        let RequestLimits { callers, listener, .. } = &pipeline.limits;
        observe(callers, *listener, request, |request| pipeline.respond(request, next)).await
    }

    async fn respond(&self, request: Request, next: Next) -> Response {
        let observation = Observation::begin(&request);
        let headers = SecurityHeaders::for_request(self.proxies, &request);
        let handled = AssertUnwindSafe(self.check_and_limit(request, next)).catch_unwind().await;
        let mut response = handled.unwrap_or_else(|_| Problem::after_panic().into_response());
        headers.set(&mut response);
        self.metrics.record(observation, &response);
        response
    }

    /// Checks the host, applies the limits, and reports the caller and its credentials to the handler.
    async fn check_and_limit(&self, request: Request, next: Next) -> Response {
        if let Err(error) = self.origins.check_host(&request) {
            return origin::reject(error);
        }
        let handle = |mut request: Request| {
            unwrap_authorization(request.headers_mut());
            if let Some(users) = &self.users {
                users.vouch(&mut request);
            }
            set_caller(&mut request);
            next.run(request)
        };
        self.limits.limit(request, handle).await
    }
}

//! Routes with exactly one method.
//!
//! axum routes HEAD to the handler for GET by default, and that handler may delete a message. So a route accepts HEAD
//! only if it asks for it.

use axum::{
    Router,
    handler::Handler,
    http::{HeaderValue, StatusCode, header},
    response::IntoResponse,
    routing::MethodRouter,
};

use crate::problem::Problem;

/// The method that a path allows, besides OPTIONS.
#[derive(Clone, Copy)]
pub(crate) enum AllowedMethod {
    /// GET, and HEAD for the same response without its body. For handlers without side effects.
    GetOrHead,
    Get,
    Post,
}

impl AllowedMethod {
    fn allow(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GetOrHead => "GET, HEAD, OPTIONS",
            Self::Get => "GET, OPTIONS",
            Self::Post => "POST, OPTIONS",
        })
    }

    /// Routes this method to `handler`, and rejects every other method with 405.
    pub(crate) fn route<H, T, S>(self, handler: H) -> MethodRouter<S>
    where
        H: Handler<T, S>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        let reject = move || async move {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "the header Allow lists the methods of this path")
                .with_header(header::ALLOW, self.allow())
        };
        let options = move || async move { (StatusCode::NO_CONTENT, [(header::ALLOW, self.allow())]).into_response() };
        let route = MethodRouter::new().options(options).fallback(reject);
        match self {
            Self::GetOrHead => route.get(handler),
            Self::Get => route.get(handler).head(reject),
            Self::Post => route.post(handler).head(reject),
        }
    }
}

/// Adds `route` under `path` and under `path/`.
pub(crate) fn with_trailing_slash<S>(router: Router<S>, path: &str, route: MethodRouter<S>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    router.route(path, route.clone()).route(&format!("{path}/"), route)
}

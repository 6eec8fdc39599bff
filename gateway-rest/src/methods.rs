//! Routes with exactly one method.
//!
//! axum answers HEAD through the handler for GET unless it is told otherwise, and that handler may consume. So HEAD works only
//! where it is asked for.

use axum::{
    Router,
    handler::Handler,
    http::{HeaderValue, StatusCode, header},
    response::IntoResponse,
    routing::MethodRouter,
};

use crate::problem::Problem;

/// What a path allows, beside OPTIONS.
#[derive(Clone, Copy)]
pub(crate) enum Only {
    /// GET, and HEAD for the same without its body: only looks.
    Look,
    Get,
    Post,
}

impl Only {
    fn allow(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Look => "GET, HEAD, OPTIONS",
            Self::Get => "GET, OPTIONS",
            Self::Post => "POST, OPTIONS",
        })
    }

    /// Calls `handler` for this method, and tells every other one that it is not allowed.
    pub(crate) fn route<H, T, S>(self, handler: H) -> MethodRouter<S>
    where
        H: Handler<T, S>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        let refuse = move || async move {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "the header Allow says what is allowed here")
                .with_header(header::ALLOW, self.allow())
        };
        let options = move || async move { (StatusCode::NO_CONTENT, [(header::ALLOW, self.allow())]).into_response() };
        let route = MethodRouter::new().options(options).fallback(refuse);
        match self {
            Self::Look => route.get(handler),
            Self::Get => route.get(handler).head(refuse),
            Self::Post => route.post(handler).head(refuse),
        }
    }
}

/// Adds `route` under `path` and under `path/`.
pub(crate) fn both_forms<S>(router: Router<S>, path: &str, route: MethodRouter<S>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    router.route(path, route.clone()).route(&format!("{path}/"), route)
}

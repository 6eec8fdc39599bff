//! The status page for humans, programs and health checks. Shows no texts, no tokens and no user names.
//!
//! All its assets are part of the binary, and it sends no request elsewhere.

mod accept;
mod html;
mod report;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::{MethodRouter, get},
};

use mayfly_bootstrap::http::{ContentPolicy, origin::OriginPolicy, set_security_headers, unwrap_authorization};

use self::report::Report;
use crate::{
    simulator::{self, Simulator},
    status::tracker::StatusTracker,
};

const STYLE: &str = concat!(include_str!("../../../../web/src/colors.css"), include_str!("page/assets/page.css"));
const SCRIPT: &str = include_str!("page/assets/page.js");
const ICON: &str = include_str!("page/assets/icon.svg");
const SIMULATOR_STYLE: &str = include_str!("page/assets/simulator.css");
const SIMULATOR_SCRIPT: &str = include_str!("page/assets/simulator.js");

/// The state of the page.
#[derive(Clone)]
struct Page {
    status: StatusTracker,
    has_simulator: bool,
}

/// `/` for humans and programs, `/healthz` while the process lives, `/readyz` while the bot watches the app config in
/// the store.
///
/// A bot without an app config is ready. Otherwise, an operator who waits for readiness before adding the config would
/// wait for ever. Errors of Telegram do not make it unready, because a restart does not help.
pub(crate) fn router(status: StatusTracker, simulator: Option<Simulator>, origins: OriginPolicy) -> Router {
    let has_simulator = simulator.is_some();
    let mut router = Router::new()
        .route("/", get(page))
        .route("/page/page.css", asset("text/css; charset=utf-8", STYLE))
        .route("/page/page.js", asset("text/javascript; charset=utf-8", SCRIPT))
        .route("/page/icon.svg", asset("image/svg+xml", ICON))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(is_ready))
        .with_state(Page { status, has_simulator });
    if let Some(simulator) = simulator {
        router = router
            .route("/page/simulator.css", asset("text/css; charset=utf-8", SIMULATOR_STYLE))
            .route("/page/simulator.js", asset("text/javascript; charset=utf-8", SIMULATOR_SCRIPT))
            .merge(simulator::router(simulator));
    }
    router
        .layer(middleware::map_request(async |mut request: Request| {
            unwrap_authorization(request.headers_mut());
            request
        }))
        .layer(middleware::from_fn_with_state(origins, check_host))
        .layer(middleware::map_response(add_security_headers))
}

async fn page(State(page): State<Page>, headers: HeaderMap) -> Response {
    let report = Report::of(page.status.snapshot());
    let body = if accept::prefers_html(&headers) {
        Html(html::page(&report, page.has_simulator)).into_response()
    } else {
        Json(report).into_response()
    };
    ([(header::VARY, "Accept")], body).into_response()
}

async fn is_ready(State(page): State<Page>) -> (StatusCode, &'static str) {
    if page.status.snapshot().is_connected {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the store cannot be reached\n")
    }
}

/// Rejects requests for the host names of other servers, as protection against DNS rebinding.
async fn check_host(State(policy): State<OriginPolicy>, request: Request, next: Next) -> Response {
    match policy.check_host(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => (StatusCode::MISDIRECTED_REQUEST, format!("{error}\n")).into_response(),
    }
}

async fn add_security_headers(mut response: Response) -> Response {
    set_security_headers(response.headers_mut(), ContentPolicy::Page);
    response
}

fn asset<S: Clone + Send + Sync + 'static>(media_type: &'static str, content: &'static str) -> MethodRouter<S> {
    get(async move || ([(header::CONTENT_TYPE, media_type)], content))
}

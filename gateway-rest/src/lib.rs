//! The gateway: the only process that a browser or a REST client talks to.
//!
//! It translates the documented `/api/v1` paths to the contracts (`rest/`) and forwards gRPC and gRPC-Web as they are
//! (`forward.rs`). It decides nothing: what a call means is the store's business. A call travels `rest/<call>.rs` → store, and
//! its failure through the one table in `problem.rs`.

mod body;
mod caller;
mod encoding;
mod forward;
mod headers;
mod health;
mod log;
mod methods;
mod openapi;
mod origin;
mod page;
mod problem;
mod rest;
mod settings;

use std::{io, sync::Arc};

use axum::{Router, extract::DefaultBodyLimit, http::StatusCode, middleware};
use mayfly_bootstrap::http::{self, Callers, Limits, RequestLimits, origin::OriginPolicy};
use mayfly_contracts::{BIDIRECTIONAL_STREAMS, BotChannel, SERVER_STREAMS, StoreChannel, max_request_bytes};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

pub use self::settings::GatewaySettings;
use self::{caller::TrustedProxies, problem::Problem};

/// The services that the gateway stands in front of.
#[derive(Clone, Debug)]
pub struct Upstreams {
    /// The store.
    pub store: StoreChannel,
    /// The bot. Nothing but `BotService` needs it.
    pub bot: BotChannel,
    /// Whether callers can ask which services there are. The gateway answers that itself, since it knows both
    /// upstreams.
    pub has_reflection: bool,
}

/// Everything that the gateway serves, in front of `upstreams`, for texts of at most `max_text_bytes` bytes, behind
/// `trusted_proxies` reverse proxies, for the browsers that `origins` allows. Takes part in the `limits` of the process.
pub fn router(
    upstreams: &Upstreams,
    max_text_bytes: usize,
    trusted_proxies: usize,
    origins: &OriginPolicy,
    limits: Limits,
) -> Router {
    let proxies = TrustedProxies(trusted_proxies);
    let limits = RequestLimits {
        limits,
        callers: Callers::BehindProxies(trusted_proxies),
        max_body_bytes: max_request_bytes(max_text_bytes),
        response_bytes: Arc::new(move |path| {
            let returns_text =
                ["/view_message", "/get_message/", "/ViewMessage"].iter().any(|part| path.contains(part));
            if returns_text { max_text_bytes } else { 0 }
        }),
        server_streams: SERVER_STREAMS,
        bidirectional_streams: BIDIRECTIONAL_STREAMS,
        refuse: Arc::new(move |refusal, headers| problem::refused(refusal, headers, max_text_bytes)),
    };
    let calls = rest::routes(upstreams.store.clone())
        .merge(forward::routes(upstreams))
        .layer(middleware::from_fn_with_state(origins.clone(), origin::check_site));
    let router = Router::new()
        .merge(page::routes())
        .merge(openapi::routes())
        .merge(health::routes(upstreams.store.clone()))
        .merge(calls)
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path") })
        // The limits below measure bodies, by the longest text.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn(http::unwrap_authorization))
        .layer(middleware::from_fn(caller::set_caller));
    limits
        .apply(router)
        .layer(middleware::from_fn_with_state(origins.clone(), origin::check_host))
        .layer(CatchPanicLayer::custom(|_| problem::after_panic()))
        .layer(middleware::from_fn_with_state(proxies, headers::harden))
        .layer(middleware::from_fn(log::log_request))
}

/// Serves on all `listeners` until `stop` is cancelled, then finishes the requests that have begun.
///
/// # Errors
///
/// When a listener fails.
pub async fn run(
    listeners: Vec<TcpListener>,
    upstreams: Upstreams,
    max_text_bytes: usize,
    trusted_proxies: usize,
    origins: OriginPolicy,
    limits: Limits,
    stop: CancellationToken,
) -> io::Result<()> {
    let router = router(&upstreams, max_text_bytes, trusted_proxies, &origins, limits.clone());
    let mut serving = JoinSet::new();
    for listener in listeners {
        let callers = Callers::BehindProxies(trusted_proxies);
        serving.spawn(http::serve(listener, router.clone(), limits.clone(), callers, stop.clone()));
    }
    while let Some(served) = serving.join_next().await {
        served.map_err(io::Error::other)??;
    }
    Ok(())
}

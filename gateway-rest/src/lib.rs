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

use std::io;

use axum::{Router, extract::DefaultBodyLimit, http::StatusCode, middleware};
use mayfly_bootstrap::http::{self, Peers, origin::OriginPolicy};
use mayfly_contracts::{BotChannel, StoreChannel};
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
/// `trusted_proxies` reverse proxies, for the browsers that `origins` allows.
pub fn router(upstreams: &Upstreams, max_text_bytes: usize, trusted_proxies: usize, origins: &OriginPolicy) -> Router {
    let proxies = TrustedProxies(trusted_proxies);
    let calls = rest::routes(upstreams.store.clone(), max_text_bytes)
        .merge(forward::routes(upstreams))
        .layer(middleware::from_fn_with_state(origins.clone(), origin::check_site));
    Router::new()
        .merge(page::routes())
        .merge(openapi::routes())
        .merge(health::routes(upstreams.store.clone()))
        .merge(calls)
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path") })
        // Bodies are measured where they are read, with a limit that follows from the longest text.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(proxies, caller::name_caller))
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
    stop: CancellationToken,
) -> io::Result<()> {
    let router = router(&upstreams, max_text_bytes, trusted_proxies, &origins);
    let peers = if trusted_proxies == 0 { Peers::Strangers } else { Peers::Proxies };
    let mut serving = JoinSet::new();
    for listener in listeners {
        serving.spawn(http::serve(listener, router.clone(), peers, stop.clone()));
    }
    while let Some(served) = serving.join_next().await {
        served.map_err(io::Error::other)??;
    }
    Ok(())
}

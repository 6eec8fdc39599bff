//! The gateway, which serves browsers, REST clients and gRPC clients.
//!
//! It translates the `/api/v1` paths to the contracts (`rest/`), and forwards gRPC and gRPC-Web unchanged
//! (`grpc_proxy.rs`). It decides nothing about messages; the store does. Each `rest/<call>.rs` calls the store, and the
//! table in `problem.rs` maps the store's errors to HTTP.

mod allowed_method;
mod body;
mod caller;
mod content_encoding;
mod grpc_proxy;
mod health;
mod metrics;
mod openapi;
mod origin;
mod page;
mod pipeline;
mod problem;
mod redirect;
mod rejection;
mod rest;
mod security_headers;
mod services;
mod settings;
mod signed_in;
mod upstreams;

use std::{io, sync::Arc};

use axum::{Router, http::StatusCode, middleware};
use mayfly_bootstrap::{
    Listener,
    http::{self, CallerSource, ListenerInfo, RequestLimits, ServerLimits, origin::OriginPolicy},
};
use mayfly_contracts::{BIDI_STREAMING_METHODS, SERVER_STREAMING_METHODS, add_request_id, max_request_bytes, rpc_name};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::{caller::TrustedProxies, pipeline::Pipeline, problem::Problem};
pub use self::{
    metrics::GatewayMetrics,
    redirect::redirect_to_https,
    settings::{GatewaySettings, GatewaySettingsError},
    signed_in::{Proxies, SignedInError, SignedInUsers},
    upstreams::Upstreams,
};

/// Returns the routes of a gateway in front of `upstreams`, for texts of at most `max_text_bytes` bytes.
///
/// `proxies` are the reverse proxies in front of the gateway. `origins` decides about requests of browsers. The routes
/// share the `limits` of the process.
pub fn router(
    upstreams: &Upstreams,
    max_text_bytes: usize,
    proxies: &Proxies,
    origins: &OriginPolicy,
    limits: ServerLimits,
) -> Router {
    let limits = RequestLimits {
        limits,
        callers: CallerSource::TrustedProxies(proxies.count),
        max_body_bytes: max_request_bytes(max_text_bytes),
        response_bytes: Arc::new(move |path| {
            let returns_text =
                ["/view_message", "/get_message/", "/ViewMessage"].iter().any(|part| path.contains(part));
            if returns_text { max_text_bytes } else { 0 }
        }),
        server_streaming: SERVER_STREAMING_METHODS,
        bidi_streaming: BIDI_STREAMING_METHODS,
        reject: Arc::new(move |rejection, headers| rejection::rejection_response(rejection, headers, max_text_bytes)),
        listener: ListenerInfo { name: "gateway", route: None, rpc_name, add_request_id },
    };
    let calls = rest::routes(upstreams.store.clone())
        .merge(grpc_proxy::routes(upstreams))
        .layer(middleware::from_fn_with_state(origins.clone(), origin::check_site));
    let users = proxies.users.clone();
    let metrics = upstreams.metrics.clone();
    let pipeline =
        Pipeline { proxies: TrustedProxies(proxies.count), users, origins: origins.clone(), limits, metrics };
    Router::new()
        .merge(page::routes())
        .merge(openapi::routes())
        .merge(health::routes(upstreams.store.clone()))
        .merge(calls)
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path") })
        // One layer: each of them costs copies and allocations for every request.
        .layer(middleware::from_fn_with_state(Arc::new(pipeline), Pipeline::handle))
}

/// Serves on all `listeners` until `stop` is cancelled, then completes the requests in flight.
///
/// # Errors
///
/// Returns the error of a listener that fails.
pub async fn run(
    listeners: Vec<Listener>,
    upstreams: Upstreams,
    max_text_bytes: usize,
    proxies: Proxies,
    origins: OriginPolicy,
    limits: ServerLimits,
    stop: CancellationToken,
) -> io::Result<()> {
    let router = router(&upstreams, max_text_bytes, &proxies, &origins, limits.clone());
    let mut serving = JoinSet::new();
    for listener in listeners {
        let callers = CallerSource::TrustedProxies(proxies.count);
        serving.spawn(http::serve(listener, router.clone(), limits.clone(), callers, stop.clone()));
    }
    while let Some(served) = serving.join_next().await {
        served.map_err(io::Error::other)??;
    }
    Ok(())
}

//! [`GatewayMetrics`]: what a gateway counts and measures.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request},
    response::Response,
};
use mayfly_bootstrap::metrics::{HttpMetrics, Metrics, RpcMetrics};
use mayfly_contracts::{StoreChannel, is_streaming, methods_of};

use crate::{health::is_store_ready, services};

/// The end of the templates of forwarded calls. Their last segment comes from the caller.
const RPC_SEGMENT: &str = "/{rpc}";

/// How long the store may take to respond. Less than a scrape waits.
const PROBE_TIMEOUT: Duration = Duration::from_millis(1500);

/// The requests of a gateway: REST and pages by route, forwarded calls by rpc. Clones share the counters.
#[derive(Clone, Debug)]
pub struct GatewayMetrics {
    http: HttpMetrics,
    rpcs: RpcMetrics,
}

impl Default for GatewayMetrics {
    fn default() -> Self {
        let services = services::all();
        Self { http: HttpMetrics::default(), rpcs: RpcMetrics::new(methods_of(&services), is_streaming) }
    }
}

/// A request that is being handled.
pub(crate) struct Observation {
    began: Instant,
    route: Option<MatchedPath>,
    /// The path of a forwarded call. Other paths contain tokens.
    rpc: Option<String>,
}

impl Observation {
    pub(crate) fn begin(request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>().cloned();
        let is_rpc = route.as_ref().is_some_and(|route| route.as_str().ends_with(RPC_SEGMENT));
        Self { began: Instant::now(), route, rpc: is_rpc.then(|| request.uri().path().to_owned()) }
    }
}

impl GatewayMetrics {
    /// Counts a request whose response was made.
    pub(crate) fn record(&self, observation: Observation, response: &Response) {
        let Observation { began, route, rpc } = observation;
        let (status, duration) = (response.status(), began.elapsed());
        match rpc {
            Some(path) => self.rpcs.record(&path, status, response.headers(), duration),
            None => self.http.record(route.as_ref().map(MatchedPath::as_str), status, duration),
        }
    }

    /// Registers the metrics, and whether `store` can be reached.
    pub fn register(&self, store: StoreChannel, metrics: &mut Metrics) {
        self.http.register(metrics, "mayfly_gateway");
        self.rpcs.register(metrics, "mayfly_gateway");
        let is_reachable = Arc::new(AtomicBool::new(false));
        let probed = Arc::clone(&is_reachable);
        metrics.probe(move || {
            let (store, probed) = (store.clone(), Arc::clone(&probed));
            async move {
                let is_ready = tokio::time::timeout(PROBE_TIMEOUT, is_store_ready(store)).await;
                probed.store(is_ready.unwrap_or(false), Ordering::Relaxed);
            }
        });
        let help = "1 if the store responds and is ready, else 0";
        metrics.gauge("mayfly_gateway_store_reachable", help, move || {
            f64::from(u8::from(is_reachable.load(Ordering::Relaxed)))
        });
    }
}

//! Counts and times requests: HTTP by route and status, gRPC by rpc and code.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{HeaderMap, Request, Response, StatusCode};
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::Counter, histogram::Histogram},
};
use tonic::server::NamedService;
use tower::Service;

use super::{Metrics, duration_histogram};
use crate::grpc_code::{GRPC_CODES, GRPC_STATUS, GrpcCode};

/// The label value of requests that no route or rpc matches.
const OTHER: &str = "other";
/// The statuses with a counter of their own. Others count as [`OTHER`].
const STATUSES: [(u16, &str); 27] = [
    (200, "200"),
    (201, "201"),
    (204, "204"),
    (304, "304"),
    (308, "308"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (406, "406"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (411, "411"),
    (413, "413"),
    (415, "415"),
    (421, "421"),
    (422, "422"),
    (428, "428"),
    (429, "429"),
    (431, "431"),
    (499, "499"),
    (500, "500"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
];
/// The number of `UNKNOWN`, which stands for codes that gRPC does not define.
const UNKNOWN_CODE: usize = 2;

/// HTTP requests by route and status. Clones share the counters.
///
/// The routes are the templates of a router (`/m/{id}`), which no request can change. A route is added by its first
/// request.
#[derive(Clone)]
pub struct HttpMetrics(Arc<RwLock<Vec<Arc<Route>>>>);

struct Route {
    template: Box<str>,
    /// For each of [`STATUSES`], and for all others.
    statuses: [Counter; STATUSES.len() + 1],
    duration: Histogram,
}

impl Route {
    fn new(template: &str) -> Self {
        let statuses = std::array::from_fn(|_| Counter::default());
        Self { template: template.into(), statuses, duration: duration_histogram() }
    }
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(vec![Arc::new(Route::new(OTHER))])))
    }
}

impl HttpMetrics {
    /// Counts a request. `template` is the route that matched it, and never its path.
    pub fn record(&self, template: Option<&str>, status: StatusCode, duration: Duration) {
        let route = self.route(template.unwrap_or(OTHER));
        let known = STATUSES.iter().position(|(known, _)| *known == status.as_u16()).unwrap_or(STATUSES.len());
        if let Some(counter) = route.statuses.get(known) {
            counter.inc();
        }
        route.duration.observe(duration.as_secs_f64());
    }

    fn route(&self, template: &str) -> Arc<Route> {
        // A scan, which compares lengths first, costs less than hashing a template.
        let find = |routes: &[Arc<Route>]| routes.iter().find(|route| *route.template == *template).map(Arc::clone);
        let known = find(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        known.unwrap_or_else(|| {
            let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
            find(&routes).unwrap_or_else(|| {
                let route = Arc::new(Route::new(template));
                routes.push(Arc::clone(&route));
                route
            })
        })
    }

    /// Registers the metrics, with names that begin with `prefix`.
    pub fn register(&self, metrics: &mut Metrics, prefix: &str) {
        let requests = Encoded::new(MetricType::Counter, self, |http, mut encoder| {
            for route in http.all() {
                let codes = STATUSES.iter().map(|(_, code)| *code).chain([OTHER]);
                for (counter, code) in route.statuses.iter().zip(codes).filter(|(counter, _)| counter.get() > 0) {
                    counter.encode(encoder.encode_family(&[("route", &*route.template), ("code", code)])?)?;
                }
            }
            Ok(())
        });
        let durations = Encoded::new(MetricType::Histogram, self, |http, mut encoder| {
            for route in http.all() {
                route.duration.encode(encoder.encode_family(&[("route", &*route.template)])?)?;
            }
            Ok(())
        });
        let name = |rest: &str| format!("{prefix}_http_{rest}");
        metrics.register(&name("requests"), "HTTP requests, by route and status", requests);
        let help = "How long HTTP requests took until their responses began, by route";
        metrics.register(&name("request_duration_seconds"), help, durations);
    }

    fn all(&self) -> Vec<Arc<Route>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for HttpMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HttpMetrics").finish_non_exhaustive()
    }
}

/// gRPC calls by rpc and code. Clones share the counters.
#[derive(Clone)]
pub struct RpcMetrics(Arc<Rpcs>);

struct Rpcs {
    known: Vec<Rpc>,
    other: Rpc,
}

struct Rpc {
    /// `/package.Service/Method`
    path: &'static str,
    codes: [Counter; GRPC_CODES.len()],
    /// `None` for a stream, which lasts as long as its client wants.
    duration: Option<Histogram>,
}

impl Rpc {
    fn new(path: &'static str, is_streaming: bool) -> Self {
        let codes = std::array::from_fn(|_| Counter::default());
        Self { path, codes, duration: (!is_streaming).then(duration_histogram) }
    }

    fn record(&self, code: usize, duration: Duration) {
        if let Some(counter) = self.codes.get(code).or(self.codes.get(UNKNOWN_CODE)) {
            counter.inc();
        }
        if let Some(histogram) = &self.duration {
            histogram.observe(duration.as_secs_f64());
        }
    }

    /// `package.Service/Method`
    fn label(&self) -> &'static str {
        self.path.strip_prefix('/').unwrap_or(self.path)
    }
}

impl RpcMetrics {
    /// Metrics of the rpcs with these paths (`/package.Service/Method`). All others are one.
    pub fn new(paths: impl IntoIterator<Item = &'static str>, is_streaming: impl Fn(&str) -> bool) -> Self {
        let known = paths.into_iter().map(|path| Rpc::new(path, is_streaming(path))).collect();
        Self(Arc::new(Rpcs { known, other: Rpc::new(OTHER, false) }))
    }

    /// Counts a call of `path` whose response has these headers.
    pub fn record(&self, path: &str, status: StatusCode, headers: &HeaderMap, duration: Duration) {
        self.rpc(self.find(path)).record(code_of(status, headers), duration);
    }

    /// Counts the calls of `service`.
    pub fn measure<S>(&self, service: S) -> Measured<S> {
        Measured { service, metrics: self.clone() }
    }

    fn find(&self, path: &str) -> Option<usize> {
        self.0.known.iter().position(|rpc| rpc.path == path)
    }

    fn rpc(&self, index: Option<usize>) -> &Rpc {
        index.and_then(|index| self.0.known.get(index)).unwrap_or(&self.0.other)
    }

    fn all(&self) -> impl Iterator<Item = &Rpc> {
        self.0.known.iter().chain([&self.0.other])
    }

    /// Registers the metrics, with names that begin with `prefix`.
    pub fn register(&self, metrics: &mut Metrics, prefix: &str) {
        let calls = Encoded::new(MetricType::Counter, self, |rpcs, mut encoder| {
            for rpc in rpcs.all() {
                for (counter, code) in rpc.codes.iter().zip(GRPC_CODES) {
                    // Successes exist from the start, so that the first one is seen as an increase.
                    if code == "OK" || counter.get() > 0 {
                        counter.encode(encoder.encode_family(&[("rpc", rpc.label()), ("code", code)])?)?;
                    }
                }
            }
            Ok(())
        });
        let durations = Encoded::new(MetricType::Histogram, self, |rpcs, mut encoder| {
            for (rpc, duration) in rpcs.all().filter_map(|rpc| Some((rpc, rpc.duration.as_ref()?))) {
                duration.encode(encoder.encode_family(&[("rpc", rpc.label())])?)?;
            }
            Ok(())
        });
        let name = |rest: &str| format!("{prefix}_{rest}");
        let help = "gRPC calls, by rpc and code; a stream counts when it begins";
        metrics.register(&name("rpcs"), help, calls);
        let help = "How long gRPC calls took, by rpc, without streams";
        metrics.register(&name("rpc_duration_seconds"), help, durations);
    }
}

impl fmt::Debug for RpcMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RpcMetrics").finish_non_exhaustive()
    }
}

/// The code of a response. One that failed has it in its headers; the trailers of others say OK.
fn code_of(status: StatusCode, headers: &HeaderMap) -> usize {
    match GrpcCode::of(headers) {
        Some(code) => code.number.into(),
        None if status == StatusCode::OK && !headers.contains_key(GRPC_STATUS) => 0,
        None => UNKNOWN_CODE,
    }
}

/// A gRPC service whose calls are counted.
#[derive(Clone, Debug)]
pub struct Measured<S> {
    service: S,
    metrics: RpcMetrics,
}

impl<S: NamedService> NamedService for Measured<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B, R> Service<Request<B>> for Measured<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Unpin,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = MeasuredCall<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let rpc = self.metrics.find(request.uri().path());
        MeasuredCall { began: Instant::now(), rpc, metrics: self.metrics.clone(), call: self.service.call(request) }
    }
}

/// A call that is counted when it ends. A call that its client cancels is not counted.
#[derive(Debug)]
pub struct MeasuredCall<F> {
    call: F,
    began: Instant,
    rpc: Option<usize>,
    metrics: RpcMetrics,
}

impl<F, R, E> Future for MeasuredCall<F>
where
    F: Future<Output = Result<Response<R>, E>> + Unpin,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.call).poll(context);
        if let Poll::Ready(Ok(response)) = &polled {
            let code = code_of(response.status(), response.headers());
            self.metrics.rpc(self.rpc).record(code, self.began.elapsed());
        }
        polled
    }
}

/// How a metric writes its samples.
type Encode<M> = fn(&M, MetricEncoder<'_>) -> Result<(), fmt::Error>;

/// A metric that is a part of others.
struct Encoded<M> {
    kind: MetricType,
    source: M,
    encode: Encode<M>,
}

impl<M: Clone> Encoded<M> {
    fn new(kind: MetricType, source: &M, encode: Encode<M>) -> Self {
        Self { kind, source: source.clone(), encode }
    }
}

impl<M> EncodeMetric for Encoded<M> {
    fn encode(&self, encoder: MetricEncoder) -> Result<(), fmt::Error> {
        (self.encode)(&self.source, encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.kind
    }
}

impl<M> fmt::Debug for Encoded<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Encoded").finish_non_exhaustive()
    }
}

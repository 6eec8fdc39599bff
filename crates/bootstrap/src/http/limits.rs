//! Limits of a process for every shared resource that requests use, in total and per caller.

mod metrics;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody as _},
    extract::{Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::{self, Next},
    response::Response,
};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout, timeout_at};

pub(super) use self::metrics::Limit;
use super::{
    activity::{LongLived, hold_until_sent},
    caller::{Caller, CallerSource},
    idle::OpenConnections,
    listener_info::ListenerInfo,
    observe::observe,
};
use crate::{
    keyed_limit::{KeyedLimit, LimitExceeded, Permit},
    metrics::Counters,
    open_files,
};

/// Connections of a process, if it may open enough files.
const MAX_CONNECTIONS: usize = 4096;
/// A caller may have one connection in this many.
const CONNECTION_SHARE_DIVISOR: usize = 8;
/// Files reserved for the database, the keyring and connections to other services.
const RESERVED_FILES: usize = 96;
/// Unary requests in flight.
const MAX_REQUESTS: usize = 2048;
/// Unary requests in flight of a caller.
const MAX_REQUESTS_PER_CALLER: usize = 256;
/// Streams of each server streaming method: watched messages, health.
const MAX_STREAMS: usize = 1000;
/// Streams of each method of a caller. Many people may share an address, so a person needs only a few of them.
const MAX_STREAMS_PER_CALLER: usize = 50;
/// Streams of each bidirectional streaming method, in total and of a caller: reflection, which needs few short ones.
const MAX_BIDI_STREAMS: usize = 64;
const MAX_BIDI_STREAMS_PER_CALLER: usize = 8;
/// Bytes of request bodies in flight. Handlers decode, parse and encrypt a body, so a process needs several times as
/// much memory.
const MAX_BODY_BYTES: usize = 16 << 20;
/// Bytes of request bodies in flight of a caller, unless the largest body is larger.
const MAX_BODY_BYTES_PER_CALLER: usize = 4 << 20;
/// Bytes of large responses that callers have not read yet.
const MAX_RESPONSE_BYTES: usize = 64 << 20;
/// Bytes of large unread responses of a caller: the largest default text for each request in flight.
const MAX_RESPONSE_BYTES_PER_CALLER: usize = 16 << 20;
/// How long a body may take to arrive completely.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the next part of a body may take to arrive.
const BODY_PROGRESS_TIMEOUT: Duration = Duration::from_secs(10);

/// The limits of a process. Clones share them, so that all its listeners use the same limits.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    pub(super) connections: KeyedLimit,
    pub(super) connections_in_use: Arc<OpenConnections>,
    requests: KeyedLimit,
    /// By path. Contains only paths of known streaming methods.
    streams: Arc<Mutex<HashMap<String, KeyedLimit>>>,
    body_bytes: KeyedLimit,
    response_bytes: KeyedLimit,
    /// How often each limit rejected a connection or a request.
    pub(super) refusals: Counters<Limit>,
}

/// Why a request was rejected before it reached its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The caller reached its own limit.
    CallerBusy,
    /// All callers together reached the total limit.
    ServerBusy,
    /// The body is larger than the largest accepted body.
    TooLarge,
    /// The body did not arrive in time.
    TimedOut,
    /// The connection broke before the body was complete.
    Incomplete,
}

/// Which sides of a call are streams.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CallKind {
    Unary,
    ServerStreaming,
    BidiStreaming,
}

/// Builds the response to a rejected request from its headers.
pub type RejectionHandler = Arc<dyn Fn(Rejection, &HeaderMap) -> Response + Send + Sync>;

/// Limits the requests of a router.
#[derive(Clone)]
pub struct RequestLimits {
    /// The limits of the process.
    pub limits: ServerLimits,
    /// Where the addresses of callers come from.
    pub callers: CallerSource,
    /// The largest accepted body.
    pub max_body_bytes: usize,
    /// The largest response for a path, in bytes; 0 if its responses are small. These bytes are acquired before the
    /// request is handled, because a handled request cannot be rejected any more.
    pub response_bytes: Arc<dyn Fn(&str) -> usize + Send + Sync>,
    /// The paths of server streaming methods.
    pub server_streaming: &'static [&'static str],
    /// The paths of bidirectional streaming methods.
    pub bidi_streaming: &'static [&'static str],
    /// Builds the response to a rejected request, in its protocol.
    pub reject: RejectionHandler,
    /// How logs name the listener and its requests.
    pub listener: ListenerInfo,
}

impl ServerLimits {
    /// Limits for a process whose routers accept bodies of at most `max_body_bytes`. Raises the soft limit of open
    /// files, which limits connections.
    #[must_use]
    pub fn new(max_body_bytes: usize) -> Self {
        Self::with_connections(max_connections(open_files::raise_limit()), max_body_bytes)
    }

    pub(crate) fn with_connections((total, share): (usize, usize), max_body_bytes: usize) -> Self {
        let body_bytes_per_caller = MAX_BODY_BYTES_PER_CALLER.max(max_body_bytes);
        Self {
            connections: KeyedLimit::new(total, share),
            connections_in_use: Arc::default(),
            requests: KeyedLimit::new(MAX_REQUESTS, MAX_REQUESTS_PER_CALLER),
            streams: Arc::default(),
            body_bytes: KeyedLimit::new(
                MAX_BODY_BYTES.max(body_bytes_per_caller.saturating_mul(4)),
                body_bytes_per_caller,
            ),
            response_bytes: KeyedLimit::new(MAX_RESPONSE_BYTES, MAX_RESPONSE_BYTES_PER_CALLER),
            refusals: Counters::default(),
        }
    }

    /// Counts a refusal, and returns its rejection.
    fn refuse(&self, limit: Limit, exceeded: LimitExceeded) -> Rejection {
        self.refusals.inc(limit);
        exceeded.into()
    }

    /// The open streams of all methods.
    fn open_streams(&self) -> usize {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).values().map(KeyedLimit::in_use).sum()
    }

    fn in_flight(&self, kind: CallKind, path: &str) -> KeyedLimit {
        let (total, share) = match kind {
            CallKind::Unary => return self.requests.clone(),
            CallKind::ServerStreaming => (MAX_STREAMS, MAX_STREAMS_PER_CALLER),
            CallKind::BidiStreaming => (MAX_BIDI_STREAMS, MAX_BIDI_STREAMS_PER_CALLER),
        };
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.entry(path.to_owned()).or_insert_with(|| KeyedLimit::new(total, share)).clone()
    }

    /// Closes an idle connection when few connections are free.
    pub(super) fn make_room(&self) {
        let total = self.connections.total();
        if self.connections.in_use() >= total - total / CONNECTION_SHARE_DIVISOR {
            self.connections_in_use.close_one();
        }
    }
}

/// The most connections for this limit of open files, in total and per caller.
fn max_connections(open_files: usize) -> (usize, usize) {
    let total = open_files.saturating_sub(RESERVED_FILES).clamp(CONNECTION_SHARE_DIVISOR, MAX_CONNECTIONS);
    (total, total / CONNECTION_SHARE_DIVISOR)
}

impl RequestLimits {
    /// Limits all routes that `router` has so far, and logs their requests. See [`limit`](Self::limit) and [`observe`].
    pub fn apply(self, router: Router) -> Router {
        let limit = async |State(limits): State<Arc<Self>>, request: Request, next: Next| {
            let handle = |request| limits.limit(request, |request| next.run(request));
            observe(&limits.callers, limits.listener, request, handle).await
        };
        router.layer(middleware::from_fn_with_state(Arc::new(self), limit))
    }

    /// Handles a request within the limits. It then has a [`Caller`] extension and, unless it is a stream, a complete
    /// body.
    ///
    /// Needs the peer's address as [`ConnectInfo`](axum::extract::ConnectInfo), which [`serve`](super::serve) provides.
    pub async fn limit<Handled: Future<Output = Response>>(
        &self,
        request: Request,
        handle: impl FnOnce(Request) -> Handled,
    ) -> Response {
        let caller = self.callers.identify_request(&request);
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(caller);
        match self.admit(&parts, body, caller).await {
            Ok((body, mut permits, kind)) => {
                let mut response = handle(Request::from_parts(parts, body)).await;
                let [_, _, response_bytes] = &mut permits;
                if let Some(length) = response.body().size_hint().exact().filter(|_| response_bytes.amount() > 0) {
                    response_bytes.set(usize::try_from(length).unwrap_or(usize::MAX));
                }
                if kind != CallKind::Unary {
                    response.extensions_mut().insert(LongLived);
                }
                hold_until_sent(response, permits)
            }
            Err(rejection) => {
                tracing::debug!(?rejection, "a request was rejected");
                (self.reject)(rejection, &parts.headers)
            }
        }
    }

    fn call_kind(&self, path: &str) -> CallKind {
        if self.server_streaming.contains(&path) {
            CallKind::ServerStreaming
        } else if self.bidi_streaming.contains(&path) {
            CallKind::BidiStreaming
        } else {
            CallKind::Unary
        }
    }

    async fn admit(
        &self,
        parts: &Parts,
        body: Body,
        caller: Caller,
    ) -> Result<(Body, [Permit; 3], CallKind), Rejection> {
        let (limits, key) = (&self.limits, Some(caller.id));
        let path = parts.uri.path();
        let kind = self.call_kind(path);
        let in_flight = limits.in_flight(kind, path).acquire(key, 1);
        let response_bytes = || limits.response_bytes.acquire(key, (self.response_bytes)(path));
        let mut permits = [
            in_flight.map_err(|exceeded| limits.refuse(Limit::of_calls(exceeded, kind), exceeded))?,
            limits.body_bytes.acquire(key, 0)?,
            response_bytes().map_err(|exceeded| limits.refuse(Limit::of_responses(exceeded), exceeded))?,
        ];
        if kind == CallKind::BidiStreaming {
            return Ok((body, permits, kind));
        }
        let content_length =
            parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if content_length.is_some_and(|length: usize| length > self.max_body_bytes) {
            limits.refusals.inc(Limit::BodySize);
            return Err(Rejection::TooLarge);
        }
        let [_, bytes, _] = &mut permits;
        let collected = collect(body, bytes, self.max_body_bytes).await;
        if let Some(limit) = collected.as_ref().err().and_then(|rejection| Limit::of_body(*rejection)) {
            limits.refusals.inc(limit);
        }
        Ok((collected?.into(), permits, kind))
    }
}

/// Reads a complete body. Acquires bytes as they arrive, so a body that was announced but does not arrive acquires
/// none. Copies the body, because a single byte would keep a whole buffer of the connection alive.
async fn collect(mut body: Body, bytes: &mut Permit, max_bytes: usize) -> Result<Bytes, Rejection> {
    let deadline = Instant::now() + BODY_TIMEOUT;
    let mut collected = Vec::new();
    while !body.is_end_stream() {
        let frame = timeout_at(deadline, timeout(BODY_PROGRESS_TIMEOUT, body.frame()));
        let Ok(Ok(frame)) = frame.await else { return Err(Rejection::TimedOut) };
        let Some(frame) = frame else { break };
        // No handler uses trailers of requests.
        let Ok(data) = frame.map_err(|_| Rejection::Incomplete)?.into_data() else { continue };
        if data.len() > max_bytes - collected.len() {
            return Err(Rejection::TooLarge);
        }
        bytes.grow(data.len())?;
        collected.extend_from_slice(&data);
    }
    Ok(collected.into())
}

impl From<LimitExceeded> for Rejection {
    fn from(exceeded: LimitExceeded) -> Self {
        match exceeded {
            LimitExceeded::PerKey => Self::CallerBusy,
            LimitExceeded::Total => Self::ServerBusy,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        task::Poll::{Pending, Ready},
    };

    use axum::{
        extract::ConnectInfo,
        http::StatusCode,
        response::IntoResponse as _,
        routing::{get, post},
    };
    use futures_util::{
        poll,
        stream::{self, StreamExt as _},
    };
    use tower::ServiceExt as _;

    use super::*;

    const MAX_BODY: usize = 2 << 20;
    const LARGE: usize = 1 << 20;

    fn router(limits: &ServerLimits) -> Router {
        router_for(limits, MAX_BODY)
    }

    fn router_for(limits: &ServerLimits, max_body_bytes: usize) -> Router {
        let router = Router::new()
            .route("/length", post(async |body: Bytes| body.len().to_string()))
            .route("/caller", get(async |request: Request| format!("{:?}", request.extensions().get::<Caller>())))
            .route("/large", get(async || vec![0; LARGE / 2]))
            .route("/never", get(std::future::pending::<()>))
            .route("/watch", get(async || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())))
            .route("/chat", get(async |request: Request| request.into_body()));
        let reject = Arc::new(|rejection, _: &HeaderMap| {
            let status = match rejection {
                Rejection::CallerBusy => StatusCode::TOO_MANY_REQUESTS,
                Rejection::ServerBusy => StatusCode::SERVICE_UNAVAILABLE,
                Rejection::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                Rejection::TimedOut => StatusCode::REQUEST_TIMEOUT,
                Rejection::Incomplete => StatusCode::BAD_REQUEST,
            };
            status.into_response()
        });
        let (server_streaming, bidi_streaming) = (&["/watch"], &["/chat"]);
        let (limits, callers) = (limits.clone(), CallerSource::Direct);
        let response_bytes = Arc::new(|path: &str| if path == "/large" { LARGE } else { 0 });
        let listener = ListenerInfo::http("test");
        let limits = RequestLimits {
            limits,
            callers,
            max_body_bytes,
            response_bytes,
            server_streaming,
            bidi_streaming,
            reject,
            listener,
        };
        limits.apply(router)
    }

    async fn send(router: &Router, peer: &str, mut request: Request) -> Response {
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request).await.unwrap()
    }

    fn get_request(path: &str) -> Request {
        Request::get(path).body(Body::empty()).unwrap()
    }

    fn post_request(body: Body) -> Request {
        Request::post("/length").body(body).unwrap()
    }

    /// A body of at least `bytes` that does not end.
    fn endless(bytes: usize) -> Request {
        let begin = stream::iter([Ok::<_, std::io::Error>(vec![0; bytes])]);
        post_request(Body::from_stream(begin.chain(stream::pending())))
    }

    #[tokio::test(start_paused = true)]
    async fn slow_bodies_of_a_caller_do_not_limit_other_callers_and_time_out() {
        let limits = ServerLimits::new(MAX_BODY);
        let router = router(&limits);
        let mut slow: Vec<_> =
            (0..180).map(|_| Box::pin(send(&router, "2001:db8::1", endless(MAX_BODY / 4)))).collect();
        let mut rejected = 0;
        for request in &mut slow {
            match poll!(request) {
                Ready(response) => {
                    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
                    rejected += 1;
                }
                Pending => {}
            }
        }
        assert_eq!(rejected, 180 - MAX_BODY_BYTES_PER_CALLER / (MAX_BODY / 4));
        assert_eq!(limits.body_bytes.in_use(), MAX_BODY_BYTES_PER_CALLER);
        let large = || post_request(Body::from(vec![0; MAX_BODY]));
        let neighbour = send(&router, "2001:db8::2", large()).await;
        assert_eq!(neighbour.status(), StatusCode::TOO_MANY_REQUESTS, "it is in the same network");
        assert_eq!(send(&router, "2001:db8:0:1::1", large()).await.status(), StatusCode::OK);
        let began = Instant::now();
        assert_eq!(slow.swap_remove(0).await.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(began.elapsed().as_secs(), BODY_PROGRESS_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_arrives_too_slowly_times_out_and_releases_its_bytes() {
        let limits = ServerLimits::new(MAX_BODY);
        let drip = stream::iter(0..).then(async |_| {
            tokio::time::sleep(BODY_PROGRESS_TIMEOUT / 2).await;
            Ok::<_, std::io::Error>("x")
        });
        let began = Instant::now();
        let response = send(&router(&limits), "192.0.2.1", post_request(Body::from_stream(Box::pin(drip)))).await;
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(began.elapsed().as_secs(), BODY_TIMEOUT.as_secs());
        assert_eq!(limits.body_bytes.in_use(), 0);
    }

    #[tokio::test]
    async fn a_body_holds_its_bytes_until_its_response_was_sent() {
        let limits = ServerLimits::new(MAX_BODY);
        let response = send(&router(&limits), "192.0.2.1", post_request(Body::from(vec![0; 1000]))).await;
        assert_eq!(limits.body_bytes.in_use(), 1000);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "1000");
        assert_eq!((limits.body_bytes.in_use(), limits.requests.in_use()), (0, 0));
    }

    #[tokio::test]
    async fn large_unread_responses_are_limited_before_their_requests_are_handled() {
        let limits = ServerLimits::new(MAX_BODY);
        let router = router(&limits);
        let mut unread = Vec::new();
        loop {
            let response = send(&router, "192.0.2.1", get_request("/large")).await;
            if response.status() == StatusCode::TOO_MANY_REQUESTS {
                break;
            }
            unread.push(response);
            assert!(unread.len() < 100, "no request is rejected");
        }
        // A response releases the bytes that it does not need, so more responses fit.
        assert_eq!(unread.len(), MAX_RESPONSE_BYTES_PER_CALLER / (LARGE / 2) - 1);
        assert_eq!(send(&router, "192.0.2.1", get_request("/caller")).await.status(), StatusCode::OK);
        assert_eq!(send(&router, "192.0.2.2", get_request("/large")).await.status(), StatusCode::OK);
        drop(unread);
        assert_eq!(limits.response_bytes.in_use(), 0);
    }

    #[tokio::test]
    async fn a_body_is_too_large_by_its_content_length_or_by_its_bytes() {
        let (router, peer) = (router_for(&ServerLimits::new(MAX_BODY), 1000), "192.0.2.1");
        let sized = |bytes| post_request(Body::from(vec![0; bytes]));
        assert_eq!(send(&router, peer, sized(1000)).await.status(), StatusCode::OK);
        assert_eq!(send(&router, peer, sized(1001)).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(send(&router, peer, endless(1001)).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let mut announced = endless(1);
        announced.headers_mut().insert(header::CONTENT_LENGTH, 1001.into());
        assert_eq!(send(&router, peer, announced).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let broken = stream::iter([Ok("x"), Err(std::io::Error::other("broken"))]);
        let broken = post_request(Body::from_stream(broken));
        assert_eq!(send(&router, peer, broken).await.status(), StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn unary_requests_and_streams_of_each_method_are_limited_separately_and_per_caller() {
        let limits = ServerLimits::new(MAX_BODY);
        let router = router(&limits);
        let endless = |path| {
            Request::get(path).body(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())).unwrap()
        };
        let mut held = Vec::new();
        for (path, share) in [("/watch", MAX_STREAMS_PER_CALLER), ("/chat", MAX_BIDI_STREAMS_PER_CALLER)] {
            let request = || if path == "/chat" { endless(path) } else { get_request(path) };
            for _ in 0..share {
                held.push(send(&router, "192.0.2.1", request()).await);
            }
            assert!(held.iter().all(|response| response.status() == StatusCode::OK));
            let rejected = send(&router, "192.0.2.1", request()).await;
            assert_eq!(rejected.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
            assert_eq!(send(&router, "192.0.2.2", request()).await.status(), StatusCode::OK, "{path}");
        }
        let mut never: Vec<_> =
            (0..MAX_REQUESTS_PER_CALLER).map(|_| Box::pin(send(&router, "192.0.2.1", get_request("/never")))).collect();
        for request in &mut never {
            assert!(poll!(request).is_pending());
        }
        let request = send(&router, "192.0.2.1", get_request("/caller")).await;
        assert_eq!(request.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(send(&router, "192.0.2.2", get_request("/caller")).await.status(), StatusCode::OK);
        drop((held, never));
        let streams = limits.streams.lock().unwrap();
        assert!(limits.requests.in_use() == 0 && streams.values().all(|limit| limit.in_use() == 0));
    }

    #[test]
    fn connections_leave_enough_open_files() {
        assert_eq!(max_connections(1 << 20), (MAX_CONNECTIONS, MAX_CONNECTIONS / CONNECTION_SHARE_DIVISOR));
        assert_eq!(max_connections(1024), (1024 - RESERVED_FILES, (1024 - RESERVED_FILES) / CONNECTION_SHARE_DIVISOR));
        assert_eq!(max_connections(20), (CONNECTION_SHARE_DIVISOR, 1));
    }
}

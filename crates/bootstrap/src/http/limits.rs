//! What requests may use: a limit over all of a process and a share for each caller, for every shared resource.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody as _},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, header},
    middleware::{self, Next},
    response::Response,
};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    activity::{LongLived, hold_until_sent},
    callers::{Caller, Callers},
    idle::IdleConnections,
};
use crate::{KeyedLimit, LimitExceeded, Permit, open_files};

/// Connections of a process, as far as it may open files.
const MAX_CONNECTIONS: usize = 4096;
/// How many of them one caller may have: 1 of so many.
const CONNECTION_SHARES: usize = 8;
/// Files that are left for everything but connections: the database, the keyring, connections to other services.
const RESERVED_FILES: usize = 96;
/// Requests in flight, without streams.
const MAX_REQUESTS: usize = 2048;
/// How many of them one caller may have.
const MAX_REQUESTS_OF_ONE: usize = 256;
/// Streams of each method with one request: watched messages, health.
const MAX_STREAMS: usize = 1000;
/// How many of them one caller may have. Many people may share an address, but none of them needs all streams.
const MAX_STREAMS_OF_ONE: usize = 50;
/// The same for streams that go on in both directions: reflection, which nobody needs for long.
const MAX_BIDIRECTIONAL_STREAMS: usize = 64;
const MAX_BIDIRECTIONAL_STREAMS_OF_ONE: usize = 8;
/// Bytes of request bodies whose requests are not answered yet. A body is copied a few times on its way, as another
/// encoding, as a text and encrypted, so a process needs several times as much memory.
const MAX_BODY_BYTES: usize = 16 << 20;
/// How many of them one caller may have, unless the largest body is larger.
const MAX_BODY_BYTES_OF_ONE: usize = 4 << 20;
/// Bytes of texts in responses that their callers have not read yet.
const MAX_RESPONSE_BYTES: usize = 64 << 20;
/// How many of them one caller may have: as many texts of the usual limit as it may have requests in flight.
const MAX_RESPONSE_BYTES_OF_ONE: usize = 16 << 20;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the next part of a body may take to arrive.
const BODY_PROGRESS_TIMEOUT: Duration = Duration::from_secs(10);

/// The limits of one process. Clones share them, so that all its listeners draw on the same.
#[derive(Clone, Debug)]
pub struct Limits {
    pub(super) connections: KeyedLimit,
    pub(super) idle: Arc<IdleConnections>,
    requests: KeyedLimit,
    /// By path. Only paths that the program knows as streams are in it.
    streams: Arc<Mutex<HashMap<String, KeyedLimit>>>,
    body_bytes: KeyedLimit,
    response_bytes: KeyedLimit,
}

/// Why a request was refused before it was handled. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The caller has as much in flight as it may have.
    CallerBusy,
    /// All callers together have.
    ServerBusy,
    /// The body is larger than any that is accepted.
    TooLarge,
    /// The body did not arrive in time.
    Late,
    /// The body broke off.
    Incomplete,
}

/// How long requests and responses of a call go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CallKind {
    Unary,
    ServerStream,
    BidirectionalStream,
}

/// Makes the response to a refused request.
pub type Refuse = Arc<dyn Fn(Refusal, &HeaderMap) -> Response + Send + Sync>;

/// How a router limits its requests.
#[derive(Clone)]
pub struct RequestLimits {
    /// The limits of the process.
    pub limits: Limits,
    /// Who its callers are.
    pub callers: Callers,
    /// The largest body.
    pub max_body_bytes: usize,
    /// About how many bytes the response to a request for this path may have, if it may be large. They are taken before
    /// the request is handled, because afterwards it is too late to refuse it.
    pub response_bytes: Arc<dyn Fn(&str) -> usize + Send + Sync>,
    /// The paths whose responses go on for as long as the caller likes.
    pub server_streams: &'static [&'static str],
    /// The paths whose requests go on too.
    pub bidirectional_streams: &'static [&'static str],
    /// The response to a request with these headers that is refused, in the words of its protocol.
    pub refuse: Refuse,
}

impl Limits {
    /// Limits for a process in which no router accepts a body of more than `max_body_bytes`. Raises the soft limit of
    /// open files, because connections are limited by it.
    #[must_use]
    pub fn new(max_body_bytes: usize) -> Self {
        Self::with_connections(max_connections(open_files::raise_limit()), max_body_bytes)
    }

    pub(super) fn with_connections((total, share): (usize, usize), max_body_bytes: usize) -> Self {
        let bytes_of_one = MAX_BODY_BYTES_OF_ONE.max(max_body_bytes);
        Self {
            connections: KeyedLimit::new(total, share),
            idle: Arc::default(),
            requests: KeyedLimit::new(MAX_REQUESTS, MAX_REQUESTS_OF_ONE),
            streams: Arc::default(),
            body_bytes: KeyedLimit::new(MAX_BODY_BYTES.max(bytes_of_one.saturating_mul(4)), bytes_of_one),
            response_bytes: KeyedLimit::new(MAX_RESPONSE_BYTES, MAX_RESPONSE_BYTES_OF_ONE),
        }
    }

    fn in_flight(&self, kind: CallKind, path: &str) -> KeyedLimit {
        let (total, share) = match kind {
            CallKind::Unary => return self.requests.clone(),
            CallKind::ServerStream => (MAX_STREAMS, MAX_STREAMS_OF_ONE),
            CallKind::BidirectionalStream => (MAX_BIDIRECTIONAL_STREAMS, MAX_BIDIRECTIONAL_STREAMS_OF_ONE),
        };
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.entry(path.to_owned()).or_insert_with(|| KeyedLimit::new(total, share)).clone()
    }

    /// Closes an idle connection when few are left.
    pub(super) fn relieve(&self) {
        let total = self.connections.total();
        if self.connections.in_use() >= total - total / CONNECTION_SHARES {
            self.idle.close_one();
        }
    }
}

/// For so many open files: connections in all, and of one caller.
fn max_connections(open_files: usize) -> (usize, usize) {
    let total = open_files.saturating_sub(RESERVED_FILES).clamp(CONNECTION_SHARES, MAX_CONNECTIONS);
    (total, total / CONNECTION_SHARES)
}

impl RequestLimits {
    /// Limits all routes that `router` has so far. Handlers then have a [`Caller`] and get unary bodies whole.
    ///
    /// Needs the peer's address as [`ConnectInfo`], which [`serve`](super::serve) gives.
    pub fn apply(self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self, limit_request))
    }

    fn kind_of(&self, path: &str) -> CallKind {
        if self.server_streams.contains(&path) {
            CallKind::ServerStream
        } else if self.bidirectional_streams.contains(&path) {
            CallKind::BidirectionalStream
        } else {
            CallKind::Unary
        }
    }

    async fn admit(&self, request: Request, caller: Caller) -> Result<(Request, [Permit; 3], CallKind), Refusal> {
        let (limits, key) = (&self.limits, Some(caller.id));
        let path = request.uri().path();
        let kind = self.kind_of(path);
        let mut permits = [
            limits.in_flight(kind, path).acquire(key, 1)?,
            limits.body_bytes.acquire(key, 0)?,
            limits.response_bytes.acquire(key, (self.response_bytes)(path))?,
        ];
        if kind == CallKind::BidirectionalStream {
            return Ok((request, permits, kind));
        }
        let (parts, body) = request.into_parts();
        let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: usize| length > self.max_body_bytes) {
            return Err(Refusal::TooLarge);
        }
        let [_, bytes, _] = &mut permits;
        let body = collect(body, bytes, self.max_body_bytes).await?;
        Ok((Request::from_parts(parts, body.into()), permits, kind))
    }
}

async fn limit_request(State(limits): State<RequestLimits>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    // All that come without a connection count as one.
    let caller = limits.callers.identify(peer.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), request.headers());
    request.extensions_mut().insert(caller);
    let headers = request.headers().clone();
    match limits.admit(request, caller).await {
        Ok((request, mut permits, kind)) => {
            let mut response = next.run(request).await;
            let [_, _, response_bytes] = &mut permits;
            if let Some(length) = response.body().size_hint().exact().filter(|_| response_bytes.amount() > 0) {
                response_bytes.set(usize::try_from(length).unwrap_or(usize::MAX));
            }
            if kind != CallKind::Unary {
                response.extensions_mut().insert(LongLived);
            }
            hold_until_sent(response, permits)
        }
        Err(refusal) => {
            tracing::debug!(?refusal, "a request was refused");
            (limits.refuse)(refusal, &headers)
        }
    }
}

/// All of a body. It takes bytes of the budget as they arrive, so a body that was announced and does not arrive takes
/// none. It is copied out of the connection's buffers, of which a part of one byte would keep a whole one.
async fn collect(mut body: Body, bytes: &mut Permit, max_bytes: usize) -> Result<Bytes, Refusal> {
    let deadline = Instant::now() + BODY_TIMEOUT;
    let mut collected = Vec::new();
    while !body.is_end_stream() {
        let frame = timeout_at(deadline, timeout(BODY_PROGRESS_TIMEOUT, body.frame()));
        let Ok(Ok(frame)) = frame.await else { return Err(Refusal::Late) };
        let Some(frame) = frame else { break };
        // Trailers of requests mean nothing to any handler.
        let Ok(data) = frame.map_err(|_| Refusal::Incomplete)?.into_data() else { continue };
        if data.len() > max_bytes - collected.len() {
            return Err(Refusal::TooLarge);
        }
        bytes.grow(data.len())?;
        collected.extend_from_slice(&data);
    }
    Ok(collected.into())
}

impl From<LimitExceeded> for Refusal {
    fn from(exceeded: LimitExceeded) -> Self {
        match exceeded {
            LimitExceeded::Share => Self::CallerBusy,
            LimitExceeded::Total => Self::ServerBusy,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll::{Pending, Ready};

    use axum::{
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

    fn router(limits: &Limits) -> Router {
        router_for(limits, MAX_BODY)
    }

    fn router_for(limits: &Limits, max_body_bytes: usize) -> Router {
        let router = Router::new()
            .route("/length", post(async |body: Bytes| body.len().to_string()))
            .route("/caller", get(async |request: Request| format!("{:?}", request.extensions().get::<Caller>())))
            .route("/large", get(async || vec![0; LARGE / 2]))
            .route("/never", get(std::future::pending::<()>))
            .route("/watch", get(async || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())))
            .route("/chat", get(async |request: Request| request.into_body()));
        let refuse = Arc::new(|refusal, _: &HeaderMap| {
            let status = match refusal {
                Refusal::CallerBusy => StatusCode::TOO_MANY_REQUESTS,
                Refusal::ServerBusy => StatusCode::SERVICE_UNAVAILABLE,
                Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                Refusal::Late => StatusCode::REQUEST_TIMEOUT,
                Refusal::Incomplete => StatusCode::BAD_REQUEST,
            };
            status.into_response()
        });
        let (server_streams, bidirectional_streams) = (&["/watch"], &["/chat"]);
        let (limits, callers) = (limits.clone(), Callers::Direct);
        let response_bytes = Arc::new(|path: &str| if path == "/large" { LARGE } else { 0 });
        RequestLimits { limits, callers, max_body_bytes, response_bytes, server_streams, bidirectional_streams, refuse }
            .apply(router)
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

    /// Sends this much, and no end.
    fn endless(bytes: usize) -> Request {
        let begin = stream::iter([Ok::<_, std::io::Error>(vec![0; bytes])]);
        post_request(Body::from_stream(begin.chain(stream::pending())))
    }

    #[tokio::test(start_paused = true)]
    async fn slow_bodies_of_one_caller_leave_others_their_room_and_are_given_up() {
        let limits = Limits::new(MAX_BODY);
        let router = router(&limits);
        let mut slow: Vec<_> =
            (0..180).map(|_| Box::pin(send(&router, "2001:db8::1", endless(MAX_BODY / 4)))).collect();
        let mut refused = 0;
        for request in &mut slow {
            match poll!(request) {
                Ready(response) => {
                    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
                    refused += 1;
                }
                Pending => {}
            }
        }
        assert_eq!(refused, 180 - MAX_BODY_BYTES_OF_ONE / (MAX_BODY / 4));
        assert_eq!(limits.body_bytes.in_use(), MAX_BODY_BYTES_OF_ONE);
        let large = || post_request(Body::from(vec![0; MAX_BODY]));
        let neighbour = send(&router, "2001:db8::2", large()).await;
        assert_eq!(neighbour.status(), StatusCode::TOO_MANY_REQUESTS, "it is in the same network");
        assert_eq!(send(&router, "2001:db8:0:1::1", large()).await.status(), StatusCode::OK);
        let began = Instant::now();
        assert_eq!(slow.swap_remove(0).await.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(began.elapsed().as_secs(), BODY_PROGRESS_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_in_is_given_up_and_gives_its_bytes_back() {
        let limits = Limits::new(MAX_BODY);
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
    async fn a_body_keeps_its_bytes_until_its_response_was_sent() {
        let limits = Limits::new(MAX_BODY);
        let response = send(&router(&limits), "192.0.2.1", post_request(Body::from(vec![0; 1000]))).await;
        assert_eq!(limits.body_bytes.in_use(), 1000);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "1000");
        assert_eq!((limits.body_bytes.in_use(), limits.requests.in_use()), (0, 0));
    }

    #[tokio::test]
    async fn large_responses_that_are_not_read_are_limited_before_their_requests_are_handled() {
        let limits = Limits::new(MAX_BODY);
        let router = router(&limits);
        let mut unread = Vec::new();
        loop {
            let response = send(&router, "192.0.2.1", get_request("/large")).await;
            if response.status() == StatusCode::TOO_MANY_REQUESTS {
                break;
            }
            unread.push(response);
            assert!(unread.len() < 100, "no response is refused");
        }
        // What a response turns out not to need is free again, so more fit than were reckoned with.
        assert_eq!(unread.len(), MAX_RESPONSE_BYTES_OF_ONE / (LARGE / 2) - 1);
        assert_eq!(send(&router, "192.0.2.1", get_request("/caller")).await.status(), StatusCode::OK);
        assert_eq!(send(&router, "192.0.2.2", get_request("/large")).await.status(), StatusCode::OK);
        drop(unread);
        assert_eq!(limits.response_bytes.in_use(), 0);
    }

    #[tokio::test]
    async fn a_body_is_too_large_by_what_it_announces_or_by_what_arrives() {
        let (router, peer) = (router_for(&Limits::new(MAX_BODY), 1000), "192.0.2.1");
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
    async fn requests_in_flight_and_each_kind_of_stream_are_limited_apart_and_for_each_caller() {
        let limits = Limits::new(MAX_BODY);
        let router = router(&limits);
        let endless = |path| {
            Request::get(path).body(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())).unwrap()
        };
        let mut held = Vec::new();
        for (path, share) in [("/watch", MAX_STREAMS_OF_ONE), ("/chat", MAX_BIDIRECTIONAL_STREAMS_OF_ONE)] {
            let request = || if path == "/chat" { endless(path) } else { get_request(path) };
            for _ in 0..share {
                held.push(send(&router, "192.0.2.1", request()).await);
            }
            assert!(held.iter().all(|response| response.status() == StatusCode::OK));
            let refused = send(&router, "192.0.2.1", request()).await;
            assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
            assert_eq!(send(&router, "192.0.2.2", request()).await.status(), StatusCode::OK, "{path}");
        }
        let mut never: Vec<_> =
            (0..MAX_REQUESTS_OF_ONE).map(|_| Box::pin(send(&router, "192.0.2.1", get_request("/never")))).collect();
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
    fn connections_leave_files_for_everything_else() {
        assert_eq!(max_connections(1 << 20), (MAX_CONNECTIONS, MAX_CONNECTIONS / CONNECTION_SHARES));
        assert_eq!(max_connections(1024), (1024 - RESERVED_FILES, (1024 - RESERVED_FILES) / CONNECTION_SHARES));
        assert_eq!(max_connections(20), (CONNECTION_SHARES, 1));
    }
}

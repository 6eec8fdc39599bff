//! An HTTP server with limits: HTTP/1 and HTTP/2 on one listener, with TLS (chosen by ALPN) or without (HTTP/2 with
//! prior knowledge).

mod access_log;
mod activity;
mod authorization;
mod caller;
mod idle;
mod limits;
mod listener_info;
mod observe;
pub mod origin;
mod route;
mod security_headers;
mod server_span;
mod weighted;

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{net::TcpStream, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

pub(crate) use self::access_log::{CALLER_TARGET as ACCESS_CALLER_TARGET, TARGET as ACCESS_TARGET};
use self::{
    activity::{ConnectionTimeouts, End},
    idle::OpenRequest,
    limits::Limit,
};
pub use self::{
    authorization::unwrap_authorization,
    caller::{Caller, CallerSource},
    limits::{Rejection, RejectionHandler, RequestLimits, ServerLimits},
    listener_info::ListenerInfo,
    observe::observe,
    security_headers::{ContentPolicy, set_security_headers},
    weighted::weighted_items,
};
use crate::{
    ErrorChain,
    lifecycle::DRAIN_TIMEOUT,
    listen::Listener,
    tls::{ServerTls, Stream},
};

/// How long a new connection may take for the handshake of TLS and the headers of a request, together. `axum::serve`
/// has no such timeouts.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be idle between requests. Longer than the idle timeout of reverse proxies (nginx: 60
/// seconds). The side that sends requests must close first, or a request arrives on a connection that is being closed.
///
/// hyper counts idle time and slow headers together. They cost the same, so a slow client gains nothing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a client may take to read a finite response.
const READ_TIMEOUT: Duration = IDLE_TIMEOUT;
/// The timeouts of connections.
const TIMEOUTS: ConnectionTimeouts =
    ConnectionTimeouts { unused: HEADER_TIMEOUT, idle: IDLE_TIMEOUT, read: READ_TIMEOUT };
/// The timeouts of connections that were told to shut down.
const SHUTDOWN_TIMEOUTS: ConnectionTimeouts = ConnectionTimeouts { idle: HEADER_TIMEOUT, ..TIMEOUTS };
/// HTTP/2 settings for connections of clients.
const CLIENT_HTTP2: Http2Settings =
    Http2Settings { max_streams: 256, stream_window: 64 << 10, connection_window: 128 << 10 };
/// HTTP/2 settings for connections of gateways, which carry the requests of many clients. The windows of all streams
/// fit into the window of the connection, so a stream that is not read does not block the others.
const GATEWAY_HTTP2: Http2Settings =
    Http2Settings { max_streams: 4096, stream_window: 16 << 10, connection_window: 4096 * (16 << 10) };
/// The read buffer of a connection, and the largest headers.
const MAX_HEADER_BYTES: u32 = 16 << 10;
/// How often an idle HTTP/2 connection is pinged, and how long the response may take.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long connections may take to drain; less than the process has.
const CONNECTION_DRAIN_TIMEOUT: Duration = DRAIN_TIMEOUT.saturating_sub(Duration::from_secs(2));
/// The delays after failures of `accept` (usually: no file descriptors left).
const ACCEPT_BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(10))
    .with_max_delay(MAX_ACCEPT_DELAY)
    .without_max_times();
const MAX_ACCEPT_DELAY: Duration = Duration::from_secs(1);
/// How often continuing failures of `accept` are logged.
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// How many connections a TLS connection counts as. Clients can make it hold 64 KiB of an unfinished message of the
/// handshake, where a plain connection holds 16 KiB of headers.
const TLS_CONNECTION_WEIGHT: usize = 4;

/// Flow control and concurrency of HTTP/2 connections.
struct Http2Settings {
    /// The most concurrent streams of a connection.
    max_streams: u32,
    /// How many unread bytes a client may send on a stream.
    stream_window: u32,
    /// How many unread bytes a client may send on all streams of a connection.
    connection_window: u32,
}

/// An extension of requests that arrived over TLS.
#[derive(Clone, Copy, Debug)]
pub struct OverTls;

/// Serves `router` on `listener` until `stop` is cancelled, then drains the requests in flight.
///
/// Requests have the peer's address as [`ConnectInfo`], and [`OverTls`] if they arrived over TLS. `limits` apply to
/// connections; they apply to requests only if the router uses [`RequestLimits::apply`].
///
/// # Errors
///
/// None: a broken connection concerns only its client. The `Result` fits a lifecycle task.
pub async fn serve(
    listener: impl Into<Listener>,
    router: Router,
    limits: ServerLimits,
    callers: CallerSource,
    stop: CancellationToken,
) -> io::Result<()> {
    let Listener { tcp: listener, tls } = listener.into();
    let builder = Arc::new(connection_builder(&callers));
    let weight = if tls.is_some() { TLS_CONNECTION_WEIGHT } else { 1 };
    let connections = TaskTracker::new();
    let mut failures = AcceptFailures::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                limits.connections_in_use.close_one();
                let delay = tokio::time::sleep(failures.record(&error));
                if stop.run_until_cancelled(delay).await.is_some() {
                    continue;
                }
                break;
            }
        };
        failures.reset();
        limits.make_room();
        // Beyond the limit, close the connection at once. Otherwise the others would wait in the kernel's queue.
        let permit = match limits.connections.acquire(callers.connection_key(peer.ip()), weight) {
            Ok(permit) => permit,
            Err(exceeded) => {
                limits.refusals.inc(Limit::of_connections(exceeded));
                tracing::debug!(%exceeded, "a connection was rejected");
                continue;
            }
        };
        let (builder, router, limits, stop) = (Arc::clone(&builder), router.clone(), limits.clone(), stop.clone());
        let tls = tls.clone();
        connections.spawn(async move {
            let _permit = permit;
            serve_connection(&builder, stream, tls, peer, router, &limits, stop).await;
        });
    }
    drop(listener);
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = drain_timeout(&stop) => tracing::info!("connections that did not drain were closed"),
    }
    Ok(())
}

/// Consecutive failures of `accept`. Logs the first failure, and at most one per [`ACCEPT_LOG_INTERVAL`].
#[derive(Default)]
struct AcceptFailures {
    /// The delays of the current failures; `None` after a success.
    delays: Option<ExponentialBackoff>,
    logged: Option<Instant>,
}

impl AcceptFailures {
    /// Records a failure, and returns the delay before the next attempt.
    fn record(&mut self, error: &io::Error) -> Duration {
        let now = Instant::now();
        if self.logged.is_none_or(|logged| now.duration_since(logged) >= ACCEPT_LOG_INTERVAL) {
            tracing::warn!(%error, "cannot accept connections");
            self.logged = Some(now);
        }
        let delays = self.delays.get_or_insert_with(|| ACCEPT_BACKOFF.build());
        delays.next().unwrap_or(MAX_ACCEPT_DELAY)
    }

    /// Records a success. It does not reset the log interval, so alternating results do not fill the log.
    fn reset(&mut self) {
        if self.delays.take().is_some() {
            tracing::debug!("connections are accepted again");
        }
    }
}

/// Completes when the drain timeout has passed since `stop`, so that no client can keep the process from ending.
async fn drain_timeout(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(CONNECTION_DRAIN_TIMEOUT).await;
}

fn connection_builder(callers: &CallerSource) -> auto::Builder<TokioExecutor> {
    let http2 = match callers {
        CallerSource::TrustedGateways { .. } => GATEWAY_HTTP2,
        CallerSource::Direct | CallerSource::TrustedProxies(_) => CLIENT_HTTP2,
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_TIMEOUT).max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(http2.stream_window)
        .initial_connection_window_size(http2.connection_window)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(http2.max_streams)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    builder
}

async fn serve_connection(
    builder: &auto::Builder<TokioExecutor>,
    stream: TcpStream,
    tls: Option<ServerTls>,
    peer: SocketAddr,
    router: Router,
    limits: &ServerLimits,
    stop: CancellationToken,
) {
    // Responses are small and complete: send each without delay.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let open = Arc::new(limits.connections_in_use.open());
    let activity = Arc::clone(open.activity());
    // One timeout for the handshake of TLS and the first request.
    let mut end = pin!(activity.until_end(TIMEOUTS));
    let is_tls = tls.is_some();
    let stream = match tls {
        None => Stream::plain(stream),
        Some(tls) => tokio::select! {
            accepted = tls.accept(stream) => match accepted {
                Ok(stream) => stream,
                Err(error) => return tracing::debug!(error = %ErrorChain(&error), "a TLS handshake failed"),
            },
            end = end.as_mut() => return tracing::debug!(?end, "a connection without a TLS handshake was closed"),
            () = stop.cancelled() => return,
        },
    };
    let service = tower::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let open = OpenRequest::begin(&open);
        request.extensions_mut().insert(ConnectInfo(peer));
        if is_tls {
            request.extensions_mut().insert(OverTls);
        }
        let response = router.clone().oneshot(request.map(axum::body::Body::new));
        async move { response.await.map(|response| open.until_sent(response)) }
    });
    let service = TowerToHyperService::new(service);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // A client that disconnects or sends invalid data is no fault of the server: log at debug level.
    let log_end = |ended: Result<(), Box<dyn std::error::Error + Send + Sync>>| {
        if let Err(error) = ended {
            tracing::debug!(error = %ErrorChain(&*error), "a connection ended early");
        }
    };
    tokio::select! {
        ended = connection.as_mut() => return log_end(ended),
        end = end.as_mut() => {
            tracing::debug!(?end, "a connection is closed");
            if matches!(end, End::Unused | End::Stalled | End::MakeRoomUnused) {
                return;
            }
        }
        () = stop.cancelled() => {}
    }
    // Informs the client (HTTP/2: GOAWAY) which requests will still be answered.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection => log_end(ended),
        end = activity.until_end(SHUTDOWN_TIMEOUTS) => {
            tracing::debug!(?end, "a connection that did not shut down was closed");
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        Extension,
        body::{Body, Bytes},
        routing::get,
    };
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::{activity::LongLived, *};

    async fn start() -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serving = serve(listener, router(), ServerLimits::new(MAX_BODY), CallerSource::Direct, stop.clone());
        (address, stop, tokio::spawn(serving))
    }

    const MAX_BODY: usize = 1000;
    const LARGE_PARTS: usize = 64;

    fn router() -> Router {
        let endless = || async { Body::from_stream(futures_util::stream::pending::<io::Result<Bytes>>()) };
        let long_lived = move || async move { (Extension(LongLived), endless().await) };
        // In several parts: the server takes a single part from the handler at once.
        let part = Bytes::from(vec![b'x'; 1 << 20]);
        let large = move || async move {
            Body::from_stream(futures_util::stream::iter(
                (0..LARGE_PARTS).map(move |_| Ok::<_, io::Error>(part.clone())),
            ))
        };
        Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/never", get(std::future::pending::<()>))
            .route("/endless", get(endless))
            .route("/long-lived", get(long_lived))
            .route("/large", get(large))
    }

    #[tokio::test]
    async fn a_connection_with_tls_counts_as_several() {
        let authority = crate::tls::tests::Authority::new();
        authority.issue("server", "127.0.0.1", |_| ());
        for (tls, weight) in [(None, 1), (authority.server("server").load().unwrap(), TLS_CONNECTION_WEIGHT)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (address, limits) = (listener.local_addr().unwrap(), ServerLimits::new(MAX_BODY));
            let listener = Listener::with_tls(listener, tls);
            let serving = serve(listener, router(), limits.clone(), CallerSource::Direct, CancellationToken::new());
            let serving = tokio::spawn(serving);
            let _connection = TcpStream::connect(address).await.unwrap();
            while limits.connections.in_use() == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(limits.connections.in_use(), weight);
            serving.abort();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_closed() {
        let (address, _stop, _serving) = start().await;
        // The second one stops within the HTTP/2 preface, the third one within its headers.
        for beginning in ["", "PRI * HT", "GET / HTTP/1.1\r\nhost: "] {
            let mut connection = TcpStream::connect(address).await.unwrap();
            let began = tokio::time::Instant::now();
            connection.write_all(beginning.as_bytes()).await.unwrap();
            assert_eq!(connection.read(&mut [0; 64]).await.unwrap_or(0), 0);
            assert!(began.elapsed() < HEADER_TIMEOUT * 2, "{beginning:?}");
        }
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut response = String::new();
        connection.read_to_string(&mut response).await.unwrap();
        assert!(response.ends_with("hello"), "{response}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_serves_another_request_after_a_minute_and_is_closed_when_idle() {
        /// The time after which nginx closes idle upstream connections.
        const NGINX: Duration = Duration::from_secs(60);
        let (address, _stop, _serving) = start().await;
        let mut connection = TcpStream::connect(address).await.unwrap();
        let mut response = vec![0; 1024];
        for _ in 0..2 {
            connection.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let length = connection.read(&mut response).await.unwrap();
            assert!(response[..length].ends_with(b"hello"));
            tokio::time::sleep(NGINX).await;
        }
        // Headers that arrive byte by byte do not extend the timeout.
        let began = tokio::time::Instant::now();
        for byte in b"GET / HTTP/1.1\r\nhost: x".iter().cycle() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if connection.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
        assert!(NGINX + began.elapsed() < IDLE_TIMEOUT * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_client_keeps_a_process_from_ending() {
        let (address, stop, serving) = start().await;
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let began = tokio::time::Instant::now();
        stop.cancel();
        serving.await.unwrap().unwrap();
        assert!(began.elapsed() < DRAIN_TIMEOUT);
    }

    /// An HTTP/2 connection that answers pings and sends no requests, and how long it lasted.
    async fn http_2(address: SocketAddr) -> (h2::client::SendRequest<Bytes>, tokio::task::JoinHandle<Duration>) {
        let stream = TcpStream::connect(address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        let began = tokio::time::Instant::now();
        let ended = tokio::spawn(async move {
            drop(connection.await);
            began.elapsed()
        });
        (client, ended)
    }

    async fn get_path(client: &h2::client::SendRequest<Bytes>, path: &str) -> h2::client::ResponseFuture {
        let request = hyper::Request::get(format!("http://x{path}")).body(()).unwrap();
        client.clone().ready().await.unwrap().send_request(request, true).unwrap().0
    }

    #[tokio::test(start_paused = true)]
    async fn an_http_2_connection_is_closed_when_idle() {
        let (address, _stop, _serving) = start().await;
        let (client, ended) = http_2(address).await;
        for _ in 0..3 {
            assert_eq!(get_path(&client, "/").await.await.unwrap().status(), 200);
            tokio::time::sleep(IDLE_TIMEOUT / 2).await;
        }
        let lasted = ended.await.unwrap();
        assert!(lasted >= IDLE_TIMEOUT * 2 && lasted < IDLE_TIMEOUT * 3, "{lasted:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_http_2_connection_lasts_as_long_as_one_of_its_streams() {
        let (address, _stop, _serving) = start().await;
        for path in ["/never", "/long-lived"] {
            let (client, ended) = http_2(address).await;
            let mut response = Box::pin(get_path(&client, path).await);
            // The second response begins, and does not end.
            let body = if path == "/long-lived" { Some(response.as_mut().await.unwrap().into_body()) } else { None };
            tokio::time::sleep(IDLE_TIMEOUT * 10).await;
            assert!(!ended.is_finished(), "{path}");
            assert_eq!(get_path(&client, "/").await.await.unwrap().status(), 200);
            drop((response, body));
            let lasted = ended.await.unwrap();
            assert!(lasted < IDLE_TIMEOUT * 12, "{path}: {lasted:?}");
        }
    }

    /// Opens a connection and sends a request. Returns the connection if the server responds.
    async fn connect_and_get(address: SocketAddr) -> Option<TcpStream> {
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.ok()?;
        let length = connection.read(&mut [0; 1024]).await.unwrap_or(0);
        (length > 0).then_some(connection)
    }

    #[tokio::test]
    async fn a_connection_beyond_the_limit_is_rejected_and_an_idle_one_is_closed_to_make_room() {
        const TOTAL: usize = 8;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = ServerLimits::with_connections((TOTAL, 1), MAX_BODY);
        tokio::spawn(serve(listener, router(), limits.clone(), CallerSource::Direct, CancellationToken::new()));
        let mut taken = Vec::new();
        while limits.connections.in_use() < TOTAL - 1 {
            taken.push(connect_and_get(address).await.expect("within the limit"));
        }
        // From now on, each connection closes the one that has been idle for longest.
        let others = async {
            for _ in 0..TOTAL * 2 {
                while connect_and_get(address).await.map(|connection| taken.push(connection)).is_none() {}
            }
        };
        tokio::time::timeout(HEADER_TIMEOUT, others).await.expect("no connection is closed");
        assert_eq!(taken[0].read(&mut [0; 64]).await.unwrap_or(0), 0, "the oldest connection is closed");
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_of_a_client_that_does_not_read_its_response_is_closed() {
        let (address, _stop, _serving) = start().await;
        let mut connection = TcpStream::connect(address).await.unwrap();
        let began = tokio::time::Instant::now();
        connection.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        tokio::time::sleep(IDLE_TIMEOUT * 2).await;
        let mut rest = Vec::new();
        // Only what the kernel buffered arrives.
        let read = connection.read_to_end(&mut rest).await;
        assert!(rest.len() < LARGE_PARTS << 20, "{read:?}");
        assert!(began.elapsed() < IDLE_TIMEOUT * 3);

        let (client, ended) = http_2(address).await;
        let response = get_path(&client, "/large").await.await.unwrap();
        assert!(ended.await.unwrap() < IDLE_TIMEOUT * 2);
        drop(response);
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_of_a_client_that_only_writes_is_closed() {
        let (address, _stop, _serving) = start().await;
        let mut connection = TcpStream::connect(address).await.unwrap();
        let requests = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000);
        // Fills the buffers of both sides, then waits until the server closes the connection.
        loop {
            let written = tokio::time::timeout(READ_TIMEOUT * 3, connection.write_all(requests.as_bytes()));
            if written.await.expect("the connection stays open").is_err() {
                break;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_accept_are_logged_once_a_minute_and_retried_with_growing_delays() {
        let mut failures = AcceptFailures::default();
        let error = io::Error::other("out of files");
        let mut waited = Duration::ZERO;
        let (mut logged, mut attempts) = (0, 0);
        while waited < ACCEPT_LOG_INTERVAL * 3 {
            let before = failures.logged;
            let delay = failures.record(&error);
            logged += usize::from(failures.logged != before);
            attempts += 1;
            tokio::time::advance(delay).await;
            waited += delay;
        }
        assert!(logged == 3 && attempts < 200, "{logged} lines, {attempts} attempts");
        failures.reset();
        let before = failures.logged;
        assert_eq!(failures.record(&error), Duration::from_millis(10));
        assert_eq!(failures.logged.is_some(), before.is_some());
    }
}

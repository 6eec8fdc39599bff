//! Serving HTTP/1 and HTTP/2 (with prior knowledge) on one listener, within limits.

mod activity;
mod authorization;
mod callers;
mod idle;
mod limits;
pub mod origin;

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

use self::activity::Activity;
pub use self::{
    authorization::unwrap_authorization,
    callers::{Caller, Callers},
    limits::{Limits, Refusal, Refuse, RequestLimits},
};
use crate::DRAIN_LIMIT;

/// How long a new connection may take to bring the headers of a request. `axum::serve` knows no such limits.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection that has brought a request may take to bring the next. Longer than reverse proxies keep idle connections (nginx
/// 60 seconds): who closes first must be the one who sends, or a request meets a connection that is just being closed. hyper counts
/// idleness and slow headers together; they cost the same, and who may be idle gains nothing by being slow.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a client may take to read a response that has an end.
const READ_TIMEOUT: Duration = IDLE_TIMEOUT;
/// How HTTP/2 connections of clients are shared by their requests.
const CLIENT_STREAMS: Streams = Streams { count: 256, window: 64 << 10, connection_window: 128 << 10 };
/// The same for gateways, each of which brings the requests of many clients on one connection. There, the windows of
/// all streams fit into that of the connection, so that a stream which is not read holds up no other.
const GATEWAY_STREAMS: Streams = Streams { count: 4096, window: 16 << 10, connection_window: 4096 * (16 << 10) };
/// What a connection reads ahead, and the longest headers.
const MAX_HEADER_BYTES: u32 = 16 << 10;
/// How often an idle HTTP/2 connection is probed, and how long the probe may take.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));
/// How long connections may take to end; less than the process has.
const CONNECTION_DRAIN_LIMIT: Duration = DRAIN_LIMIT.saturating_sub(Duration::from_secs(2));
/// After `accept` failed (mostly: out of file descriptors), how long until the next try, at first and at most.
const ACCEPT_PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// How often it is logged that `accept` still fails.
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The requests on one HTTP/2 connection.
struct Streams {
    /// How many there may be at once.
    count: u32,
    /// How many bytes a client may send on one of them before a handler has taken them.
    window: u32,
    /// The same for all together.
    connection_window: u32,
}

/// Serves `router` on `listener`, with the peer's address as [`ConnectInfo`], until `stop` is cancelled, then finishes the requests that have begun, as far as
/// they end soon. Connections take part in `limits`; requests do if the router does ([`RequestLimits::apply`]).
///
/// # Errors
///
/// None at present: a connection that breaks concerns its client alone. The `Result` is the form of a lifecycle task.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    callers: Callers,
    stop: CancellationToken,
) -> io::Result<()> {
    let builder = Arc::new(connection_builder(&callers));
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
                limits.idle.close_one();
                let pause = tokio::time::sleep(failures.record(&error));
                if stop.run_until_cancelled(pause).await.is_some() {
                    continue;
                }
                break;
            }
        };
        failures.end();
        limits.relieve();
        // Beyond the limit a connection is closed at once: it would keep others waiting in the kernel's queue.
        let permit = match limits.connections.acquire(callers.connection_key(peer.ip()), 1) {
            Ok(permit) => permit,
            Err(exceeded) => {
                tracing::debug!(%exceeded, "a connection was refused");
                continue;
            }
        };
        let (builder, router, limits, stop) = (Arc::clone(&builder), router.clone(), limits.clone(), stop.clone());
        connections.spawn(async move {
            let _permit = permit;
            serve_connection(&builder, stream, peer, router, &limits, stop).await;
        });
    }
    drop(listener);
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = connections_drained(&stop) => tracing::info!("connections were cut that did not end"),
    }
    Ok(())
}

/// Failures of `accept` in a row. Logged when they begin and end, and once in a while between.
#[derive(Default)]
struct AcceptFailures {
    count: u32,
    logged: Option<Instant>,
}

impl AcceptFailures {
    /// Returns how long to wait before the next try.
    fn record(&mut self, error: &io::Error) -> Duration {
        let now = Instant::now();
        if self.logged.is_none_or(|logged| now.duration_since(logged) >= ACCEPT_LOG_INTERVAL) {
            tracing::warn!(%error, "cannot accept connections");
            self.logged = Some(now);
        }
        let pause = ACCEPT_PAUSES.0.saturating_mul(1 << self.count.min(10)).min(ACCEPT_PAUSES.1);
        self.count += 1;
        pause
    }

    /// A connection was accepted. Success between failures does not make the log longer.
    fn end(&mut self) {
        if self.count > 0 {
            tracing::debug!("connections are accepted again");
            self.count = 0;
        }
    }
}

/// Comes back when connections had their time to end after `stop`. No client can keep a process from its end.
async fn connections_drained(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(CONNECTION_DRAIN_LIMIT).await;
}

fn connection_builder(callers: &Callers) -> auto::Builder<TokioExecutor> {
    let streams = match callers {
        Callers::BehindGateways { .. } => GATEWAY_STREAMS,
        Callers::Direct | Callers::BehindProxies(_) => CLIENT_STREAMS,
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_TIMEOUT).max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(streams.window)
        .initial_connection_window_size(streams.connection_window)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(streams.count)
        .keep_alive_interval(KEEP_ALIVE.0)
        .keep_alive_timeout(KEEP_ALIVE.1);
    builder
}

async fn serve_connection(
    builder: &auto::Builder<TokioExecutor>,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: &Limits,
    stop: CancellationToken,
) {
    // Answers are small and complete: send each at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let activity = Arc::new(Activity::new(limits.idle.open()));
    let counted = Arc::clone(&activity);
    let service = tower::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let open = counted.begin();
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request.map(axum::body::Body::new));
        async move { answer.await.map(|answer| open.until_sent(answer)) }
    });
    let service = TowerToHyperService::new(service);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // A client that goes away or speaks nonsense is not our fault, and not worth more than this.
    let note_end = |ended: Result<(), Box<dyn std::error::Error + Send + Sync>>| {
        if let Err(error) = ended {
            tracing::debug!(error = %crate::ErrorChain(&*error), "a connection ended early");
        }
    };
    let unread = || tracing::debug!("a connection was cut whose client does not read its responses");
    tokio::select! {
        ended = connection.as_mut() => return note_end(ended),
        () = activity.unused_until(tokio::time::sleep(HEADER_TIMEOUT)) => return tracing::debug!("a connection without a request was closed"),
        () = activity.unread_for(READ_TIMEOUT) => return unread(),
        () = activity.unused_until(limits.idle.unused_should_close()) => {
            return tracing::debug!("a connection without a request was closed to make room");
        }
        () = activity.idle_until(|| limits.idle.used_should_close()) => {
            tracing::debug!("an idle connection was closed to make room");
        }
        () = activity.idle_for(IDLE_TIMEOUT) => {}
        () = stop.cancelled() => {}
    }
    // Whoever has a request on its way now is told which ones are still answered.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection => note_end(ended),
        () = activity.unread_for(READ_TIMEOUT) => unread(),
        () = activity.idle_for(HEADER_TIMEOUT) => tracing::debug!("a connection was cut that was asked to end"),
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        Extension,
        body::{Body, Bytes},
        routing::get,
    };
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::{activity::LongLived, *};

    async fn start() -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serving = serve(listener, router(), Limits::new(MAX_BODY), Callers::Direct, stop.clone());
        (address, stop, tokio::spawn(serving))
    }

    const MAX_BODY: usize = 1000;
    const LARGE_PARTS: usize = 64;

    fn router() -> Router {
        let endless = || async { Body::from_stream(futures_util::stream::pending::<io::Result<Bytes>>()) };
        let long_lived = move || async move { (Extension(LongLived), endless().await) };
        // In parts: what is one part is taken off the handler's hands at once.
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

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_closed() {
        let (address, _stop, _serving) = start().await;
        // The second one begins like HTTP/2, and stops there; the third one stops within its headers.
        for beginning in ["", "PRI * HT", "GET / HTTP/1.1\r\nhost: "] {
            let mut connection = TcpStream::connect(address).await.unwrap();
            let began = tokio::time::Instant::now();
            connection.write_all(beginning.as_bytes()).await.unwrap();
            assert_eq!(connection.read(&mut [0; 64]).await.unwrap_or(0), 0);
            assert!(began.elapsed() < HEADER_TIMEOUT * 2, "{beginning:?}");
        }
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("hello"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_serves_another_request_after_a_minute_and_is_closed_when_none_comes() {
        /// When nginx closes connections to what it stands in front of.
        const NGINX: Duration = Duration::from_secs(60);
        let (address, _stop, _serving) = start().await;
        let mut connection = TcpStream::connect(address).await.unwrap();
        let mut answer = vec![0; 1024];
        for _ in 0..2 {
            connection.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let length = connection.read(&mut answer).await.unwrap();
            assert!(answer[..length].ends_with(b"hello"));
            tokio::time::sleep(NGINX).await;
        }
        // Headers that come in drops do not prolong that.
        let began = tokio::time::Instant::now();
        for drop in b"GET / HTTP/1.1\r\nhost: x".iter().cycle() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if connection.write_all(&[*drop]).await.is_err() {
                break;
            }
        }
        assert!(NGINX + began.elapsed() < IDLE_TIMEOUT * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_client_keeps_a_process_from_its_end() {
        let (address, stop, serving) = start().await;
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let began = tokio::time::Instant::now();
        stop.cancel();
        serving.await.unwrap().unwrap();
        assert!(began.elapsed() < DRAIN_LIMIT);
    }

    /// An HTTP/2 connection that answers every probe, and asks for nothing by itself; and when it ended.
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

    async fn ask(client: &h2::client::SendRequest<Bytes>, path: &str) -> h2::client::ResponseFuture {
        let request = hyper::Request::get(format!("http://x{path}")).body(()).unwrap();
        client.clone().ready().await.unwrap().send_request(request, true).unwrap().0
    }

    #[tokio::test(start_paused = true)]
    async fn an_http_2_connection_is_closed_when_nothing_was_asked_for_a_while() {
        let (address, _stop, _serving) = start().await;
        let (client, ended) = http_2(address).await;
        for _ in 0..3 {
            assert_eq!(ask(&client, "/").await.await.unwrap().status(), 200);
            tokio::time::sleep(IDLE_TIMEOUT / 2).await;
        }
        let lasted = ended.await.unwrap();
        assert!(lasted >= IDLE_TIMEOUT * 2 && lasted < IDLE_TIMEOUT * 3, "{lasted:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_http_2_connection_lives_as_long_as_one_of_its_streams() {
        let (address, _stop, _serving) = start().await;
        for path in ["/never", "/long-lived"] {
            let (client, ended) = http_2(address).await;
            let mut answer = Box::pin(ask(&client, path).await);
            // The answer to the second one begins, and does not end.
            let body = if path == "/long-lived" { Some(answer.as_mut().await.unwrap().into_body()) } else { None };
            tokio::time::sleep(IDLE_TIMEOUT * 10).await;
            assert!(!ended.is_finished(), "{path}");
            assert_eq!(ask(&client, "/").await.await.unwrap().status(), 200);
            drop((answer, body));
            let lasted = ended.await.unwrap();
            assert!(lasted < IDLE_TIMEOUT * 12, "{path}: {lasted:?}");
        }
    }

    /// Whether a connection is served; it stays open.
    async fn is_served(address: SocketAddr) -> Option<TcpStream> {
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.ok()?;
        let length = connection.read(&mut [0; 1024]).await.unwrap_or(0);
        (length > 0).then_some(connection)
    }

    #[tokio::test]
    async fn a_connection_beyond_the_limit_is_refused_and_an_idle_one_is_closed_for_the_next() {
        const TOTAL: usize = 8;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits::with_connections((TOTAL, 1), MAX_BODY);
        tokio::spawn(serve(listener, router(), limits.clone(), Callers::Direct, CancellationToken::new()));
        let mut taken = Vec::new();
        while limits.connections.in_use() < TOTAL - 1 {
            taken.push(is_served(address).await.expect("this is within the limit"));
        }
        // From here on each closes the one that has been idle for longest.
        let others = async {
            for _ in 0..TOTAL * 2 {
                while is_served(address).await.map(|connection| taken.push(connection)).is_none() {}
            }
        };
        tokio::time::timeout(HEADER_TIMEOUT, others).await.expect("nobody makes room");
        assert_eq!(taken[0].read(&mut [0; 64]).await.unwrap_or(0), 0, "the first one is closed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_its_response_loses_the_connection() {
        let (address, _stop, _serving) = start().await;
        let mut connection = TcpStream::connect(address).await.unwrap();
        let began = tokio::time::Instant::now();
        connection.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        tokio::time::sleep(IDLE_TIMEOUT * 2).await;
        let mut rest = Vec::new();
        // Cut, so what the kernel has buffered is all there is.
        let read = connection.read_to_end(&mut rest).await;
        assert!(rest.len() < LARGE_PARTS << 20, "{read:?}");
        assert!(began.elapsed() < IDLE_TIMEOUT * 3);

        let (client, ended) = http_2(address).await;
        let response = ask(&client, "/large").await.await.unwrap();
        assert!(ended.await.unwrap() < IDLE_TIMEOUT * 2);
        drop(response);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_only_writes_loses_the_connection() {
        let (address, _stop, _serving) = start().await;
        let mut connection = TcpStream::connect(address).await.unwrap();
        let requests = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000);
        // Until the buffers of both sides are full, and then until the server gives up.
        loop {
            let written = tokio::time::timeout(READ_TIMEOUT * 3, connection.write_all(requests.as_bytes()));
            if written.await.expect("the connection stays open").is_err() {
                break;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failing_to_accept_is_logged_once_a_minute_and_tried_again_more_and_more_slowly() {
        let mut failures = AcceptFailures::default();
        let error = io::Error::other("out of files");
        let mut waited = Duration::ZERO;
        let (mut logged, mut tries) = (0, 0);
        while waited < ACCEPT_LOG_INTERVAL * 3 {
            let before = failures.logged;
            let pause = failures.record(&error);
            logged += usize::from(failures.logged != before);
            tries += 1;
            tokio::time::advance(pause).await;
            waited += pause;
        }
        assert!(logged == 3 && tries < 200, "{logged} lines, {tries} tries");
        failures.end();
        let before = failures.logged;
        assert_eq!(failures.record(&error), ACCEPT_PAUSES.0);
        assert_eq!(failures.logged.is_some(), before.is_some());
    }
}

//! Serving HTTP/1 and HTTP/2 (with prior knowledge) on one listener, within limits.

mod activity;
pub mod origin;
mod places;

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

use self::{activity::Activity, places::Places};
use crate::DRAIN_LIMIT;

/// Connections beyond this wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 4096;
/// How many of them may come from one address, if strangers connect.
const MAX_CONNECTIONS_OF_ONE: usize = 512;
/// How long a new connection may take to bring the headers of a request. `axum::serve` knows no such limits.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection that has brought a request may take to bring the next. Longer than reverse proxies keep idle connections (nginx
/// 60 seconds): who closes first must be the one who sends, or a request meets a connection that is just being closed. hyper counts
/// idleness and slow headers together; they cost the same, and who may be idle gains nothing by being slow.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// How often an idle HTTP/2 connection is probed, and how long the probe may take.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));
/// How long connections may take to end; less than the process has.
const CONNECTION_DRAIN_LIMIT: Duration = DRAIN_LIMIT.saturating_sub(Duration::from_secs(2));
/// After `accept` failed (mostly: out of file descriptors), how long until the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Anybody. One address may take an eighth of all connections; that of this machine, as many as it likes.
    Strangers,
    /// Reverse proxies, which bring many callers from few addresses.
    Proxies,
}

/// Serves `router` on `listener`, with the peer's address as [`ConnectInfo`], until `stop` is cancelled, then finishes the requests that have begun, as far as
/// they end soon.
///
/// # Errors
///
/// None at present: a connection that breaks concerns its client alone. The `Result` is the form of a lifecycle task.
pub async fn serve(listener: TcpListener, router: Router, peers: Peers, stop: CancellationToken) -> io::Result<()> {
    let share = match peers {
        Peers::Strangers => MAX_CONNECTIONS_OF_ONE,
        Peers::Proxies => MAX_CONNECTIONS,
    };
    serve_on(listener, router, Places::new(MAX_CONNECTIONS, share, |peer| peer.is_loopback()), stop).await
}

async fn serve_on(listener: TcpListener, router: Router, places: Places, stop: CancellationToken) -> io::Result<()> {
    let builder = Arc::new(connection_builder());
    let connections = TaskTracker::new();
    loop {
        let accept = async {
            let place = places.free().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accept => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = place.of(peer.ip()) else {
            tracing::debug!("a connection was refused: its address has its share");
            continue;
        };
        let (builder, router, stop) = (Arc::clone(&builder), router.clone(), stop.clone());
        connections.spawn(async move {
            let _place = place;
            serve_connection(&builder, stream, peer, router, stop).await;
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

/// Comes back when connections had their time to end after `stop`. No client can keep a process from its end.
pub async fn connections_drained(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(CONNECTION_DRAIN_LIMIT).await;
}

fn connection_builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(KEEP_ALIVE.0)
        .keep_alive_timeout(KEEP_ALIVE.1);
    builder
}

async fn serve_connection(
    builder: &auto::Builder<TokioExecutor>,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    stop: CancellationToken,
) {
    // Answers are small and complete: send each at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let activity = Arc::new(Activity::default());
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
    tokio::select! {
        ended = connection.as_mut() => return note_end(ended),
        () = activity.not_begun_for(HEADER_TIMEOUT) => return tracing::debug!("a connection without a request was closed"),
        () = activity.idle_for(IDLE_TIMEOUT) => {}
        () = stop.cancelled() => {}
    }
    // Whoever has a request on its way now is told which ones are still answered.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection => note_end(ended),
        () = activity.idle_for(HEADER_TIMEOUT) => tracing::debug!("a connection was cut that was asked to end"),
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, Bytes},
        routing::get,
    };
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn start() -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        (address, stop.clone(), tokio::spawn(serve(listener, router(), Peers::Strangers, stop)))
    }

    fn router() -> Router {
        let endless = || async { Body::from_stream(futures_util::stream::pending::<io::Result<Bytes>>()) };
        Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/never", get(std::future::pending::<()>))
            .route("/endless", get(endless))
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
        for path in ["/never", "/endless"] {
            let (client, ended) = http_2(address).await;
            let mut answer = Box::pin(ask(&client, path).await);
            // The answer to the second one begins, and does not end.
            let body = if path == "/endless" { Some(answer.as_mut().await.unwrap().into_body()) } else { None };
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
    async fn one_address_takes_no_more_than_its_share_and_the_place_of_one_that_left_is_free() {
        const SHARE: usize = 3;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let places = Places::new(MAX_CONNECTIONS, SHARE, |_| false);
        tokio::spawn(serve_on(listener, router(), places, CancellationToken::new()));
        let mut taken = Vec::new();
        for _ in 0..SHARE {
            taken.push(is_served(address).await.expect("this is within the share"));
        }
        assert!(is_served(address).await.is_none());
        taken.pop();
        // The server hears of that when it hears of it.
        while is_served(address).await.is_none() {}
    }
}

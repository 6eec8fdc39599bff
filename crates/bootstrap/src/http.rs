//! Serving HTTP/1 and HTTP/2 (with prior knowledge) on one listener, within limits.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::DRAIN_LIMIT;

/// Connections beyond this wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 4096;
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

/// Serves `router` on `listener`, with the peer's address as [`ConnectInfo`], until `stop` is cancelled, then finishes the requests that have begun, as far as
/// they end soon.
///
/// # Errors
///
/// None at present: a connection that breaks concerns its client alone. The `Result` is the form of a lifecycle task.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    let builder = Arc::new(connection_builder());
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let accept = async {
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
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
        let watcher = graceful.watcher();
        let (builder, router) = (Arc::clone(&builder), router.clone());
        tokio::spawn(async move {
            let _permit = permit;
            serve_connection(&builder, stream, peer, router, watcher).await;
        });
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
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
    watcher: hyper_util::server::graceful::Watcher,
) {
    // Answers are small and complete: send each at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let began = CancellationToken::new();
    let begins = began.clone();
    let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        begins.cancel();
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    let service = TowerToHyperService::new(service);
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let is_silent = async {
        if tokio::time::timeout(HEADER_TIMEOUT, began.cancelled()).await.is_ok() {
            std::future::pending().await
        }
    };
    tokio::select! {
        ended = watcher.watch(connection) => if let Err(error) = ended {
            // A client that went away or spoke nonsense: not our fault, and not worth more than this.
            tracing::debug!(error = %crate::ErrorChain(&*error), "a connection ended early");
        },
        () = is_silent => tracing::debug!("a connection without a request was closed"),
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn start() -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let router =
            Router::new().route("/", get(|| async { "hello" })).route("/never", get(std::future::pending::<()>));
        (address, stop.clone(), tokio::spawn(serve(listener, router, stop)))
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
}

//! Servers that do nothing but respond: the limits of the HTTP and gRPC libraries on this machine.

use std::net::SocketAddr;

use axum::{
    Router,
    http::{StatusCode, header},
    routing::{get, post},
    serve::ListenerExt as _,
};
use clap::Args;
use futures_util::stream;
use mayfly_contracts::message::{
    AcknowledgeViewRequest, AcknowledgeViewResponse, BurnMessageRequest, BurnMessageResponse, CreateMessageRequest,
    CreateMessageResponse, GetLimitsRequest, GetLimitsResponse, LookupMessageRequest, LookupMessageResponse,
    ViewMessageRequest, ViewMessageResponse, WatchMessageRequest, WatchMessageResponse,
    message_service_server::{MessageService, MessageServiceServer},
};
use tokio::{io::AsyncReadExt as _, net::TcpListener};
use tonic::{Request, Response, Status, transport::Server};

/// Responses of the sizes that Mayfly's have.
const CREATED: &str = concat!(
    r#"{"id":571319845550,"text":"a password of ordinary length, 40 bytes.","#,
    r#""access_token":"2a6f0c0000000000000000000000000000000000000000000000000000000000","is_viewed":false,"#,
    r#""timestamp":"2026-11-23T20:01:12.218417Z","expires_at":"2026-12-23T20:01:12.218417Z"}"#
);
const VIEWED: &str = r#"{"text":"a password of ordinary length, 40 bytes."}"#;

/// Where the servers listen.
#[derive(Args)]
pub(crate) struct LimitSettings {
    /// The address of the HTTP server.
    #[arg(long)]
    rest_listen: SocketAddr,
    /// The address of the gRPC server.
    #[arg(long)]
    grpc_listen: SocketAddr,
}

/// Serves until standard input ends, which is when the parent process ends.
///
/// # Errors
///
/// Returns an error if an address is in use.
pub(crate) async fn serve(settings: &LimitSettings) -> anyhow::Result<()> {
    let rest = serve_rest(TcpListener::bind(settings.rest_listen).await?);
    let grpc = Server::builder().tcp_nodelay(true).add_service(MessageServiceServer::new(Constant));
    let mut input = tokio::io::stdin();
    let parent_ended = async { while matches!(input.read(&mut [0; 64]).await, Ok(1..)) {} };
    tokio::select! {
        served = rest => served?,
        served = grpc.serve(settings.grpc_listen) => served?,
        () = parent_ended => {}
    }
    Ok(())
}

/// Serves the two REST paths of the load on `listener`.
pub(super) async fn serve_rest(listener: TcpListener) -> std::io::Result<()> {
    let json = |body| ([(header::CONTENT_TYPE, "application/json")], body);
    let router = Router::new()
        .route("/healthz", get(|| async { "healthy" }))
        .route("/readyz", get(|| async { "ready" }))
        .route("/api/v1/create_message", post(move || async move { (StatusCode::CREATED, json(CREATED)) }))
        .route("/api/v1/get_message/{id}/{access_token}", get(move || async move { json(VIEWED) }));
    // A socket that has no such option is as good.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router).await
}

/// Responds to CreateMessage.
struct Constant;

type Unary<M> = Result<Response<M>, Status>;

#[tonic::async_trait]
impl MessageService for Constant {
    type WatchMessageStream = stream::Empty<Result<WatchMessageResponse, Status>>;

    async fn create_message(&self, _: Request<CreateMessageRequest>) -> Unary<CreateMessageResponse> {
        let time = Some(prost_types::Timestamp { seconds: 1_764_000_000, nanos: 218_417_000 });
        let (id, access_token) = (571_319_845_550, "2".repeat(64));
        Ok(Response::new(CreateMessageResponse { id, access_token, create_time: time, expire_time: time }))
    }

    async fn view_message(&self, _: Request<ViewMessageRequest>) -> Unary<ViewMessageResponse> {
        Err(Status::unimplemented(""))
    }

    async fn acknowledge_view(&self, _: Request<AcknowledgeViewRequest>) -> Unary<AcknowledgeViewResponse> {
        Err(Status::unimplemented(""))
    }

    async fn lookup_message(&self, _: Request<LookupMessageRequest>) -> Unary<LookupMessageResponse> {
        Err(Status::unimplemented(""))
    }

    async fn burn_message(&self, _: Request<BurnMessageRequest>) -> Unary<BurnMessageResponse> {
        Err(Status::unimplemented(""))
    }

    async fn watch_message(&self, _: Request<WatchMessageRequest>) -> Unary<Self::WatchMessageStream> {
        Err(Status::unimplemented(""))
    }

    async fn get_limits(&self, _: Request<GetLimitsRequest>) -> Unary<GetLimitsResponse> {
        Err(Status::unimplemented(""))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::{grpc_load::GrpcLoad, rest_load::RestLoad},
        *,
    };

    const SHORT: Duration = Duration::from_millis(100);

    async fn rest_server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve_rest(listener));
        address
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_load_over_rest_gets_only_expected_statuses() {
        let server = rest_server().await;
        let closed = RestLoad::closed(server, 4, SHORT);
        let open = RestLoad { rate: Some(1000.0), ..closed };
        for load in [closed, open] {
            let outcome = load.run().await.unwrap();
            assert_eq!(
                (outcome.failed, outcome.broken, outcome.first_failure, outcome.rejected.len()),
                (0, 0, None, 0)
            );
            assert!(!outcome.succeeded.is_empty());
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_load_over_grpc_gets_only_expected_statuses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        drop(listener);
        tokio::spawn(Server::builder().add_service(MessageServiceServer::new(Constant)).serve(server));
        while tokio::net::TcpStream::connect(server).await.is_err() {
            tokio::task::yield_now().await;
        }
        let load = GrpcLoad { server, connections: 2, streams: 4, duration: SHORT };
        let outcome = load.run().await.unwrap();
        assert_eq!((outcome.failed, outcome.broken, outcome.first_failure, outcome.rejected.len()), (0, 0, None, 0));
        assert!(!outcome.succeeded.is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_load_counts_other_statuses_as_failures_and_rejections() {
        for (status, is_rejection) in [(StatusCode::OK, false), (StatusCode::SERVICE_UNAVAILABLE, true)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let server = listener.local_addr().unwrap();
            let router = Router::new().fallback(move || async move { (status, "") });
            tokio::spawn(async move { axum::serve(listener, router).await });
            let outcome = RestLoad::closed(server, 1, SHORT).run().await.unwrap();
            assert!(outcome.succeeded.is_empty());
            assert_eq!((outcome.failed > 0, !outcome.rejected.is_empty()), (!is_rejection, is_rejection));
        }
    }
}

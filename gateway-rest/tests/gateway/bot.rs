//! Calls of `BotService` are forwarded to a bot in this process or behind a socket.

use std::pin::Pin;

use futures_util::{Stream, stream};
use mayfly_bootstrap::http::{self, CallerSource, ServerLimits};
use mayfly_contracts::{
    BotChannel, ErrorInfo,
    bot::{
        BotState, BotStatus, GetBotStatusRequest, GetBotStatusResponse, TestAppConfigRequest, TestAppConfigResponse,
        TestOutcome, WatchBotStatusRequest, WatchBotStatusResponse,
        bot_service_client::BotServiceClient,
        bot_service_server::{BotService, BotServiceServer},
    },
    error::ErrorReason,
};
use mayfly_testkit::{
    ADMIN_TOKEN, TestDatabase, TestStore, bearer,
    grpc_web::{self, WebResponse},
};
use tokio::net::TcpListener;
use tonic::{Code, Request, Response, Status, service::Routes};

use crate::harness::Gateway;

/// A bot that accepts the admin token, and returns what it was called with.
struct FakeBot;

fn check<T>(request: &Request<T>) -> Result<(), Status> {
    let shown = request.metadata().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    if shown == Some(format!("Bearer {ADMIN_TOKEN}")) {
        return Ok(());
    }
    Err(ErrorInfo::new(ErrorReason::PermissionDenied).into_status(Code::PermissionDenied, "no"))
}

fn status() -> Option<BotStatus> {
    Some(BotStatus { state: BotState::Serving.into(), user_name: "a_bot".to_owned(), ..BotStatus::default() })
}

#[tonic::async_trait]
impl BotService for FakeBot {
    async fn get_bot_status(
        &self,
        request: Request<GetBotStatusRequest>,
    ) -> Result<Response<GetBotStatusResponse>, Status> {
        check(&request)?;
        Ok(Response::new(GetBotStatusResponse { status: status() }))
    }

    type WatchBotStatusStream = Pin<Box<dyn Stream<Item = Result<WatchBotStatusResponse, Status>> + Send>>;

    async fn watch_bot_status(
        &self,
        request: Request<WatchBotStatusRequest>,
    ) -> Result<Response<Self::WatchBotStatusStream>, Status> {
        check(&request)?;
        let statuses =
            [Ok(WatchBotStatusResponse { status: status() }), Ok(WatchBotStatusResponse { status: status() })];
        Ok(Response::new(Box::pin(stream::iter(statuses))))
    }

    async fn test_app_config(
        &self,
        request: Request<TestAppConfigRequest>,
    ) -> Result<Response<TestAppConfigResponse>, Status> {
        check(&request)?;
        let display_name = format!("Bot {}", request.get_ref().id);
        Ok(Response::new(TestAppConfigResponse { outcome: TestOutcome::Ok.into(), display_name, ..Default::default() }))
    }
}

/// A gateway with a bot in the same process, and one with a bot behind a socket.
async fn local_and_remote() -> [(Gateway, TestStore); 2] {
    let routes = Routes::new(BotServiceServer::new(FakeBot));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = routes.clone().prepare().into_axum_router();
    tokio::spawn(http::serve(listener, router, ServerLimits::new(1 << 20), CallerSource::Direct, Default::default()));
    [with_store_channel(BotChannel::local(routes)).await, with_store_channel(BotChannel::remote(&url).unwrap()).await]
}

async fn with_store_channel(bot: BotChannel) -> (Gateway, TestStore) {
    let store = TestStore::open(TestDatabase::sqlite().unwrap()).await.unwrap();
    (Gateway::with_store_and_bot(store.channel(), bot).await, store)
}

#[tokio::test]
async fn calls_to_the_bot_are_forwarded() {
    for (gateway, _store) in &local_and_remote().await {
        let mut client = BotServiceClient::new(BotChannel::remote(&gateway.url).unwrap());
        let response = client.get_bot_status(bearer(ADMIN_TOKEN, GetBotStatusRequest {})).await.unwrap().into_inner();
        assert_eq!(response.status.unwrap().user_name, "a_bot");
        let tried = client.test_app_config(bearer(ADMIN_TOKEN, TestAppConfigRequest { id: 7 })).await.unwrap();
        assert_eq!(tried.into_inner().display_name, "Bot 7");
        let watching = client.watch_bot_status(bearer(ADMIN_TOKEN, WatchBotStatusRequest {})).await.unwrap();
        let mut statuses = watching.into_inner();
        assert!(statuses.message().await.unwrap().is_some());
        assert!(statuses.message().await.unwrap().is_some());
        assert!(statuses.message().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn errors_of_the_bot_are_forwarded() {
    for (gateway, _store) in &local_and_remote().await {
        let mut client = BotServiceClient::new(BotChannel::remote(&gateway.url).unwrap());
        let rejected = client.get_bot_status(bearer("another", GetBotStatusRequest {})).await.unwrap_err();
        assert_eq!(ErrorInfo::from_status(&rejected).reason, ErrorReason::PermissionDenied);
    }
}

#[tokio::test]
async fn calls_without_a_token_do_not_reach_the_bot() {
    for (gateway, _store) in &local_and_remote().await {
        let mut client = BotServiceClient::new(BotChannel::remote(&gateway.url).unwrap());
        let rejected = client.get_bot_status(GetBotStatusRequest {}).await.unwrap_err();
        assert_eq!(ErrorInfo::from_status(&rejected).reason, ErrorReason::CredentialsInvalid);
        let path = "/mayfly.bot.v1.BotService/GetBotStatus";
        let rejected: WebResponse<GetBotStatusResponse> =
            grpc_web::call(&gateway.url, path, &GetBotStatusRequest {}).await.unwrap();
        assert!(rejected.messages.is_empty() && rejected.trailers.contains("grpc-status:16"), "{}", rejected.trailers);
    }
}

#[tokio::test]
async fn an_unreachable_bot_returns_a_status_and_other_calls_work() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (gateway, store) = with_store_channel(BotChannel::remote(&format!("http://{address}")).unwrap()).await;
    let mut client = BotServiceClient::new(BotChannel::remote(&gateway.url).unwrap());
    let rejected = client.get_bot_status(bearer(ADMIN_TOKEN, GetBotStatusRequest {})).await.unwrap_err();
    assert_eq!(
        (rejected.code(), ErrorInfo::from_status(&rejected).reason),
        (Code::Unavailable, ErrorReason::BotUnavailable)
    );
    assert_eq!(gateway.get("/readyz").await.status, 200);
    store.create("x").await.unwrap();
}

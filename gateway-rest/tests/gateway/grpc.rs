//! gRPC over HTTP/2 and gRPC-Web over HTTP/1, on the port of REST, with a store in this process or behind a socket.

use mayfly_bootstrap::http::ServerLimits;
use mayfly_contracts::{
    ErrorInfo, StoreChannel,
    config::{
        GetLastActiveAppConfigRequest, GetLastActiveAppConfigResponse, ListAppConfigsRequest,
        config_service_client::ConfigServiceClient,
    },
    error::ErrorReason,
    message::{
        CreateMessageRequest, CreateMessageResponse, GetLimitsRequest, GetLimitsResponse, ViewMessageRequest,
        message_service_client::MessageServiceClient,
    },
};
use mayfly_testkit::{
    ADMIN_TOKEN, bearer,
    grpc_web::{self, WebResponse},
};
use reqwest::Method;
use tokio::net::TcpListener;
use tonic::Code;

use crate::harness::{Gateway, send};

/// A gateway with a store in the same process, and another gateway with the same store behind a socket.
pub(crate) async fn local_and_remote() -> [Gateway; 2] {
    let local = Gateway::start().await;
    let remote = Gateway::with_store_channel(serve_remotely(&local).await).await;
    [local, remote]
}

/// Serves the store of `local` on a socket, and returns a channel to it.
pub(crate) async fn serve_remotely(local: &Gateway) -> StoreChannel {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = std::sync::Arc::clone(&local.store().store);
    tokio::spawn(async move { serving.serve(listener, ServerLimits::new(1 << 20)).await });
    StoreChannel::remote(&url).unwrap()
}

fn create(text: &str) -> CreateMessageRequest {
    CreateMessageRequest::from_text(text)
}

#[tokio::test]
async fn grpc_is_forwarded() {
    for gateway in &local_and_remote().await {
        let mut client = MessageServiceClient::new(StoreChannel::remote(&gateway.url).unwrap());
        let message = client.create_message(create("hello")).await.unwrap().into_inner();
        let request =
            ViewMessageRequest { id: message.id, access_token: message.access_token, ..ViewMessageRequest::default() };
        assert_eq!(client.view_message(request.clone()).await.unwrap().into_inner().text(), Some("hello"));
        let gone = client.view_message(request).await.unwrap_err();
        assert_eq!((gone.code(), ErrorInfo::from_status(&gone).reason), (Code::NotFound, ErrorReason::MessageViewed));
    }
}

#[tokio::test]
async fn grpc_web_is_forwarded() {
    for gateway in &local_and_remote().await {
        let path = "/mayfly.message.v1.MessageService/CreateMessage";
        let created: WebResponse<CreateMessageResponse> =
            grpc_web::call(&gateway.url, path, &create("hello")).await.unwrap();
        assert_eq!(created.messages[0].access_token.len(), 64);
        assert!(created.trailers.contains("grpc-status:0"), "{}", created.trailers);

        let rejected: WebResponse<CreateMessageResponse> =
            grpc_web::call(&gateway.url, path, &create("")).await.unwrap();
        assert!(rejected.messages.is_empty() && rejected.trailers.contains("grpc-status:3"), "{}", rejected.trailers);
    }
}

#[tokio::test]
async fn a_page_can_get_the_limits() {
    for gateway in &local_and_remote().await {
        let path = "/mayfly.message.v1.MessageService/GetLimits";
        let response: WebResponse<GetLimitsResponse> =
            grpc_web::call(&gateway.url, path, &GetLimitsRequest {}).await.unwrap();
        assert_eq!(response.messages[0].max_text_bytes, 65_536);
        assert!(response.trailers.contains("grpc-status:0"), "{}", response.trailers);
    }
}

#[tokio::test]
async fn app_configs_require_a_token() {
    for gateway in &local_and_remote().await {
        let mut client = ConfigServiceClient::new(StoreChannel::remote(&gateway.url).unwrap());
        let list = ListAppConfigsRequest::default;
        let rejected = client.list_app_configs(list()).await.unwrap_err();
        assert_eq!(ErrorInfo::from_status(&rejected).reason, ErrorReason::CredentialsInvalid);
        let rejected = client.list_app_configs(bearer("unknown", list())).await.unwrap_err();
        assert_eq!(ErrorInfo::from_status(&rejected).reason, ErrorReason::CredentialsInvalid);
        assert!(client.list_app_configs(bearer(ADMIN_TOKEN, list())).await.is_ok());

        let path = "/mayfly.config.v1.ConfigService/GetLastActiveAppConfig";
        let request = GetLastActiveAppConfigRequest {};
        let rejected: WebResponse<GetLastActiveAppConfigResponse> =
            grpc_web::call(&gateway.url, path, &request).await.unwrap();
        assert!(rejected.trailers.contains("grpc-status:16"), "{}", rejected.trailers);
    }
}

#[tokio::test]
async fn an_unreachable_store_returns_a_status_over_grpc_and_grpc_web() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gateway = Gateway::with_store_channel(StoreChannel::remote(&format!("http://{address}")).unwrap()).await;
    let mut client = MessageServiceClient::new(StoreChannel::remote(&gateway.url).unwrap());
    let rejected = client.create_message(create("x")).await.unwrap_err();
    assert_eq!(
        (rejected.code(), ErrorInfo::from_status(&rejected).reason),
        (Code::Unavailable, ErrorReason::StoreUnavailable)
    );
    let path = "/mayfly.message.v1.MessageService/CreateMessage";
    let rejected: WebResponse<CreateMessageResponse> = grpc_web::call(&gateway.url, path, &create("x")).await.unwrap();
    assert!(rejected.messages.is_empty() && rejected.trailers.contains("grpc-status:14"), "{}", rejected.trailers);
}

#[tokio::test]
async fn other_requests_to_grpc_paths_are_rejected() {
    let [gateway, _] = local_and_remote().await;
    let path = "/mayfly.message.v1.MessageService/CreateMessage";
    assert_eq!(gateway.post(path, "application/json", "{}").await.status, 400);
    let get = gateway.request(Method::GET, path).header("content-type", "application/grpc-web+proto");
    assert_eq!(send(get).await.status, 405);
}

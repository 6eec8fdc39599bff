//! gRPC over HTTP/2 and gRPC-Web over HTTP/1, beside REST on one port, to a store in this process and to one behind a socket.

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

use crate::harness::{Gateway, answer};

/// The gateway in front of its store in the same process, and another one in front of the same store behind a socket.
pub(crate) async fn both() -> [Gateway; 2] {
    let local = Gateway::start().await;
    let remote = Gateway::in_front_of(behind_a_socket(&local).await).await;
    [local, remote]
}

/// A channel to the store of `local` through a socket.
pub(crate) async fn behind_a_socket(local: &Gateway) -> StoreChannel {
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
async fn grpc_passes_through() {
    for gateway in &both().await {
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
async fn grpc_web_passes_through() {
    for gateway in &both().await {
        let path = "/mayfly.message.v1.MessageService/CreateMessage";
        let created: WebResponse<CreateMessageResponse> =
            grpc_web::call(&gateway.url, path, &create("hello")).await.unwrap();
        assert_eq!(created.messages[0].access_token.len(), 64);
        assert!(created.trailers.contains("grpc-status:0"), "{}", created.trailers);

        let refused: WebResponse<CreateMessageResponse> =
            grpc_web::call(&gateway.url, path, &create("")).await.unwrap();
        assert!(refused.messages.is_empty() && refused.trailers.contains("grpc-status:3"), "{}", refused.trailers);
    }
}

#[tokio::test]
async fn a_page_can_ask_for_the_limits_before_anything_is_written() {
    for gateway in &both().await {
        let path = "/mayfly.message.v1.MessageService/GetLimits";
        let told: WebResponse<GetLimitsResponse> =
            grpc_web::call(&gateway.url, path, &GetLimitsRequest {}).await.unwrap();
        assert_eq!(told.messages[0].max_text_bytes, 65_536);
        assert!(told.trailers.contains("grpc-status:0"), "{}", told.trailers);
    }
}

#[tokio::test]
async fn app_configs_are_for_callers_with_a_token() {
    for gateway in &both().await {
        let mut client = ConfigServiceClient::new(StoreChannel::remote(&gateway.url).unwrap());
        let list = ListAppConfigsRequest::default;
        let refused = client.list_app_configs(list()).await.unwrap_err();
        assert_eq!(ErrorInfo::from_status(&refused).reason, ErrorReason::CredentialsInvalid);
        let refused = client.list_app_configs(bearer("unknown", list())).await.unwrap_err();
        assert_eq!(ErrorInfo::from_status(&refused).reason, ErrorReason::CredentialsInvalid);
        assert!(client.list_app_configs(bearer(ADMIN_TOKEN, list())).await.is_ok());

        let path = "/mayfly.config.v1.ConfigService/GetLastActiveAppConfig";
        let request = GetLastActiveAppConfigRequest {};
        let refused: WebResponse<GetLastActiveAppConfigResponse> =
            grpc_web::call(&gateway.url, path, &request).await.unwrap();
        assert!(refused.trailers.contains("grpc-status:16"), "{}", refused.trailers);
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_a_status_to_both() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gateway = Gateway::in_front_of(StoreChannel::remote(&format!("http://{address}")).unwrap()).await;
    let mut client = MessageServiceClient::new(StoreChannel::remote(&gateway.url).unwrap());
    let refused = client.create_message(create("x")).await.unwrap_err();
    assert_eq!(
        (refused.code(), ErrorInfo::from_status(&refused).reason),
        (Code::Unavailable, ErrorReason::StoreUnavailable)
    );
    let path = "/mayfly.message.v1.MessageService/CreateMessage";
    let refused: WebResponse<CreateMessageResponse> = grpc_web::call(&gateway.url, path, &create("x")).await.unwrap();
    assert!(refused.messages.is_empty() && refused.trailers.contains("grpc-status:14"), "{}", refused.trailers);
}

#[tokio::test]
async fn what_is_neither_is_refused() {
    let [gateway, _] = both().await;
    let path = "/mayfly.message.v1.MessageService/CreateMessage";
    assert_eq!(gateway.post(path, "application/json", "{}").await.status, 400);
    let get = gateway.request(Method::GET, path).header("content-type", "application/grpc-web+proto");
    assert_eq!(answer(get).await.status, 405);
}

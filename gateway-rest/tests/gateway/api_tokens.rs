//! Creating messages at a store that requires a token: over REST, gRPC and gRPC-Web, and for users that a proxy has
//! signed in.

use mayfly_bootstrap::Secret;
use mayfly_contracts::{
    ErrorInfo, StoreChannel,
    auth::{
        ApiTokenScope, ListApiTokensRequest, RevokeApiTokenRequest, api_token_service_client::ApiTokenServiceClient,
    },
    error::ErrorReason,
    message::{
        CreateMessageRequest, CreateMessageResponse, GetLimitsRequest, message_service_client::MessageServiceClient,
    },
};
use mayfly_gateway_rest::{Proxies, SignedInUsers};
use mayfly_testkit::{
    ADMIN_TOKEN, SERVICE_TOKEN, TestClock, TestDatabase, TestStore, bearer,
    grpc_web::{self, WebResponse},
};
use reqwest::{Method, header::HeaderName};
use serde_json::json;
use tonic::{Code, Request};

use crate::harness::{Gateway, TestResponse, send};

const CREATE: &str = "/api/v1/create_message";
const USER: &str = "x-auth-request-email";

/// A store that requires a token for creations.
async fn store() -> TestStore {
    let arguments = ["--create-access", "token"];
    TestStore::open_with(TestDatabase::sqlite().unwrap(), TestClock::default(), &arguments).await.unwrap()
}

async fn gateway() -> Gateway {
    let store = store().await;
    Gateway::with_store_channel(store.channel()).await.with_test_store(store)
}

/// A gateway behind a proxy at `network`, which signs users in.
async fn gateway_with_users(network: &str, token: &str) -> Gateway {
    let store = store().await;
    let networks = vec![network.parse().unwrap()];
    let users = SignedInUsers::new(HeaderName::from_static(USER), networks, &Secret::new(token.to_owned())).unwrap();
    let proxies = Proxies { count: 1, users: Some(users) };
    Gateway::with_signed_in_users(store.channel(), proxies).await.with_test_store(store)
}

async fn create_with(gateway: &Gateway, header: &str, value: &str) -> TestResponse {
    send(gateway.request(Method::POST, CREATE).header(header, value).form(&[("text", "hello")])).await
}

fn messages(gateway: &Gateway) -> MessageServiceClient<StoreChannel> {
    MessageServiceClient::new(StoreChannel::remote(&gateway.url).unwrap())
}

/// A gRPC request with the name of a user.
fn of_user<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(USER, "alice@example.org".parse().unwrap());
    request
}

#[tokio::test]
async fn a_creation_without_a_right_token_is_a_clear_problem() {
    let gateway = gateway().await;
    let missing = gateway.post_form(CREATE, &[("text", "hello")]).await;
    assert_eq!((missing.status.as_u16(), missing.header("www-authenticate")), (401, "Bearer"));
    assert_eq!(missing.json()["reason"], "API_TOKEN_REQUIRED");
    let unknown = create_with(&gateway, "authorization", "Bearer unknown").await;
    assert_eq!((unknown.status.as_u16(), &unknown.json()["reason"]), (401, &json!("CREDENTIALS_INVALID")));
    let not_a_token = create_with(&gateway, "authorization", "Bearer \u{e9}").await;
    assert_eq!(not_a_token.status, 401);
    let metrics = gateway.store().add_api_token("metrics", ApiTokenScope::Metrics).await.unwrap();
    let other_scope = create_with(&gateway, "authorization", &format!("Bearer {metrics}")).await;
    assert_eq!((other_scope.status.as_u16(), &other_scope.json()["reason"]), (403, &json!("PERMISSION_DENIED")));

    let creator = gateway.store().add_api_token("creator", ApiTokenScope::Create).await.unwrap();
    for header in ["authorization", "mayfly-authorization"] {
        assert_eq!(create_with(&gateway, header, &format!("Bearer {creator}")).await.status, 201, "{header}");
    }
    let revoke = bearer(ADMIN_TOKEN, RevokeApiTokenRequest { name: "creator".to_owned() });
    gateway.store().api_tokens().revoke_api_token(revoke).await.unwrap();
    let revoked = create_with(&gateway, "authorization", &format!("Bearer {creator}")).await;
    assert_eq!((revoked.status.as_u16(), &revoked.json()["reason"]), (401, &json!("API_TOKEN_REVOKED")));
    assert!(revoked.body.contains("was revoked"), "{}", revoked.body);
    assert_eq!(gateway.store().unread_messages().await.unwrap(), 2);
}

#[tokio::test]
async fn grpc_and_grpc_web_need_the_same_token() {
    let gateway = gateway().await;
    let creator = gateway.store().add_api_token("creator", ApiTokenScope::Create).await.unwrap();
    let request = || CreateMessageRequest::from_text("hello");
    let rejected = messages(&gateway).create_message(request()).await.unwrap_err();
    let reason = ErrorInfo::from_status(&rejected).reason;
    assert_eq!((rejected.code(), reason), (Code::Unauthenticated, ErrorReason::ApiTokenRequired));
    messages(&gateway).create_message(bearer(&creator, request())).await.unwrap();

    let path = "/mayfly.message.v1.MessageService/CreateMessage";
    for (token, status) in [("unknown", "grpc-status:16"), (creator.as_str(), "grpc-status:0")] {
        let authorization = [("mayfly-authorization", format!("Bearer {token}"))];
        let headers = authorization.each_ref().map(|(name, value)| (*name, value.as_str()));
        let response: WebResponse<CreateMessageResponse> =
            grpc_web::call_with(&gateway.url, path, &request(), &headers).await.unwrap();
        assert!(response.trailers.contains(status), "{token}: {}", response.trailers);
    }
}

#[tokio::test]
async fn api_tokens_are_managed_through_the_gateway_with_a_token_alone() {
    let gateway = gateway().await;
    let mut client = ApiTokenServiceClient::new(StoreChannel::remote(&gateway.url).unwrap());
    let anonymous = client.list_api_tokens(ListApiTokensRequest::default()).await.unwrap_err();
    assert_eq!(anonymous.code(), Code::Unauthenticated);
    client.list_api_tokens(bearer(ADMIN_TOKEN, ListApiTokensRequest::default())).await.unwrap();
}

#[tokio::test]
async fn a_user_whom_a_trusted_proxy_has_signed_in_needs_no_token() {
    let gateway = gateway_with_users("127.0.0.1/32", SERVICE_TOKEN).await;
    assert_eq!(gateway.post_form(CREATE, &[("text", "hello")]).await.status, 401, "nobody is signed in");
    assert_eq!(create_with(&gateway, USER, "alice@example.org").await.status, 201);
    assert_eq!(create_with(&gateway, USER, "").await.status, 401);
    let twice = gateway.request(Method::POST, CREATE).header(USER, "mallory").header(USER, "alice@example.org");
    assert_eq!(send(twice.form(&[("text", "hello")])).await.status, 401, "one of them may be the caller's own");

    let mut client = messages(&gateway);
    client.create_message(of_user(CreateMessageRequest::from_text("hello"))).await.unwrap();
    assert!(!client.get_limits(of_user(GetLimitsRequest {})).await.unwrap().into_inner().create_needs_token);
    assert!(client.get_limits(GetLimitsRequest {}).await.unwrap().into_inner().create_needs_token);

    // The gateway's token is used for nothing else.
    crate::app_config::add_config(gateway.store()).await;
    let path = "/api/v1/get_last_active_app_config";
    let shown = send(gateway.request(Method::GET, path).header(USER, "alice@example.org")).await;
    assert!(shown.json()["bot_token"].as_str().unwrap().ends_with("xxxx"), "{}", shown.body);
    let mut tokens = ApiTokenServiceClient::new(StoreChannel::remote(&gateway.url).unwrap());
    let rejected = tokens.list_api_tokens(of_user(ListApiTokensRequest::default())).await.unwrap_err();
    assert_eq!(rejected.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_user_header_of_another_peer_is_ignored() {
    let gateway = gateway_with_users("192.0.2.0/24", SERVICE_TOKEN).await;
    let rejected = create_with(&gateway, USER, "alice@example.org").await;
    assert_eq!((rejected.status.as_u16(), &rejected.json()["reason"]), (401, &json!("API_TOKEN_REQUIRED")));
    let rejected = messages(&gateway).create_message(of_user(CreateMessageRequest::from_text("hello"))).await;
    assert_eq!(rejected.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(gateway.store().unread_messages().await.unwrap(), 0);
}

#[tokio::test]
async fn the_gateway_vouches_with_an_api_token_that_can_be_revoked() {
    let store = store().await;
    let token = store.add_api_token("gateway", ApiTokenScope::Create).await.unwrap();
    let networks = vec!["127.0.0.1/32".parse().unwrap()];
    let users = SignedInUsers::new(HeaderName::from_static(USER), networks, &Secret::new(token)).unwrap();
    let gateway = Gateway::with_signed_in_users(store.channel(), Proxies { count: 1, users: Some(users) }).await;
    assert_eq!(create_with(&gateway, USER, "alice").await.status, 201);
    let revoke = bearer(ADMIN_TOKEN, RevokeApiTokenRequest { name: "gateway".to_owned() });
    store.api_tokens().revoke_api_token(revoke).await.unwrap();
    assert_eq!(create_with(&gateway, USER, "alice").await.json()["reason"], "API_TOKEN_REVOKED");
}

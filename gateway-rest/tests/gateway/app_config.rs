//! `get_last_active_app_config`, the bot's configuration over REST.

use mayfly_contracts::{
    StoreChannel,
    config::{AppConfig, CreateAppConfigRequest, ListAppConfigsRequest, config_service_client::ConfigServiceClient},
};
use mayfly_testkit::{ADMIN_TOKEN, SERVICE_TOKEN, TestStore, bearer};
use reqwest::Method;
use serde_json::json;
use tonic::Code;

use crate::harness::{Gateway, TestResponse, send};

const PATH: &str = "/api/v1/get_last_active_app_config";

pub(crate) async fn with_config() -> Gateway {
    let gateway = Gateway::start().await;
    add_config(gateway.store()).await;
    gateway
}

/// Adds an app config.
pub(crate) async fn add_config(store: &TestStore) {
    let app_config = AppConfig {
        session_name: "default_bot_session".into(),
        api_id: 7_278_174,
        api_hash: "b1946ac92492d2347c6235b4d2611184".into(),
        bot_token: "1000000000:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw".into(),
        ..AppConfig::default()
    };
    let request = CreateAppConfigRequest { app_config: Some(app_config) };
    store.configs().create_app_config(bearer(ADMIN_TOKEN, request)).await.unwrap();
}

async fn with_authorization(gateway: &Gateway, authorization: &[u8]) -> TestResponse {
    send(gateway.request(Method::GET, PATH).header("authorization", authorization)).await
}

#[tokio::test]
async fn without_a_token_secrets_are_masked() {
    let gateway = with_config().await;
    let config = gateway.get(PATH).await;
    let expected = format!(
        "{{\"id\":1,\"session_name\":\"default_bot_session\",\"api_id\":7278174,\"api_hash\":\"b1{}\",\
         \"is_active\":true,\"is_bot\":true,\"bot_token\":\"1000000000:AAH{}\",\
         \"timestamp\":\"2026-01-01T00:00:00.000000Z\"}}",
        "x".repeat(30),
        "x".repeat(32)
    );
    assert_eq!((config.status.as_u16(), config.body), (200, expected));
}

#[tokio::test]
async fn with_a_token_secrets_are_not_masked() {
    let gateway = with_config().await;
    for token in [ADMIN_TOKEN, SERVICE_TOKEN] {
        let config = with_authorization(&gateway, format!("Bearer {token}").as_bytes()).await.json();
        assert_eq!(config["api_hash"], json!("b1946ac92492d2347c6235b4d2611184"));
        assert_eq!(config["bot_token"], json!("1000000000:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"));
    }
}

#[tokio::test]
async fn an_unknown_token_is_rejected_not_ignored() {
    let gateway = with_config().await;
    for authorization in ["Bearer unknown".as_bytes(), b"Basic YTpi", b"Bearer \xff", b""] {
        let rejected = with_authorization(&gateway, authorization).await;
        assert_eq!((rejected.status.as_u16(), rejected.header("www-authenticate")), (401, "Bearer"));
    }
}

#[tokio::test]
async fn mayfly_authorization_takes_precedence_over_the_password_of_a_proxy() {
    let gateway = with_config().await;
    let own = format!("Bearer {ADMIN_TOKEN}");
    let request = || gateway.request(Method::GET, PATH).header("mayfly-authorization", &own);
    for request in [request(), request().header("authorization", "Basic YTpi")] {
        assert_eq!(send(request).await.json()["api_hash"], json!("b1946ac92492d2347c6235b4d2611184"));
    }
    let unknown = gateway.request(Method::GET, PATH).header("authorization", &own);
    assert_eq!(send(unknown.header("mayfly-authorization", "Bearer unknown")).await.status, 401);

    let list = |headers: [(&'static str, &str); 2]| {
        let mut request = tonic::Request::new(ListAppConfigsRequest::default());
        for (name, value) in headers {
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        let mut client = ConfigServiceClient::new(StoreChannel::remote(&gateway.url).unwrap());
        async move { client.list_app_configs(request).await.map(|_| ()).map_err(|status| status.code()) }
    };
    let (password, wrong) = (("authorization", "Basic YTpi"), ("mayfly-authorization", "Bearer unknown"));
    assert_eq!(list([password, ("mayfly-authorization", &own)]).await, Ok(()));
    assert_eq!(list([("authorization", &own), wrong]).await, Err(Code::Unauthenticated));
}

#[tokio::test]
async fn without_an_active_config_the_response_is_204() {
    let gateway = Gateway::start().await;
    let none = gateway.get(PATH).await;
    assert_eq!((none.status.as_u16(), none.body.as_str()), (204, ""));
}

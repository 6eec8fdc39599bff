//! A store that is unreachable or fails.

use std::time::Duration;

use mayfly_bootstrap::http::ServerLimits;
use mayfly_contracts::StoreChannel;
use reqwest::Method;
use sea_orm::ConnectionTrait as _;
use serde_json::json;
use tokio::net::TcpListener;

use crate::harness::Gateway;

const CREATE: &str = "/api/v1/create_message";

/// `wget --spider` and some monitors send HEAD.
#[tokio::test]
async fn health_checks_accept_head() {
    let gateway = Gateway::start().await;
    for path in ["/healthz", "/readyz"] {
        let head = gateway.request(Method::HEAD, path).send().await.unwrap();
        assert_eq!(head.status(), 200, "{path}");
        assert_eq!(head.text().await.unwrap(), "", "{path}");
    }
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gateway_without_store =
        Gateway::with_store_channel(StoreChannel::remote(&format!("http://{address}")).unwrap()).await;
    assert_eq!(gateway_without_store.request(Method::HEAD, "/readyz").send().await.unwrap().status(), 503);
}

#[tokio::test]
async fn an_unreachable_store_returns_503_with_retry_after() {
    // Bound and dropped, so nothing listens at this address.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gateway = Gateway::with_store_channel(StoreChannel::remote(&format!("http://{address}")).unwrap()).await;
    let rejected = gateway.post_form(CREATE, &[("text", "x")]).await;
    assert_eq!((rejected.status.as_u16(), rejected.header("retry-after")), (503, "1"));
    assert_eq!(rejected.json()["reason"], "STORE_UNAVAILABLE");
    assert_eq!(gateway.get("/readyz").await.status, 503);
    assert_eq!(gateway.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn the_gateway_reconnects_to_a_restarted_store() {
    let store = Gateway::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gateway = Gateway::with_store_channel(StoreChannel::remote(&format!("http://{address}")).unwrap()).await;
    drop(listener);
    assert_eq!(gateway.get("/readyz").await.status, 503);

    let listener = TcpListener::bind(address).await.unwrap();
    let serving = std::sync::Arc::clone(&store.store().store);
    tokio::spawn(async move { serving.serve(listener, ServerLimits::new(1 << 20)).await });
    let ready = async { while gateway.get("/readyz").await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(20), ready).await.unwrap();
    assert_eq!(gateway.post_form(CREATE, &[("text", "x")]).await.status, 201);
}

#[tokio::test]
async fn an_internal_error_of_the_store_is_a_constant_text() {
    let gateway = Gateway::start().await;
    let database = gateway.store().database.connect().await.unwrap();
    database.execute_unprepared("DROP TABLE messages").await.unwrap();
    let failed = gateway.post_form(CREATE, &[("text", "x")]).await;
    let body = json!({
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "something went wrong on our side",
        "reason": "INTERNAL",
        "request_id": failed.header("x-request-id"),
    });
    assert_eq!((failed.status.as_u16(), failed.json()), (500, body));
}

//! A store that is away or fails.

use std::time::Duration;

use mayfly_bootstrap::http::ServerLimits;
use mayfly_contracts::StoreChannel;
use reqwest::Method;
use sea_orm::ConnectionTrait as _;
use serde_json::json;
use tokio::net::TcpListener;

use crate::harness::Gateway;

const CREATE: &str = "/api/v1/create_message";

/// As `wget --spider` asks, and many a monitor.
#[tokio::test]
async fn health_is_told_without_a_body_too() {
    let gateway = Gateway::start().await;
    for path in ["/healthz", "/readyz"] {
        let head = gateway.request(Method::HEAD, path).send().await.unwrap();
        assert_eq!(head.status(), 200, "{path}");
        assert_eq!(head.text().await.unwrap(), "", "{path}");
    }
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let alone = Gateway::in_front_of(StoreChannel::remote(&format!("http://{address}")).unwrap()).await;
    assert_eq!(alone.request(Method::HEAD, "/readyz").send().await.unwrap().status(), 503);
}

#[tokio::test]
async fn a_store_that_is_away_is_unavailable_and_says_when_to_come_back() {
    // Bound and dropped: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gateway = Gateway::in_front_of(StoreChannel::remote(&format!("http://{address}")).unwrap()).await;
    let refused = gateway.post_form(CREATE, &[("text", "x")]).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
    assert_eq!(refused.json()["reason"], "STORE_UNAVAILABLE");
    assert_eq!(gateway.get("/readyz").await.status, 503);
    assert_eq!(gateway.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_store_that_comes_back_is_found_again() {
    let store = Gateway::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gateway = Gateway::in_front_of(StoreChannel::remote(&format!("http://{address}")).unwrap()).await;
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
async fn a_fault_of_the_store_is_a_constant_to_the_client() {
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
    });
    assert_eq!((failed.status.as_u16(), failed.json()), (500, body));
}

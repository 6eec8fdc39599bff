//! Passphrases over REST.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Gateway, answer};

const VIEW: &str = "/api/v1/view_message";

async fn create(gateway: &Gateway) -> Value {
    let created =
        gateway.post_form("/api/v1/create_message", &[("text", "hello"), ("passphrase", "right")]).await.json();
    json!({ "id": created["id"], "access_token": created["access_token"] })
}

fn with(opener: &Value, passphrase: &str) -> Value {
    json!({ "id": opener["id"], "access_token": opener["access_token"], "passphrase": passphrase })
}

#[tokio::test]
async fn each_situation_has_its_status() {
    let gateway = Gateway::start().await;
    let opener = create(&gateway).await;
    let found = gateway.post_json("/api/v1/lookup_message", &opener).await.json();
    assert_eq!((&found["state"], &found["needs_passphrase"]), (&json!("unread"), &json!(true)));
    let missing = gateway.post_json(VIEW, &opener).await;
    assert_eq!((missing.status.as_u16(), &missing.json()["reason"]), (428, &json!("PASSPHRASE_REQUIRED")));
    let path = format!("/api/v1/get_message/{}/{}", opener["id"], opener["access_token"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.status, 428);
    for _ in 0..5 {
        let wrong = gateway.post_json(VIEW, &with(&opener, "wrong")).await;
        assert_eq!((wrong.status.as_u16(), &wrong.json()["reason"]), (403, &json!("PASSPHRASE_WRONG")));
    }
    let locked = gateway.post_json(VIEW, &with(&opener, "right")).await;
    assert_eq!((locked.status.as_u16(), &locked.json()["reason"]), (429, &json!("PASSPHRASE_LOCKED")));
    assert_eq!(locked.header("retry-after"), "3600");
    gateway.store().clock.advance(std::time::Duration::from_secs(3600));
    assert_eq!(gateway.post_json(VIEW, &with(&opener, "right")).await.json()["text"], "hello");
}

#[tokio::test]
async fn a_caller_cannot_pass_for_others() {
    let gateway = Gateway::start().await;
    let opener = create(&gateway).await;
    for number in 0..5 {
        let request = gateway.request(Method::POST, VIEW).json(&with(&opener, "wrong"));
        let request = request.header("mayfly-caller", number).header("x-forwarded-for", format!("10.0.0.{number}"));
        assert_eq!(answer(request).await.status, 403);
    }
    let request = gateway.request(Method::POST, VIEW).json(&with(&opener, "right"));
    assert_eq!(answer(request.header("mayfly-caller", "another")).await.status, 429);
}

#[tokio::test]
async fn callers_behind_a_trusted_proxy_are_told_apart() {
    let direct = Gateway::start().await;
    let opener = create(&direct).await;
    let gateway = Gateway::behind_proxies(direct.store().channel(), 1).await;
    let view = async |caller: &str, passphrase| {
        let request = gateway.request(Method::POST, VIEW).json(&with(&opener, passphrase));
        answer(request.header("x-forwarded-for", format!("6.6.6.6, {caller}"))).await.status.as_u16()
    };
    for _ in 0..5 {
        assert_eq!(view("10.0.0.1", "wrong").await, 403);
    }
    assert_eq!(view("10.0.0.1", "right").await, 429);
    assert_eq!(view("10.0.0.2", "right").await, 200);
}

#[tokio::test]
async fn a_passphrase_must_be_a_string() {
    let gateway = Gateway::start().await;
    for path in ["/api/v1/create_message", VIEW] {
        let body = json!({ "text": "x", "id": 1, "access_token": "x", "passphrase": 1 });
        let refused = gateway.post_json(path, &body).await;
        assert_eq!((refused.status.as_u16(), refused.field().as_str()), (400, "passphrase"));
    }
}

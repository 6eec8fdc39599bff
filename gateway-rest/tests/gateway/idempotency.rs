//! Idempotent calls, and the end of their idempotency.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Gateway, TestResponse, send};

const KEY: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";
const OTHER_KEY: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e12";

async fn post(gateway: &Gateway, path: &str, key: &str, body: &Value) -> TestResponse {
    let request = gateway.request(Method::POST, &format!("/api/v1/{path}"));
    send(request.header("Idempotency-Key", key).json(body)).await
}

#[tokio::test]
async fn a_creation_with_a_key_is_idempotent() {
    let gateway = Gateway::start().await;
    let text = json!({ "text": "hello" });
    let first = post(&gateway, "create_message", KEY, &text).await;
    let again = post(&gateway, "create_message/", &format!("\"{KEY}\""), &text).await;
    assert_eq!((again.status.as_u16(), again.json()), (201, first.json()));
    assert_ne!(post(&gateway, "create_message", OTHER_KEY, &text).await.json()["id"], first.json()["id"]);
}

#[tokio::test]
async fn a_view_with_a_key_can_be_repeated_until_it_is_acknowledged() {
    let gateway = Gateway::start().await;
    let message = gateway.store().create("hello").await.unwrap();
    let message_ref = json!({ "id": message.id, "access_token": message.access_token });
    for _ in 0..3 {
        let viewed = post(&gateway, "view_message", KEY, &message_ref).await.json();
        assert_eq!(
            (&viewed["text"], &viewed["repeat_until"]),
            (&json!("hello"), &json!("2026-01-01T00:10:00.000000Z"))
        );
    }
    let other = post(&gateway, "view_message", OTHER_KEY, &message_ref).await;
    assert_eq!((other.status.as_u16(), other.header("mayfly-message-state")), (204, "viewed"));
    for _ in 0..2 {
        let acknowledged = post(&gateway, "acknowledge_view", KEY, &message_ref).await;
        assert_eq!(acknowledged.json(), json!({ "viewed_at": "2026-01-01T00:00:00.000000Z" }));
    }
    assert_eq!(post(&gateway, "view_message", KEY, &message_ref).await.status, 204);
    assert_eq!(post(&gateway, "acknowledge_view", OTHER_KEY, &message_ref).await.status, 204);
}

#[tokio::test]
async fn get_message_accepts_a_key() {
    let gateway = Gateway::start().await;
    let path = gateway.create("hello").await;
    for _ in 0..2 {
        let request = gateway.request(Method::GET, &path).header("Idempotency-Key", KEY);
        assert_eq!(send(request).await.json(), json!({ "text": "hello" }));
    }
    assert_eq!(gateway.get(&path).await.status, 204, "without the key it is gone");
}

#[tokio::test]
async fn an_invalid_key_is_named_and_changes_nothing() {
    let gateway = Gateway::start().await;
    let message = gateway.store().create("hello").await.unwrap();
    let message_ref = json!({ "id": message.id, "access_token": message.access_token, "text": "x" });
    for path in ["create_message", "view_message", "acknowledge_view"] {
        for key in ["1", "00000000-0000-0000-0000-000000000000"] {
            let rejected = post(&gateway, path, key, &message_ref).await;
            assert_eq!((rejected.status.as_u16(), rejected.field().as_str()), (400, "Idempotency-Key"), "{path}");
        }
    }
    let without = gateway.post_json("/api/v1/acknowledge_view", &message_ref).await;
    assert_eq!((without.status.as_u16(), without.field().as_str()), (400, "Idempotency-Key"));
    assert_eq!(gateway.post_json("/api/v1/view_message", &message_ref).await.json()["repeat_until"], Value::Null);
}

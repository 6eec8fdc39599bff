//! The paths that take the token in the body.

use reqwest::{Method, multipart::Form};
use serde_json::json;

use crate::harness::{Gateway, send};

const VIEW: &str = "/api/v1/view_message";
const LOOKUP: &str = "/api/v1/lookup_message";
const BURN: &str = "/api/v1/burn_message";

#[tokio::test]
async fn a_message_is_viewed_by_form_json_and_multipart() {
    let gateway = Gateway::start().await;
    for kind in ["form", "json", "multipart"] {
        let message = gateway.store().create("hello").await.unwrap();
        let (id, token) = (message.id.to_string(), message.access_token);
        let viewed = match kind {
            "form" => gateway.post_form(VIEW, &[("id", &id), ("access_token", &token)]).await,
            "json" => gateway.post_json(VIEW, &json!({ "id": message.id, "access_token": token })).await,
            _ => {
                let form = Form::new().text("id", id).text("access_token", format!(" {token}\n"));
                send(gateway.request(Method::POST, VIEW).multipart(form)).await
            }
        };
        assert_eq!((viewed.status.as_u16(), &viewed.json()["text"]), (200, &json!("hello")), "{kind}");
    }
}

#[tokio::test]
async fn a_lookup_returns_the_state_and_changes_nothing() {
    let gateway = Gateway::start().await;
    let message = gateway.store().create("hello").await.unwrap();
    let message_ref = json!({ "id": message.id, "access_token": message.access_token });
    let unread = json!({
        "state": "unread",
        "state_time": "2026-01-01T00:00:00.000000Z",
        "expires_at": "2026-01-31T00:00:00.000000Z",
        "needs_passphrase": false,
        "is_sealed": false,
    });
    for _ in 0..2 {
        assert_eq!(gateway.post_json(LOOKUP, &message_ref).await.json(), unread);
    }
    assert_eq!(gateway.post_json(VIEW, &message_ref).await.status, 200);
    let viewed = gateway.post_json(LOOKUP, &message_ref).await.json();
    assert_eq!((&viewed["state"], &viewed["expires_at"]), (&json!("viewed"), &json!(null)));
}

#[tokio::test]
async fn a_burned_message_is_gone() {
    let gateway = Gateway::start().await;
    let message = gateway.store().create("hello").await.unwrap();
    let message_ref = json!({ "id": message.id, "access_token": message.access_token });
    for _ in 0..2 {
        assert_eq!(gateway.post_json(BURN, &message_ref).await.json()["burned_at"], "2026-01-01T00:00:00.000000Z");
    }
    let gone = gateway.post_json(VIEW, &message_ref).await;
    assert_eq!((gone.status.as_u16(), gone.header("mayfly-message-state")), (204, "burned"));
}

#[tokio::test]
async fn a_lifetime_is_given_in_seconds() {
    let gateway = Gateway::start().await;
    for ttl in [json!(60), json!("60")] {
        let created = gateway.post_json("/api/v1/create_message", &json!({ "text": "x", "ttl": ttl })).await;
        assert_eq!(created.json()["expires_at"], "2026-01-01T00:01:00.000000Z");
    }
}

#[tokio::test]
async fn an_invalid_id_or_token_is_named_and_an_unknown_one_returns_204() {
    let gateway = Gateway::start().await;
    let message = gateway.store().create("hello").await.unwrap();
    let token = &message.access_token;
    for path in [VIEW, LOOKUP, BURN] {
        for id in [json!(0), json!(-1), json!("x"), json!(1.5), json!(null), json!("9223372036854775808")] {
            let rejected = gateway.post_json(path, &json!({ "id": id, "access_token": token })).await;
            assert_eq!((rejected.status.as_u16(), rejected.field().as_str()), (400, "id"), "{path} {id}");
        }
        assert_eq!(gateway.post_json(path, &json!({ "access_token": token })).await.field(), "id");
        assert_eq!(gateway.post_json(path, &json!({ "id": 1 })).await.field(), "access_token");
        let mistyped = gateway.post_json(path, &json!({ "id": 1, "access_token": token.to_uppercase() })).await;
        assert_eq!((mistyped.status.as_u16(), &mistyped.json()["reason"]), (401, &json!("ACCESS_TOKEN_INVALID")));
        let unknown = gateway.post_json(path, &json!({ "id": 99, "access_token": token })).await;
        assert_eq!((unknown.status.as_u16(), unknown.body.as_str()), (204, ""));
    }
    assert_eq!(gateway.store().view(&message).await.unwrap().text(), Some("hello"));
}

//! Messages that were encrypted in a browser, over REST.

use mayfly_contracts::message::{CreateMessageRequest, ViewMessageRequest};
use serde_json::json;

use crate::harness::Gateway;

#[tokio::test]
async fn sealed_messages_are_rejected_and_stay_unread() {
    let gateway = Gateway::start().await;
    let created = gateway.store().create_with(CreateMessageRequest::from_sealed(*b"\xff\x00")).await.unwrap();
    let (id, access_token) = (created.id, created.access_token);
    let message_ref = json!({ "id": id, "access_token": access_token });
    let found = gateway.post_json("/api/v1/lookup_message", &message_ref).await.json();
    assert_eq!((&found["state"], &found["is_sealed"]), (&json!("unread"), &json!(true)));

    let view = gateway.post_json("/api/v1/view_message", &message_ref).await;
    let get = gateway.get(&format!("/api/v1/get_message/{id}/{access_token}")).await;
    for rejected in [view, get] {
        assert_eq!((rejected.status.as_u16(), &rejected.json()["reason"]), (422, &json!("MESSAGE_SEALED")));
        assert!(rejected.json()["detail"].as_str().unwrap().contains("opens in a browser"), "{}", rejected.body);
    }
    let request = ViewMessageRequest { id, access_token, accepts_sealed: true, ..ViewMessageRequest::default() };
    let viewed = gateway.store().messages().view_message(request).await.unwrap().into_inner();
    assert_eq!(viewed.sealed(), Some(&b"\xff\x00"[..]));
}

#[tokio::test]
async fn a_lookup_of_a_text_is_not_sealed() {
    let gateway = Gateway::start().await;
    let created = gateway.store().create("hello").await.unwrap();
    let message_ref = json!({ "id": created.id, "access_token": created.access_token });
    assert_eq!(gateway.post_json("/api/v1/lookup_message", &message_ref).await.json()["is_sealed"], json!(false));
}

//! Messages that their creator has encrypted, over REST.

use mayfly_contracts::message::{CreateMessageRequest, ViewMessageRequest};
use serde_json::json;

use crate::harness::Gateway;

#[tokio::test]
async fn what_opens_in_a_browser_alone_is_refused_and_stays_unread() {
    let gateway = Gateway::start().await;
    let created = gateway.store().create_with(CreateMessageRequest::from_sealed(*b"\xff\x00")).await.unwrap();
    let (id, access_token) = (created.id, created.access_token);
    let opener = json!({ "id": id, "access_token": access_token });
    let found = gateway.post_json("/api/v1/lookup_message", &opener).await.json();
    assert_eq!((&found["state"], &found["is_sealed"]), (&json!("unread"), &json!(true)));

    let view = gateway.post_json("/api/v1/view_message", &opener).await;
    let get = gateway.get(&format!("/api/v1/get_message/{id}/{access_token}")).await;
    for refused in [view, get] {
        assert_eq!((refused.status.as_u16(), &refused.json()["reason"]), (422, &json!("MESSAGE_SEALED")));
        assert!(refused.json()["detail"].as_str().unwrap().contains("opens in a browser"), "{}", refused.body);
    }
    let request = ViewMessageRequest { id, access_token, accepts_sealed: true, ..ViewMessageRequest::default() };
    let viewed = gateway.store().messages().view_message(request).await.unwrap().into_inner();
    assert_eq!(viewed.sealed(), Some(&b"\xff\x00"[..]));
}

#[tokio::test]
async fn a_text_is_not_said_to_be_sealed() {
    let gateway = Gateway::start().await;
    let created = gateway.store().create("hello").await.unwrap();
    let opener = json!({ "id": created.id, "access_token": created.access_token });
    assert_eq!(gateway.post_json("/api/v1/lookup_message", &opener).await.json()["is_sealed"], json!(false));
}

//! The documented behaviour of the system that Mayfly replaces.

use reqwest::{Method, multipart::Form};
use serde_json::{Value, json};

use crate::harness::{Gateway, send};

const CREATE: &str = "/api/v1/create_message";

#[tokio::test]
async fn a_form_creates_a_message_and_the_response_keeps_the_order_of_keys() {
    let gateway = Gateway::start().await;
    let created = gateway.post_form(CREATE, &[("text", "your text here")]).await;
    assert_eq!((created.status.as_u16(), created.header("content-type")), (201, "application/json"));
    let keys: Vec<_> = ["id", "text", "access_token", "is_viewed", "timestamp", "expires_at"]
        .map(|key| created.body.find(&format!("\"{key}\":")).unwrap())
        .into();
    assert!(keys.is_sorted(), "{}", created.body);
    let message = created.json();
    assert!(message["id"].as_i64().unwrap() > 0);
    assert_eq!((&message["text"], &message["is_viewed"]), (&json!("your text here"), &json!(false)));
    assert_eq!(message["access_token"].as_str().unwrap().len(), 64);
    assert_eq!(message["timestamp"], "2026-01-01T00:00:00.000000Z");
    assert_eq!(message["expires_at"], "2026-01-31T00:00:00.000000Z");
}

#[tokio::test]
async fn json_and_multipart_bodies_create_messages() {
    let gateway = Gateway::start().await;
    let json = gateway.post_json(CREATE, &json!({ "text": "j", "unknown": [1] })).await;
    let charset = gateway.post(CREATE, "application/json; charset=utf-8", r#"{"text":"j"}"#).await;
    let multipart = send(gateway.request(Method::POST, CREATE).multipart(Form::new().text("text", "j"))).await;
    for created in [json, charset, multipart] {
        assert_eq!((created.status.as_u16(), &created.json()["text"]), (201, &json!("j")));
    }
}

#[tokio::test]
async fn texts_are_stored_byte_for_byte_from_every_media_type() {
    let gateway = Gateway::start().await;
    for text in [" a:b \r\n\t", "*bold* _x_ [y](z) `c`", "\u{1f511}\u{202e}\u{0301}", "a=b&c=d+e%20f", "\"\\\u{7f}"] {
        let bodies = [
            gateway.post_form(CREATE, &[("text", text)]).await,
            gateway.post_json(CREATE, &json!({ "text": text })).await,
            send(gateway.request(Method::POST, CREATE).multipart(Form::new().text("text", text.to_owned()))).await,
        ];
        for created in bodies {
            let message = created.json();
            assert_eq!(message["text"], text);
            let path = format!("/api/v1/get_message/{}/{}/", message["id"], message["access_token"].as_str().unwrap());
            assert_eq!(gateway.get(&path).await.json(), json!({ "text": text }));
        }
    }
}

#[tokio::test]
async fn bodies_without_a_valid_text_are_rejected_by_field() {
    let gateway = Gateway::start().await;
    let rejections = [
        gateway.post_form(CREATE, &[("text", "")]).await,
        gateway.post_form(CREATE, &[("other", "x")]).await,
        gateway.post_json(CREATE, &json!({})).await,
        gateway.post_json(CREATE, &json!({ "text": null })).await,
        gateway.post_json(CREATE, &json!({ "text": 1 })).await,
        gateway.post_json(CREATE, &json!({ "text": true })).await,
        gateway.post_json(CREATE, &json!({ "text": ["x"] })).await,
    ];
    for rejected in rejections {
        assert_eq!((rejected.status.as_u16(), rejected.field().as_str()), (400, "text"), "{}", rejected.body);
    }
    for body in [json!(["text"]), json!("text"), Value::Null] {
        assert_eq!(gateway.post_json(CREATE, &body).await.status, 400);
    }
    assert_eq!(gateway.post(CREATE, "application/json", r#"{"text":"#).await.status, 400);
    assert_eq!(gateway.store().unread_messages().await.unwrap(), 0, "nothing was stored");
}

#[tokio::test]
async fn unsupported_media_types_are_rejected() {
    let gateway = Gateway::start().await;
    for content_type in ["text/plain", "application/xml", "application/jsonx", ""] {
        assert_eq!(gateway.post(CREATE, content_type, "text=x").await.status, 415, "{content_type}");
    }
    assert_eq!(send(gateway.request(Method::POST, CREATE).body("text=x")).await.status, 415);
}

#[tokio::test]
async fn every_path_works_with_and_without_a_trailing_slash() {
    let gateway = Gateway::start().await;
    for slash in ["", "/"] {
        assert_eq!(gateway.post_form(&format!("{CREATE}{slash}"), &[("text", "x")]).await.status, 201);
        assert_eq!(gateway.get(&format!("{}{slash}", gateway.create("x").await)).await.status, 200);
        assert_eq!(gateway.get(&format!("/api/v1/get_last_active_app_config{slash}")).await.status, 204);
        for sibling in ["view_message", "lookup_message", "burn_message"] {
            let message = gateway.store().create("x").await.unwrap();
            let message_ref = json!({ "id": message.id, "access_token": message.access_token });
            assert_eq!(
                gateway.post_json(&format!("/api/v1/{sibling}{slash}"), &message_ref).await.status,
                200,
                "{sibling}"
            );
        }
    }
}

#[tokio::test]
async fn a_message_is_read_once_and_then_there_is_no_content() {
    let gateway = Gateway::start().await;
    let path = gateway.create("hello").await;
    let read = gateway.get(&path).await;
    assert_eq!((read.status.as_u16(), read.body.as_str()), (200, r#"{"text":"hello"}"#));
    let again = gateway.get(&path).await;
    assert_eq!((again.status.as_u16(), again.body.as_str()), (204, ""));
    assert_eq!(again.header("mayfly-message-state"), "viewed");
    assert_eq!(again.header("mayfly-message-state-time"), "2026-01-01T00:00:00.000000Z");
}

#[tokio::test]
async fn unknown_ids_and_wrong_tokens_have_the_same_response() {
    let gateway = Gateway::start().await;
    let (message, other) = (gateway.store().create("x").await.unwrap(), gateway.store().create("y").await.unwrap());
    let wrong = gateway.get(&format!("/api/v1/get_message/{}/{}", message.id, other.access_token)).await;
    let unknown = gateway.get(&format!("/api/v1/get_message/999/{}", message.access_token)).await;
    for response in [&wrong, &unknown] {
        assert_eq!((response.status.as_u16(), response.body.as_str()), (204, ""));
        assert_eq!(response.header("mayfly-message-state"), "");
    }
    let names = |headers: &reqwest::header::HeaderMap| headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&wrong.headers), names(&unknown.headers));
}

#[tokio::test]
async fn mistyped_tokens_return_401_and_invalid_ids_404() {
    let gateway = Gateway::start().await;
    let message = gateway.store().create("x").await.unwrap();
    let token = &message.access_token;
    let arabic = "%D9%A3".repeat(64);
    for wrong in [&token[1..], &token.to_uppercase(), &format!("{token}0"), "x", arabic.as_str(), "%00"] {
        let rejected = gateway.get(&format!("/api/v1/get_message/{}/{wrong}", message.id)).await;
        assert_eq!(rejected.status, 401, "{wrong}");
    }
    for id in ["0", "-1", "x", "1.0", "+1", "%D9%A3", "%ff", "9223372036854775808", "99999999999999999999"] {
        let rejected = gateway.get(&format!("/api/v1/get_message/{id}/{token}")).await;
        assert_eq!(rejected.status, 404, "{id}");
        assert!(rejected.json()["detail"].as_str().unwrap().contains("id"), "{id}");
    }
    assert_eq!(gateway.get(&format!("/api/v1/get_message/{}/{token}", message.id)).await.status, 200);
}

#[tokio::test]
async fn other_methods_are_rejected_with_the_allowed_one() {
    let gateway = Gateway::start().await;
    let read = gateway.create("x").await;
    let config = "/api/v1/get_last_active_app_config".to_owned();
    for (path, allowed, wrong) in [
        (CREATE.to_owned(), "POST, OPTIONS", [Method::GET, Method::HEAD, Method::PUT]),
        (read.clone(), "GET, OPTIONS", [Method::POST, Method::HEAD, Method::DELETE]),
        (config, "GET, OPTIONS", [Method::POST, Method::HEAD, Method::PATCH]),
    ] {
        for method in wrong {
            let rejected = send(gateway.request(method.clone(), &path)).await;
            assert_eq!((rejected.status.as_u16(), rejected.header("allow")), (405, allowed), "{method} {path}");
        }
        let options = send(gateway.request(Method::OPTIONS, &path)).await;
        assert_eq!((options.status.as_u16(), options.header("allow")), (204, allowed));
    }
    assert_eq!(gateway.get(&read).await.status, 200, "nothing was consumed");
}

#[tokio::test]
async fn no_response_can_be_cached_sniffed_or_framed() {
    let gateway = Gateway::start().await;
    for path in ["/", "/nothing", "/healthz", &gateway.create("x").await, CREATE] {
        let response = gateway.get(path).await;
        assert_eq!(response.header("cache-control"), "no-store", "{path}");
        assert_eq!(response.header("x-content-type-options"), "nosniff", "{path}");
        assert!(response.header("content-security-policy").contains("default-src 'none'"), "{path}");
    }
}

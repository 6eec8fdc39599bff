//! Every row of the documented behaviour of the system that Mayfly replaces.

use reqwest::{Method, multipart::Form};
use serde_json::{Value, json};

use crate::harness::{Gateway, answer};

const CREATE: &str = "/api/v1/create_message";

#[tokio::test]
async fn a_form_creates_a_message_with_the_documented_keys_in_their_order() {
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
async fn json_and_multipart_bodies_create_too() {
    let gateway = Gateway::start().await;
    let json = gateway.post_json(CREATE, &json!({ "text": "j", "unknown": [1] })).await;
    let charset = gateway.post(CREATE, "application/json; charset=utf-8", r#"{"text":"j"}"#).await;
    let multipart = answer(gateway.request(Method::POST, CREATE).multipart(Form::new().text("text", "j"))).await;
    for created in [json, charset, multipart] {
        assert_eq!((created.status.as_u16(), &created.json()["text"]), (201, &json!("j")));
    }
}

#[tokio::test]
async fn texts_are_kept_byte_for_byte_in_every_kind_of_body() {
    let gateway = Gateway::start().await;
    for text in [" a:b \r\n\t", "*bold* _x_ [y](z) `c`", "\u{1f511}\u{202e}\u{0301}", "a=b&c=d+e%20f", "\"\\\u{7f}"] {
        let bodies = [
            gateway.post_form(CREATE, &[("text", text)]).await,
            gateway.post_json(CREATE, &json!({ "text": text })).await,
            answer(gateway.request(Method::POST, CREATE).multipart(Form::new().text("text", text.to_owned()))).await,
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
async fn bodies_without_a_proper_text_are_refused_and_name_it() {
    let gateway = Gateway::start().await;
    let refusals = [
        gateway.post_form(CREATE, &[("text", "")]).await,
        gateway.post_form(CREATE, &[("other", "x")]).await,
        gateway.post_json(CREATE, &json!({})).await,
        gateway.post_json(CREATE, &json!({ "text": null })).await,
        gateway.post_json(CREATE, &json!({ "text": 1 })).await,
        gateway.post_json(CREATE, &json!({ "text": true })).await,
        gateway.post_json(CREATE, &json!({ "text": ["x"] })).await,
    ];
    for refused in refusals {
        assert_eq!((refused.status.as_u16(), refused.field().as_str()), (400, "text"), "{}", refused.body);
    }
    for body in [json!(["text"]), json!("text"), Value::Null] {
        assert_eq!(gateway.post_json(CREATE, &body).await.status, 400);
    }
    assert_eq!(gateway.post(CREATE, "application/json", r#"{"text":"#).await.status, 400);
    assert_eq!(gateway.store().unread_messages().await.unwrap(), 0, "nothing was stored");
}

#[tokio::test]
async fn other_media_types_are_refused() {
    let gateway = Gateway::start().await;
    for content_type in ["text/plain", "application/xml", "application/jsonx", ""] {
        assert_eq!(gateway.post(CREATE, content_type, "text=x").await.status, 415, "{content_type}");
    }
    assert_eq!(answer(gateway.request(Method::POST, CREATE).body("text=x")).await.status, 415);
}

#[tokio::test]
async fn both_forms_of_every_path_work_without_a_redirect() {
    let gateway = Gateway::start().await;
    for slash in ["", "/"] {
        assert_eq!(gateway.post_form(&format!("{CREATE}{slash}"), &[("text", "x")]).await.status, 201);
        assert_eq!(gateway.get(&format!("{}{slash}", gateway.create("x").await)).await.status, 200);
        assert_eq!(gateway.get(&format!("/api/v1/get_last_active_app_config{slash}")).await.status, 204);
        for sibling in ["view_message", "lookup_message", "burn_message"] {
            let message = gateway.store().create("x").await.unwrap();
            let opener = json!({ "id": message.id, "access_token": message.access_token });
            assert_eq!(gateway.post_json(&format!("/api/v1/{sibling}{slash}"), &opener).await.status, 200, "{sibling}");
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
async fn unknown_ids_and_wrong_tokens_look_the_same() {
    let gateway = Gateway::start().await;
    let (message, other) = (gateway.store().create("x").await.unwrap(), gateway.store().create("y").await.unwrap());
    let wrong = gateway.get(&format!("/api/v1/get_message/{}/{}", message.id, other.access_token)).await;
    let unknown = gateway.get(&format!("/api/v1/get_message/999/{}", message.access_token)).await;
    for answer in [&wrong, &unknown] {
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
        assert_eq!(answer.header("mayfly-message-state"), "");
    }
    let names = |headers: &reqwest::header::HeaderMap| headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&wrong.headers), names(&unknown.headers));
}

#[tokio::test]
async fn mistyped_tokens_are_unauthorized_and_ids_that_are_none_are_not_found() {
    let gateway = Gateway::start().await;
    let message = gateway.store().create("x").await.unwrap();
    let token = &message.access_token;
    let arabic = "%D9%A3".repeat(64);
    for wrong in [&token[1..], &token.to_uppercase(), &format!("{token}0"), "x", arabic.as_str(), "%00"] {
        let refused = gateway.get(&format!("/api/v1/get_message/{}/{wrong}", message.id)).await;
        assert_eq!(refused.status, 401, "{wrong}");
    }
    for id in ["0", "-1", "x", "1.0", "+1", "%D9%A3", "%ff", "9223372036854775808", "99999999999999999999"] {
        let refused = gateway.get(&format!("/api/v1/get_message/{id}/{token}")).await;
        assert_eq!(refused.status, 404, "{id}");
        assert!(refused.json()["detail"].as_str().unwrap().contains("id"), "{id}");
    }
    assert_eq!(gateway.get(&format!("/api/v1/get_message/{}/{token}", message.id)).await.status, 200);
}

#[tokio::test]
async fn other_methods_are_refused_and_told_which_one_is_allowed() {
    let gateway = Gateway::start().await;
    let read = gateway.create("x").await;
    let config = "/api/v1/get_last_active_app_config".to_owned();
    for (path, allowed, wrong) in [
        (CREATE.to_owned(), "POST, OPTIONS", [Method::GET, Method::HEAD, Method::PUT]),
        (read.clone(), "GET, OPTIONS", [Method::POST, Method::HEAD, Method::DELETE]),
        (config, "GET, OPTIONS", [Method::POST, Method::HEAD, Method::PATCH]),
    ] {
        for method in wrong {
            let refused = answer(gateway.request(method.clone(), &path)).await;
            assert_eq!((refused.status.as_u16(), refused.header("allow")), (405, allowed), "{method} {path}");
        }
        let options = answer(gateway.request(Method::OPTIONS, &path)).await;
        assert_eq!((options.status.as_u16(), options.header("allow")), (204, allowed));
    }
    assert_eq!(gateway.get(&read).await.status, 200, "nothing was consumed");
}

#[tokio::test]
async fn nothing_is_cached_sniffed_or_framed() {
    let gateway = Gateway::start().await;
    for path in ["/", "/nothing", "/healthz", &gateway.create("x").await, CREATE] {
        let answer = gateway.get(path).await;
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{path}");
    }
}

//! Passphrases over REST.

use mayfly_contracts::{
    StoreChannel,
    message::{ViewMessageRequest, ViewMessageResponse, message_service_client::MessageServiceClient},
};
use mayfly_testkit::grpc_web::{self, WebResponse};
use reqwest::Method;
use serde_json::{Value, json};
use tonic::Code;

use crate::{
    grpc::serve_remotely,
    harness::{Gateway, send},
};

const VIEW: &str = "/api/v1/view_message";

async fn create(gateway: &Gateway) -> Value {
    let created =
        gateway.post_form("/api/v1/create_message", &[("text", "hello"), ("passphrase", "right")]).await.json();
    json!({ "id": created["id"], "access_token": created["access_token"] })
}

fn with(message_ref: &Value, passphrase: &str) -> Value {
    json!({ "id": message_ref["id"], "access_token": message_ref["access_token"], "passphrase": passphrase })
}

#[tokio::test]
async fn each_passphrase_error_has_its_status() {
    let gateway = Gateway::start().await;
    let message_ref = create(&gateway).await;
    let found = gateway.post_json("/api/v1/lookup_message", &message_ref).await.json();
    assert_eq!((&found["state"], &found["needs_passphrase"]), (&json!("unread"), &json!(true)));
    let missing = gateway.post_json(VIEW, &message_ref).await;
    assert_eq!((missing.status.as_u16(), &missing.json()["reason"]), (428, &json!("PASSPHRASE_REQUIRED")));
    let path = format!("/api/v1/get_message/{}/{}", message_ref["id"], message_ref["access_token"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.status, 428);
    for _ in 0..5 {
        let wrong = gateway.post_json(VIEW, &with(&message_ref, "wrong")).await;
        assert_eq!((wrong.status.as_u16(), &wrong.json()["reason"]), (403, &json!("PASSPHRASE_WRONG")));
    }
    let locked = gateway.post_json(VIEW, &with(&message_ref, "right")).await;
    assert_eq!((locked.status.as_u16(), &locked.json()["reason"]), (429, &json!("PASSPHRASE_LOCKED")));
    assert_eq!(locked.header("retry-after"), "3600");
    gateway.store().clock.advance(std::time::Duration::from_secs(3600));
    assert_eq!(gateway.post_json(VIEW, &with(&message_ref, "right")).await.json()["text"], "hello");
}

#[tokio::test]
async fn a_caller_cannot_choose_its_address() {
    let gateway = Gateway::start().await;
    let message_ref = create(&gateway).await;
    for number in 0..5 {
        let request = gateway.request(Method::POST, VIEW).json(&with(&message_ref, "wrong"));
        let request = request.header("mayfly-caller", number).header("x-forwarded-for", format!("10.0.0.{number}"));
        assert_eq!(send(request).await.status, 403);
    }
    let request = gateway.request(Method::POST, VIEW).json(&with(&message_ref, "right"));
    assert_eq!(send(request.header("mayfly-caller", "another")).await.status, 429);
}

#[tokio::test]
async fn callers_behind_a_trusted_proxy_are_distinguished() {
    let direct = Gateway::start().await;
    let message_ref = create(&direct).await;
    let gateway = Gateway::with_proxies(direct.store().channel(), 1).await;
    let view = async |caller: &str, passphrase| {
        let request = gateway.request(Method::POST, VIEW).json(&with(&message_ref, passphrase));
        send(request.header("x-forwarded-for", format!("6.6.6.6, {caller}"))).await.status.as_u16()
    };
    for _ in 0..5 {
        assert_eq!(view("10.0.0.1", "wrong").await, 403);
    }
    assert_eq!(view("10.0.0.1", "right").await, 429);
    assert_eq!(view("10.0.0.2", "right").await, 200);
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Rest,
    Grpc,
    GrpcWeb,
}

/// Tries a passphrase at a gateway whose proxy reports `caller`. Returns the status of REST.
async fn view_by(protocol: Protocol, gateway: &Gateway, message_ref: &Value, passphrase: &str, caller: &str) -> u16 {
    let forwarded = format!("6.6.6.6, {caller}");
    let request = ViewMessageRequest {
        id: message_ref["id"].as_i64().unwrap(),
        access_token: message_ref["access_token"].as_str().unwrap().to_owned(),
        passphrase: passphrase.to_owned(),
        ..ViewMessageRequest::default()
    };
    let code = match protocol {
        Protocol::Rest => {
            let request = gateway.request(Method::POST, VIEW).json(&with(message_ref, passphrase));
            return send(request.header("x-forwarded-for", forwarded)).await.status.as_u16();
        }
        Protocol::Grpc => {
            let mut request = tonic::Request::new(request);
            request.metadata_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
            request.metadata_mut().insert("mayfly-caller", "7.7.7.7".parse().unwrap());
            let mut client = MessageServiceClient::new(StoreChannel::remote(&gateway.url).unwrap());
            client.view_message(request).await.map_or_else(|status| status.code() as i32, |_| 0)
        }
        Protocol::GrpcWeb => {
            let headers = [("x-forwarded-for", forwarded.as_str()), ("mayfly-caller", "7.7.7.7")];
            let path = "/mayfly.message.v1.MessageService/ViewMessage";
            let response: WebResponse<ViewMessageResponse> =
                grpc_web::call_with(&gateway.url, path, &request, &headers).await.unwrap();
            response.trailers.split("grpc-status:").nth(1).unwrap().lines().next().unwrap().parse().unwrap()
        }
    };
    match Code::from(code) {
        Code::Ok => 200,
        Code::PermissionDenied => 403,
        Code::ResourceExhausted => 429,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn callers_behind_a_proxy_that_adds_ports_are_distinguished_in_every_protocol() {
    for remote in [false, true] {
        let direct = Gateway::start().await;
        let store = if remote { serve_remotely(&direct).await } else { direct.store().channel() };
        let gateway = Gateway::with_proxies(store, 1).await;
        for protocol in [Protocol::Rest, Protocol::Grpc, Protocol::GrpcWeb] {
            let message_ref = create(&direct).await;
            let view =
                async |caller: &str, passphrase| view_by(protocol, &gateway, &message_ref, passphrase, caller).await;
            for port in 1..=5 {
                assert_eq!(view(&format!("203.0.113.1:{port}"), "wrong").await, 403, "{protocol:?}");
                assert_eq!(view(&format!("[2001:db8::{port}]:443"), "wrong").await, 403, "{protocol:?}");
            }
            for locked in ["203.0.113.1:6", "203.0.113.1", "[2001:db8::6]:443", "2001:db8::7"] {
                assert_eq!(view(locked, "right").await, 429, "{protocol:?}: {locked}");
            }
            assert_eq!(view("203.0.113.2:1", "right").await, 200, "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn passphrases_are_normalized_in_every_protocol() {
    let gateway = Gateway::start().await;
    for (written, read) in [("caf\u{e9}", "cafe\u{301}"), ("cafe\u{301}", "caf\u{e9}"), ("a\u{a0}b", "a b")] {
        for protocol in [Protocol::Rest, Protocol::Grpc, Protocol::GrpcWeb] {
            let fields = [("text", "hello"), ("passphrase", written)];
            let message_ref = gateway.post_form("/api/v1/create_message", &fields).await.json();
            let status = view_by(protocol, &gateway, &message_ref, read, "192.0.2.1").await;
            assert_eq!(status, 200, "{protocol:?}: {written:?} {read:?}");
        }
    }
}

#[tokio::test]
async fn a_passphrase_must_be_a_string() {
    let gateway = Gateway::start().await;
    for path in ["/api/v1/create_message", VIEW] {
        let body = json!({ "text": "x", "id": 1, "access_token": "x", "passphrase": 1 });
        let rejected = gateway.post_json(path, &body).await;
        assert_eq!((rejected.status.as_u16(), rejected.field().as_str()), (400, "passphrase"));
    }
}

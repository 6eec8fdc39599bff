//! Compares the documentation with the gateway: the documentation describes every response of the tests, and the tests
//! reach every documented status.

use std::collections::BTreeSet;

use axum::Router;
use mayfly_contracts::{ErrorInfo, StoreChannel, error::ErrorReason, message::CreateMessageRequest};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::OnceCell,
};
use tonic::{Code, service::Routes};

use crate::harness::{Gateway, TestResponse, send};

/// The document of the first gateway. All gateways have the same document.
static DOCUMENT: OnceCell<Value> = OnceCell::const_new();

async fn document(origin: &str) -> &'static Value {
    let get = async || reqwest::get(format!("{origin}/api/openapi.json")).await.unwrap().json().await.unwrap();
    DOCUMENT.get_or_init(get).await
}

/// Returns the path's template and the documentation of the call.
fn find_call<'a>(document: &'a Value, method: &Method, path: &str) -> Option<(&'a str, &'a Value)> {
    let parts = |path: &str| path.trim_end_matches('/').split('/').map(str::to_owned).collect::<Vec<_>>();
    let matches = |template: &str| {
        let (template, path) = (parts(template), parts(path));
        let is_same = |(template, part): (&String, &String)| template == part || template.starts_with('{');
        template.len() == path.len() && template.iter().zip(&path).all(is_same)
    };
    let (template, calls) = document["paths"].as_object()?.iter().find(|(template, _)| matches(template))?;
    Some((template, calls.get(method.as_str().to_lowercase())?))
}

/// Compares a response with the document.
///
/// # Panics
///
/// If the response has an undocumented status, content type, field or header.
pub(crate) async fn assert_documented(origin: &str, method: &Method, path: &str, response: &TestResponse) {
    let document = document(origin).await;
    let Some((template, call)) = find_call(document, method, path) else { return };
    if let Err(error) = check_documented(document, call, response) {
        panic!("{method} {template} returned {}, but {error}", response.status);
    }
}

fn check_documented(document: &Value, call: &Value, response: &TestResponse) -> Result<(), String> {
    let Some(documented_response) = call["responses"].get(response.status.as_str()) else {
        return Err("the status is not documented".to_owned());
    };
    let content = documented_response["content"].as_object();
    let media_type = response.header("content-type").split(';').next().unwrap_or_default();
    let schema = content.and_then(|content| content.get(media_type)).map(|content| &content["schema"]);
    if content.is_none() && response.body.is_empty() {
        return Ok(());
    }
    let schema = schema.ok_or_else(|| format!("its content is not documented as {media_type}"))?;
    let name = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    let schema = name.map_or(schema, |name| &document["components"]["schemas"][name]);
    if let Some(known) = schema["properties"].as_object() {
        let body = response.json();
        let unknown = body.as_object().unwrap().keys().find(|field| !known.contains_key(*field));
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let missing = required.into_iter().find(|field| body.get(field).is_none());
        if let Some(field) = unknown.map(String::as_str).or(missing) {
            return Err(format!("the field {field} is not as documented"));
        }
        let example = &documented_response["content"][media_type]["example"];
        if media_type == "application/problem+json"
            && ["title", "status"].iter().any(|part| example[part] != body[part])
        {
            return Err(format!("its example is of another problem: {example}"));
        }
    }
    let headers = documented_response["headers"].as_object().into_iter().flatten();
    let optional = ["mayfly-message-state", "mayfly-message-state-time"];
    let mut names = headers.map(|(name, _)| name.to_lowercase()).filter(|name| !optional.contains(&name.as_str()));
    names
        .find(|name| response.header(name).is_empty())
        .map_or(Ok(()), |name| Err(format!("the header {name} is missing")))
}

#[tokio::test]
async fn an_undocumented_response_is_detected() {
    let gateway = Gateway::start().await;
    let document = document(&gateway.url).await;
    let (_, create) = find_call(document, &Method::POST, "/api/v1/create_message/").unwrap();
    let mut created = gateway.post_form("/api/v1/create_message", &[("text", "x")]).await;
    assert_eq!(check_documented(document, create, &created), Ok(()));
    created.body = created.body.replace("access_token", "other");
    assert!(check_documented(document, create, &created).unwrap_err().contains("field"));
    created.headers.insert("content-type", "text/plain".parse().unwrap());
    assert!(check_documented(document, create, &created).unwrap_err().contains("content"));
    created.status = reqwest::StatusCode::IM_A_TEAPOT;
    assert!(check_documented(document, create, &created).unwrap_err().contains("status"));
}

#[tokio::test]
async fn every_documented_path_accepts_only_its_method_with_and_without_a_trailing_slash() {
    let gateway = Gateway::start().await;
    for (template, calls) in document(&gateway.url).await["paths"].as_object().unwrap() {
        let method = calls.as_object().unwrap().keys().next().unwrap().to_uppercase();
        let path = template.replace("{id}", "1").replace("{token}", "x");
        let forms = if path.starts_with("/api") { vec![path.clone(), format!("{path}/")] } else { vec![path] };
        for path in forms {
            let options = send(gateway.request(Method::OPTIONS, &path)).await;
            // Routes without side effects allow HEAD too.
            let allowed =
                if template.ends_with('z') { "GET, HEAD, OPTIONS".to_owned() } else { format!("{method}, OPTIONS") };
            assert_eq!(options.header("allow"), allowed, "{path}");
            let other = if method == "GET" { Method::POST } else { Method::GET };
            assert_eq!(send(gateway.request(other, &path)).await.status, 405, "{path}");
        }
    }
}

#[tokio::test]
async fn the_limits_in_the_document_are_the_limits() {
    let gateway = Gateway::start().await;
    let new_message = &document(&gateway.url).await["components"]["schemas"]["NewMessage"]["properties"];
    let create = async |passphrase: &str, ttl: i64| {
        let body = json!({ "text": "x", "passphrase": passphrase, "ttl": ttl });
        gateway.post_json("/api/v1/create_message", &body).await.status.as_u16()
    };
    let longest = usize::try_from(new_message["passphrase"]["maxLength"].as_u64().unwrap()).unwrap();
    let shortest = new_message["ttl"]["minimum"].as_i64().unwrap();
    assert_eq!(create(&"x".repeat(longest), shortest).await, 201);
    assert_eq!(create(&"x".repeat(longest + 1), shortest).await, 400);
    assert_eq!(create("x", shortest - 1).await, 400);
    // The limits that are settings of the store are in the descriptions.
    assert_eq!(new_message["ttl"].get("maximum"), None);
    assert_eq!(new_message["text"].get("maxLength"), None);
}

/// A gateway in front of a store that returns the same error for every call.
async fn with_failing_store(reason: ErrorReason, code: Code) -> Gateway {
    let respond = move || async move { ErrorInfo::new(reason).into_status(code, "").into_http::<axum::body::Body>() };
    Gateway::with_store_channel(StoreChannel::local(Routes::from(Router::new().fallback(respond)))).await
}

/// Makes every call of the document with well-formed input.
async fn call_all(gateway: &Gateway, seen: &mut BTreeSet<(String, String)>) {
    // Of the right form; whether it is a right one is the store's business.
    let token = "0".repeat(64);
    let body = json!({ "id": 1, "access_token": token, "text": "x" });
    for (template, calls) in document(&gateway.url).await["paths"].as_object().unwrap() {
        let path = template.replace("{id}", "1").replace("{token}", &token);
        let response = if calls["post"].is_object() {
            let request = gateway.request(Method::POST, &path).header("Idempotency-Key", KEY);
            send(request.json(&body)).await
        } else {
            gateway.get(&path).await
        };
        seen.insert((template.clone(), response.status.as_str().to_owned()));
    }
}

const KEY: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";

#[tokio::test]
async fn every_documented_status_is_reached() {
    let mut seen = BTreeSet::new();
    for (reason, code) in [
        (ErrorReason::Internal, Code::Internal),
        (ErrorReason::StoreUnavailable, Code::Unavailable),
        (ErrorReason::Overloaded, Code::ResourceExhausted),
    ] {
        call_all(&with_failing_store(reason, code).await, &mut seen).await;
    }
    for (reason, code) in [
        (ErrorReason::StorageFull, Code::ResourceExhausted),
        (ErrorReason::RequestConflict, Code::FailedPrecondition),
        (ErrorReason::ApiTokenRequired, Code::Unauthenticated),
        (ErrorReason::PermissionDenied, Code::PermissionDenied),
    ] {
        let path = "/api/v1/create_message";
        let rejected = with_failing_store(reason, code).await.post_form(path, &[("text", "x")]).await;
        seen.insert((path.to_owned(), rejected.status.as_str().to_owned()));
    }
    let gateway = Gateway::start().await;
    call_all(&gateway, &mut seen).await;
    let mut see = |template: &str, response: TestResponse| {
        seen.insert((template.to_owned(), response.status.as_str().to_owned()));
    };

    for path in ["create_message", "view_message", "acknowledge_view", "lookup_message", "burn_message"] {
        let path = format!("/api/v1/{path}");
        let with_key = || gateway.request(Method::POST, &path).header("Idempotency-Key", KEY);
        see(&path, send(with_key().body("")).await);
        see(&path, send(with_key().json(&json!({ "id": "none" }))).await);
        see(&path, send(with_key().json(&"x".repeat(1 << 20))).await);
        let message = gateway.store().create("x").await.unwrap();
        if path.ends_with("acknowledge_view") {
            let view = gateway.request(Method::POST, "/api/v1/view_message").header("Idempotency-Key", KEY);
            send(view.json(&json!({ "id": message.id, "access_token": message.access_token }))).await;
        }
        for id in [message.id, message.id + 1] {
            let message_ref = json!({ "id": id, "access_token": message.access_token, "text": "x" });
            see(&path, send(with_key().json(&message_ref)).await);
        }
    }

    let get = "/api/v1/get_message/{id}/{token}";
    let path = gateway.create("x").await;
    see(get, send(gateway.request(Method::GET, &path).header("purpose", "prefetch")).await);
    see(get, send(gateway.request(Method::GET, &path).header("idempotency-key", "1")).await);
    for _ in 0..2 {
        see(get, gateway.get(&path).await);
    }
    see(get, gateway.get("/api/v1/get_message/none/x").await);
    let locked = [("text", "x"), ("passphrase", "right")];
    let locked = gateway.post_form("/api/v1/create_message", &locked).await.json();
    see(
        get,
        gateway
            .get(&format!("/api/v1/get_message/{}/{}", locked["id"], locked["access_token"].as_str().unwrap()))
            .await,
    );
    let view = "/api/v1/view_message";
    let mut message_ref = json!({ "id": locked["id"], "access_token": locked["access_token"] });
    see(view, gateway.post_json(view, &message_ref).await);
    message_ref["passphrase"] = json!("wrong");
    see(view, gateway.post_json(view, &message_ref).await);

    let sealed = gateway.store().create_with(CreateMessageRequest::from_sealed(*b"sealed")).await.unwrap();
    let (id, token) = (sealed.id, sealed.access_token);
    see(view, gateway.post_json(view, &json!({ "id": id, "access_token": token })).await);
    see(get, gateway.get(&format!("/api/v1/get_message/{id}/{token}")).await);

    let config = "/api/v1/get_last_active_app_config";
    see(config, send(gateway.request(Method::GET, config).header("authorization", "Bearer unknown")).await);
    see(config, crate::app_config::with_config().await.get(config).await);

    let document = document(&gateway.url).await;
    let paths = document["paths"].as_object().unwrap().iter();
    let documented = paths.flat_map(|(template, calls)| {
        let calls = calls.as_object().unwrap().values();
        let statuses = calls.flat_map(|call| call["responses"].as_object().unwrap().keys());
        statuses.map(|status| (template.clone(), status.clone())).collect::<Vec<_>>()
    });
    // Time stands still for 408, so it has a test of its own.
    let not_reached: Vec<_> = documented.filter(|one| !seen.contains(one) && one.1 != "408").collect();
    assert_eq!(not_reached, []);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_times_out_as_documented() {
    let gateway = with_failing_store(ErrorReason::Internal, Code::Internal).await;
    let document = document(&gateway.url).await;
    for (path, calls) in document["paths"].as_object().unwrap() {
        if !calls["post"].is_object() {
            continue;
        }
        let mut connection = TcpStream::connect(gateway.url.strip_prefix("http://").unwrap()).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nidempotency-key: {KEY}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: 9\r\n\r\n{{"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut response = String::new();
        connection.read_to_string(&mut response).await.unwrap();
        assert!(response.starts_with("HTTP/1.1 408 "), "{path}: {response}");
        assert!(calls["post"]["responses"]["408"].is_object(), "{path}");
    }
}

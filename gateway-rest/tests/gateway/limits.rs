//! The limits of the gateway protect callers from each other.

use std::{net::Ipv4Addr, time::Duration};

use bytes::BytesMut;
use futures_util::{
    future::join_all,
    stream::{FuturesUnordered, StreamExt as _},
};
use mayfly_bootstrap::http::ServerLimits;
use mayfly_contracts::{
    ErrorInfo, StoreChannel,
    error::ErrorReason,
    message::{
        CreateMessageRequest, CreateMessageResponse, ViewMessageRequest, WatchMessageRequest,
        message_service_client::MessageServiceClient,
    },
};
use mayfly_testkit::{RawHttp2, TestClock, TestDatabase, TestStore, grpc_frame};
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;
use tonic_health::pb::HealthCheckRequest;
use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_request::MessageRequest};

use crate::harness::{Gateway, MAX_TEXT_BYTES, send};

const CREATE: &str = "/api/v1/create_message";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Starts a gateway with a store behind a socket. The store has these arguments.
async fn with_remote_store(arguments: &[&str]) -> Gateway {
    let database = TestDatabase::sqlite().unwrap();
    let store = TestStore::open_with(database, TestClock::default(), arguments).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = std::sync::Arc::clone(&store.store);
    tokio::spawn(async move { serving.serve(listener, ServerLimits::new(1 << 20)).await });
    Gateway::with_proxies(StoreChannel::remote(&url).unwrap(), 1).await.with_test_store(store)
}

async fn create_as(gateway: &Gateway, caller: &str) -> u16 {
    let request = gateway.request(Method::POST, CREATE).form(&[("text", "hello")]);
    send(request.header("x-forwarded-for", caller)).await.status.as_u16()
}

#[tokio::test]
async fn a_caller_that_reads_no_streams_does_not_delay_others() {
    let gateway = with_remote_store(&[]).await;
    let hostile = RawHttp2::connect(&gateway.url, Ipv4Addr::LOCALHOST.into(), 0).await.unwrap();
    let symbol = MessageRequest::FileContainingSymbol("mayfly.message.v1.MessageService".to_owned());
    let request = grpc_frame(&ServerReflectionRequest { host: String::new(), message_request: Some(symbol) });
    let requests = request.repeat(600);
    let mut streams = Vec::new();
    for _ in 0..6 {
        streams.push(hostile.call(REFLECTION, BytesMut::from(&requests[..]).freeze(), false).await.unwrap());
    }
    for stream in &mut streams {
        // The responses have begun, so their bodies are in flight.
        assert_eq!((&mut stream.response).await.unwrap().status(), 200);
    }
    let timeout = Duration::from_secs(5);
    for _ in 0..20 {
        let created = tokio::time::timeout(timeout, create_as(&gateway, "192.0.2.1")).await;
        assert_eq!(created.expect("a creation is delayed"), 201);
        let ready = tokio::time::timeout(timeout, gateway.get("/readyz")).await.expect("/readyz is delayed");
        assert_eq!(ready.status, 200);
    }
    let other = RawHttp2::connect(&gateway.url, Ipv4Addr::LOCALHOST.into(), 1 << 16).await.unwrap();
    let watch = other.call(HEALTH_WATCH, grpc_frame(&HealthCheckRequest::default()), true).await.unwrap();
    let mut response = tokio::time::timeout(timeout, watch.response).await.unwrap().unwrap().into_body();
    let first = tokio::time::timeout(timeout, response.data()).await.expect("another stream is delayed");
    assert!(!first.unwrap().unwrap().is_empty());
}

#[tokio::test]
async fn a_caller_that_reads_no_responses_does_not_delay_others() {
    let gateway = with_remote_store(&[]).await;
    let mut messages = Vec::new();
    // More bytes than the flow control windows between the gateway and the store.
    for _ in 0..160 {
        messages.push(gateway.store().create(&"x".repeat(MAX_TEXT_BYTES)).await.unwrap());
    }
    // Connected last: a connection with responses that are not read is closed after a while.
    let hostile = RawHttp2::connect(&gateway.url, Ipv4Addr::LOCALHOST.into(), 0).await.unwrap();
    let mut streams = Vec::new();
    for message in messages {
        let (id, access_token) = (message.id, message.access_token);
        let view = grpc_frame(&ViewMessageRequest { id, access_token, ..ViewMessageRequest::default() });
        streams.push(hostile.call("/mayfly.message.v1.MessageService/ViewMessage", view, true).await.unwrap());
    }
    for stream in &mut streams {
        let response = tokio::time::timeout(Duration::from_secs(5), &mut stream.response).await;
        assert_eq!(response.expect("a response is delayed").unwrap().status(), 200);
    }
    let created = tokio::time::timeout(Duration::from_secs(5), create_as(&gateway, "192.0.2.1")).await;
    assert_eq!(created.expect("a creation is delayed"), 201);
}

#[tokio::test]
async fn streams_of_each_kind_are_limited_per_caller_and_unary_calls_are_not_affected() {
    let gateway = with_remote_store(&[]).await;
    let mut client = MessageServiceClient::new(StoreChannel::remote(&gateway.url).unwrap());
    let message = gateway.store().create("hello").await.unwrap();
    let watch = || {
        let request = WatchMessageRequest { id: message.id, access_token: message.access_token.clone() };
        let mut request = tonic::Request::new(request);
        request.metadata_mut().insert("x-forwarded-for", "2001:db8::1".parse().unwrap());
        request
    };
    let mut watching = Vec::new();
    for _ in 0..50 {
        watching.push(client.watch_message(watch()).await.unwrap());
    }
    let mut neighbour = watch();
    neighbour.metadata_mut().insert("x-forwarded-for", "[2001:db8::2]:443".parse().unwrap());
    let rejected = client.watch_message(neighbour).await.unwrap_err();
    assert_eq!(ErrorInfo::from_status(&rejected).reason, ErrorReason::Overloaded);
    let mut other = watch();
    other.metadata_mut().insert("x-forwarded-for", "2001:db8:0:1::1".parse().unwrap());
    assert!(client.watch_message(other).await.is_ok());
    assert_eq!(create_as(&gateway, "2001:db8::1").await, 201);
}

#[tokio::test]
async fn a_caller_over_its_creation_rate_gets_retry_after_and_others_are_not_affected() {
    let gateway = with_remote_store(&["--creations-per-minute", "2"]).await;
    for expected in [201, 201, 429] {
        assert_eq!(create_as(&gateway, "192.0.2.1:4711").await, expected);
    }
    assert_eq!(create_as(&gateway, "192.0.2.2").await, 201);
    let request = gateway.request(Method::POST, CREATE).form(&[("text", "hello")]);
    let rejected = send(request.header("x-forwarded-for", "192.0.2.1")).await;
    assert_eq!(rejected.json()["reason"], json!("RATE_LIMITED"));
    let seconds: u64 = rejected.header("retry-after").parse().unwrap();
    assert!((1..=31).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_caller_over_its_rate_of_guesses_is_rejected_but_can_read_with_the_right_token() {
    let gateway = with_remote_store(&["--failed-reads-per-minute", "3"]).await;
    let message = gateway.store().create("hello").await.unwrap();
    let other = gateway.store().create("other").await.unwrap();
    let view = async |id: i64, token: &str| {
        let request = gateway.request(Method::POST, "/api/v1/view_message");
        let request = request.json(&json!({ "id": id, "access_token": token }));
        send(request.header("x-forwarded-for", "192.0.2.1")).await
    };
    for (token, expected) in
        [(&other.access_token[..], 204), ("mistyped", 401), (&other.access_token, 204), (&other.access_token, 429)]
    {
        assert_eq!(view(message.id, token).await.status, expected);
    }
    assert_eq!(view(message.id, "mistyped").await.status, 429);
    assert_eq!(view(message.id, &message.access_token).await.json()["text"], "hello");
    let again = view(message.id, &message.access_token).await;
    assert_eq!((again.status.as_u16(), again.header("mayfly-message-state")), (204, "viewed"));
}

#[tokio::test]
async fn a_flood_of_passphrases_does_not_reject_other_callers() {
    const HOSTILE: &str = "192.0.2.1";
    const HONEST: &str = "192.0.2.2";
    let gateway = with_remote_store(&[]).await;
    let create = async || {
        let request =
            CreateMessageRequest { passphrase: "right".to_owned(), ..CreateMessageRequest::from_text("hello") };
        gateway.store().create_with(request).await.unwrap()
    };
    let view = |caller: &'static str, message: &CreateMessageResponse, passphrase: &str| {
        let body = json!({ "id": message.id, "access_token": message.access_token, "passphrase": passphrase });
        let request = gateway.request(Method::POST, "/api/v1/view_message").json(&body);
        let request = request.header("x-forwarded-for", caller);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    // A caller has five tries for each message, so the flood needs many messages.
    let mut flood = FuturesUnordered::new();
    for _ in 0..20 {
        let message = create().await;
        flood.extend((0..5).map(|_| view(HOSTILE, &message, "wrong")));
    }
    let honest = [create().await, create().await, create().await];
    let first = flood.next().await.unwrap();
    let read = join_all(honest.iter().map(|message| view(HONEST, message, "right")));
    let (read, statuses) = tokio::join!(read, flood.collect::<Vec<_>>());
    assert_eq!(read, [200; 3]);
    assert!(statuses.contains(&429) && statuses.contains(&403), "{first} {statuses:?}");
}

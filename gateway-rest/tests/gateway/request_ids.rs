//! Each response has the id of its request, and so has its error. The store behind a socket uses the same id.

use mayfly_bootstrap::{REQUEST_ID, RequestId};
use mayfly_contracts::{
    BotChannel, ErrorInfo, StoreChannel,
    message::{LookupMessageRequest, LookupMessageResponse, message_service_client::MessageServiceClient},
};
use mayfly_testkit::grpc_web;
use reqwest::{Method, header::HeaderMap};
use tonic::{Code, Request, Status};

use crate::{
    grpc::serve_remotely,
    harness::{Gateway, send},
};

const LOOKUP: &str = "/mayfly.message.v1.MessageService/LookupMessage";
const GIVEN: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";

/// A gateway with a store in the same process, and one with a store behind a socket, both behind `proxies`.
async fn gateways(proxies: usize) -> [Gateway; 2] {
    let store = Gateway::start().await;
    let remote = serve_remotely(&store).await.with_headers(RequestId::set_current);
    let local = Gateway::with_proxies(store.store().channel(), proxies).await;
    [local.with_test_store(store.store.unwrap()), Gateway::with_proxies(remote, proxies).await]
}

fn unknown_message() -> LookupMessageRequest {
    LookupMessageRequest { id: 1, access_token: "mistyped".to_owned() }
}

#[tokio::test]
async fn rest_returns_the_id_with_each_response_and_in_each_problem() {
    for gateway in &gateways(0).await {
        for (path, status) in [
            ("/api/v1/create_message", 400),
            ("/api/v1/lookup_message", 401),
            ("/api/v1/create_message/", 415),
            ("/nothing", 404),
        ] {
            let body = if status == 415 { "\u{0}" } else { r#"{"id":1,"access_token":"mistyped"}"# };
            let kind = if status == 415 { "image/png" } else { "application/json" };
            let request = gateway.request(Method::POST, path).header("content-type", kind).body(body);
            let response = send(request.header(REQUEST_ID, GIVEN)).await;
            assert_eq!(response.status, status, "{path}: {}", response.body);
            let id = response.header("x-request-id");
            assert!(id.len() == 16 && id.parse::<RequestId>().is_ok(), "{path}: {id}");
            assert_eq!(response.json()["request_id"], id, "{path}");
        }
        let response = gateway.get("/healthz").await;
        assert_eq!((response.status.as_u16(), response.header("x-request-id").len()), (200, 16));
    }
}

#[tokio::test]
async fn grpc_and_grpc_web_return_the_id_as_metadata_and_in_the_details_of_errors() {
    for gateway in &gateways(0).await {
        let mut client = MessageServiceClient::new(StoreChannel::remote(&gateway.url).unwrap());
        let mut request = Request::new(unknown_message());
        request.metadata_mut().insert("x-request-id", GIVEN.parse().unwrap());
        let error = client.lookup_message(request).await.unwrap_err();
        let id = error.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned();
        assert_eq!((error.code(), id.len()), (Code::Unauthenticated, 16), "{error:?}");
        assert_eq!(ErrorInfo::from_status(&error).request_id, Some(id));

        let response: grpc_web::WebResponse<LookupMessageResponse> =
            grpc_web::call(&gateway.url, LOOKUP, &unknown_message()).await.unwrap();
        let header = |name: &str| {
            let lines = response.trailers.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let headers: HeaderMap = ["grpc-status", "grpc-message", "grpc-status-details-bin"]
            .into_iter()
            .map(|name| (name.parse().unwrap(), header(name)[0].parse().unwrap()))
            .collect();
        let error = Status::from_header_map(&headers).unwrap();
        assert_eq!(error.code(), Code::Unauthenticated);
        assert_eq!(ErrorInfo::from_status(&error).request_id, Some(header("x-request-id")[0].clone()));
    }
}

#[tokio::test]
async fn a_trusted_proxy_names_its_requests_and_the_store_uses_the_same_name() {
    for gateway in &gateways(1).await {
        let request = gateway.request(Method::POST, "/api/v1/lookup_message").form(&[("id", "1")]);
        let response = send(request.header(REQUEST_ID, GIVEN)).await;
        assert_eq!(response.header("x-request-id"), GIVEN);
        assert_eq!(response.json()["request_id"], GIVEN);
        let hostile = gateway.request(Method::POST, "/api/v1/lookup_message").form(&[("id", "1")]);
        let response = send(hostile.header(REQUEST_ID, "0b5e".repeat(16))).await;
        assert_eq!(response.header("x-request-id").len(), 16);
    }
}

#[tokio::test]
async fn a_store_takes_the_id_from_a_trusted_gateway_only() {
    let trusting = Gateway::start().await;
    let channel = serve_remotely(&trusting).await;
    let error_of = async |channel: StoreChannel| {
        let id = RequestId::generate();
        let mut client = MessageServiceClient::new(channel.with_headers(RequestId::set_current));
        let error = id.scope(client.lookup_message(unknown_message())).await.unwrap_err();
        (id.to_string(), ErrorInfo::from_status(&error).request_id.unwrap())
    };
    let (sent, returned) = error_of(channel).await;
    assert_eq!(sent, returned);
    // The same gateway trusts nobody.
    let (sent, returned) = error_of(BotChannel::remote(&trusting.url).unwrap()).await;
    assert_ne!(sent, returned);
}

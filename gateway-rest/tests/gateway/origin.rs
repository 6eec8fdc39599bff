//! Cross-site requests: a foreign page can link to documents, and do nothing else.

use mayfly_contracts::message::{CreateMessageRequest, CreateMessageResponse};
use mayfly_testkit::grpc_web::{self, WebResponse};
use reqwest::{Method, RequestBuilder, Response};

use crate::harness::{Gateway, PUBLIC_HOST};

const FOREIGN_ORIGIN: &str = "https://evil.example";
const CREATE: &str = "/api/v1/create_message";
const CONFIG: &str = "/api/v1/get_last_active_app_config";
const GRPC: &str = "/mayfly.message.v1.MessageService/CreateMessage";
/// Paths of every kind that change nothing.
const READ_ONLY_PATHS: [&str; 8] =
    ["/", "/m/1", "/admin", "/api/docs", "/api/openapi.json", "/healthz", "/readyz", CONFIG];

async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

async fn assert_rejected(request: RequestBuilder, status: u16, what: &str) {
    let response = send(request).await;
    assert_eq!(response.status(), status, "{what}");
    assert_eq!(response.headers()["content-type"], "application/problem+json", "{what}");
    assert!(!response.headers().contains_key("access-control-allow-origin"), "{what}");
}

#[tokio::test]
async fn a_page_under_a_rebound_name_can_read_nothing() {
    let gateway = Gateway::start().await;
    for path in READ_ONLY_PATHS {
        let rebound = gateway.request(Method::GET, path).header("host", "evil.example:8001");
        // The browser regards this as the page's own site.
        assert_rejected(rebound.header("sec-fetch-site", "same-origin"), 421, path).await;
        for host in ["localhost:8001", "nas:8001", PUBLIC_HOST] {
            let response = send(gateway.request(Method::GET, path).header("host", host)).await;
            assert!(response.status().is_success(), "{host} {path}: {}", response.status());
        }
    }
}

#[tokio::test]
async fn a_page_under_a_rebound_name_can_store_nothing() {
    let gateway = Gateway::start().await;
    let form = gateway.request(Method::POST, CREATE).form(&[("text", "x")]);
    assert_rejected(form.header("host", "evil.example"), 421, "REST").await;
    let web = gateway.request(Method::POST, GRPC).header("content-type", "application/grpc-web+proto");
    assert_rejected(web.header("host", "evil.example").body("x"), 421, "gRPC-Web").await;
}

#[tokio::test]
async fn behind_proxies_all_host_names_are_allowed() {
    let gateway = Gateway::start().await;
    let behind = Gateway::with_proxies(gateway.store().channel(), 1).await;
    assert_eq!(send(behind.request(Method::GET, "/").header("host", "any.example")).await.status(), 200);
}

#[tokio::test]
async fn a_page_of_another_site_can_neither_post_nor_read() {
    let gateway = Gateway::start().await;
    let message = gateway.create("hello").await;
    for header in [
        ("origin", FOREIGN_ORIGIN),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        for path in [CREATE, "/api/v1/view_message/", "/api/v1/lookup_message", "/api/v1/burn_message"] {
            let form = gateway.request(Method::POST, path).form(&[("text", "x")]).header(header.0, header.1);
            assert_rejected(form, 403, &format!("{path} {header:?}")).await;
        }
        for path in [CONFIG, &message] {
            let get = gateway.request(Method::GET, path).header(header.0, header.1);
            assert_rejected(get, 403, &format!("{path} {header:?}")).await;
        }
        for path in [GRPC, "/mayfly.config.v1.ConfigService/ListAppConfigs", "/mayfly.bot.v1.BotService/GetBotStatus"] {
            let call = gateway.request(Method::POST, path).header("content-type", "application/grpc-web+proto");
            assert_rejected(call.header(header.0, header.1).body("x"), 403, &format!("{path} {header:?}")).await;
        }
    }
    assert_eq!(gateway.get(&message).await.json()["text"], "hello", "nothing was read");
}

#[tokio::test]
async fn another_site_can_link_to_documents_but_not_to_get_message() {
    let gateway = Gateway::start().await;
    let message = gateway.create("hello").await;
    let follow = async |path: &str| {
        let link = gateway.request(Method::GET, path).header("sec-fetch-site", "cross-site");
        send(link.header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document")).await.status()
    };
    for path in ["/", "/m/1", "/admin", "/api/docs"] {
        assert_eq!(follow(path).await, 200, "{path}");
    }
    assert_eq!(follow(&message).await, 403);
    assert_eq!(gateway.get(&message).await.json()["text"], "hello", "nothing was read");
}

#[tokio::test]
async fn the_own_page_and_other_clients_are_accepted() {
    let gateway = Gateway::start().await;
    let own = gateway.url.clone();
    for headers in [vec![], vec![("origin", own.as_str())], vec![("sec-fetch-site", "same-origin"), ("origin", &own)]] {
        let mut form = gateway.request(Method::POST, CREATE).form(&[("text", "x")]);
        for (name, value) in &headers {
            form = form.header(*name, *value);
        }
        assert_eq!(send(form).await.status(), 201, "{headers:?}");
    }
    let request = CreateMessageRequest::from_text("hello");
    let created: WebResponse<CreateMessageResponse> = grpc_web::call(&gateway.url, GRPC, &request).await.unwrap();
    assert_eq!(created.messages.len(), 1);
}

//! Security headers of every kind of route, on success and on failure.

use mayfly_contracts::StoreChannel;
use reqwest::{Method, header::HeaderMap};

use crate::harness::{Gateway, send};

/// The headers of every response.
const COMMON_HEADERS: [(&str, &str); 4] = [
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// The end of every policy.
const COMMON_POLICY: &str = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn value<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(|value| value.to_str().unwrap()).unwrap_or_default();
    assert!(values.next().is_none(), "{name} comes twice");
    value
}

#[tokio::test]
async fn every_route_has_the_security_headers_of_its_kind() {
    let gateway = Gateway::start().await;
    let message = gateway.create("hello").await;
    let (get, post, head, options) = (Method::GET, Method::POST, Method::HEAD, Method::OPTIONS);
    let data = format!("default-src 'none'; {COMMON_POLICY}");
    let document = format!("default-src 'none'; style-src 'self'; img-src 'self'; {COMMON_POLICY}");
    for (method, path, status, policy) in [
        (&get, "/healthz", 200, &data),
        (&get, "/readyz", 200, &data),
        (&get, "/robots.txt", 200, &data),
        (&get, "/api/openapi.json", 200, &data),
        (&head, "/api/openapi.json", 200, &data),
        (&get, "/api/docs", 200, &document),
        (&get, "/api/docs/", 200, &document),
        (&head, "/api/docs", 200, &document),
        (&get, "/api/docs/style.css", 200, &data),
        (&get, "/api/docs/icon.svg", 200, &data),
        (&head, &message, 405, &data),
        (&get, &message, 200, &data),
        (&get, &message, 204, &data),
        (&post, &message, 405, &data),
        (&options, &message, 204, &data),
        (&get, "/api/v1/get_message/0/x", 404, &data),
        (&get, "/api/v1/get_message/1/x", 401, &data),
        (&get, "/api/v1/get_last_active_app_config", 204, &data),
        (&post, "/api/v1/create_message", 415, &data),
        (&post, "/api/v1/view_message/", 415, &data),
        (&post, "/api/v1/acknowledge_view", 400, &data),
        (&post, "/api/v1/lookup_message", 415, &data),
        (&post, "/api/v1/burn_message", 415, &data),
        (&post, "/mayfly.message.v1.MessageService/ViewMessage", 400, &data),
        (&get, "/assets/none.js", 404, &data),
        (&get, "/nothing", 404, &data),
    ] {
        let found = send(gateway.request(method.clone(), path)).await;
        assert_eq!(found.status.as_u16(), status, "{method} {path}");
        for (name, expected) in COMMON_HEADERS.into_iter().chain([("content-security-policy", policy.as_str())]) {
            assert_eq!(value(&found.headers, name), expected, "{method} {path}: {name}");
        }
        assert_eq!(value(&found.headers, "cache-control"), "no-store", "{method} {path}");
        assert!(value(&found.headers, "permissions-policy").contains("camera=()"), "{method} {path}");
        assert_eq!(value(&found.headers, "strict-transport-security"), "", "{method} {path}: there is no TLS");
    }
}

/// The page's policy depends on whether the page was built into the tested program.
#[tokio::test]
async fn the_page_is_not_cached_and_runs_no_foreign_scripts() {
    let gateway = Gateway::start().await;
    for path in ["/", "/m/1", "/admin"] {
        for method in [Method::GET, Method::HEAD] {
            let page = send(gateway.request(method, path)).await;
            assert_eq!((page.status.as_u16(), page.header("cache-control")), (200, "no-store"), "{path}");
            let policy = page.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; ") && policy.contains(COMMON_POLICY), "{path}: {policy}");
            for loose in ["unsafe", "*", "http:", "https:", "data:", "blob:"] {
                assert!(!policy.contains(loose), "{path}: {policy}");
            }
        }
    }
}

#[tokio::test]
async fn behind_tls_responses_have_strict_transport_security() {
    let store = StoreChannel::remote("http://127.0.0.1:9").unwrap();
    let (open, behind) = (Gateway::with_store_channel(store.clone()).await, Gateway::with_proxies(store, 1).await);
    let hsts_of = async |gateway: &Gateway, path: &str, proto: &str| {
        let found = send(gateway.request(Method::GET, path).header("x-forwarded-proto", proto)).await;
        found.header("strict-transport-security").to_owned()
    };
    for path in ["/", "/healthz", "/nothing"] {
        assert_eq!(hsts_of(&behind, path, "https").await, "max-age=31536000", "{path}");
        assert_eq!(hsts_of(&behind, path, "http, HTTPS").await, "max-age=31536000", "{path}");
        assert_eq!(hsts_of(&behind, path, "http").await, "", "{path}");
        assert_eq!(hsts_of(&open, path, "https").await, "", "{path}: the header is untrusted");
    }
}

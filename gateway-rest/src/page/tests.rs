//! The page's files, from a small fixture in place of the output of `make web`.

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request},
};
use tower::ServiceExt as _;

use super::*;

#[derive(Embed)]
#[folder = "src/page/fixture"]
struct Fixture;

#[derive(Embed)]
#[folder = "src/page/nowhere"]
#[allow_missing = true]
struct Empty;

struct TestResponse {
    status: StatusCode,
    headers: HeaderMap,
    policy: Option<ContentPolicy>,
    body: String,
}

impl TestResponse {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

async fn send<Files: Embed + 'static>(
    method: Method,
    path: &str,
    headers: &[(header::HeaderName, &str)],
) -> TestResponse {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let response = routes_with::<Files>().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().into()).unwrap();
    let policy = parts.extensions.get::<ContentPolicy>().copied();
    TestResponse { status: parts.status, headers: parts.headers, policy, body }
}

async fn get(path: &str, headers: &[(header::HeaderName, &str)]) -> TestResponse {
    send::<Fixture>(Method::GET, path, headers).await
}

const SCRIPT: &str = "/assets/index-d34db33f.js";

#[tokio::test]
async fn every_address_of_the_page_returns_the_document() {
    for path in ["/", "/m/1", "/m/1/", "/m/nonsense", "/admin", "/admin/"] {
        let document = get(path, &[]).await;
        assert_eq!((document.status.as_u16(), document.body.trim()), (200, "<!doctype html>the page"), "{path}");
        assert_eq!(document.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
        assert!(matches!(document.policy, Some(ContentPolicy::Page)));
        let head = send::<Fixture>(Method::HEAD, path, &[]).await;
        assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
        assert_eq!(head.header(header::CONTENT_LENGTH), document.body.len().to_string());
        assert_eq!(send::<Fixture>(Method::POST, path, &[]).await.status, 405);
    }
}

#[tokio::test]
async fn an_asset_is_immutable_and_has_the_best_encoding_that_the_client_accepts() {
    for (accepted, coding, body, tag) in
        [("gzip, br", "br", "as brotli", "-br\""), ("gzip", "gzip", "as gzip", "-gz\""), ("br;q=0", "", "plain", "\"")]
    {
        let script = get(SCRIPT, &[(header::ACCEPT_ENCODING, accepted)]).await;
        assert_eq!((script.status.as_u16(), script.body.trim()), (200, body));
        assert_eq!(script.header(header::CONTENT_ENCODING), coding);
        assert_eq!(script.header(header::CONTENT_TYPE), "text/javascript; charset=utf-8");
        assert_eq!(script.header(header::CACHE_CONTROL), "public, max-age=31536000, immutable");
        assert_eq!(script.header(header::VARY), "accept-encoding");
        assert!(script.header(header::ETAG).ends_with(tag));
    }
    let picture = get("/assets/logo-c0ffee00.svg", &[(header::ACCEPT_ENCODING, "br")]).await;
    assert_eq!(picture.header(header::CONTENT_TYPE), "image/svg+xml; charset=utf-8");
    assert_eq!(picture.header(header::CONTENT_ENCODING), "", "there is no compressed file");
}

#[tokio::test]
async fn an_asset_with_a_known_entity_tag_is_not_sent_again() {
    let script = get(SCRIPT, &[]).await;
    for known in [script.header(header::ETAG), &format!("\"x\", W/{}", script.header(header::ETAG))] {
        let again = get(SCRIPT, &[(header::IF_NONE_MATCH, known)]).await;
        assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""));
        assert_eq!(again.header(header::ETAG), script.header(header::ETAG));
        assert_eq!(again.header(header::CACHE_CONTROL), script.header(header::CACHE_CONTROL));
    }
    let other =
        get(SCRIPT, &[(header::IF_NONE_MATCH, script.header(header::ETAG)), (header::ACCEPT_ENCODING, "br")]).await;
    assert_eq!(other.status, 200, "another encoding is another file");
}

#[tokio::test]
async fn only_assets_are_served() {
    for path in [
        "/assets/none.js",
        "/assets/index-d34db33f.js.br",
        "/assets/../index.html",
        "/assets/%2e%2e/index.html",
        "/assets/",
        "/index.html",
    ] {
        assert_eq!(get(path, &[]).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn without_the_page_a_plain_one_explains_how_to_build_it() {
    for path in ["/", "/m/1", "/admin"] {
        let plain = send::<Empty>(Method::GET, path, &[]).await;
        assert!(plain.status.is_success() && plain.body.contains("make web"), "{path}");
        assert_eq!(plain.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
    }
}

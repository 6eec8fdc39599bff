//! Whoever only looks ahead consumes nothing.

use reqwest::Method;

use crate::harness::{Gateway, answer};

#[tokio::test]
async fn prefetches_are_refused_and_consume_nothing() {
    let gateway = Gateway::start().await;
    let path = gateway.create("hello").await;
    for (name, value) in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("Purpose", "Prefetch"),
        ("x-moz", "prefetch"),
        ("x-purpose", "preview"),
    ] {
        let refused = answer(gateway.request(Method::GET, &path).header(name, value)).await;
        assert_eq!(refused.status, 403, "{name}: {value}");
    }
    assert_eq!(gateway.get(&path).await.json()["text"], "hello");
}

#[tokio::test]
async fn head_consumes_nothing() {
    let gateway = Gateway::start().await;
    let path = gateway.create("hello").await;
    for path in [path.clone(), format!("{path}/")] {
        assert_eq!(answer(gateway.request(Method::HEAD, &path)).await.status, 405);
    }
    assert_eq!(gateway.get(&path).await.json()["text"], "hello");
}

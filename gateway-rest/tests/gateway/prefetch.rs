//! Prefetches and HEAD requests read no message.

use reqwest::Method;

use crate::harness::{Gateway, send};

#[tokio::test]
async fn prefetches_are_rejected_and_read_no_message() {
    let gateway = Gateway::start().await;
    let path = gateway.create("hello").await;
    for (name, value) in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("Purpose", "Prefetch"),
        ("x-moz", "prefetch"),
        ("x-purpose", "preview"),
    ] {
        let rejected = send(gateway.request(Method::GET, &path).header(name, value)).await;
        assert_eq!(rejected.status, 403, "{name}: {value}");
    }
    assert_eq!(gateway.get(&path).await.json()["text"], "hello");
}

#[tokio::test]
async fn head_reads_no_message() {
    let gateway = Gateway::start().await;
    let path = gateway.create("hello").await;
    for path in [path.clone(), format!("{path}/")] {
        assert_eq!(send(gateway.request(Method::HEAD, &path)).await.status, 405);
    }
    assert_eq!(gateway.get(&path).await.json()["text"], "hello");
}

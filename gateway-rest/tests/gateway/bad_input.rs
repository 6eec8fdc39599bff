//! Invalid input returns an exact status and the field's name, and stores nothing.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Gateway, MAX_TEXT_BYTES, send};

const CREATE: &str = "/api/v1/create_message";

#[tokio::test]
async fn a_text_at_the_limit_is_accepted_and_one_byte_more_is_rejected() {
    let gateway = Gateway::start().await;
    // The largest encodings: three characters for each byte in a form, six in JSON.
    let largest = "\u{1}".repeat(MAX_TEXT_BYTES);
    let escaped = format!("{{\"text\":\"{}\"}}", "\\u0001".repeat(MAX_TEXT_BYTES));
    assert_eq!(gateway.post_form(CREATE, &[("text", &largest)]).await.status, 201);
    assert_eq!(gateway.post(CREATE, "application/json", escaped).await.status, 201);
    let rejected = gateway.post_form(CREATE, &[("text", &format!("{largest}x"))]).await;
    assert_eq!((rejected.status.as_u16(), &rejected.json()["reason"]), (413, &json!("TEXT_TOO_LONG")));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_rejected_with_and_without_content_length() {
    let gateway = Gateway::start().await;
    let announced = gateway.post(CREATE, "application/json", "x".repeat(8 << 20)).await;
    assert_eq!(announced.status, 413);

    // Chunked, without reqwest, which sends the length of a complete body.
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = gateway.url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "POST /api/v1/create_message HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..64 {
        // The gateway may close the connection while the test still sends.
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut response = [0; 12];
    stream.read_exact(&mut response).await.unwrap();
    assert_eq!(&response, b"HTTP/1.1 413");
}

#[tokio::test]
async fn invalid_utf_8_is_rejected_not_replaced() {
    let gateway = Gateway::start().await;
    let rejected = gateway.post(CREATE, "application/x-www-form-urlencoded", "text=%ff").await;
    assert_eq!((rejected.status.as_u16(), rejected.field().as_str()), (400, "text"));
    let raw = gateway.post(CREATE, "application/x-www-form-urlencoded", b"text=\xff".to_vec()).await;
    assert_eq!((raw.status.as_u16(), raw.field().as_str()), (400, "text"));
    assert_eq!(gateway.post(CREATE, "application/x-www-form-urlencoded", "%ff=x").await.status, 400);
    assert_eq!(gateway.post(CREATE, "application/json", b"{\"text\":\"\xff\"}".to_vec()).await.status, 400);
    assert_eq!(gateway.post(CREATE, "application/json", r#"{"text":"\ud800"}"#).await.status, 400);
    let multipart = b"--b\r\ncontent-disposition: form-data; name=\"text\"\r\n\r\n\xff\r\n--b--\r\n".to_vec();
    let rejected = gateway.post(CREATE, "multipart/form-data; boundary=b", multipart).await;
    assert_eq!((rejected.status.as_u16(), rejected.field().as_str()), (400, "text"));
    for path in ["/api/v1/get_message/1/%ff", "/api/v1/get_message/%ff/x", "/%ff"] {
        let rejected = gateway.get(path).await;
        assert!(rejected.status.is_client_error(), "{path} {}", rejected.status);
    }
    assert_eq!(gateway.store().unread_messages().await.unwrap(), 0, "nothing was stored");
}

#[tokio::test]
async fn malformed_multipart_forms_are_rejected() {
    let gateway = Gateway::start().await;
    for (content_type, body) in [
        ("multipart/form-data", "x"),
        ("multipart/form-data; boundary=b", "no border"),
        ("multipart/form-data; boundary=b", "--b\r\ncontent-disposition: form-data; name=\"text\"\r\n\r\ncut"),
    ] {
        assert_eq!(gateway.post(CREATE, content_type, body).await.status, 400, "{body}");
    }
}

#[tokio::test]
async fn lifetimes_out_of_range_name_their_field() {
    let gateway = Gateway::start().await;
    let day = 24 * 3600;
    for ttl in [json!(0), json!(-1), json!(90 * day + 1), json!(1.5), json!("soon"), json!(u64::MAX)] {
        let rejected = gateway.post_json(CREATE, &json!({ "text": "x", "ttl": ttl })).await;
        assert_eq!((rejected.status.as_u16(), rejected.field().as_str()), (400, "ttl"), "{ttl}");
    }
}

#[tokio::test]
async fn optional_fields_that_are_null_or_empty_count_as_missing() {
    let gateway = Gateway::start().await;
    let json = json!({ "text": "x", "ttl": null, "passphrase": null });
    let form = gateway.post(CREATE, "application/x-www-form-urlencoded", "text=x&ttl=&passphrase=").await;
    for created in [gateway.post_json(CREATE, &json).await, form] {
        assert_eq!(created.status.as_u16(), 201);
        assert!(created.json()["expires_at"].is_string());
    }
}

#[tokio::test]
async fn the_last_value_of_a_repeated_field_counts() {
    let gateway = Gateway::start().await;
    let created = gateway.post(CREATE, "application/x-www-form-urlencoded", "text=a&text=b").await;
    assert_eq!(created.json()["text"], "b");
}

#[tokio::test]
async fn unknown_paths_return_problems() {
    let gateway = Gateway::start().await;
    for path in
        ["/nothing", "/api/v1/", "/api/v1/get_message/1", "/api/v2/create_message", "/mayfly.other.v1.Service/Call"]
    {
        let rejected = send(gateway.request(Method::GET, path)).await;
        assert_eq!(
            (rejected.status.as_u16(), rejected.header("content-type")),
            (404, "application/problem+json"),
            "{path}"
        );
    }
}

//! What clients send that is wrong: a proper status, the field's name, and nothing stored.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Gateway, MAX_TEXT_BYTES, answer};

const CREATE: &str = "/api/v1/create_message";

#[tokio::test]
async fn a_text_at_the_limit_is_taken_and_one_byte_more_is_not() {
    let gateway = Gateway::start().await;
    // The worst of each encoding: three characters a byte in a form, six in JSON.
    let largest = "\u{1}".repeat(MAX_TEXT_BYTES);
    let escaped = format!("{{\"text\":\"{}\"}}", "\\u0001".repeat(MAX_TEXT_BYTES));
    assert_eq!(gateway.post_form(CREATE, &[("text", &largest)]).await.status, 201);
    assert_eq!(gateway.post(CREATE, "application/json", escaped).await.status, 201);
    let refused = gateway.post_form(CREATE, &[("text", &format!("{largest}x"))]).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["reason"]), (413, &json!("TEXT_TOO_LONG")));
}

#[tokio::test]
async fn a_body_beyond_all_texts_is_refused_also_when_its_length_is_not_announced() {
    let gateway = Gateway::start().await;
    let announced = gateway.post(CREATE, "application/json", "x".repeat(8 << 20)).await;
    assert_eq!(announced.status, 413);

    // Chunked, by hand: reqwest announces the length of what it has whole.
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = gateway.url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "POST /api/v1/create_message HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..64 {
        // The gateway may close while we still send; what counts is its answer.
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn invalid_utf_8_is_refused_not_replaced() {
    let gateway = Gateway::start().await;
    let refused = gateway.post(CREATE, "application/x-www-form-urlencoded", "text=%ff").await;
    assert_eq!((refused.status.as_u16(), refused.field().as_str()), (400, "text"));
    let raw = gateway.post(CREATE, "application/x-www-form-urlencoded", b"text=\xff".to_vec()).await;
    assert_eq!((raw.status.as_u16(), raw.field().as_str()), (400, "text"));
    assert_eq!(gateway.post(CREATE, "application/x-www-form-urlencoded", "%ff=x").await.status, 400);
    assert_eq!(gateway.post(CREATE, "application/json", b"{\"text\":\"\xff\"}".to_vec()).await.status, 400);
    assert_eq!(gateway.post(CREATE, "application/json", r#"{"text":"\ud800"}"#).await.status, 400);
    let multipart = b"--b\r\ncontent-disposition: form-data; name=\"text\"\r\n\r\n\xff\r\n--b--\r\n".to_vec();
    let refused = gateway.post(CREATE, "multipart/form-data; boundary=b", multipart).await;
    assert_eq!((refused.status.as_u16(), refused.field().as_str()), (400, "text"));
    for path in ["/api/v1/get_message/1/%ff", "/api/v1/get_message/%ff/x", "/%ff"] {
        let refused = gateway.get(path).await;
        assert!(refused.status.is_client_error(), "{path} {}", refused.status);
    }
    assert_eq!(gateway.store().unread_messages().await.unwrap(), 0, "nothing was stored");
}

#[tokio::test]
async fn broken_multipart_forms_are_refused() {
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
        let refused = gateway.post_json(CREATE, &json!({ "text": "x", "ttl": ttl })).await;
        assert_eq!((refused.status.as_u16(), refused.field().as_str()), (400, "ttl"), "{ttl}");
    }
}

#[tokio::test]
async fn optional_fields_that_are_null_or_empty_count_as_absent() {
    let gateway = Gateway::start().await;
    let json = json!({ "text": "x", "ttl": null, "passphrase": null });
    let form = gateway.post(CREATE, "application/x-www-form-urlencoded", "text=x&ttl=&passphrase=").await;
    for created in [gateway.post_json(CREATE, &json).await, form] {
        assert_eq!(created.status.as_u16(), 201);
        assert!(created.json()["expires_at"].is_string());
    }
}

#[tokio::test]
async fn of_a_field_that_comes_twice_the_last_counts() {
    let gateway = Gateway::start().await;
    let created = gateway.post(CREATE, "application/x-www-form-urlencoded", "text=a&text=b").await;
    assert_eq!(created.json()["text"], "b");
}

#[tokio::test]
async fn unknown_paths_are_problems_too() {
    let gateway = Gateway::start().await;
    for path in
        ["/nothing", "/api/v1/", "/api/v1/get_message/1", "/api/v2/create_message", "/mayfly.other.v1.Service/Call"]
    {
        let refused = answer(gateway.request(Method::GET, path)).await;
        assert_eq!(
            (refused.status.as_u16(), refused.header("content-type")),
            (404, "application/problem+json"),
            "{path}"
        );
    }
}

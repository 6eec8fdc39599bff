//! A minimal gRPC-Web client that sends what a browser sends.

use anyhow::{Context as _, ensure};
use prost::Message;

const CONTENT_TYPE: &str = "application/grpc-web+proto";

/// The response to a call.
pub struct WebResponse<M> {
    /// The messages of the response.
    pub messages: Vec<M>,
    /// Headers and trailers, one `name:value` per line.
    pub trailers: String,
}

/// Calls `path` (`/package.Service/Method`) of the server at `url` over HTTP/1.
///
/// # Errors
///
/// Returns an error if the response is not gRPC-Web.
pub async fn call<M: Message + Default>(
    url: &str,
    path: &str,
    request: &impl Message,
) -> anyhow::Result<WebResponse<M>> {
    call_with(url, path, request, &[]).await
}

/// As [`call`], with additional headers.
///
/// # Errors
///
/// As [`call`].
pub async fn call_with<M: Message + Default>(
    url: &str,
    path: &str,
    request: &impl Message,
    headers: &[(&str, &str)],
) -> anyhow::Result<WebResponse<M>> {
    let message = request.encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len())?.to_be_bytes());
    frame.extend(message);
    let client = reqwest::Client::builder().http1_only().build()?;
    let mut call = client.post(format!("{url}{path}")).header("content-type", CONTENT_TYPE).body(frame);
    for (name, value) in headers {
        call = call.header(*name, *value);
    }
    let response = call.send().await?;
    ensure!(response.status() == 200, "status {}", response.status());
    let mut trailers = String::new();
    for (name, value) in response.headers() {
        trailers += &format!("{name}:{}\r\n", value.to_str()?);
    }
    let (mut messages, body) = (Vec::new(), response.bytes().await?);
    let mut rest = body.as_ref();
    while let [kind, a, b, c, d, tail @ ..] = rest {
        let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d]))?;
        let (frame, after) = tail.split_at_checked(length).context("a frame is incomplete")?;
        match kind {
            0 => messages.push(M::decode(frame)?),
            _ => trailers += std::str::from_utf8(frame)?,
        }
        rest = after;
    }
    Ok(WebResponse { messages, trailers })
}

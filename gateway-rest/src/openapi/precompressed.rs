//! Contents that never change, in plain form and compressed.

use std::io::Write as _;

use axum::{
    body::Bytes,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};

use crate::content_encoding::ContentEncoding;

/// A content that never changes.
pub(super) struct Precompressed {
    content_type: &'static str,
    plain: Bytes,
    gzip: Option<Bytes>,
}

impl Precompressed {
    pub(super) fn new(content_type: &'static str, content: String) -> Self {
        let gzip = gzip(content.as_bytes()).ok().map(Bytes::from);
        Self { content_type, plain: content.into(), gzip }
    }

    /// Returns the content, compressed if the client accepts gzip.
    pub(super) fn response(&self, headers: &HeaderMap) -> Response {
        let common = [(header::CONTENT_TYPE, self.content_type), (header::VARY, "accept-encoding")];
        match &self.gzip {
            Some(gzip) if ContentEncoding::Gzip.is_accepted(headers) => {
                (common, [(header::CONTENT_ENCODING, ContentEncoding::Gzip.name())], gzip.clone()).into_response()
            }
            _ => (common, self.plain.clone()).into_response(),
        }
    }
}

fn gzip(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn clients_that_accept_gzip_get_the_compressed_content() {
        let content = "the same again, ".repeat(100);
        let precompressed = Precompressed::new("text/plain", content.clone());
        let accepts = |encodings: &str| HeaderMap::from_iter([(header::ACCEPT_ENCODING, encodings.parse().unwrap())]);
        let (head, body) = precompressed.response(&accepts("gzip, br")).into_parts();
        assert_eq!(head.headers[header::CONTENT_ENCODING], "gzip");
        let body = to_bytes(body, usize::MAX).await.unwrap();
        assert!(body.len() < content.len() / 2);
        let mut decompressed = String::new();
        flate2::read::GzDecoder::new(&*body).read_to_string(&mut decompressed).unwrap();
        assert_eq!(decompressed, content);

        for headers in [HeaderMap::new(), accepts("gzip;q=0, br")] {
            let (head, body) = precompressed.response(&headers).into_parts();
            assert!(!head.headers.contains_key(header::CONTENT_ENCODING));
            assert_eq!(head.headers[header::VARY], "accept-encoding");
            assert_eq!(to_bytes(body, usize::MAX).await.unwrap(), content);
        }
    }
}

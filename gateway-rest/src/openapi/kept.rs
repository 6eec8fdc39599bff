//! What is written once and sent often: kept as it is, and compressed.

use std::io::Write as _;

use axum::{
    body::Bytes,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};

use crate::encoding::Encoding;

pub(super) struct Kept {
    content_type: &'static str,
    plain: Bytes,
    gzip: Option<Bytes>,
}

impl Kept {
    pub(super) fn new(content_type: &'static str, content: String) -> Self {
        let gzip = compressed(content.as_bytes()).ok().map(Bytes::from);
        Self { content_type, plain: content.into(), gzip }
    }

    /// The content, in the way that the client takes it.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response {
        let about = [(header::CONTENT_TYPE, self.content_type), (header::VARY, "accept-encoding")];
        match &self.gzip {
            Some(gzip) if Encoding::Gzip.is_accepted(headers) => {
                (about, [(header::CONTENT_ENCODING, Encoding::Gzip.name())], gzip.clone()).into_response()
            }
            _ => (about, self.plain.clone()).into_response(),
        }
    }
}

fn compressed(content: &[u8]) -> std::io::Result<Vec<u8>> {
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
    async fn who_takes_gzip_gets_the_same_in_less() {
        let content = "the same again, ".repeat(100);
        let kept = Kept::new("text/plain", content.clone());
        let accepts = |encodings: &str| HeaderMap::from_iter([(header::ACCEPT_ENCODING, encodings.parse().unwrap())]);
        let (head, body) = kept.answer(&accepts("gzip, br")).into_parts();
        assert_eq!(head.headers[header::CONTENT_ENCODING], "gzip");
        let body = to_bytes(body, usize::MAX).await.unwrap();
        assert!(body.len() < content.len() / 2);
        let mut opened = String::new();
        flate2::read::GzDecoder::new(&*body).read_to_string(&mut opened).unwrap();
        assert_eq!(opened, content);

        for headers in [HeaderMap::new(), accepts("gzip;q=0, br")] {
            let (head, body) = kept.answer(&headers).into_parts();
            assert!(!head.headers.contains_key(header::CONTENT_ENCODING));
            assert_eq!(head.headers[header::VARY], "accept-encoding");
            assert_eq!(to_bytes(body, usize::MAX).await.unwrap(), content);
        }
    }
}

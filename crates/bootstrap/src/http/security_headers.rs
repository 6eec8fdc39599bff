//! Security headers of every response. They forbid caching, content sniffing, framing and referrers, and limit what a
//! document may do to what its kind needs.

use std::convert::Infallible;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponseParts, ResponseParts},
};

const COMMON_HEADERS: [(HeaderName, &str); 5] = [
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // The pages need `clipboard-write` and `web-share`, so they are not in the list.
    (
        HeaderName::from_static("permissions-policy"),
        "accelerometer=(), autoplay=(), camera=(), clipboard-read=(), display-capture=(), fullscreen=(), \
         geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), \
         publickey-credentials-get=(), usb=()",
    ),
];
/// The default; a response may set `Cache-Control` itself.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What a browser allows a response to do if it is opened as a document. A handler adds it to its response.
#[derive(Clone, Copy, Debug, Default)]
pub enum ContentPolicy {
    /// Nothing: the response is data.
    #[default]
    Data,
    /// Style sheets and images of this server: the response is a document without scripts.
    Document,
    /// Scripts, style sheets, images and calls of this server: the response is a page with scripts. Trusted Types keep
    /// scripts from turning texts into markup.
    Page,
}

impl ContentPolicy {
    fn value(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Data => "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            Self::Document => {
                "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
                 frame-ancestors 'none'"
            }
            Self::Page => {
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                 trusted-types 'none'"
            }
        })
    }
}

impl IntoResponseParts for ContentPolicy {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Self::Error> {
        response.extensions_mut().insert(self);
        Ok(response)
    }
}

/// Sets the security headers of a response with this policy.
pub fn set_security_headers(headers: &mut HeaderMap, policy: ContentPolicy) {
    for (name, value) in COMMON_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.value());
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
}

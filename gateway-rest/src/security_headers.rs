//! Security headers of every response. They forbid caching, content sniffing, framing and referrers, and limit what a
//! document may do to what its kind needs.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponseParts, Response, ResponseParts},
};

use crate::caller::TrustedProxies;

const COMMON_HEADERS: [(HeaderName, &str); 5] = [
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // The page needs `clipboard-write` and `web-share`, so they are not in the list.
    (
        HeaderName::from_static("permissions-policy"),
        "accelerometer=(), autoplay=(), camera=(), clipboard-read=(), display-capture=(), fullscreen=(), geolocation=(), \
         gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), usb=()",
    ),
];
/// The default; a response may set `Cache-Control` itself.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Browsers use TLS only, for a year.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// What a browser allows a response to do if it is opened as a document.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum ContentPolicy {
    /// Nothing: the response is data.
    #[default]
    Data,
    /// Style sheets and images of this server: the response is a document without scripts.
    Document,
    /// Scripts, style sheets, images and calls of this server: the response is the web page. Trusted Types keep scripts
    /// from turning texts into markup.
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
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Self::Error> {
        response.extensions_mut().insert(self);
        Ok(response)
    }
}

/// Sets the headers on every response.
pub(crate) async fn set_security_headers(
    State(proxies): State<TrustedProxies>,
    request: Request,
    next: Next,
) -> Response {
    let is_https = is_forwarded_https(proxies, request.headers());
    let mut response = next.run(request).await;
    let policy = response.extensions().get::<ContentPolicy>().copied().unwrap_or_default();
    let headers = response.headers_mut();
    for (name, value) in COMMON_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.value());
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    if is_https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    response
}

/// Returns `true` if a trusted proxy reports that its caller used TLS. The gateway itself does not serve TLS.
fn is_forwarded_https(TrustedProxies(proxies): TrustedProxies, headers: &HeaderMap) -> bool {
    let schemes = headers.get_all(FORWARDED_PROTO).iter().filter_map(|line| line.to_str().ok());
    proxies > 0 && schemes.flat_map(|line| line.split(',')).any(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}
